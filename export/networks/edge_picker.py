"""`EdgePicker`: when P and S arrive, for every sample of half a minute; this project's own network.

Input float32 (B, 3, 2560): Z, N, E at 100 Hz, each over its standard deviation. Output float32 (B, 2560, 2):
probability of P and of S, two classifiers that need not sum to one. Any multiple of 256 samples will do in torch; it
is trained on longer examples than it is fed, which have room for late S.

A U-Net of five levels whose steps are four samples, so that its lowest level of 10 samples sees the whole window. What
a gateway runs badly is left out: no transposed convolution (nothing quantises it), no attention, no recurrence, and
only eight channels at the full rate. The way up is a convolution to four times the channels, whose values are then laid
side by side (Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
neural network", 2016, in one dimension).
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seisedge.export.errors import NetworkError

from .edge_picker_phases import PHASES, in_phases, phases_of, samples_of

WINDOW = 2560
LONG_WINDOW = 5120
"""For archives: an S half a minute behind its P is seen with it, and noise in more surroundings; twice the time."""
LABELS = ("P", "S")
LATE = (2, 3)
"""Samples by which each phase is put later than the network says: most of what it learnt from are labels by other
pickers, and those are early. Against analysts' labels of the training set: P by 0.015 s, S by 0.027 s (medians)."""

STEP = PHASES
"""Samples of a level that become one of the next."""

WIDTHS = (24, 48, 64, 96)
SHRINK = STEP ** len(WIDTHS)
"""Samples that become one of the lowest level."""
_FINEST = 8
_TAPS = 7


class _Conv(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, channels: int, width: int, taps: int = _TAPS, stride: int = 1) -> None:
        super().__init__(
            nn.Conv1d(channels, width, taps, stride=stride, padding=taps // 2, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )

    def in_phases(self) -> nn.Sequential:
        """Give the same on four samples side by side, its normalisation put into the weights."""
        conv, norm, _ = self
        return nn.Sequential(in_phases(cast("nn.Conv1d", conv), cast("nn.BatchNorm1d", norm)), nn.ReLU())


class _Up(nn.Module):
    """One level up: (B, channels, n) and what that level had, (B, had, 4 n), to (B, width, 4 n)."""

    def __init__(self, channels: int, width: int, had: int) -> None:
        super().__init__()
        self.spread = nn.Conv1d(channels, STEP * width, 3, padding=1)
        self.merge = _Conv(width + had, width)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        finer = samples_of(self.spread(x))
        merged: Tensor = self.merge(torch.cat((finer, level), dim=1))
        return merged


class EdgePicker(nn.Module):
    """(B, channels, sample) to probabilities (B, sample, 2) of P and S."""

    def __init__(self, channels: int = 3, widths: tuple[int, ...] = WIDTHS, dropout: float = 0.1) -> None:
        super().__init__()
        self.stem = nn.Sequential(_Conv(channels, widths[0], 4 * STEP - 1, stride=STEP), _Conv(widths[0], widths[0]))
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Sequential(_Conv(a, b, stride=STEP), _Conv(b, b)) for a, b in pairs)
        self.context = nn.Sequential(_Conv(widths[-1], widths[-1]), nn.Dropout(dropout))
        self.up = nn.ModuleList(_Up(b, a, a) for a, b in reversed(pairs))
        self.finest = _Up(widths[0], _FINEST, channels)
        self.head = nn.Conv1d(_FINEST, len(LABELS), _TAPS, padding=_TAPS // 2)

    def logits(self, x: Tensor) -> Tensor:
        """Give the values before the sigmoid, (B, phase, sample); raise `NetworkError` for no multiple of 256."""
        if x.shape[-1] % SHRINK:
            raise NetworkError(f"EdgePicker, samples: found {x.shape[-1]}, wanted a multiple of {SHRINK}")
        scores: Tensor = self.head(self.finest(self.coarse(self.stem(x)), x))
        return scores

    def coarse(self, x: Tensor) -> Tensor:
        """Down and up again: (B, width, n / 4) to the same."""
        levels = [x]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = self.context(levels.pop())
        for up in self.up:
            x = up(x, levels.pop())
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Give the probabilities, (B, sample, phase), each phase `LATE` samples later than `logits`."""
        return _late(torch.sigmoid(self.logits(x)))

    def deployed(self) -> nn.Module:
        """Give the network as it is exported: see `edge_picker_phases`."""
        return _Deployed(self).eval()


class _Deployed(nn.Module):
    """What `EdgePicker` gives in evaluation mode, with nothing at the full rate."""

    def __init__(self, picker: EdgePicker) -> None:
        super().__init__()
        entry, second = picker.stem
        self.stem = nn.Sequential(cast("_Conv", entry).in_phases(), second)
        self.picker = picker
        self.merge = picker.finest.merge.in_phases()
        self.head = in_phases(picker.head)

    def forward(self, x: Tensor) -> Tensor:
        phases = phases_of(x)
        finer = self.picker.finest.spread(self.picker.coarse(self.stem(phases)))
        scores = self.head(self.merge(torch.cat((finer, phases), dim=1)))
        return _late(samples_of(torch.sigmoid(scores)))


def _late(said: Tensor) -> Tensor:
    npts = said.shape[2]
    late = [functional.pad(said[:, row : row + 1], (by, 0))[..., :npts] for row, by in enumerate(LATE)]
    return torch.cat(late, dim=1).transpose(1, 2)

"""What a training depends on besides its data, and the defaults by kind of output, window and rate."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from seisedge.edge.errors import ManifestError, UsageError
from seisedge.edge.manifest import Manifest
from seisedge.edge.strict import read

_LONG_S = 30.0  # labelled windows are rarely longer: longer examples need something around them
_EXAMPLE_S = 60.0  # of a window of five minutes most is noise: five times the examples teach more in the same time
_FILTERS = ("highpass", "bandpass", "demean")
_FORGOTTEN = 3.0  # times that the average's memory goes into a training
_CHANGES = (
    "stretch",
    "superpose_event",
    "superpose_noise",
    "white_noise",
    "turn",
    "drop_horizontals",
    "drop_one",
    "swap",
    "clip",
    "coarse_counts",
    "narrow_band",
    "glitch",
    "starts_late",
)
_COUNTS = ("steps", "batch")
_NOT_NEGATIVE = (
    "window_samples",
    "weight_decay",
    "mine_every",
    "mined_records",
    "check_every",
    "patience",
    "pwave_window_s",
    "avoid_before_s",
    "avoid_after_s",
)
_POSITIVE = ("learning_rate", "near_s")
_NOT_WHOLE = ("average", "held_out")  # shares that must leave something
_SHARES = ("warm_up", "taught", "rounded_from", *_CHANGES, "burst", "embed", "offset")
_LOOKS, _PATIENCE, _SEARCHES = 16, 6, 5
_SUM = 1e-8  # by which shares may miss 1: NumPy's own limit


class _InRange:
    """Options that refuse what is out of its range, with UsageError."""

    def __post_init__(self) -> None:
        _check(vars(self))


@dataclass(frozen=True)
class ExampleOptions(_InRange):
    """How examples are drawn; probabilities unless said otherwise.

    Attributes
    ----------
    label_widths_s
        Standard deviation of the target about an onset, by phase: an S is seldom known as well as a P.
    shares
        Of the examples: crops at arrivals of labelled windows; of noise windows; of continuous data at an arrival;
        of continuous data anywhere; at false picks of an earlier state of the network.
    embed
        A record that is shorter than the example is laid into noise of its station, else into other noise; into
        silence otherwise.
    offset
        A constant is added, as of a sensor that is not levelled.
    near_s
        Of classes at a reference sample: how far off it most arrivals stand.
    pwave_window_s, avoid_before_s, avoid_after_s
        Of events per window (DeepQuake's rules): a window with half the first on both sides of a P holds an event;
        one that ends the second before every P, and starts the third behind, holds none; others say nothing.
    """

    label_widths_s: dict[str, float] = field(default_factory=lambda: {"P": 0.1, "S": 0.1})
    shares: tuple[float, float, float, float, float] = (0.5, 0.12, 0.13, 0.15, 0.1)
    stretch: float = 0.3
    superpose_event: float = 0.25
    superpose_noise: float = 0.35
    white_noise: float = 0.25
    turn: float = 0.5
    drop_horizontals: float = 0.12
    drop_one: float = 0.05
    swap: float = 0.05
    clip: float = 0.03
    coarse_counts: float = 0.08
    narrow_band: float = 0.15
    glitch: float = 0.12
    burst: float = 0.0
    starts_late: float = 0.04
    embed: float = 0.0
    offset: float = 0.0
    near_s: float = 0.6
    pwave_window_s: float = 2.0
    avoid_before_s: float = 10.0
    avoid_after_s: float = 500.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for phase, width in self.label_widths_s.items():
            _refuse_unless(f"label_widths_s.{phase}", width, width > 0, "more than 0 s")
        fits = min(self.shares) >= 0 and math.isclose(sum(self.shares), 1.0, abs_tol=_SUM)
        _refuse_unless("shares", list(self.shares), fits, "five shares whose sum is 1")

    def unchanged(self) -> ExampleOptions:
        """Examples as they are, at arrivals and of noise alike, laid into noise where they are too short."""
        return ExampleOptions(
            label_widths_s=self.label_widths_s,
            shares=(0.5, 0.5, 0.0, 0.0, 0.0),
            near_s=self.near_s,
            pwave_window_s=self.pwave_window_s,
            avoid_before_s=self.avoid_before_s,
            avoid_after_s=self.avoid_after_s,
            embed=1.0,
            **dict.fromkeys(_CHANGES, 0.0),
        )


@dataclass(frozen=True)
class TrainOptions(_InRange):
    """What the result depends on, besides data and versions.

    Attributes
    ----------
    steps, batch
        Updates of the weights, and examples in each.
    average
        Share of the running average that each step keeps; the average is what is shipped.
    window_samples
        Of an example, where the network has no length of its own and the recipe's window may be shorter; 0 for the
        recipe's.
    mine_every, mined_records
        Steps from search to search for false picks, and how many records are searched; 0 for never.
    taught
        Share of the loss that teachers have: what they make of the very example, as it was changed. An arrival that
        noise buried is a label still, and not one that they would pick; where nothing is known they know something.
    held_out
        Share of the labelled windows, whole groups with their stations, that is not trained on but looked at.
    check_every, patience
        Steps from look to look, and after how many without a better one, counted from half of the steps on, the
        training ends; the best is kept.
    dropout
        Whether the network's dropout is on: examples without end need none, and it takes half of the time.
    rounded_from
        Share of the steps behind which layers round as in int8 (see `rounding`); 1 for never.
    """

    seed: int = 0
    steps: int = 12000
    batch: int = 64
    window_samples: int = 3072
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    average: float = 0.999
    warm_up: float = 0.08
    mine_every: int = 1000
    mined_records: int = 250
    taught: float = 0.5
    held_out: float = 0.0
    check_every: int = 0
    patience: int = 0
    dropout: bool = True
    rounded_from: float = 1.0
    examples: ExampleOptions = field(default_factory=ExampleOptions)

    def are_those(self, given: object) -> bool:
        """Whether a state's options are these; what it does not name had no effect when it was written."""
        try:
            return read(TrainOptions, given, "options") == self
        except (ManifestError, UsageError):
            return False

    def width_for(self, manifest: Manifest) -> int:
        """Samples of an example.

        Raises
        ------
        UsageError
            It is not that of the windows of a network that takes no other.
        """
        own = manifest.window_samples
        takes_any = manifest.outputs[0].kind == "sample_probability"
        fits = takes_any or self.window_samples in {0, own}
        _refuse_unless("window_samples", self.window_samples, fits, f"0: windows of {manifest.name} have {own}")
        return self.window_samples or own


def _check(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if name in _COUNTS:
            _refuse_unless(name, value, value >= 1, "1 or more")
        elif name in _NOT_NEGATIVE:
            _refuse_unless(name, value, value >= 0, "0 or more")
        elif name in _POSITIVE:
            _refuse_unless(name, value, value > 0, "more than 0")
        elif name in _NOT_WHOLE:
            _refuse_unless(name, value, 0 <= value < 1, "0 or more and less than 1")
        elif name in _SHARES:
            _refuse_unless(name, value, 0 <= value <= 1, "a share from 0 to 1")


def _refuse_unless(name: str, value: object, fits: bool, wanted: str) -> None:  # noqa: FBT001 - the condition itself
    if not fits:
        raise UsageError(f"options of a training: {name}: found {value}, wanted {wanted}")


def default_options(manifest: Manifest, steps: int | None = None) -> TrainOptions:
    """Choose by what the manifest says of windows, rate and outputs, and by the number of steps where it is given."""
    if _has_no_length(manifest):
        return TrainOptions() if steps is None else TrainOptions(steps=steps)
    output = manifest.outputs[0]
    if output.kind == "waveform":
        # The weights' mean takes what single examples bring; attention to far samples wants many steps.
        base = TrainOptions(steps=20000, batch=1, learning_rate=2e-3, weight_decay=0.0, dropout=False)
        return _of_length(base, manifest, steps)
    if output.kind == "sample_probability":
        base = TrainOptions(steps=4000, batch=16, learning_rate=1e-3, mined_records=10)
        width = min(manifest.window_samples, round(_EXAMPLE_S * manifest.sampling_rate))
        return dataclasses.replace(_of_length(base, manifest, steps), window_samples=width)
    if output.reference_sample is not None:
        base = TrainOptions(steps=6000, batch=256, learning_rate=2e-3, weight_decay=0.01)
        return _of_length(base, manifest, steps)
    is_picture = any(step.op == "spectrogram_image" for step in manifest.steps)
    rate = 1e-4 if is_picture else 2e-3  # a dense layer over a whole picture would run away
    return _of_length(TrainOptions(steps=4000, learning_rate=rate, mined_records=60), manifest, steps)


def _of_length(options: TrainOptions, manifest: Manifest, steps: int | None) -> TrainOptions:
    """What must fit the number of steps: the memory of the average, looks and searches."""
    steps = steps or options.steps
    return dataclasses.replace(
        options,
        steps=steps,
        window_samples=0,
        average=min(options.average, max(0.0, 1 - _FORGOTTEN / steps)),
        held_out=0.1,
        check_every=max(1, steps // _LOOKS),
        patience=_PATIENCE,
        mine_every=max(1, steps // _SEARCHES),
        examples=_examples(manifest),
    )


def _has_no_length(manifest: Manifest) -> bool:
    """Whether windows are cut for a network that takes any length and is trained on longer ones."""
    output = manifest.outputs[0]
    is_short = manifest.window_samples <= _LONG_S * manifest.sampling_rate
    return output.kind == "sample_probability" and is_short


def _examples(manifest: Manifest) -> ExampleOptions:
    rate = manifest.sampling_rate
    is_long = manifest.window_samples > _LONG_S * rate
    keeps_mean = all(step.op not in _FILTERS for step in manifest.steps)
    width = max(0.1, 2 / rate)  # not much narrower than the samples are apart
    options = ExampleOptions(
        label_widths_s={"P": width, "S": width}, embed=0.9 if is_long else 0.0, offset=0.2 if keeps_mean else 0.0
    )
    if manifest.task == "event_detection":  # as many windows with an event as without
        return dataclasses.replace(options, shares=(0.37, 0.25, 0.08, 0.2, 0.1), starts_late=0.02)
    return options

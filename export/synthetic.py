"""A synthetic set for the inversion of station waveforms to source waveforms, whose real data are not public.

Ten sources, ten stations. Each source's record is a few Ricker wavelets of random time, size and frequency; a
station records every source through a fixed Green's function: a delayed pulse that grows and dies away, smaller the
further the source. Nothing in it stands for a place on the Earth: a figure from this set says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

NODES = 10
SAMPLES = 1500

_GREEN_SEED = 19990921  # the Green's functions are the same for every set
_GREEN_SAMPLES = 200
_MOST_WAVELETS = 4
_LONGEST_PERIOD, _SHORTEST_PERIOD = 120.0, 30.0  # samples
_SCALE = 5.0  # of both: brings the sources to a standard deviation of 1, as large as the network's positions


@dataclass(frozen=True)
class SyntheticSet:
    """Windows float32 (window, sample, station) and (window, sample, source), of a standard deviation of about 1."""

    stations: Float32
    sources: Float32


def synthetic_set(count: int, seed: int) -> SyntheticSet:
    """Draw `count` windows; equal seeds give equal sets."""
    rng = np.random.default_rng(seed)
    sources = np.stack([_source(rng) for _ in range(count * NODES)]).reshape(count, NODES, SAMPLES)
    length = SAMPLES + _GREEN_SAMPLES  # long enough that nothing comes round again
    spectra = np.fft.rfft(sources, length)
    green = np.fft.rfft(_green_functions(), length)
    stations = np.fft.irfft(np.einsum("nsf,rsf->nrf", spectra, green), length)[..., :SAMPLES]
    return SyntheticSet(*((_SCALE * each).transpose(0, 2, 1).astype(np.float32) for each in (stations, sources)))


class SyntheticMaker:
    """Examples of the inversion, drawn anew for every batch; what is fed is not changed further."""

    def batch(self, count: int, rng: np.random.Generator) -> tuple[Float32, Float32, Float32]:
        """Give stations (example, station, sample), sources (example, sample, source) and weights of one."""
        drawn = synthetic_set(count, int(rng.integers(2**63)))
        stations = np.ascontiguousarray(drawn.stations.transpose(0, 2, 1))
        return stations, drawn.sources, np.ones_like(drawn.sources)


def _source(rng: np.random.Generator) -> Float64:
    times = np.arange(SAMPLES)
    record = np.zeros(SAMPLES)
    for _ in range(rng.integers(1, _MOST_WAVELETS + 1)):
        period = rng.uniform(_SHORTEST_PERIOD, _LONGEST_PERIOD)
        phase = (np.pi * (times - rng.uniform(period, SAMPLES - period)) / period) ** 2
        record += rng.normal() * (1 - 2 * phase) * np.exp(-phase)
    return record


def _green_functions() -> Float64:
    """(station, source, sample)."""
    rng = np.random.default_rng(_GREEN_SEED)
    times = np.arange(_GREEN_SAMPLES)
    distance = rng.uniform(1.0, 3.0, (NODES, NODES, 1))
    since = np.maximum(times - 20 * distance, 0.0)
    pulse: Float64 = since * np.exp(-since / 8) * np.cos(2 * np.pi * since / rng.uniform(15, 40, (NODES, NODES, 1)))
    pulse /= np.abs(pulse).sum(axis=-1, keepdims=True) * distance
    return pulse

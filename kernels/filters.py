"""Butterworth filters as second-order sections, and one channel's step through them.

The state is float64 and is held by the caller: a float32 state, or the single high-order fraction b/a,
loses the long periods that seismology needs (a 0.01 Hz corner at 100 Hz is wrong by its own size in
float32, and NaN as b/a).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ._arrays import (
    FLOAT64,
    ArrayError,
    Float32,
    Float64,
    Samples,
    require_apart,
    require_array,
    require_out,
    require_samples,
)
from ._sections import LANES, filter_row_into, filter_rows_into

Band = Literal["highpass", "lowpass", "bandpass"]


def _require_design(order: int, band: str, corners_hz: tuple[float, ...], sampling_rate: float) -> None:
    if order < 1:
        raise ValueError(f"order: found {order}, wanted 1 or more")
    if band not in {"highpass", "lowpass", "bandpass"}:
        raise ValueError(f"band: found {band!r}, wanted 'highpass', 'lowpass' or 'bandpass'")
    if not (np.isfinite(sampling_rate) and sampling_rate > 0):
        raise ValueError(f"sampling_rate: found {sampling_rate} Hz, wanted a finite number above 0")
    wanted = 2 if band == "bandpass" else 1
    if len(corners_hz) != wanted:
        raise ValueError(f"corners_hz: found {len(corners_hz)} for a {band}, wanted {wanted}")
    nyquist = 0.5 * sampling_rate
    for corner in corners_hz:
        if not 0.0 < corner < nyquist:
            raise ValueError(f"corners_hz: found {corner} Hz, wanted above 0 and below the Nyquist {nyquist} Hz")
    if wanted == 2 and not corners_hz[0] < corners_hz[1]:
        raise ValueError(f"corners_hz: found {corners_hz} Hz, wanted the lower one first")


def _analogue_poles(order: int, band: str, warped: Float64) -> NDArray[np.complex128]:
    """Poles in s of the filter with corners at `warped`, from those of the normalised low-pass."""
    k = np.arange(order)
    lowpass: NDArray[np.complex128] = np.exp(1j * np.pi * (2 * k + order + 1) / (2 * order))
    if order % 2:
        lowpass[order // 2] = -1.0  # the real pole, exactly real
    if band == "lowpass":
        return np.asarray(lowpass * warped[0])
    if band == "highpass":
        return np.asarray(warped[0] / lowpass)
    # s -> (s^2 + w1 w2) / (s (w2 - w1)): each pole becomes two.
    half = 0.5 * (warped[1] - warped[0]) * lowpass
    root = np.sqrt(half * half - warped[0] * warped[1])
    return np.concatenate((half + root, half - root))


def _denominators(poles: NDArray[np.complex128]) -> list[tuple[float, float]]:
    """(a1, a2) of each section, the poles farthest from the unit circle first.

    A pole goes with its conjugate, and real ones with one another, so coefficients are real. The most
    resonant section comes last, so that it meets a signal the others have already made smaller.
    """
    tolerance = 1e-12 * np.abs(poles)
    upper = poles[poles.imag > tolerance]
    real = np.sort(poles[np.abs(poles.imag) <= tolerance].real)
    pairs = [(-2.0 * float(p.real), float(p.real**2 + p.imag**2)) for p in upper[np.argsort(np.abs(upper))]]
    pairs_real = [(-float(p + q), float(p * q)) for p, q in zip(real[0::2], real[1::2], strict=False)]
    single = [(-float(real[-1]), 0.0)] if real.size % 2 else []
    return [*single, *pairs_real, *pairs]


def butterworth_sos(order: int, band: Band, corners_hz: tuple[float, ...], sampling_rate: float) -> Float64:
    """Design a digital Butterworth filter as second-order sections.

    Parameters
    ----------
    order : int
        Order of the low-pass prototype (ObsPy's "corners"); a band-pass has twice as many poles.
    band : {"highpass", "lowpass", "bandpass"}
        Which frequencies pass.
    corners_hz : tuple of float
        One corner, or (lower, upper) for a band-pass: the -3 dB frequencies, Hz.
    sampling_rate : float
        Hz.

    Returns
    -------
    float64 (section, 6)
        Rows b0 b1 b2 1 a1 a2. Each section has gain 1 at the frequency where the filter has gain 1 (zero,
        Nyquist or the centre of the band), so no section overflows or starves the next.

    Raises
    ------
    ValueError
        If a corner is not between 0 and the Nyquist frequency, or an argument makes no filter.

    Notes
    -----
    Prototype poles exp(i pi (2k + N + 1) / 2N), corners pre-warped to tan(pi f / rate), then the bilinear
    transform z = (1 + s) / (1 - s): Oppenheim and Schafer, Discrete-Time Signal Processing, chapter 7. The
    response is that of ``scipy.signal.butter(..., output="sos")``.

    Examples
    --------
    >>> butterworth_sos(4, "highpass", (2.0,), 100.0).shape
    (2, 6)
    """
    _require_design(order, band, corners_hz, sampling_rate)
    warped = np.tan(np.pi * np.asarray(corners_hz, dtype=np.float64) / sampling_rate)
    analogue = _analogue_poles(order, band, warped)
    denominators = _denominators((1.0 + analogue) / (1.0 - analogue))
    if band == "bandpass":
        reference = np.exp(2j * np.arctan(np.sqrt(warped[0] * warped[1])))
    else:
        reference = np.complex128(1.0 if band == "lowpass" else -1.0)
    sos = np.zeros((len(denominators), 6))
    for row, (a1, a2) in zip(sos, denominators, strict=True):
        if band == "bandpass":
            numerator = np.array([1.0, 0.0, -1.0])
        else:
            sign = 1.0 if band == "lowpass" else -1.0
            numerator = np.array([1.0, sign, 0.0]) if a2 == 0.0 else np.array([1.0, 2.0 * sign, 1.0])
        delays = reference ** np.array([0, -1, -2])
        row[:3] = numerator * abs((delays @ (1.0, a1, a2)) / (delays @ numerator))
        row[3:] = (1.0, a1, a2)
    return sos


def require_sos(sos: Float64) -> None:
    """Refuse what is not float64 (section, 6) with 1 in column 3.

    Raises
    ------
    ArrayError
        Naming what was found.
    """
    require_array(sos, "sos", dtypes=(FLOAT64,), ndim=2)
    # As Python numbers: for a handful of sections a tenth of the time of an array expression, in every packet.
    if sos.shape[1] != 6 or any(leading != 1.0 for leading in sos[:, 3].tolist()):
        raise ArrayError(f"sos: found shape {sos.shape}, wanted (section, 6) with 1 in column 3")


def steady_state(sos: Float64) -> Float64:
    """State in which the filter would be, had its input been 1 for ever.

    Multiply it by the first sample to start a filter without a step at its beginning.

    Parameters
    ----------
    sos : float64 (section, 6)
        From `butterworth_sos`.

    Returns
    -------
    float64 (section, 2)
        As ``scipy.signal.sosfilt_zi``.

    Raises
    ------
    ArrayError
        If `sos` is not float64 (section, 6).

    Notes
    -----
    A section at rest with input u gives y = g u, g = sum(b) / sum(a). The two state equations of the
    transposed direct form II, z0 = b1 u - a1 y + z1 and z1 = b2 u - a2 y, then give the state; u of a
    section is the product of the gains before it.
    """
    require_sos(sos)
    state = np.empty((sos.shape[0], 2))
    level = 1.0
    for row, z in zip(sos, state, strict=True):
        b0, b1, b2, _, a1, a2 = (float(value) for value in row)
        output = level * (b0 + b1 + b2) / (1.0 + a1 + a2)
        z[1] = b2 * level - a2 * output
        z[0] = b1 * level - a1 * output + z[1]
        level = output
    return state


@dataclass(frozen=True, eq=False)
class SosState:
    """A filter and where it stands: of one channel, or of several that are filtered in one call.

    Attributes
    ----------
    sos : float64 (section, 6)
        From `butterworth_sos`.
    z : float64 (section, 2) or (channel, section, 2)
        Updated in place by `sos_step_into`: zeros, or of each channel ``steady_state(sos) * x[0]``, at the start.

    Raises
    ------
    ArrayError
        If an array does not keep the contract of the package.
    """

    sos: Float64
    z: Float64
    _filter: Callable[[Samples, Float32], None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check once what `sos_step_into` would check for every packet, and bind the kernel to the state."""
        require_sos(self.sos)
        channels = (None,) if np.ndim(self.z) == 3 else ()
        require_out(self.z, "state", shape=(*channels, self.sos.shape[0], 2), dtype=FLOAT64)
        sections = self.sos.reshape(-1)
        if self.z.ndim == 2:
            filter_ = filter_row_into.hold(..., sections, self.z, ...)
        else:
            lanes = np.zeros((self.z.shape[1], 3, max(self.z.shape[0], LANES)))
            filter_ = filter_rows_into.hold(..., sections, self.z, lanes, ...)
        object.__setattr__(self, "_filter", filter_)

    def step_into(self, x: Samples, out: Float32) -> None:
        """Do as `sos_step_into`, which has checked the arrays."""
        self._filter(x, out)


def sos_step_into(x: Samples, state: SosState, out: Float32) -> None:
    """Filter the next samples of one channel, or of several in one call, and carry the state on.

    One sample in a call or a million, one channel or three: the same bits.

    Parameters
    ----------
    x : int16, int32 or float32 (sample,) or (channel, sample)
        The next samples, counts. A NaN stays in the state for ever: start afresh after one.
    state : SosState
        Of this channel, or of as many channels as `x` has.
    out : float32, shaped as `x`
        May be `x` itself if `x` is float32.

    Raises
    ------
    ArrayError
        If an array does not keep the contract of the package.

    Notes
    -----
    Transposed direct form II, float64 inside, as ``scipy.signal.sosfilt``; of a section's three terms the
    one that waits for the newest sample is added last.
    """
    z = state.z
    require_samples(x, "x", ndim=z.ndim - 1)
    if z.ndim == 3 and x.shape[0] != z.shape[0]:
        raise ArrayError(f"x: found shape {x.shape}, wanted the {z.shape[0]} channels of the state")
    require_out(out, "out", shape=x.shape)
    require_apart(out, "out", x, in_place=True)
    require_apart(out, "out", z)
    state.step_into(x, out)

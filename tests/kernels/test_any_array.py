"""Fuzz: whatever the dtype, the strides, the size and the memory order, a function refuses or writes what it says."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from seisedge import kernels as k

LONGEST = 70 if reference.COMPILED else 30
SOS = k.butterworth_sos(2, "bandpass", (1.0, 20.0), 100.0)
RESAMPLER = k.design_resampler(Fraction(2), Fraction(5))
DTYPES = ["i1", "u1", "i2", ">i2", "u2", "i4", "i8", "f2", "f4", ">f4", "f8", "c8", "?"]


def resample(x: Any, out: Any) -> None:
    k.resample_step_into(x, RESAMPLER, k.resample_state(RESAMPLER), out)


def cut(x: Any, out: Any) -> None:
    filtered = k.WindowStep("filter", sos=SOS)
    steps = [k.WindowStep("demean"), filtered, k.WindowStep("taper", fraction=0.3), k.WindowStep("normalise_std")]
    k.cut_windows_into(x, k.window_plan(steps, channels=max(x.shape[0], 1), width=max(x.shape[-1], 1)), out[np.newaxis])


FUNCTIONS: dict[str, tuple[int, Callable[[Any, Any], object]]] = {
    "demean": (2, k.demean_into),
    "detrend": (2, k.detrend_into),
    "taper": (2, lambda x, out: k.taper_into(x, k.cosine_ramp(x.shape[1], 0.5), out)),
    "std": (2, lambda x, out: k.normalise_std_into(x, out, joint=False, ddof=0, eps=0.0)),
    "max": (2, lambda x, out: k.normalise_max_abs_into(x, out, joint=True, eps=0.0)),
    "signed": (2, k.normalise_signed_max_into),
    "truncate": (2, k.truncate_int16_into),
    "quantise": (2, lambda x, out: k.quantise_into(x, 0.5, 1.0, out)),
    "dequantise": (2, lambda x, out: k.dequantise_into(x, 0.5, 1.0, out)),
    "pack": (2, lambda x, out: k.pack_int24_into(x, 0.5, 1.0, out)),
    "unpack": (2, lambda x, out: k.unpack_int24_into(x, 0.5, 1.0, out)),
    "filter": (1, lambda x, out: k.sos_step_into(x, k.SosState(SOS, np.zeros((2, 2))), out)),
    "filters": (2, lambda x, out: k.sos_step_into(x, k.SosState(SOS, np.zeros((x.shape[0], 2, 2))), out)),
    "resample": (1, resample),
    "recursive": (1, lambda x, out: k.recursive_sta_lta_step_into(x, 2, 5, k.recursive_sta_lta_state(), out)),
    "classic": (1, lambda x, out: k.classic_sta_lta_step_into(x, 2, 5, k.classic_sta_lta_state(2, 5), out)),
    "peaks": (1, lambda x, out: k.peaks_into(x, 1.0, 3, out)),
    "cut": (2, cut),
}


@st.composite
def arrays(draw: st.DrawFn, ndim: int) -> Any:
    """An array of small whole numbers: any dtype, any strides (transposed, reversed, with gaps), maybe read-only."""
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, -1]), min_size=ndim, max_size=ndim))
    shape = (draw(st.integers(0, 4)), draw(st.integers(0, LONGEST)))[2 - ndim :]
    dtype = draw(st.sampled_from([*DTYPES, "i2", "i4", "f4", "f4", "f4"]))
    full = np.random.default_rng(draw(st.integers(0, 9))).integers(
        0, 9, [size * abs(s) for size, s in zip(shape, steps, strict=True)]
    )
    array = full.astype(dtype)[tuple(slice(None, None, s) for s in steps)]
    if draw(st.integers(0, 9)) == 0:
        array = np.asfortranarray(array)
    if draw(st.integers(0, 9)) == 0:
        array.flags.writeable = False
    return array


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, Any, Any]:
    """A function and two arrays; the second often one that it takes."""
    name = draw(st.sampled_from(sorted(FUNCTIONS)))
    x = draw(arrays(FUNCTIONS[name][0]))
    wanted = {"quantise": "i2", "pack": "u1", "peaks": "i8"}.get(name, "f4")
    shape = list(x.shape)
    shape[-1] = {"pack": 3 * shape[-1], "unpack": shape[-1] // 3, "resample": -(-shape[-1] * 5 // 2)}.get(
        name, shape[-1]
    )
    out = draw(st.one_of(arrays(FUNCTIONS[name][0]), st.just(np.zeros(shape, wanted))))
    return name, x, out


@reference.examples(1500)
@given(calls())
def test_an_array_is_refused_or_done_right(call: tuple[str, Any, Any]) -> None:
    name, x, out = call
    function = FUNCTIONS[name][1]
    before, x_before = out.copy(), x.copy()
    refused = ""
    try:
        with np.errstate(all="ignore"):
            function(x, out)
    except k.ArrayError as error:
        refused = str(error)
    if refused:
        assert "found" in refused
        np.testing.assert_array_equal(out, before)
    else:
        assert out.flags.c_contiguous
        assert out.flags.writeable
        assert x.flags.c_contiguous
        assert x.dtype.isnative
    np.testing.assert_array_equal(x, x_before)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_takes_what_it_should(name: str) -> None:
    ndim, function = FUNCTIONS[name]
    x = np.ones((2, 30)[2 - ndim :], {"dequantise": "i2", "unpack": "u1"}.get(name, "f4"))
    size = {"pack": 90, "unpack": 10, "resample": 75}.get(name, 30)
    function(x, np.zeros((2, size)[2 - ndim :], {"quantise": "i2", "pack": "u1", "peaks": "i8"}.get(name, "f4")))

"""The cosine taper."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from seisedge.kernels import ArrayError, cosine_ramp, taper_into

SIZES = [(0, 0.05), (1, 0.5), (3, 0.5), (10, 0.05), (19, 0.1), (20, 0.5), (21, 0.5), (100, 0.05), (41, 0.05)]


def tapered(x: reference.Numbers, ramp: reference.Real) -> reference.Numbers:
    out = np.full(x.shape, np.nan, np.float32)
    taper_into(x, ramp, out)
    return out


@pytest.mark.parametrize(("npts", "fraction"), SIZES)
def test_equals_reference(npts: int, fraction: float) -> None:
    rng = np.random.default_rng(npts)
    ramp = cosine_ramp(npts, fraction)
    for x in (
        rng.standard_normal((2, npts)).astype(np.float32),
        rng.integers(-32768, 32768, (2, npts)).astype(np.int16),
        rng.integers(-(2**31), 2**31, (2, npts)).astype(np.int32),
    ):
        # One product in float64, one rounding to float32; a zero of the ramp is exact.
        np.testing.assert_allclose(tapered(x, ramp), x * reference.cosine_taper(npts, fraction), rtol=1.2e-7)


@pytest.mark.parametrize(("npts", "fraction"), [(100, 0.05), (41, 0.05), (20, 0.5), (21, 0.5), (10, 0.05)])
def test_equals_obspy(npts: int, fraction: float) -> None:
    obspy = pytest.importorskip("obspy", reason="ObsPy is the outside truth here", exc_type=ImportError)
    trace = obspy.Trace(np.ones(npts)).taper(max_percentage=fraction, type="cosine")
    np.testing.assert_allclose(
        tapered(np.ones((1, npts), np.float32), cosine_ramp(npts, fraction))[0], trace.data, atol=1e-7
    )


@reference.examples(50)
@given(st.integers(0, 60), st.floats(0, 0.5), st.floats(-8, 8))
def test_taper_is_symmetric_linear_and_never_grows(npts: int, fraction: float, factor: float) -> None:
    x = np.random.default_rng(npts).standard_normal((1, npts)).astype(np.float32)
    ramp = cosine_ramp(npts, fraction)
    once = tapered(x, ramp)
    assert (np.abs(once) <= np.abs(x)).all()
    np.testing.assert_array_equal(tapered(np.ascontiguousarray(x[:, ::-1]), ramp), once[:, ::-1])
    scaled = (x * np.float32(factor)).astype(np.float32)
    np.testing.assert_allclose(tapered(scaled, ramp), once * np.float32(factor), rtol=3e-7, atol=1e-37)


def test_nan_stays_where_it_is() -> None:
    x = np.ones((1, 20), np.float32)
    x[0, 3] = np.nan
    assert np.flatnonzero(np.isnan(tapered(x, cosine_ramp(20, 0.3))[0])).tolist() == [3]


def test_contract() -> None:
    x = np.ones((2, 20), np.float32)
    out = np.zeros_like(x)
    ramp = cosine_ramp(20, 0.25)
    with pytest.raises(ArrayError, match=r"fraction: found 0.6, wanted 0 to 0.5"):
        cosine_ramp(20, 0.6)
    with pytest.raises(ArrayError, match="npts: found -1"):
        cosine_ramp(-1, 0.1)
    with pytest.raises(ArrayError, match="ramp: found 11 samples, wanted at most half of 20"):
        taper_into(x, np.ones(11), out)
    with pytest.raises(ArrayError, match="ramp: found dtype float32"):
        taper_into(x, reference.untyped(ramp.astype(np.float32)), out)
    with pytest.raises(ArrayError, match="out: found dtype float64"):
        taper_into(x, ramp, reference.untyped(np.zeros((2, 20))))
    x.flags.writeable = False
    taper_into(x, ramp, out)
    taper_into(out, ramp, out)
    np.testing.assert_allclose(out[0, :5], ramp**2, rtol=3e-7)

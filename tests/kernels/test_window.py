"""All steps of a window in one call: the bits of the steps called one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from seisedge import kernels
from seisedge.kernels import (
    ArrayError,
    SosState,
    WindowStep,
    butterworth_sos,
    cut_windows_into,
    sos_step_into,
    window_plan,
    window_scratch,
)

LONGEST = 90 if reference.COMPILED else 24
STEPS = st.one_of(
    st.builds(WindowStep, st.sampled_from(["demean", "detrend", "normalise_signed_max", "truncate_int16"])),
    st.floats(0.0, 0.5).map(lambda fraction: WindowStep("taper", fraction=fraction)),
    st.builds(
        WindowStep,
        st.sampled_from(["normalise_std", "normalise_max_abs"]),
        joint=st.booleans(),
        ddof=st.integers(0, 1),
        eps=st.sampled_from([0.0, 1e-6, 2.0]),
    ),
    # One to five sections, for the loops of two, of any number, and of other than three channels.
    st.integers(1, 5).map(
        lambda order: WindowStep("filter", sos=butterworth_sos(order, "bandpass", (1.0, 20.0), 100.0))
    ),
    st.sampled_from([1, 3]).map(
        lambda order: WindowStep("filter", sos=butterworth_sos(order, "highpass", (2.0,), 100.0))
    ),
)
KINDS = ["random", "constant", "zeros", "full scale", "one dead", "NaN", "infinite", "tiny"]


def record(kind: str, dtype: Any, shape: tuple[int, int]) -> reference.Numbers:
    rng = np.random.default_rng(sum(shape))
    x = rng.standard_normal(shape) * 1e4
    if kind == "constant":
        x[:] = 12345
    elif kind == "zeros":
        x[:] = 0
    elif kind == "full scale":
        limit = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.finfo(dtype)
        x = rng.choice(np.array([limit.min, limit.max]), shape)
    elif kind == "one dead":
        x[0] = 7
    elif dtype == np.float32:
        x.flat[x.size // 2] = {"NaN": np.nan, "infinite": np.inf}.get(kind, 1.0)
        x = x * 1e-42 if kind == "tiny" else x
    return x.astype(dtype)


def one_by_one(window: reference.Numbers, steps: list[WindowStep]) -> reference.Numbers:
    """The steps as their own functions do them, on a float32 copy."""
    out = window.astype(np.float32)
    for step in steps:
        if step.op == "taper":
            kernels.taper_into(out, kernels.cosine_ramp(out.shape[1], step.fraction), out)
        elif step.op == "filter":
            assert step.sos is not None
            sos_step_into(out, SosState(step.sos, np.zeros((out.shape[0], step.sos.shape[0], 2))), out)
        elif step.op == "normalise_std":
            kernels.normalise_std_into(out, out, joint=step.joint, ddof=step.ddof, eps=step.eps)
        elif step.op == "normalise_max_abs":
            kernels.normalise_max_abs_into(out, out, joint=step.joint, eps=step.eps)
        else:
            getattr(kernels, f"{step.op}_into")(out, out)
    return out


@reference.examples(300)
@given(
    st.lists(STEPS, max_size=4),
    st.sampled_from([np.int16, np.int32, np.float32]),
    st.sampled_from(KINDS),
    st.tuples(st.integers(1, 4), st.integers(2, LONGEST)),
    st.integers(0, 3),
    st.integers(0, 40),
    st.booleans(),
)
def test_one_call_has_the_bits_of_the_steps_one_by_one(
    steps: list[WindowStep],
    dtype: Any,
    kind: str,
    size: tuple[int, int],
    count: int,
    stride: int,
    is_turned: bool,  # noqa: FBT001 - drawn
) -> None:
    channels, width = size
    x = record(kind, dtype, (channels, width + 5 + 3 * stride))
    plan = window_plan(steps, channels=channels, width=width, is_turned=is_turned)
    out, again = (np.full((count, *plan.shape), 99, np.float32) for _ in range(2))
    scratch = window_scratch(plan)
    scratch.state[:], scratch.window[:] = np.nan, np.nan  # what an earlier call left is not seen
    with np.errstate(all="ignore"):
        cut_windows_into(x, plan, out, first=5, stride=stride)
        cut_windows_into(x, plan, again, first=5, stride=stride, scratch=scratch)
        np.testing.assert_array_equal(np.isnan(again), np.isnan(out))
        is_number = ~np.isnan(out)
        np.testing.assert_array_equal(again.view(np.int32)[is_number], out.view(np.int32)[is_number])
        for k, found in enumerate(out):
            start = 5 + k * stride
            wanted = one_by_one(x[:, start : start + width].copy(), steps)
            found_bits = np.ascontiguousarray(found.T if is_turned else found).view(np.int32)
            is_nan = np.isnan(wanted)  # of a NaN no bit is promised but that it is one
            np.testing.assert_array_equal(np.isnan(found_bits.view(np.float32)), is_nan)
            np.testing.assert_array_equal(found_bits[~is_nan], wanted.view(np.int32)[~is_nan])


def test_no_step_is_a_copy_and_no_window_is_nothing() -> None:
    x = np.arange(12, dtype=np.int16).reshape(2, 6)
    plan = window_plan([], channels=2, width=3)
    out = np.zeros((2, 2, 3), np.float32)
    cut_windows_into(x, plan, out, first=1, stride=2)
    assert out.tolist() == [[[1, 2, 3], [7, 8, 9]], [[3, 4, 5], [9, 10, 11]]]
    cut_windows_into(x, plan, np.zeros((0, 2, 3), np.float32), first=100)


def test_contract() -> None:
    plan = window_plan([WindowStep("demean")], channels=2, width=4)
    x, out = np.zeros((2, 10), np.float32), np.zeros((3, 2, 4), np.float32)
    wrong: list[tuple[Any, Any, dict[str, Any], str]] = [
        (x.astype(float), out, {}, "x: found dtype float64"),
        (x[:1], out, {}, "x: found 1 channels, wanted 2"),
        (x, out[:, :, :3].copy(), {}, r"out: found shape \(3, 2, 3\)"),
        (x, out[:, :, ::-1], {}, "out: found strides"),
        (x, out, {"first": -1}, "x: found 10 samples, wanted samples -1 to 4"),
        (x, out, {"stride": -1, "first": 5}, "x: found 10 samples, wanted samples 5 to 6"),
        (x, out, {"stride": 4}, "x: found 10 samples, wanted samples 0 to 11"),
        (x, x.reshape(-1)[:8].reshape(1, 2, 4), {}, "out: shares memory"),
    ]
    for x_, out_, where, message in wrong:
        with pytest.raises(ArrayError, match=message):
            cut_windows_into(x_, plan, out_, **where)
    with pytest.raises(ArrayError, match="scratch: found one of another plan"):
        cut_windows_into(x, plan, out, scratch=window_scratch(window_plan([], channels=2, width=4)))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (WindowStep(reference.untyped("whiten")), "op: found 'whiten', wanted demean, detrend"),
        (WindowStep("taper", fraction=0.6), "fraction: found 0.6"),
        (WindowStep("normalise_std", eps=-1.0), "eps: found -1.0"),
        (WindowStep("filter"), "sos: found none for filter"),
        (WindowStep("demean", sos=np.ones((1, 6))), "sos: found one for demean"),
        (WindowStep("filter", sos=np.zeros((1, 6))), "sos: found shape"),
        (WindowStep("normalise_std", ddof=4), "ddof: found 4 for 4 values, wanted 0 to 3"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(step: WindowStep, message: str) -> None:
    with pytest.raises(ArrayError, match=message):
        window_plan([step], channels=2, width=4)
    with pytest.raises(ArrayError, match="width: found 0"):
        window_plan([], channels=2, width=0)

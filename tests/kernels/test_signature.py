"""The language of kernels' signatures."""

from __future__ import annotations

import numba
import pytest

from seisedge.kernels import _jit
from seisedge.kernels._signature import SignatureError, parse_signature, symbol


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("f4[::1] -> f4", "wanted result"),
        ("void(f4[:])", r"cannot read argument 'f4\[:\]'"),
        ("void(u4[::1])", "cannot read argument 'u4"),
        ("void(f4[::1],f4)", "cannot read argument"),
        ("void(const f8)", "const is for arrays"),
        ("f4[::1](f8)", "wanted result"),
        ("void(f4[::1]); import os", "wanted result"),
        ("void(__import__('os'))", "cannot read argument"),
    ],
)
def test_unreadable_signature_is_refused(signature: str, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        parse_signature(signature)


def test_signature_becomes_these_types() -> None:
    types = numba.types
    parsed = parse_signature("i8(const i2[:,:,::1], f4[::1], u1, i1, i4, f8)")
    assert _jit.numba_type(parsed) == types.int64(
        types.Array(types.int16, 3, "C", readonly=True),
        types.Array(types.float32, 1, "C"),
        types.uint8,
        types.int8,
        types.int32,
        types.float64,
    )
    assert _jit.numba_type(parse_signature("void()")) == types.void()


def test_a_symbol_says_which_kernel_and_of_what() -> None:
    assert symbol("_demean_into", parse_signature("void(const i2[:,::1], f4[:,::1])")) == "seisedge_demean_into_int16"
    assert symbol("levels", parse_signature("f8(f8, const f4[::1])")) == "seisedge_levels_float32"

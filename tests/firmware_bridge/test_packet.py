"""Packets: times counted from the first sample, cutting without copying; source identifiers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packets import NANOSECONDS, START_NS, packet

from seisedge.firmware_bridge import SourceId, WireError

RATES = st.sampled_from([1.0, 31.25, 50.0, 99.99, 100.0, 125.0, 200.0, 250.0, 1000.0, 1 / 3])


@given(rate=RATES, sample=st.integers(0, 10**10))
def test_the_time_of_a_sample_is_exact_to_half_a_nanosecond(rate: float, sample: int) -> None:
    exact = START_NS + sample * NANOSECONDS / Fraction(rate)
    assert abs(packet([0], rate=rate).time_of(sample) - exact) <= Fraction(1, 2)


@given(start=st.integers(0, 50), stop=st.integers(0, 50), rate=RATES)
def test_a_cut_is_a_view_with_its_own_time(start: int, stop: int, rate: float) -> None:
    whole = packet(np.arange(50, dtype=np.int16), rate=rate)
    part = whole.cut(start, stop)
    np.testing.assert_array_equal(part.samples, np.arange(start, max(start, stop)))
    assert part.starttime_ns == whole.time_of(start)
    assert (part.source_id, part.sampling_rate, part.flags) == (whole.source_id, whole.sampling_rate, whole.flags)
    assert part.samples.base is whole.samples
    assert part.samples.dtype == np.int16


NAMES = st.text("ABCXYZ0123456789", max_size=5)


@given(st.builds(SourceId, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES))
def test_source_identifiers_read_back(source_id: SourceId) -> None:
    assert SourceId.parse(str(source_id)) == source_id


def test_the_parts_of_a_source_identifier() -> None:
    source_id = SourceId.parse("FDSN:IM_NYSH_00_E_H_Z")
    assert source_id == SourceId("IM", "NYSH", "00", "E", "H", "Z")
    assert (source_id.component, source_id.channel, source_id.instrument) == ("Z", "EHZ", "EH")
    assert source_id.nslc == "IM.NYSH.00.EHZ"


@pytest.mark.parametrize(
    "text", ["", "IM.NYSH.00.EHZ", "FDSN:IM_NYSH_00_EHZ", "FDSN:A_B_C_D_E_F_G", "fdsn:A_B_C_D_E_F"]
)
def test_other_texts_are_no_source_identifiers(text: str) -> None:
    with pytest.raises(WireError, match=r"source identifier: found '.*', wanted FDSN:NET_STA_LOC_B_S_SS"):
        SourceId.parse(text)

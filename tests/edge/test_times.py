"""Times, sample positions and text."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisedge.edge import UsageError
from seisedge.edge.runs import Clock, Run
from seisedge.edge.times import NANOSECONDS, format_time, index_at, parse_time, time_at

RATES = st.sampled_from([Fraction(r) for r in (1, "31.25", 50, 100, 125, 200, 250, 1000, "99.9", "1/3")])
INDICES = st.integers(0, 10**13)


@given(index=INDICES, rate=RATES)
def test_index_of_a_samples_time_is_its_index(index: int, rate: Fraction) -> None:
    assert index_at(time_at(index, rate), rate) == index


@given(index=INDICES, rate=RATES)
def test_times_are_within_half_a_nanosecond(index: int, rate: Fraction) -> None:
    assert abs(time_at(index, rate) - index * NANOSECONDS / rate) <= Fraction(1, 2)


@given(index=INDICES, rate=RATES, phase=st.fractions(Fraction(-499, 1000), Fraction(499, 1000)))
def test_a_time_off_the_grid_belongs_to_the_nearest_sample(index: int, rate: Fraction, phase: Fraction) -> None:
    assert index_at(round((index + phase) * NANOSECONDS / rate), rate) == index


@pytest.mark.parametrize("off_ns", [-1, 0, 1])
@given(index=INDICES)
def test_half_a_sample_goes_up_whatever_the_last_nanosecond_says(off_ns: int, index: int) -> None:
    assert index_at(index * 10_000_000 + 5_000_000 + off_ns, Fraction(100)) == index + 1


@given(st.integers(-(10**9) * NANOSECONDS, 9 * 10**9 * NANOSECONDS))
def test_formatted_times_read_back_to_the_microsecond(time_ns: int) -> None:
    text = format_time(time_ns)
    assert parse_time(text) == (time_ns + 500) // 1000 * 1000
    assert (len(text), text[-1]) == (27, "Z")


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_617_280_555_660_000_499, "2021-04-01T12:35:55.660000Z"),
        (1_617_280_555_660_000_500, "2021-04-01T12:35:55.660001Z"),
        (1_617_280_559_999_999_999, "2021-04-01T12:36:00.000000Z"),
        (-1, "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_times_are_rounded_to_microseconds(time_ns: int, text: str) -> None:
    assert format_time(time_ns) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021-04-01", "2021-04-01T00:00:00"),
        ("2021-04-01T12:35", "2021-04-01T12:35:00"),
        ("2021-04-01 12:35:40", "2021-04-01T12:35:40"),
        (" 2021-04-01T12:35:40.25Z ", "2021-04-01T12:35:40.250000"),
        ("2024-02-29T23:59:59.999999Z", "2024-02-29T23:59:59.999999"),
    ],
)
def test_times_are_read_as_utc(text: str, moment: str) -> None:
    wanted = datetime.fromisoformat(f"{moment}+00:00") - datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert parse_time(text) == wanted // timedelta(microseconds=1) * 1000


def test_nanoseconds_are_read_exactly() -> None:
    assert parse_time("2021-04-01T12:35:40.123456789Z") % NANOSECONDS == 123_456_789


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2021", "2021-13-01", "2021-02-29", "2021-04-01T25:00", "2021-04-01T12:35:40+02:00"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^time: found '.*', wanted ISO 8601 UTC such as"):
        parse_time(text)


START = 160_000_000_000
ZEROS = np.zeros(100, np.float32)


@given(position=st.integers(0, 10**10), rate=RATES, phase_ns=st.integers(-5_000_000, 5_000_000))
def test_a_clock_counts_from_the_runs_first_sample(position: int, rate: Fraction, phase_ns: int) -> None:
    start_ns = 1_600_000_000 * NANOSECONDS + phase_ns
    clock = Clock(START, start_ns, rate)
    assert clock.time_ns(START + position) == start_ns + time_at(position, rate)


def test_a_clock_knows_places_between_samples() -> None:
    assert Clock(0, 0, Fraction(100)).time_ns(12.25) == 122_500_000


def test_a_drift_counts_from_where_it_was_seen() -> None:
    run = Run(Clock(0, 0, Fraction(100)))
    for ns in (0, 3_000_000, 3_000_000, 7_000_000):
        run.drift(ns)
        run.append(ZEROS)
    assert run.clock.drifts == ((100, 3_000_000), (300, 7_000_000))
    assert [run.clock.time_ns(at) - at * 10_000_000 for at in (0, 99, 100, 299, 300, 399)] == [
        *[0, 0],
        *[3_000_000, 3_000_000],
        *[7_000_000, 7_000_000],
    ]


def test_drifts_of_forgotten_samples_are_forgotten() -> None:
    run = Run(Clock(0, 0, Fraction(100)))
    for k in range(100):
        run.drift(k * 3_000_000)
        run.append(ZEROS)
    run.forget_before(9_950)
    assert run.clock.drifts == ((9_900, 297_000_000),)
    assert run.clock.time_ns(9_950) == 99_500_000_000 + 297_000_000

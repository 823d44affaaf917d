"""Law 1: a stream cut anywhere, repeated, overlapping and late within the wait gives the offline picks, bit for bit."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import packets
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packets import NANOSECONDS, START_NS, Cutting, Feed, Outcome
from shared_data import SHARED, needs_shared

from seisedge.edge import OrtSession, Pick, Result, Scanner, ScanOptions
from seisedge.edge.times import parse_time
from seisedge.firmware_bridge import Packet, Samples

DTYPES = ["int16", "int32", "float32"]
LOW = {"P": 0.3, "S": 0.3}
SECONDS = 60
BURSTS_S = (12.0, 31.0, 53.0)
HOLES_S = {0: ((20.0, 42.5),), 1: (), 2: ((45.0, 46.0),)}
"""Component N dies and comes back, E is whole, Z has a short gap."""

CUTTINGS = st.builds(
    Cutting,
    seed=st.integers(0, 2**32),
    longest_s=st.sampled_from([0.1, 1.0, 10.0]),
    late_s=st.sampled_from([0.0, 1.0, 5.0]),
    twice=st.sampled_from([0.0, 0.2]),
    overlapping=st.sampled_from([0.0, 0.2]),
)
BATCHES = st.tuples(st.integers(1, 128), st.integers(1, 128))


def counts(rng: np.random.Generator, rate: float, dtype: str) -> Samples:
    """Noise with three bursts; float32 has a few samples that are no numbers."""
    times = np.arange(round(SECONDS * rate)) / rate
    loud = 1.0 + 60.0 * sum((times >= start) & (times < start + 3) for start in BURSTS_S)
    x = (20 * loud * rng.standard_normal(times.size)).round().astype(dtype)
    if dtype == "float32":
        x[round(25 * rate)] = np.nan
        x[round(26 * rate)] = np.inf
    return x


@cache
def synthetic(rate: float, dtype: str) -> tuple[Feed, ...]:
    """Three components, each with its own phase between the samples; one packet per unbroken piece."""
    rng = np.random.default_rng(round(100 * rate))
    feed: list[Feed] = []
    for component, holes in HOLES_S.items():
        phase_ns = int(rng.integers(0, round(NANOSECONDS / rate)))
        whole = packets.packet(
            counts(rng, rate, dtype), start_ns=START_NS + phase_ns, rate=rate, component="NEZ"[component]
        )
        at = 0
        for start_s, stop_s in (*holes, (SECONDS, SECONDS)):
            feed.append((component, whole.cut(at, round(start_s * rate))))
            at = round(stop_s * rate)
    return tuple(feed)


@cache
def offline(session: OrtSession, rate: float, dtype: str, stride: int) -> Outcome:
    feed = packets.in_order(synthetic(rate, dtype), round(4 * rate))
    return packets.pick_feed(session, feed, stride=stride, thresholds=LOW, at_least=128)


QUICK = list(zip([31.25, 50.0, 100.0, 100.0, 100.0, 125.0, 200.0, 250.0], [*DTYPES, *DTYPES, *DTYPES], strict=False))


@pytest.mark.parametrize(
    ("rate", "dtype"),
    [
        pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.long])
        for case in product([31.25, 50.0, 100.0, 125.0, 200.0, 250.0], DTYPES)
    ],
)
@settings(max_examples=4)
@given(cutting=CUTTINGS, batches=BATCHES)
def test_any_packets_give_the_offline_picks(
    tiny_session: OrtSession, rate: float, dtype: str, cutting: Cutting, batches: tuple[int, int]
) -> None:
    wanted = offline(tiny_session, rate, dtype, 10)
    assert {pick.phase_hint for pick in wanted.picks if isinstance(pick, Pick)} == {"P", "S"}
    feed = packets.shuffled(synthetic(rate, dtype), cutting)
    at_least, batch = batches
    found = packets.pick_feed(tiny_session, feed, thresholds=LOW, at_least=at_least, batch=batch)
    assert found == wanted


@settings(max_examples=5)
@example(cutting=Cutting(0), batches=(1, 1), stride=400)
@example(cutting=Cutting(1), batches=(100, 128), stride=1)
@given(cutting=CUTTINGS, batches=BATCHES, stride=st.sampled_from([17, 399, 400, 401, 1000]))
def test_any_stride_keeps_the_law(
    tiny_session: OrtSession, cutting: Cutting, batches: tuple[int, int], stride: int
) -> None:
    wanted = offline(tiny_session, 100.0, "int32", stride)
    assert wanted.windows > 0
    at_least, batch = batches
    found = packets.pick_feed(
        tiny_session,
        packets.shuffled(synthetic(100.0, "int32"), cutting),
        stride=stride,
        thresholds=LOW,
        at_least=at_least,
        batch=batch,
    )
    assert found == wanted


def test_single_samples_give_the_offline_picks(tiny_session: OrtSession) -> None:
    feed = packets.shuffled(synthetic(50.0, "int32"), Cutting(7, longest_s=0.02))
    assert max(each.samples.size for _, each in feed if each.samples.size > 1) == 2  # those that reach back
    found = packets.pick_feed(tiny_session, feed, thresholds=LOW, at_least=16)
    assert found == offline(tiny_session, 50.0, "int32", 10)


def test_single_samples_at_1000_hz_all_fit_in_the_wait(tiny_session: OrtSession) -> None:
    x = np.random.default_rng(1).integers(-1000, 1000, 12_000).astype(np.int32)
    whole = [(2, packets.packet(x, rate=1000.0))]
    wanted = packets.pick_feed(tiny_session, packets.in_order(whole, 4000))
    found = packets.pick_feed(
        tiny_session, packets.shuffled(whole, Cutting(1, longest_s=0.001, late_s=0, twice=0.5, overlapping=0))
    )
    assert wanted.windows > 50
    assert found == wanted


def test_jittered_record_times_keep_the_law_at_the_edge_of_the_wait(tiny_session: OrtSession) -> None:
    """A record that begins 0.45 samples after the expected time joins on, even when it comes 5 s late."""
    x = counts(np.random.default_rng(3), 31.25, "int32")
    first = packets.packet(x[:625], rate=31.25)
    late_ns = first.time_of(625) + 14_400_000
    second = packets.packet(x[625:1250], start_ns=late_ns, rate=31.25)
    # The other component's samples stand so that one of them begins just before `late_ns` + 5 s.
    other = packets.packet(x[:1250], start_ns=START_NS + 20_000_000, rate=31.25, component="N")
    singles: list[Feed] = [(0, other.cut(at, at + 1)) for at in range(1250)]
    overtaking = [part for part in singles if part[1].starttime_ns <= late_ns + 5 * NANOSECONDS]
    newest_ns = overtaking[-1][1].starttime_ns
    assert first.time_of(625) < newest_ns - 5 * NANOSECONDS <= late_ns
    feed: list[Feed] = [(2, first), *overtaking, (2, second), *singles[len(overtaking) :]]
    wanted = packets.pick_feed(tiny_session, sorted(feed, key=lambda part: part[1].starttime_ns))
    assert packets.pick_feed(tiny_session, feed) == wanted
    assert wanted.windows > 300


def scan(session: OrtSession, path: Path, *, stride: int, span: tuple[str, str] | None = None) -> dict[str, Outcome]:
    """The offline scanner on a file or folder, station by station."""
    times = (parse_time(span[0]), parse_time(span[1])) if span else (-(1 << 62), 1 << 62)
    options = ScanOptions(thresholds=LOW, stride=stride, starttime_ns=times[0], endtime_ns=times[1])
    scanner = Scanner(session, options)
    outcomes: dict[str, Outcome] = {}
    for station in scanner.index((path,)):
        found: list[Result] = []
        scanner.scan(station, found.extend)
        report = scanner.report.stations[-1]
        outcomes[str(station.id)] = Outcome(found, report.windows, report.skipped_windows)
    return outcomes


def assert_stream_equals_scan(
    session: OrtSession,
    path: Path,
    cutting: Cutting,
    *,
    stride: int,
    span: tuple[str, str] | None = None,
    batches: tuple[int, int] = (64, 100),
) -> None:
    wanted = scan(session, path, stride=stride, span=span)
    start_ns, end_ns = (parse_time(span[0]), parse_time(span[1])) if span else (-(1 << 62), 1 << 62)
    for station in packets.stations_of(path, session.manifest.components):
        feed = [
            (component, trimmed)
            for component, whole in packets.stretches(packets.packets_of(station))
            if (trimmed := _within(whole, start_ns, end_ns)).samples.size
        ]
        found = packets.pick_feed(
            session,
            packets.shuffled(feed, cutting),
            stride=stride,
            thresholds=LOW,
            at_least=batches[0],
            batch=batches[1],
            station=station.id,
        )
        assert found.picks, "a law about no picks says nothing"
        assert found == wanted[str(station.id)]


def _within(whole: Packet, start_ns: int, end_ns: int) -> Packet:
    """The samples from `start_ns` on and before `end_ns`."""
    rate, npts = Fraction(whole.sampling_rate), whole.samples.size
    places = [math.ceil((time_ns - whole.starttime_ns) * rate / NANOSECONDS) for time_ns in (start_ns, end_ns)]
    at, stop = (min(max(place, 0), npts) for place in places)
    return whole.cut(at, stop)


@needs_shared
@settings(max_examples=3)
@given(cutting=CUTTINGS, batches=BATCHES)
def test_nysh_keeps_the_law(published_session: OrtSession, cutting: Cutting, batches: tuple[int, int]) -> None:
    folder = SHARED / "mseed" / "nysh_20210401"
    assert_stream_equals_scan(published_session, folder, cutting, stride=10, batches=batches)


AWKWARD = ["changing_rate_CH.GRIMS_100_200hz.mseed", "gaps_8D.RAW2_CH.SENIN_200hz.mseed"]


@needs_shared
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_files_keep_the_law(published_session: OrtSession, name: str) -> None:
    assert_stream_equals_scan(published_session, SHARED / "mseed" / name, Cutting(11), stride=50)


@needs_shared
@pytest.mark.long
@pytest.mark.parametrize("name", AWKWARD)
@settings(max_examples=2)
@given(cutting=CUTTINGS)
def test_awkward_files_keep_the_law_at_the_models_stride(
    published_session: OrtSession, name: str, cutting: Cutting
) -> None:
    assert_stream_equals_scan(published_session, SHARED / "mseed" / name, cutting, stride=10)


def pb01(folder: Path) -> Path:
    """A folder with the three components of CX.PB01 alone."""
    for path in sorted((SHARED / "mseed" / "cx_20140501").glob("*PB01*")):
        if path.suffix != ".csv":
            (folder / path.name).symlink_to(path)
    return folder


@needs_shared
def test_minutes_of_pb01_keep_the_law(published_session: OrtSession, tmp_path: Path) -> None:
    span = ("2014-05-01T00:03:00.005", "2014-05-01T00:07:00")
    assert_stream_equals_scan(published_session, pb01(tmp_path), Cutting(5), stride=20, span=span)


@needs_shared
@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_hour_of_pb01_keeps_the_law(published_session: OrtSession, tmp_path: Path, seed: int) -> None:
    span = ("2014-05-01T02:00:00", "2014-05-01T03:00:00")
    assert_stream_equals_scan(published_session, pb01(tmp_path), Cutting(seed), stride=10, span=span)

"""Files and folders → packets in order of time; what cannot be used is told in one line, the rest is used."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import packets
import pytest
from packets import NANOSECONDS, START_NS, packet
from pymseed import DataEncoding
from shared_data import SHARED, needs_shared

from seisedge.edge import OrtSession, Scanner, ScanOptions, UsageError
from seisedge.edge.archive_index import Index, Trace, index_paths, total_bytes
from seisedge.edge.archive_packets import read_packets
from seisedge.firmware_bridge import Packet

COUNTS = np.random.default_rng(7).integers(-30_000, 30_000, 6000).astype(np.int32)


def day(component: str = "Z", *, start_s: float = 0.0, npts: int = 6000, station: str = "TEST") -> list[bytes]:
    start_ns = START_NS + round(start_s * NANOSECONDS)
    whole = packet(COUNTS[:npts], start_ns=start_ns)
    source_id = f"FDSN:XX_{station}__H_H_{component}"
    return packets.records(Packet(source_id, start_ns, 100.0, whole.samples))


def write(path: Path, *parts: list[bytes] | bytes) -> Path:
    path.write_bytes(b"".join(part if isinstance(part, bytes) else b"".join(part) for part in parts))
    return path


def read_all(index: Index) -> tuple[list[tuple[int, Packet]], list[str]]:
    problems: list[str] = []
    traces = [("NEZ".index(trace.source_id.component), trace) for trace in index.traces]
    return [(component, each) for component, each, _ in read_packets(traces, problems.append)], problems


def interleaved(*channels: list[bytes]) -> Iterator[bytes]:
    for k in range(max(map(len, channels))):
        yield from (channel[k] for channel in channels if k < len(channel))


def test_channels_may_be_mixed_or_stand_one_after_the_other(tmp_path: Path) -> None:
    channels = [day(component) for component in "NEZ"]
    mixed = write(tmp_path / "mixed.mseed", *interleaved(*channels))
    behind = write(tmp_path / "behind.mseed", *channels)
    backwards = write(tmp_path / "backwards.mseed", *[part for channel in channels for part in channel[::-1]])
    found = [read_all(index_paths((path,))) for path in (mixed, behind, backwards)]
    wanted, problems = found[0]
    assert problems == []
    assert len(wanted) == sum(map(len, channels))
    starts = [each.starttime_ns for _, each in wanted]
    assert starts == sorted(starts)
    for feed, _ in found[1:]:
        assert [(c, each.starttime_ns) for c, each in feed] == [(c, each.starttime_ns) for c, each in wanted]
        for (_, a), (_, b) in zip(feed, wanted, strict=True):
            np.testing.assert_array_equal(a.samples, b.samples)


def test_a_file_larger_than_a_block_is_read_across_its_edges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "day.mseed", day())
    wanted = index_paths((path,)).traces[0]
    for block in (48, 100, 511, 512, 513, 5000):
        monkeypatch.setattr("seisedge.edge.archive_index._BLOCK", block)
        index = index_paths((path,))
        assert index.problems == []
        assert index.traces[0] == wanted
    assert list(wanted.offsets) == list(range(0, path.stat().st_size, 512))


def test_the_records_before_a_truncation_are_used(tmp_path: Path) -> None:
    parts = day()
    path = write(tmp_path / "cut.mseed", b"".join(parts)[:-100])
    index = index_paths((path,))
    records = len(parts) - 1
    at = 512 * records
    (problem,) = index.problems
    assert problem == (
        f"{path}: byte {at}: found the file's end after 412 bytes of a record, wanted all of it; "
        f"the {records} records before it are used"
    )
    assert len(read_all(index)[0]) == records


def test_a_text_file_that_claims_to_be_miniseed_is_told_alone_and_in_a_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "notes.mseed", b"these are notes, no records\n" * 40)
    write(tmp_path / "good.mseed", day())
    for target in (path, tmp_path):
        index = index_paths((target,))
        assert len(index.problems) == 1
        assert index.problems[0].startswith(f"{path}: byte 0: found ")
        assert index.problems[0].endswith("wanted a whole miniSEED record")
        assert len(index.traces) == (0 if target == path else 1)


@pytest.mark.parametrize("content", [b"", b"x"])
def test_files_that_are_too_short_are_told(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "short.mseed", content)
    (problem,) = index_paths((path,)).problems
    assert problem.startswith(f"{path}: ")
    assert "wanted" in problem


def test_other_files_of_a_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    write(tmp_path / "deep" / "er" / "XX.TEST..HHZ.D.2020.257", day())  # an SDS name: no suffix of miniSEED
    write(tmp_path / "three.bin", packets.records(packet(COUNTS), version=3))
    write(tmp_path / "readme.txt", b"text\n")
    write(tmp_path / "empty", b"")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    index = index_paths((tmp_path,))
    assert (len(index.traces), index.problems, index.passed_over) == (2, [], 2)
    assert total_bytes((tmp_path,)) == sum(each.stat().st_size for each in tmp_path.rglob("*") if each.is_file())


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    assert index_paths((tmp_path,)) == Index()


def test_a_path_that_does_not_exist_is_a_usage_error_before_anything_is_read(tmp_path: Path) -> None:
    good = write(tmp_path / "good.mseed", day())
    seen: list[int] = []
    with pytest.raises(UsageError, match=r"none.mseed: no such file or folder"):
        index_paths((good, tmp_path / "none.mseed"), seen.append)
    assert seen == []


def refusing(name: str) -> Callable[[Path, str], BinaryIO]:
    def refuse(path: Path, _: str) -> BinaryIO:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return io.open(path, "rb")  # noqa: UP020 - Path.open is what this stands for

    return refuse


def test_unreadable_files_are_told_and_the_others_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "good.mseed", day())
    for name in ("closed.mseed", "closed"):
        write(tmp_path / name, day())
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", refusing(name))
            index = index_paths((tmp_path,))
        (tmp_path / name).unlink()
        assert index.problems == [f"{tmp_path / name}: cannot be read: Permission denied"]
        assert len(index.traces) == 1


def test_a_file_that_vanishes_is_told_once_and_the_others_used(tmp_path: Path) -> None:
    index = index_paths((write(tmp_path / "n.mseed", day("N")), write(tmp_path / "z.mseed", day("Z"))))
    (tmp_path / "n.mseed").unlink()
    feed, problems = read_all(index)
    assert {component for component, _ in feed} == {2}
    assert problems == [f"{tmp_path / 'n.mseed'}: cannot be read: No such file or directory; XX.TEST..HHN ends there"]


def test_a_record_that_cannot_be_decoded_is_a_gap_and_told(tmp_path: Path) -> None:
    parts = packets.records(packet(COUNTS), version=3)
    damaged = bytearray(parts[1])
    damaged[-20] ^= 1
    path = write(tmp_path / "bad.mseed", [parts[0], bytes(damaged), *parts[2:]])
    index = index_paths((path,))
    if index.problems:  # the header pass checks the sum as well: what is behind is lost
        assert f"byte {len(parts[0])}" in index.problems[0]
        assert "the 1 records before it are used" in index.problems[0]
        return
    feed, problems = read_all(index)
    assert len(feed) == len(parts) - 1
    assert f"byte {len(parts[0])}" in problems[0]


def test_several_files_of_a_channel_are_read_as_one_stream(tmp_path: Path) -> None:
    for k in range(5):
        write(tmp_path / f"{4 - k}.mseed", day(start_s=60.0 * k))
    feed, _ = read_all(index_paths((tmp_path,)))
    assert len(packets.stretches(feed)) == 1


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_files_are_open_only_while_their_records_are_read(tmp_path: Path) -> None:
    for k in range(300):
        write(tmp_path / f"{k:03}.mseed", day(start_s=5.0 * k, npts=500))
    before = open_files()
    traces = [(2, trace) for trace in index_paths((tmp_path,)).traces]
    most = 0
    for _ in read_packets(traces, pytest.fail):
        most = max(most, open_files() - before)
    assert len(traces) == 300
    assert most <= 4
    assert open_files() == before


def test_files_are_closed_when_the_reader_stops(tmp_path: Path) -> None:
    traces = [(2, trace) for trace in index_paths((write(tmp_path / "day.mseed", day()),)).traces]
    before = open_files()
    reader = read_packets(traces, pytest.fail)
    next(reader)
    assert open_files() == before + 1
    reader.close()  # type: ignore[attr-defined]  # a generator
    assert open_files() == before


def test_an_index_costs_a_few_bytes_a_record(tmp_path: Path) -> None:
    (trace,) = index_paths((write(tmp_path / "day.mseed", day()),)).traces
    assert trace.starts.itemsize + trace.offsets.itemsize + trace.lengths.itemsize <= 24
    assert trace.size == (tmp_path / "day.mseed").stat().st_size


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits in headers and samples, and drop, repeat or fill stretches."""
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 8))):
        record = 512 * int(rng.integers(len(damaged) // 512))
        at = record + int(rng.integers(64 if rng.random() < 0.7 else 512))
        kind = int(rng.integers(5))
        if kind <= 1:
            damaged[at % len(damaged)] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            damaged[at : at + 16] = rng.bytes(len(damaged[at : at + 16]))
        elif kind == 3:
            del damaged[at : at + int(rng.integers(1, 700))]
        else:
            damaged[record : record + 512] = bytes(len(damaged[record : record + 512]))
        if len(damaged) < 1024:
            return bytes(damaged)
    return bytes(damaged)


@pytest.mark.parametrize("version", [2, 3])
def test_damaged_files_end_in_packets_or_a_line(tmp_path: Path, tiny_session: OrtSession, version: int) -> None:
    """Nothing but reports comes out of a whole scan, whatever the bytes are."""
    rng = np.random.default_rng(100 + version)
    encoding = DataEncoding.FLOAT32 if version == 3 else DataEncoding.STEIM2
    content = b"".join(packets.records(packet(COUNTS[:3000]), version=version, encoding=encoding))
    told = 0
    for k in range(150):
        path = write(tmp_path / f"{k}.mseed", damage(content, rng))
        scanner = Scanner(tiny_session, ScanOptions())
        for station in scanner.index((path,)):
            scanner.scan(station, lambda _: None)
        assert all(problem.startswith(f"{path}") and "\n" not in problem for problem in scanner.report.problems)
        told += bool(scanner.report.problems)
        path.unlink()
    assert told > 30


RATES = [0.0, -1.0, 1e-300, 1e-9, 1e9, 1e300, float("inf"), float("nan")]


@pytest.mark.parametrize("rate", RATES)
def test_absurd_sampling_rates_are_told(tmp_path: Path, tiny_session: OrtSession, rate: float) -> None:
    """MiniSEED 3 holds any float64 as its rate; the checksum is made right again."""
    part = bytearray(packets.records(packet(COUNTS[:500]), version=3, encoding=DataEncoding.INT32, length=4096)[0])
    struct.pack_into("<d", part, 16, rate)
    struct.pack_into("<I", part, 28, 0)
    struct.pack_into("<I", part, 28, crc32c(bytes(part)))
    path = write(tmp_path / "rate.mseed", bytes(part))
    scanner = Scanner(tiny_session, ScanOptions())
    for station in scanner.index((path,)):
        scanner.scan(station, lambda _: None)
    assert len(scanner.report.problems) == 1
    assert scanner.report.problems[0].startswith(f"{path}: ")
    assert "\n" not in scanner.report.problems[0]


def crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli), bit by bit: the checksum of miniSEED 3."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@needs_shared
def test_names_of_files_do_not_decide_the_component() -> None:
    index = index_paths((SHARED / "mseed" / "nysh_20210401",))
    named = {trace.path.name.split("__")[0].split(".")[-1]: trace.source_id.channel for trace in index.traces}
    assert named == {"EHE": "EHN", "EHN": "EHE", "EHZ": "EHZ"}


def test_traces_of_one_file_are_one_per_channel(tmp_path: Path) -> None:
    path = write(tmp_path / "two.mseed", day("Z"), day("N"), day("Z", start_s=60))
    traces = index_paths((path,)).traces
    assert [(type(trace), trace.source_id.component) for trace in traces] == [(Trace, "Z"), (Trace, "N")]

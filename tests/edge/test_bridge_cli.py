"""The command `edge-bridge`, run as a user runs it: print, record, convert, replay, ask a server."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tty
from collections.abc import AsyncGenerator, Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import packets
import pytest
from datalink_server import ring_of
from packets import START_NS, packet
from seedlink_server import serving

from seisedge.edge.bridge_cli import main
from seisedge.edge.errors import UsageError
from seisedge.edge.output_file import replacing
from seisedge.edge.recorder import Recorder
from seisedge.edge.replay import ReplayCounts, ReplayOptions, replay, schedule
from seisedge.firmware_bridge import (
    Decoder,
    MiniSeedDecoder,
    Packet,
    PacketFlag,
    decode_record,
    packets_of,
    read_headers,
)
from seisedge.firmware_bridge.frame_decoder import FrameDecoder
from seisedge.firmware_bridge.naming import Naming

COUNTS = np.random.default_rng(14).integers(-30_000, 30_000, 2000).astype(np.int32)
RECORDS = packets.records(packet(COUNTS))
PROGRAM = [sys.executable, "-c", "from seisedge.edge.bridge_cli import main; main()"]


@dataclass(frozen=True)
class Done:
    """What the command did."""

    returncode: int
    stdout: bytes
    stderr: bytes


def bridge(*arguments: str | Path, stdin: bytes | None = None) -> Done:
    """Run the command: in this process, or in one of its own where it reads its standard input."""
    words = list(map(str, arguments))
    if stdin is not None:
        done = subprocess.run([*PROGRAM, *words], input=stdin, capture_output=True, check=False, timeout=60)
        return Done(done.returncode, done.stdout, done.stderr)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(words)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
    return Done(code, out.getvalue().encode(), err.getvalue().encode())


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "day.mseed"
    path.write_bytes(b"".join(RECORDS))
    return path


def samples_of(content: bytes) -> list[int]:
    found = [content[each.offset : each.offset + each.length] for each in read_headers(content)]
    return [int(each) for part in found for each in decode_record(part).samples]


def test_packets_are_printed_for_people_and_for_programs(day: Path) -> None:
    done = bridge(day, "--count", "2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("2020-09-13T12:26:40.000000Z  FDSN:XX_TEST__H_H_Z")
    assert "x 100 Hz" in lines[0]
    assert "clock_questionable" in lines[0]
    done = bridge("-", "--json", "--samples", stdin=day.read_bytes())
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each for one in found for each in one["samples"]] == COUNTS.tolist()
    assert found[0]["flags"] == ["clock_questionable"]


@pytest.mark.parametrize("suffix", [".mseed", ".mseed3"])
def test_files_are_converted_and_not_overwritten(day: Path, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"out{suffix}"
    done = bridge("convert", day, output)
    assert done.returncode == 0, done.stderr
    assert samples_of(output.read_bytes()) == COUNTS.tolist()
    again = bridge("convert", day, output)
    assert again.returncode == 2
    assert b"wanted --force" in again.stderr
    assert bridge("convert", day, output, "--force", "--encoding", "int32").returncode == 0
    assert samples_of(output.read_bytes()) == COUNTS.tolist()


def test_a_convert_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    loud, keep, none = (tmp_path / f"{name}.mseed" for name in ("loud", "keep", "none"))
    loud.write_bytes(b"".join(packets.records(packet([70_000, 1, 2]))))
    keep.write_bytes(b"".join(RECORDS))
    done = bridge("convert", "--force", loud, keep, "--encoding", "int16")
    assert done.returncode == 1
    assert f"{keep}: FDSN:XX_TEST__H_H_Z: ".encode() in done.stderr
    assert done.stderr.endswith(b"; the file stays as it was\n")
    assert done.stderr.count(b"\n") == 1
    assert bridge("convert", loud, none, "--encoding", "int16").returncode == 1
    assert sorted(tmp_path.iterdir()) == [keep, loud]
    assert keep.read_bytes() == b"".join(RECORDS)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "keep.mseed"
    path.write_bytes(b"old")
    path.chmod(0o640)

    def stopped() -> None:
        with replacing(path) as draft:
            draft.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with replacing(path) as draft:
        draft.unlink()  # as a recorder does with nothing
    assert path.read_bytes() == b"old"
    with replacing(path) as draft:
        draft.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match="found no regular file"), replacing(tmp_path):
        pytest.fail("a folder is no file")


def test_nothing_replaces_nothing(tmp_path: Path) -> None:
    keep, rubbish = tmp_path / "keep.mseed", tmp_path / "rubbish.frames"
    keep.write_bytes(b"".join(RECORDS))
    rubbish.write_bytes(b"\0\5SF\1 and nothing more\0")
    done = bridge("convert", "--force", rubbish, keep)
    assert done.returncode == 1
    assert b"keep.mseed: 0 packets: the file stays as it was" in done.stderr
    assert keep.read_bytes() == b"".join(RECORDS)


@pytest.mark.parametrize(
    "words", [("convert", "--force", "{source}", "{output}"), ("{source}", "--record", "{output}")]
)
@pytest.mark.parametrize("way", ["itself", "url", "symbolic", "hard", "folder", "new"])
def test_what_is_read_is_never_written_into(day: Path, tmp_path: Path, words: tuple[str, ...], way: str) -> None:
    link = tmp_path / "link.mseed"
    if way == "symbolic":
        link.symlink_to(day)
    elif way == "hard":
        link.hardlink_to(day)
    source, output = {
        "itself": (str(day), day),
        "url": (f"file:{day}", day),
        "folder": (str(tmp_path), day),
        "new": (str(tmp_path), link),
    }.get(way, (str(day), link))
    done = bridge(*(each.format(source=source, output=output) for each in words))
    assert done.returncode == 2
    assert b"link.mseed: found" in done.stderr or b"day.mseed: found" in done.stderr
    assert link.exists() == (way in {"symbolic", "hard"})
    assert b"that is read, wanted another" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert day.read_bytes() == b"".join(RECORDS)


@pytest.mark.parametrize("way", ["itself", "symbolic", "hard", "folder", "folder of it"])
def test_what_is_read_is_not_rotated_into(day: Path, tmp_path: Path, way: str) -> None:
    """`out.2.mseed` is the third file of a recording of `out.mseed`."""
    second = tmp_path / "out.2.mseed"
    if way == "symbolic":
        second.symlink_to(day)
    elif way == "hard":
        second.hardlink_to(day)
    else:
        day.rename(second)
    below = tmp_path / "below"
    below.mkdir()
    source = {"itself": second, "folder": tmp_path, "folder of it": tmp_path}.get(way, day)
    output = (below if way == "folder of it" else tmp_path) / "out.mseed"
    before = sorted(tmp_path.rglob("*"))
    done = bridge(source, "--record", output, "--rotate", "1k")
    assert done.returncode == 2
    named, what = (second, "the file") if source.is_file() else (output, "a file of the folder")
    assert f"{named}: found {what} that is read, wanted another".encode() in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert second.read_bytes() == b"".join(RECORDS)


@pytest.mark.parametrize("name", ["out.mseed3", "out.x.mseed", "out.01.mseed", "out.1.mseed.mseed", "xout.1.mseed"])
def test_what_is_read_may_have_a_name_like_that_of_a_rotation(day: Path, tmp_path: Path, name: str) -> None:
    source = day.rename(tmp_path / name)
    done = bridge(source, "--record", tmp_path / "out.mseed", "--rotate", "1k")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.2.mseed").exists()
    assert source.read_bytes() == b"".join(RECORDS)


def test_standard_input_is_not_written_into_either(day: Path) -> None:
    with day.open("rb") as file:
        command = [*PROGRAM, "-", "--record", str(day)]
        done = subprocess.run(command, stdin=file, capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
    assert b"that is read, wanted another" in done.stderr
    assert day.read_bytes() == b"".join(RECORDS)


def test_help_says_that_a_recording_is_continued() -> None:
    assert b"appended to" in bridge("listen", "--help").stdout


def test_damage_is_told_and_gives_exit_code_1(tmp_path: Path) -> None:
    content = RECORDS[0] + b"\xff" * 200 + RECORDS[1]
    done = bridge("-", "--record", tmp_path / "out.mseed", stdin=content)
    assert done.returncode == 1
    assert b"1 damaged" in done.stderr
    assert samples_of((tmp_path / "out.mseed").read_bytes()) == samples_of(RECORDS[0] + RECORDS[1])


WRONG: dict[tuple[str, ...], str] = {
    ("nowhere.mseed",): "no such file or folder",
    ("nope://host",): "unknown scheme",
    ("-", "--record", "out.wav"): "wanted one of .mseed",
    ("-", "--record", "out.mseed", "--encoding", "gzip"): "unknown 'gzip'",
    ("-", "--rotate", "1M"): "found no --record",
    ("-", "--record", "out.mseed", "--rotate", "much"): "wanted a size",
    ("replay", "-", "--to", "ftp://host:1"): "unknown scheme",
    ("replay", "-", "--to", "udp://host"): "wanted udp://HOST:PORT",
    ("replay", "-", "--to", "udp://localhost:1", "--drop", "2"): "wanted a part",
    ("replay", "-", "--to", "udp://localhost:1", "--jitter", "soon"): "wanted a time",
    ("info", "day.mseed"): "no such file",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_commands_are_told_in_one_line(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = bridge(*arguments)
    assert done.returncode == 2
    assert WRONG[arguments] in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_help_has_examples() -> None:
    done = bridge("--help")
    assert done.returncode == 0
    assert b"edge-bridge replay day.mseed --to" in done.stdout
    for command in ("listen", "info", "replay", "convert"):
        assert bridge(command, "--help").returncode == 0


async def bridge_async(*arguments: str) -> tuple[int, str, str]:
    """Run the command in a thread, with an event loop of its own, beside the servers of this one."""
    done = await asyncio.to_thread(bridge, *arguments)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_servers_are_asked_for_what_they_have() -> None:
    async def scenario() -> None:
        async with serving(b"".join(RECORDS)) as server:
            for version in (3, 4):
                code, out, err = await bridge_async("info", f"{server.url}?version={version}")
                assert (code, out) == (0, "XX_TEST\n"), err
            code, out, err = await bridge_async("info", server.url, "--item", "NONSENSE")
            assert code == 1
            assert "the server refuses" in err
        async with ring_of(b"".join(RECORDS)) as ring:
            code, out, _ = await bridge_async("info", f"datalink://localhost:{ring.port}")
            assert (code, out) == (0, "XX_TEST__HHZ/MSEED\n")
        code, _, err = await bridge_async("info", f"seedlink://localhost:{server.port}")
        assert code == 1
        assert "Traceback" not in err

    asyncio.run(scenario())


def test_a_server_is_recorded_and_a_file_replayed_into_a_ring(day: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(b"".join(RECORDS)) as server:
            output = tmp_path / "out.mseed"
            code, _, err = await bridge_async(f"{server.url}?fetch=yes", "--record", str(output))
            assert code == 0, err
            assert samples_of(output.read_bytes()) == COUNTS.tolist()
        async with ring_of() as ring:
            url = f"datalink://localhost:{ring.port}"
            code, _, err = await bridge_async("replay", str(day), "--to", url, "--speed", "0", "--packet-seconds", "0")
            assert code == 0, err
            assert samples_of(b"".join(each.payload for each in ring.ring)) == COUNTS.tolist()

    asyncio.run(scenario())


def _hears_ctrl_c() -> None:
    """Undo what a shell does to a job in the background, which ignores SIGINT and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_keeps_what_was_recorded(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(b"".join(RECORDS)) as server:
            output = tmp_path / "out.mseed"
            process = await asyncio.create_subprocess_exec(
                *PROGRAM,
                server.url,
                "--record",
                str(output),
                stderr=asyncio.subprocess.PIPE,
                preexec_fn=_hears_ctrl_c,
            )
            await server.everything_sent.wait()
            while not output.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            process.send_signal(signal.SIGINT)
            _, err = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 130, err
            assert samples_of(output.read_bytes()) == COUNTS.tolist()

    asyncio.run(scenario())


def test_a_file_is_replayed_over_udp_with_seeded_loss(day: Path) -> None:
    def heard(*more: str) -> set[int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(5)
            to = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
            done = bridge("replay", day, "--to", to, "--speed", "0", *more)
            assert done.returncode == 0, done.stderr
            receiver.setblocking(False)
            starts: set[int] = set()
            while True:
                try:
                    starts.add(decode_record(receiver.recv(65536)).starttime_ns)
                except BlockingIOError:  # noqa: PERF203 - the end of what was sent
                    return starts

    everything = heard()
    assert len(everything) >= 80  # a quarter of a second each
    lossy = heard("--drop", "25%", "--seed", "3")
    assert lossy < everything
    assert lossy == heard("--drop", "25%", "--seed", "3")


def decoder_of(kind: str) -> Decoder:
    return MiniSeedDecoder() if kind == "mseed" else FrameDecoder(Naming("XX", "TEST", "", ("HHZ",)))


def same_samples(found: list[Packet]) -> None:
    assert {each.source_id for each in found} == {"FDSN:XX_TEST__H_H_Z"}
    assert [int(each) for part in found for each in part.samples] == COUNTS.tolist()
    assert found[0].starttime_ns == START_NS


@pytest.mark.parametrize("kind", ["mseed", "native"])
def test_a_file_is_replayed_over_tcp(day: Path, kind: str) -> None:
    async def scenario() -> None:
        decoder, found, ended = decoder_of(kind), list[Packet](), asyncio.Event()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1000):
                found.extend(packets_of(decoder, data, lambda error: pytest.fail(str(error))))
            writer.close()
            ended.set()

        async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
            to = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            code, _, err = await bridge_async("replay", str(day), "--to", to, "--format", kind, "--speed", "0")
            assert code == 0, err
            await ended.wait()
        same_samples(found)

    asyncio.run(asyncio.wait_for(scenario(), 60))


@pytest.mark.parametrize("kind", ["mseed", "native"])
def test_a_file_is_replayed_into_a_serial_port(day: Path, kind: str) -> None:
    primary, secondary = os.openpty()
    try:
        tty.setraw(secondary)
        process = subprocess.Popen(
            [*PROGRAM, "replay", str(day), "--to", f"serial:{os.ttyname(secondary)}", "--speed", "0", "--format", kind],
            stderr=subprocess.PIPE,
        )
        decoder, found = decoder_of(kind), list[Packet]()
        while sum(each.samples.size for each in found) < COUNTS.size:
            found += packets_of(decoder, os.read(primary, 4096), lambda _: None)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        same_samples(found)
    finally:
        os.close(primary)
        os.close(secondary)


async def stream_of(parts: Iterable[Packet]) -> AsyncGenerator[Packet, None]:
    for part in parts:
        yield part


def test_packets_are_sent_when_their_last_sample_has_been_taken() -> None:
    now, sent = 100.0, list[tuple[float, int]]()

    def clock() -> float:
        return now

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def send(each: Packet) -> int:
        sent.append((now - 100.0, each.samples.size))
        return 10

    counts = ReplayCounts()
    options = ReplayOptions(speed=2.0, packet_s=0.5, shift_ns=5)
    work = replay(stream_of([packet(COUNTS[:120])]), options, send, clock=clock, sleep=sleep, counts=counts)
    asyncio.run(work)
    assert sent == [pytest.approx(each) for each in [(0.25, 50), (0.5, 50), (0.6, 20)]]
    assert counts == ReplayCounts(sent=3, sent_bytes=30)


def test_chance_follows_from_the_seed() -> None:
    async def order(seed: int) -> list[tuple[float, int]]:
        options = ReplayOptions(packet_s=0.1, drop=0.2, reorder=0.2, jitter_s=0.02, seed=seed)
        counts = ReplayCounts()
        found = [(due, each.starttime_ns) async for due, each in schedule(stream_of([packet(COUNTS)]), options, counts)]
        assert len(found) + counts.dropped == 200
        assert counts.reordered > 10
        assert [start for _, start in found] != sorted(start for _, start in found)
        return found

    assert asyncio.run(order(1)) == asyncio.run(order(1))
    assert asyncio.run(order(1)) != asyncio.run(order(2))


def test_small_packets_are_joined_and_files_rotate(tmp_path: Path) -> None:
    whole = packet(COUNTS)
    flagged = Packet(whole.source_id, whole.time_of(2000), 100.0, COUNTS[:30], PacketFlag.SATURATED)
    with Recorder(tmp_path / "out.mseed", rotate_bytes=2048) as recorder:
        for start in range(0, 2000, 25):
            recorder.write(whole.cut(start, start + 25))
        recorder.write(flagged)
    files = sorted(tmp_path.iterdir(), key=lambda path: (len(path.name), path.name))
    assert [path.name for path in files][:2] == ["out.mseed", "out.1.mseed"]
    assert all(path.stat().st_size <= 2048 for path in files)
    content = b"".join(path.read_bytes() for path in files)
    assert samples_of(content) == [*COUNTS.tolist(), *COUNTS[:30].tolist()]
    last = list(read_headers(content))[-1]
    assert decode_record(content[last.offset :]).flags == PacketFlag.SATURATED
    assert decode_record(content).starttime_ns == START_NS


def test_a_recording_is_continued(tmp_path: Path) -> None:
    for part in (packet(COUNTS[:500]), packet(COUNTS[500:], start_ns=START_NS + 5_000_000_000)):
        with Recorder(tmp_path / "out.mseed") as recorder:
            recorder.write(part)
    assert samples_of((tmp_path / "out.mseed").read_bytes()) == COUNTS.tolist()

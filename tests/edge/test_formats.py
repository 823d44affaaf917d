"""Files of every wire format: told apart by content, scanned, recorded, replayed and converted both ways."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import START_NS, packet, records
from shared_data import SHARED, needs_shared

from seisedge.edge.bridge_cli import cli
from seisedge.edge.errors import DataError, SeisedgeError
from seisedge.edge.recorder import Recorder
from seisedge.edge.scan_cli import main as scan
from seisedge.edge.sources import SourceUrl, open_source, parse_url
from seisedge.edge.sources.formats import FORMATS, format_of
from seisedge.edge.sources.udp import UdpSource
from seisedge.edge.times import parse_time
from seisedge.firmware_bridge import Packet, PacketFlag, Samples, WireError, packets_of
from seisedge.firmware_bridge.crc import crc32c
from seisedge.firmware_bridge.frame_decoder import FrameDecoder
from seisedge.firmware_bridge.frame_encoder import FrameEncoder
from seisedge.firmware_bridge.naming import Naming

SHAKE = SHARED / "rsudp"
MEMS = SHARED / "mems"
BURSTS_S = (30, 80)


def read(url: str) -> list[Packet]:
    async def gather() -> list[Packet]:
        return [each async for each in open_source(url).packets()]

    return asyncio.run(gather())


def bridge(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(each) for each in words])


def fail(error: WireError) -> None:
    raise error


def counts(url: str) -> dict[str, tuple[int, float, Samples]]:
    """Channel → first time, rate, all samples."""
    found: dict[str, list[Packet]] = {}
    for each in read(url):
        found.setdefault(each.source_id[-5:], []).append(each)
    return {
        name: (
            parts[0].starttime_ns,
            parts[0].sampling_rate,
            cast("Samples", np.concatenate([p.samples for p in parts])),
        )
        for name, parts in found.items()
    }


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """Two minutes of three components with two bursts, which the tiny model picks."""
    path = tmp_path / "day.mseed"
    times = np.arange(12_000) / 100
    loud = 1.0 + 60.0 * sum((times >= start) & (times < start + 3) for start in BURSTS_S)
    with path.open("wb") as file:
        for seed, component in enumerate("NEZ"):
            noise = np.random.default_rng(seed).standard_normal(times.size)
            whole = packet((20 * loud * noise).round().astype(np.int32), component=component)
            file.write(b"".join(records(whole)))
    return path


def picks(path: Path, model: Path, threshold: str = "0.5") -> list[list[str]]:
    """Phase, time and probability of the picks, without the station's name."""
    done = CliRunner().invoke(scan, [str(path), "--model", str(model), "--threshold", threshold, "--quiet"])
    assert done.exit_code == 0, done.output
    head, *rows = (line.split(",") for line in done.stdout.splitlines())
    return [[row[head.index(name)] for name in ("phase_hint", "time", "probability")] for row in rows]


@pytest.mark.parametrize("suffix", [".frames", ".datacast"])
def test_a_scan_of_another_format_gives_the_picks_of_miniseed(day: Path, tiny_path: Path, suffix: str) -> None:
    other = day.with_suffix(suffix)
    assert bridge("convert", day, other).exit_code == 0
    wanted = picks(day, tiny_path)
    assert len(wanted) == 4
    assert picks(other, tiny_path) == wanted


def test_frames_give_back_samples_and_times(day: Path, tmp_path: Path) -> None:
    frames, again = tmp_path / "day.frames", tmp_path / "again.mseed"
    assert bridge(day, "--record", frames).exit_code == 0
    named = f"file:{frames}?station=XX.TEST&channels=HHZ,HHN,HHE"
    assert bridge("convert", named, again).exit_code == 0
    wanted, found = counts(str(day)), counts(str(again))
    assert found.keys() == wanted.keys()
    for name, (start, rate, samples) in wanted.items():
        assert (start, rate) == found[name][:2]
        np.testing.assert_array_equal(samples, found[name][2])


@given(
    rate=st.floats(1e-3, 1e6),
    start_ns=st.integers(0, 4 * 10**18),
    kind=st.sampled_from([np.int16, np.int32]),
    size=st.integers(1, 5000),
    is_bare=st.booleans(),
    flags=st.sampled_from([PacketFlag.NONE, PacketFlag.SATURATED, PacketFlag.OVERRUN, PacketFlag.HOLDOVER]),
)
@settings(max_examples=50, deadline=None)
def test_encoder_and_decoder_of_frames_are_inverse(
    rate: float,
    start_ns: int,
    kind: type[np.int16 | np.int32],
    size: int,
    is_bare: bool,  # noqa: FBT001 - a strategy
    flags: PacketFlag,
) -> None:
    limits = np.iinfo(kind)
    samples = np.random.default_rng(size).integers(limits.min, limits.max, size, kind, endpoint=True)
    sent = Packet("FDSN:CH_HOME_00_H_N_Z", start_ns, rate, cast("Samples", samples), flags)
    decoder = FrameDecoder(Naming("CH", "HOME", "00", ("HNZ",)), is_bare=is_bare)
    found = [each for unit in FrameEncoder(is_bare=is_bare)(sent) for each in packets_of(decoder, unit, fail)]
    assert {(each.source_id, each.flags) for each in found} == {(sent.source_id, flags)}
    assert np.concatenate([each.samples for each in found]).tobytes() == samples.tobytes()
    at = 0
    for each in found:
        assert each.starttime_ns == sent.time_of(at)
        assert abs(each.sampling_rate / rate - 1) < 1e-6
        at += each.samples.size


def shake(path: Path) -> None:
    """A geophone and the vertical of an accelerometer, of one Shake: two devices of frames, one axis."""
    names = ("FDSN:AM_R24FA_00_E_H_Z", "FDSN:AM_R24FA_00_E_N_Z")
    with Recorder(path) as recorder:
        for start in range(0, 1000, 100):
            for name in names:
                part = np.arange(start, start + 100, dtype=np.int32)
                recorder.write(Packet(name, START_NS + start * 10_000_000, 100.0, part))


def test_two_devices_are_never_one_channel(tmp_path: Path) -> None:
    first, frames, again = (tmp_path / name for name in ("shake.mseed", "day.frames", "again.mseed"))
    shake(first)
    assert bridge("convert", first, frames).exit_code == 0
    done = bridge("convert", f"file:{frames}?station=CH.HOME&channels=HNZ,HNN,HNE", again)
    assert done.exit_code == 1
    geophone, other = (f"{crc32c(name):X}" for name in (b"AM_R24FA_00_E_H", b"AM_R24FA_00_E_N"))
    said = f"device {other}: found the name FDSN:CH_HOME__H_N_Z, which device {geophone} has, wanted one device"
    assert said in done.stderr
    assert "without station=" in done.stderr
    np.testing.assert_array_equal(counts(str(again))["H_N_Z"][2], np.arange(1000))
    assert len({each.source_id for each in read(str(frames))}) == 2  # without station= both are there


def test_an_axis_that_two_configured_channels_have_is_told(tmp_path: Path) -> None:
    first, frames = tmp_path / "shake.mseed", tmp_path / "day.frames"
    shake(first)
    assert bridge("convert", first, frames).exit_code == 0
    done = bridge(f"file:{frames}?station=AM.R24FA&channels=EHZ,ENZ,ENN,ENE")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "found the axis Z, wanted one of channels= to end with it, not EHZ and ENZ" in done.stderr


def test_bare_frames_in_a_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "we.bin"
    path.write_bytes(b"".join(FrameEncoder(is_bare=True)(packet(np.arange(900, dtype=np.int32)))))
    for url in (str(path), f"file:{path}?format=native"):
        done = bridge(url)
        assert isinstance(done.exception, DataError)
        assert str(done.exception) == (
            f"{path}: found a bare native frame, wanted it COBS-stuffed with a zero before and behind, "
            "as files and lines have it (docs/frame.md)"
        )
    inside = b"".join(FrameEncoder()(packet(np.arange(900, dtype=np.int32) + (1 << 24))))
    stuffed = tmp_path / "inside.frames"
    stuffed.write_bytes(inside[2:] + inside)  # begins with the magic too
    assert len(read(f"file:{stuffed}?format=native")) == 1


def test_what_a_frame_cannot_hold_is_told(day: Path, tmp_path: Path) -> None:
    real = packet(np.ones(10, np.float32))
    with pytest.raises(WireError, match="float32 samples"):
        FrameEncoder()(real)
    with pytest.raises(WireError, match="axis"):
        FrameEncoder()(Packet("FDSN:XX_A__H_H_ZZ", START_NS, 1.0, np.ones(1, np.int16)))
    frames = tmp_path / "a.frames"
    assert bridge("convert", day, frames).exit_code == 0
    done = bridge("convert", frames, tmp_path / "b.mseed")
    assert isinstance(done.exception, SeisedgeError)
    assert "5 letters" in str(done.exception)
    assert bridge("convert", frames, tmp_path / "b.mseed3").exit_code == 0


def test_contents_tell_the_formats_apart(day: Path) -> None:
    url = SourceUrl("x", "file", path="x")
    frames = b"".join(FrameEncoder()(packet([1, 2, 3])))
    heads = {
        day.read_bytes()[:512]: "miniseed",
        frames: "native",
        frames[5:] + frames: "native",
        b"{'EHZ', 1580372810.003, 1, 2}": "datacast",
        b'\n{"device_id": "a", "cloud_t": 1, "traces": [{': "grillo",
        b'{"device_id": "a", "traces": {"x": [1]}}': "openeew",
        b'[{"country_code": "mx", "x": [1]}]': "openeew",
    }
    for head, name in heads.items():
        assert format_of(head, url) == name
    with pytest.raises(DataError, match=", ".join(FORMATS)):
        format_of(b"no format", url)


@needs_shared
def test_recorded_datagrams_are_the_miniseed_of_the_same_time() -> None:
    text, station = SHAKE / "testdata_udp_packets.txt", "station=AM.R24FA.00"
    wanted, found = counts(str(SHAKE / "testdata_AM.R24FA.mseed")), counts(f"file:{text}?{station}")
    assert found.keys() == wanted.keys()
    for name, (start, rate, samples) in wanted.items():
        assert abs(found[name][0] - start) < 1_000_000
        assert found[name][1] == rate
        size = found[name][2].size  # the last record goes on for a sample
        assert size == 11_000
        np.testing.assert_array_equal(samples[:size], found[name][2])


@needs_shared
def test_a_scan_of_recorded_datagrams_gives_the_picks_of_their_miniseed(tiny_path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mseed"
    wanted_url = f"file:{SHAKE / 'testdata_AM.R24FA.mseed'}?end=2020-01-30T08:28:40.0025Z"
    assert bridge("convert", wanted_url, cut).exit_code == 0
    wanted = picks(cut, tiny_path, "0.05")
    found = picks(SHAKE / "testdata_udp_packets.txt", tiny_path, "0.05")
    assert len(wanted) > 0
    assert [each[0] for each in found] == [each[0] for each in wanted]
    for a, b in zip(found, wanted, strict=True):
        assert abs(parse_time(a[1]) - parse_time(b[1])) < 2_000_000
        assert abs(float(a[2]) - float(b[2])) < 1e-3


def openeew_lines(count: int = 3) -> bytes:
    axes = {axis: [0.1 * each for each in range(32)] for axis in "xyz"}
    heads = [{"device_id": "A8032A", "sr": 31.25, "device_t": 1.6e9 + 1.024 * number} for number in range(count)]
    return b"\n".join(json.dumps({**head, "traces": axes}).encode() for head in heads) + b"\n"


@pytest.mark.parametrize("kind", ["frames", "datacast", "json"])
def test_what_is_cut_at_a_files_end_is_counted_and_said(day: Path, tmp_path: Path, kind: str) -> None:
    path, cut = tmp_path / f"day.{kind}", tmp_path / f"cut.{kind}"
    if kind == "json":
        path.write_bytes(openeew_lines())
    else:
        assert bridge("convert", day, path).exit_code == 0
    cut.write_bytes(path.read_bytes()[:-40])
    whole, left = bridge(path, "--json"), bridge(cut, "--json")
    assert (whole.exit_code, whole.stderr) == (0, "")
    assert left.exit_code == 1
    assert "1 damaged" in left.stderr
    assert whole.stdout.startswith(left.stdout)
    assert 0 < len(left.stdout.splitlines()) < len(whole.stdout.splitlines())


def test_datagrams_that_tell_no_rate_are_said_to_be_lost(tmp_path: Path) -> None:
    path = tmp_path / "one.datacast"
    path.write_bytes(b"{'EHZ', 1580372810.003, 1, 2}\n{'ENZ', 1580372810.003, 1, 2}\n")
    done = bridge(path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "2 damaged; the last one: datacast ENZ: found 1 packets that tell no rate, wanted rate=" in done.stderr
    assert bridge(f"file:{path}?rate=100").exit_code == 0


@needs_shared
def test_files_of_json_are_read_and_converted(tmp_path: Path) -> None:
    grillo = MEMS / "grillo_125hz_20200604.json"
    day = next(each for each in sorted((MEMS / "openeew_jsonl").glob("*/*/*")) if each.is_file())
    for path in (grillo, day):
        found = read(str(path))
        assert len(found) > 3
        assert len({each.source_id for each in found}) % 3 == 0
        assert bridge("convert", path, tmp_path / f"{path.stem}.mseed3").exit_code == 0
        again = counts(str(tmp_path / f"{path.stem}.mseed3"))
        assert sum(each[2].size for each in again.values()) == sum(each.samples.size for each in found)


@pytest.mark.parametrize(("kind", "query"), [("native", "format=native&channels=HHZ,HHN,HHE"), ("datacast", "")])
def test_a_replay_to_udp_arrives_at_our_own_source(day: Path, kind: str, query: str) -> None:
    async def work() -> list[Packet]:
        source = UdpSource(parse_url(f"udp://127.0.0.1:0?station=XX.TEST&{query}".rstrip("&")))
        async with aclosing(source.packets()) as found:
            first = asyncio.ensure_future(anext(found))
            await source.bound.wait()
            words = ["replay", str(day), "--to", f"udp://127.0.0.1:{source.port}", "--format", kind, "--speed", "20"]
            sending = asyncio.ensure_future(asyncio.to_thread(bridge, *words))
            got = [await first, *[await anext(found) for _ in range(20)]]
            assert (await sending).exit_code == 0
            return got

    got = asyncio.run(asyncio.wait_for(work(), 60))
    wanted = counts(str(day))
    assert {each.source_id for each in got} <= {f"FDSN:XX_TEST__H_H_{axis}" for axis in "ZNE"}
    name = got[0].source_id[-5:]
    samples = np.concatenate([each.samples for each in got if each.source_id == got[0].source_id])
    np.testing.assert_array_equal(samples, wanted[name][2][: samples.size])

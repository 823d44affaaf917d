"""CRC, COBS and the native frame: check values, round trips, damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_laws import assert_any_portions_give_the_same, decode_all

from seisedge.firmware_bridge import PacketFlag, WireError, packets_of
from seisedge.firmware_bridge.cobs import cobs_decode, cobs_encode
from seisedge.firmware_bridge.crc import crc16_modbus, crc32c
from seisedge.firmware_bridge.frame import (
    MAX_FRAME_BYTES,
    Channel,
    ClockState,
    Frame,
    FrameSamples,
    Unit,
    decode_frame,
    encode_frame,
)
from seisedge.firmware_bridge.frame_decoder import FrameDecoder, stuffed_frame
from seisedge.firmware_bridge.naming import REPLACED, Naming
from seisedge.firmware_bridge.sequence import SequenceTracker

AXES = tuple(Channel(axis, Unit.METRE_PER_SECOND_SQUARED, 5.985e-4, 0) for axis in "ZNE")


def narrow(values: npt.NDArray[np.float64] | npt.NDArray[np.int64], sample_bytes: int) -> FrameSamples:
    return values.astype(np.int16) if sample_bytes == 2 else values.astype(np.int32)


def frame(sequence: int = 0, npts: int = 20, sample_bytes: int = 2, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed + sequence)
    samples = narrow(np.rint(rng.normal((16384, 0, 0), 60, (npts, 3))), sample_bytes)
    start = 1_600_000_000_000_000_000 + sequence * npts * 10_000_000
    return Frame(0xA1B2C3D4E5F6, sequence, start, (100, 1), samples, AXES, sample_bytes)


def test_check_values() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc16_modbus(b"123456789") == 0x4B37
    assert cobs_encode(bytes.fromhex("11002200")) == bytes.fromhex("0211022201")


@pytest.mark.parametrize("npts", [0, 1, 253, 254, 255, 507, 508, 509])
def test_cobs_at_the_borders_of_its_runs(npts: int) -> None:
    for data in (
        b"\1" * npts,
        b"\1" * npts + b"\0",
        b"\0" + b"\1" * npts,
        b"\1" * npts + b"\0" + b"\2" * npts,
        b"\0" * npts,
    ):
        stuffed = cobs_encode(data)
        assert 0 not in stuffed
        assert len(stuffed) <= len(data) + 1 + len(data) // 254
        assert cobs_decode(stuffed) == data
    assert cobs_encode(b"\1" * 254) == b"\xff" + b"\1" * 254
    assert cobs_decode(b"\xff" + b"\1" * 254 + b"\1") == b"\1" * 254  # an empty run behind it is allowed
    assert cobs_encode(b"\1" * 254 + b"\0") == b"\xff" + b"\1" * 254 + b"\1\1"


@given(st.binary(max_size=2000))
def test_cobs_round_trip(data: bytes) -> None:
    assert cobs_decode(cobs_encode(data)) == data


@pytest.mark.parametrize("data", [b"", b"\5\1", b"\2\0", b"\0"])
def test_cobs_refuses(data: bytes) -> None:
    with pytest.raises(WireError, match="COBS: found"):
        cobs_decode(data)


@settings(max_examples=50)
@given(st.sampled_from([2, 3, 4]), st.integers(1, 16), st.integers(0, 40), st.data())
def test_a_frame_comes_back(width: int, channels: int, npts: int, data: st.DataObject) -> None:
    limit = 1 << 8 * width - 1
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    samples = narrow(rng.integers(-limit, limit, (npts, channels)), width)
    about = tuple(Channel("123456789ABCDEFG"[i], Unit.PASCAL, float(np.float32(0.1 * i)), -i) for i in range(channels))
    device, sequence = data.draw(st.integers(0, 2**64 - 1)), data.draw(st.integers(0, 2**32 - 1))
    start, overrun = data.draw(st.integers(-(2**63), 2**63 - 1)), data.draw(st.booleans())
    saturated = data.draw(st.integers(0, 65535))
    sent = Frame(
        device, sequence, start, (4000, 127), samples, about, width, overrun, saturated, ClockState.HOLDOVER, 20
    )
    wire = encode_frame(sent)
    got = decode_frame(wire)
    assert encode_frame(got) == wire
    np.testing.assert_array_equal(got.samples, samples)
    names = (
        "device_id",
        "sequence",
        "starttime_ns",
        "rate",
        "channels",
        "sample_bytes",
        "is_overrun",
        "saturated",
        "clock",
    )
    assert [getattr(got, name) for name in names] == [getattr(sent, name) for name in names]


def test_int16_stays_int16_and_each_channel_is_contiguous() -> None:
    packets, damaged = decode_all(FrameDecoder, [stuffed_frame(frame())])
    assert damaged == 0
    assert [each.source_id for each in packets] == [f"FDSN:XX_C3D4E5F6__H_N_{axis}" for axis in "ZNE"]
    for index, each in enumerate(packets):
        assert each.samples.dtype == np.int16
        assert each.samples.flags.c_contiguous
        np.testing.assert_array_equal(each.samples, frame().samples[:, index])
        assert (each.starttime_ns, each.sampling_rate, each.flags) == (frame().starttime_ns, 100.0, PacketFlag.NONE)


def test_any_portions_give_the_same() -> None:
    stream = b"noise\0" + b"".join(stuffed_frame(frame(i)) for i in range(4))
    packets = assert_any_portions_give_the_same(FrameDecoder, stream, trailing=stuffed_frame(frame(4))[:30])
    assert len(packets) == 12


def test_a_name_is_of_one_device_until_it_is_silent_for_long() -> None:
    named = Naming("CH", "HOME", "", ("HNZ", "HNN", "HNE"))
    first, other = (replace(frame(), device_id=each) for each in (0xAB, 0xCD))
    alone = replace(other, samples=other.samples[:, :1], channels=AXES[:1])
    decoder, damage = FrameDecoder(named, is_bare=True), list[WireError]()

    def given(sent: Frame) -> int:
        return len(packets_of(decoder, encode_frame(sent), damage.append))

    assert [given(each) for each in (first, other, alone, first)] == [3, 0, 0, 3]
    said = "device CD: found the name FDSN:CH_HOME__H_N_Z, which device AB has, wanted one device for a station= "
    assert {str(each) for each in damage} == {said + "(without station= each is a station of its own)"}
    assert [given(alone) for _ in range(REPLACED - 1)] == [0] * (REPLACED - 1)
    assert given(first) == 3  # not silent: the other one waits anew
    assert [given(alone) for _ in range(REPLACED)] == [0] * REPLACED
    assert [given(alone), given(first)] == [1, 0]
    assert [given(other) for _ in range(REPLACED)] == [0] * REPLACED
    assert given(other) == 3  # all its names at once


def test_ids_that_end_alike_are_told_to_take_a_station_each() -> None:
    decoder = FrameDecoder(is_bare=True)
    for device in (0x1_0000_00AB, 0x2_0000_00AB):
        decoder.feed(encode_frame(replace(frame(), device_id=device)))
    assert [decoder.next_packet() is None for _ in range(3)] == [False] * 3
    with pytest.raises(WireError, match=r"device 2000000AB: .* device 1000000AB has, wanted .* a URL .* station="):
        decoder.next_packet()


def test_two_axes_of_a_device_are_never_one_channel() -> None:
    one_by_one = [replace(frame(), samples=frame().samples[:, :1], channels=(each,)) for each in AXES]
    decoder, damage = FrameDecoder(Naming(station="HOME", channels=("HNZ",))), list[WireError]()
    found = packets_of(decoder, b"".join(stuffed_frame(each) for each in one_by_one), damage.append)
    assert [each.source_id for each in found] == ["FDSN:XX_HOME__H_N_Z"]
    assert [str(each) for each in damage] == [
        f"device A1B2C3D4E5F6: found the name FDSN:XX_HOME__H_N_Z for its axes Z and {axis}, "
        "wanted channels= with a code for each axis"
        for axis in "NE"
    ]


def test_an_axis_that_stands_twice_is_no_channel_twice() -> None:
    twice = replace(frame(), channels=(AXES[0], AXES[0], AXES[1]))
    assert decode_all(lambda: FrameDecoder(Naming()), [stuffed_frame(twice)]) == ([], 1)
    named = Naming(channels=("EHZ", "ENZ", "ENN"))
    packets, damaged = decode_all(lambda: FrameDecoder(named), [stuffed_frame(twice)])
    assert ([each.source_id[-5:] for each in packets], damaged) == (["E_H_Z", "E_N_Z", "E_N_N"], 0)


def test_flags_say_what_the_device_and_the_sequence_say() -> None:
    told = replace(frame(7), is_overrun=True, saturated=0b010, clock=ClockState.UNSET)
    order = [stuffed_frame(frame(5)), stuffed_frame(told), stuffed_frame(frame(6)), stuffed_frame(frame(6))]
    packets, _ = decode_all(FrameDecoder, order)
    gap = PacketFlag.SEQUENCE_GAP | PacketFlag.OVERRUN | PacketFlag.CLOCK_QUESTIONABLE
    assert [each.flags for each in packets[3:6]] == [gap, gap | PacketFlag.SATURATED, gap]
    assert [each.flags for each in packets[6::3]] == [PacketFlag.REORDERED, PacketFlag.DUPLICATE]


def test_sequence_numbers_wrap_and_restart() -> None:
    tracker = SequenceTracker(16)
    assert [tracker.next(n) for n in (65534, 65535, 0, 2)] == [0, 0, 0, PacketFlag.SEQUENCE_GAP]
    assert tracker.missing == 1
    assert tracker.next(1) == PacketFlag.REORDERED
    assert tracker.missing == 0
    assert tracker.next(40000) == PacketFlag.SEQUENCE_GAP
    assert tracker.restarts == 1


def test_a_device_that_starts_anew_is_no_duplicate() -> None:
    anew = [replace(frame(i), starttime_ns=frame(i + 20).starttime_ns) for i in range(2)]
    packets, _ = decode_all(FrameDecoder, [stuffed_frame(each) for each in (frame(0), frame(1), *anew, anew[0])])
    assert [each.flags for each in packets[6::3]] == [PacketFlag.SEQUENCE_GAP, PacketFlag.NONE, PacketFlag.DUPLICATE]
    tracker = SequenceTracker()
    assert [tracker.next(number, 10) for number in (7, 8, 8)] == [0, 0, PacketFlag.DUPLICATE]
    assert (tracker.next(8, 11), tracker.restarts, tracker.duplicates) == (PacketFlag.SEQUENCE_GAP, 1, 1)


@pytest.mark.parametrize("start_ns", [-(2**63), -2_208_988_800_000_000_001, 4_133_980_800_000_000_000, 2**63 - 1])
def test_a_time_that_spoils_recordings_is_damage(start_ns: int) -> None:
    decoder, damage = FrameDecoder(is_bare=True), list[WireError]()
    wire = encode_frame(replace(frame(), starttime_ns=start_ns))
    assert packets_of(decoder, wire, damage.append) == []
    assert "frame 0 of device A1B2C3D4E5F6: found a time " in str(damage[0])
    assert len(packets_of(decoder, encode_frame(replace(frame(), starttime_ns=-1)), damage.append)) == 3


def test_a_datagram_with_more_than_a_frame_may_have_is_damage() -> None:
    rest = encode_frame(frame())[:-4]
    long = rest[:20] + (3000).to_bytes(2, "little") + rest[22:76] + bytes(3000 * 3 * 2)
    with pytest.raises(WireError, match="found 18080 bytes, wanted 56 to 16384"):
        decode_frame(long + crc32c(long).to_bytes(4, "little"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": (AXES[0], AXES[1], replace(AXES[2], axis="e"))}, "found axis 0x65"),
        ({"rate": (100, 0)}, "rate of 100/0 Hz"),
        ({"rate": (1, 10_001)}, "rate of 1/10001 Hz"),
        ({"sample_bytes": 0}, "found 0 bytes per sample"),
    ],
)
def test_what_a_reader_drops_is_not_written(change: dict[str, object], message: str) -> None:
    with pytest.raises(WireError, match=message):
        encode_frame(replace(frame(), **change))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_an_endless_frame_is_one_damage_and_the_next_frame_is_found() -> None:
    noise = b"\1" * (3 * MAX_FRAME_BYTES)
    whole = decode_all(FrameDecoder, [noise + stuffed_frame(frame())])
    parts = decode_all(
        FrameDecoder, [noise[i : i + 1000] for i in range(0, len(noise), 1000)] + [stuffed_frame(frame())]
    )
    assert (len(whole[0]), whole[1]) == (len(parts[0]), parts[1]) == (3, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((0, b"XF"), "magic b'XF'"),
        ((2, b"\2"), "version 2"),
        ((60, b"\x99\x99"), "CRC"),
    ],
)
def test_damage_names_what_is_wrong(change: tuple[int, bytes], message: str) -> None:
    wire = bytearray(encode_frame(frame()))
    wire[change[0] : change[0] + len(change[1])] = change[1]
    with pytest.raises(WireError, match=message):
        decode_frame(bytes(wire))


def test_what_does_not_fit_is_refused() -> None:
    wide = Frame(1, 0, 0, (100, 1), np.full((1, 1), 40000, np.int32), (Channel("Z"),), 2)
    with pytest.raises(WireError, match="beyond 16 bits"):
        encode_frame(wide)
    with pytest.raises(WireError, match="does not fit its field"):
        encode_frame(Frame(-1, 0, 0, (100, 1), np.zeros((1, 1), np.int16), (Channel("Z"),)))
    with pytest.raises(WireError, match="as configured"):
        decode_frames_as(Naming(channels=("HNZ",)))


def decode_frames_as(naming: Naming) -> None:
    decoder = FrameDecoder(naming)
    decoder.feed(stuffed_frame(frame()))
    decoder.next_packet()


PAGE = Path(__file__).resolve().parents[2] / "docs" / "frame.md"


def test_the_worked_example_of_the_page() -> None:
    """docs/frame.md is what authors of firmware compare their bytes with."""
    blocks = PAGE.read_text(encoding="utf-8").partition("## A worked example")[2].split("```")
    bare = bytes.fromhex("".join(line.partition("   ")[0] for line in blocks[1].splitlines()))
    about = tuple(
        Channel(axis, Unit.METRE_PER_SECOND_SQUARED, 0.0005, offset) for axis, offset in (("Z", 0), ("N", -12))
    )
    samples = np.array([[16384, -3], [16390, 0]], np.int16)
    sent = Frame(0xA8032A001122, 7, 1_600_000_000_250_000_000, (100, 1), samples, about, saturated=1)
    sent = replace(sent, clock=ClockState.SATELLITE, clock_error_log2_ns=17)
    assert encode_frame(sent) == bare
    assert stuffed_frame(sent) == bytes.fromhex(blocks[3])
    assert f"Overhead: {len(stuffed_frame(sent)) - len(bare)} bytes and 1 in 254" in PAGE.read_text(encoding="utf-8")
    packets, damaged = decode_all(FrameDecoder, [stuffed_frame(sent)])
    assert (damaged, [each.source_id for each in packets]) == (
        0,
        ["FDSN:XX_2A001122__H_N_Z", "FDSN:XX_2A001122__H_N_N"],
    )
    assert [each.flags for each in packets] == [PacketFlag.SATURATED, PacketFlag.NONE]

"""OpenEEW and Grillo: the three forms, the int16 set of the same records, times, damage."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from shared_data import SHARED, needs_shared
from wire_laws import assert_any_portions_give_the_same, decode_all

from seisedge.firmware_bridge import Packet, WireError, packets_of
from seisedge.firmware_bridge.grillo import grillo_decoder
from seisedge.firmware_bridge.naming import Naming
from seisedge.firmware_bridge.openeew import COUNTS_PER_GAL, OpenEewDecoder, encode_openeew

Array = npt.NDArray[np.float64]
MEMS = SHARED / "mems"
LAST = 1_518_824_101.12


def archive(number: int, npts: int = 32) -> dict[str, object]:
    rng = np.random.default_rng(number)
    axes = {axis: [round(float(v), 3) for v in rng.normal(0, 1, npts)] for axis in "xyz"}
    last = LAST + number * npts / 31.25
    return {"country_code": "mx", "device_id": "000", **axes, "device_t": last, "cloud_t": last - 0.4, "sr": 31.25}


def firmware(number: int, npts: int = 32) -> dict[str, object]:
    old = archive(number, npts)
    about = {"user": "public", "network": "n", "station": "s"}
    return {"device_id": "000", "sr": 31.25, **about, "device_t": old["device_t"], "traces": {a: old[a] for a in "xyz"}}


def older(number: int, npts: int = 32) -> dict[str, object]:
    old = archive(number, npts)
    trace = {"t": old["device_t"], "sr": 31.25, **{axis: old[axis] for axis in "xyz"}}
    return {"device_id": "000", "cloud_t": old["cloud_t"], "traces": [trace]}


def wires(form: object = archive, count: int = 4, npts: int = 32) -> list[bytes]:
    assert callable(form)
    return [json.dumps(form(i, npts)).encode() + b"\n" for i in range(count)]


@pytest.mark.parametrize("form", [archive, firmware, older])
def test_each_form_is_told_by_its_keys(form: object) -> None:
    found, damaged = decode_all(OpenEewDecoder, wires(form))
    assert (len(found), damaged) == (12, 0)
    assert [each.source_id for each in found[:3]] == [f"FDSN:XX_000__B_N_{axis}" for axis in "Z12"]
    x = archive(0)["x"]
    assert isinstance(x, list)
    np.testing.assert_array_equal(found[0].samples, np.rint(np.array(x) * COUNTS_PER_GAL))
    assert found[0].samples.dtype == np.int32
    assert abs(found[0].time_of(31) - LAST * 1e9) < 1000  # the stamp is that of the last sample


def test_one_g_is_260000_counts() -> None:
    told = {**archive(0, 2), "x": [980.665, -980.665]}
    found, _ = decode_all(OpenEewDecoder, [json.dumps(told).encode()])
    assert found[0].samples.tolist() == [260_000, -260_000]


def test_the_vertical_axis_is_configured() -> None:
    found, _ = decode_all(lambda: OpenEewDecoder(Naming(channels=("HNZ", "HN1", "HN2")), vertical="z"), wires(count=1))
    upright, _ = decode_all(OpenEewDecoder, wires(count=1))
    assert found[0].source_id == "FDSN:XX_000__H_N_Z"
    for place, other in ((0, 2), (1, 0), (2, 1)):
        np.testing.assert_array_equal(found[place].samples, upright[other].samples)
    with pytest.raises(ValueError, match="wanted x, y or z"):
        OpenEewDecoder(vertical="up")


def test_two_devices_are_never_one_station() -> None:
    decoder, damage = OpenEewDecoder(Naming(station="HOME"), is_message=True), list[WireError]()
    sent = [json.dumps({**archive(0, 2), "device_id": each}).encode() for each in ("a1", "b2", "a1")]
    assert [len(packets_of(decoder, each, damage.append)) for each in sent] == [3, 0, 3]
    assert [str(each).partition(", wanted")[0] for each in damage] == [
        "device b2: found the name FDSN:XX_HOME__B_N_Z, which device a1 has"
    ]


def test_counts_come_back_from_rounded_gal() -> None:
    counts = np.arange(-(2**15), 2**15, 7, dtype=np.int32)[:4096]
    rows = tuple(Packet(f"FDSN:XX_000__B_N_{a}", 10**18, 31.25, np.roll(counts, i)) for i, a in enumerate("Z12"))
    assert len(rows) == 3
    sent = (rows[0], rows[1], rows[2])
    wire = encode_openeew("000", sent)
    found, damaged = decode_all(lambda: OpenEewDecoder(is_message=True), [wire])
    assert damaged == 0 or len(wire) > 1 << 14
    short = tuple(each.cut(0, 200) for each in sent)
    found, damaged = decode_all(
        lambda: OpenEewDecoder(is_message=True), [encode_openeew("000", (short[0], short[1], short[2]))]
    )
    assert damaged == 0
    for a, b in zip(found, short, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
        assert abs(a.starttime_ns - b.starttime_ns) < 1000


@needs_shared
def test_the_archive_is_the_int16_set_within_one_count() -> None:
    with np.load(MEMS / "openeew_int16.npz", allow_pickle=False) as file:
        names = list(file["id"])
        samples, start, npts = file["samples"], file["start"], file["n"]
    compared = 0
    for folder in sorted((MEMS / "openeew_jsonl").glob("*/*")):
        record = f"{folder.parent.name}/{folder.name}"
        if record not in names:
            continue
        at = names.index(record)
        wanted = samples[start[at] : start[at] + 3 * npts[at]].reshape(3, -1).astype(np.float64)
        found, damaged = decode_all(OpenEewDecoder, [each.read_bytes() for each in sorted(folder.iterdir())])
        assert damaged == 0
        rows = [np.concatenate([p.samples for p in found[i::3]]).astype(np.float64) for i in range(3)]
        shift = _place_of(wanted[0][:64], rows[0])
        if shift is None:
            continue
        for row, want in zip(rows, wanted, strict=True):
            common = min(want.size, row.size - shift, 2000)
            assert np.abs(row[shift : shift + common] - want[:common]).max() <= 1
            compared += common
    assert compared > 50_000


def _place_of(head: Array, row: Array) -> int | None:
    for place in range(0, row.size - head.size, 32):
        if np.abs(row[place : place + head.size] - head).max() <= 1:
            return place
    return None


@needs_shared
def test_grillo_packets_follow_each_other_at_the_rate_that_they_have() -> None:
    """The sensor says 125 Hz; its own stamps say 126.2, and three steps of its clock are in the file."""
    found, damaged = decode_all(grillo_decoder, [Path(MEMS / "grillo_125hz_20200604.json").read_bytes()])
    assert (len(found), damaged) == (3 * 1440, 0)
    late = found[300 * 3 : 400 * 3 : 3]
    assert {each.sampling_rate for each in late} <= {126.2, 126.3}
    off = [b.starttime_ns - a.time_of(a.samples.size) for a, b in pairwise(late)]
    assert max(map(abs, off)) < 4_000_000  # half a sample: joined without a gap


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sr": 0}, "found sr 0"),
        ({"sr": "31"}, "wanted a number"),
        ({"device_t": -1}, "wanted seconds"),
        ({"x": [1]}, "as many"),
        ({"x": []}, "no list"),
        ({"x": [True] * 32}, "no numbers"),
        ({"x": [1e9] * 32}, "beyond"),
        ({"device_id": 7}, "a name"),
        ({"device_id": "a\nb"}, "a name"),
        ({"device_id": "\ud800ab"}, "a name"),
        ({"sr": 10**400}, "wanted a number"),
        ({"device_t": -(10**400)}, "wanted a number"),
        ({"x": [1e308] * 32}, "beyond"),
        ({"x": [10**400] * 32}, "beyond"),
        ({"traces": [3]}, "an object"),
        ({"device_id": "é"}, "letters or digits"),
    ],
)
def test_what_makes_no_sense_is_damage(change: dict[str, object], message: str) -> None:
    decoder = OpenEewDecoder()
    decoder.feed(json.dumps({**archive(0), **change}).encode())
    with pytest.raises(ValueError, match=message):
        decoder.next_packet()


@pytest.mark.parametrize("form", [archive, firmware, older])
def test_a_message_cut_at_2000_bytes_is_one_damage(form: object) -> None:
    good = wires(form, 3, 90)
    assert len(good[0]) > 2000
    found, damaged = decode_all(
        lambda: OpenEewDecoder(is_message=True), [good[0][:2000], good[1], good[2][:700], good[2]]
    )
    assert (len(found), damaged) == (6, 2)


@pytest.mark.parametrize("form", [archive, firmware, older])
@pytest.mark.parametrize("kept", [1, 30, 150, 400])
def test_the_object_behind_a_cut_one_is_found_in_a_stream(form: object, kept: int) -> None:
    good = wires(form, 60, 16)
    found, damaged = decode_all(OpenEewDecoder, [good[0][:kept], *good[1:]])
    assert len(found) == 59 * 3
    assert damaged == 1


def test_quotes_and_brackets_inside_a_string_are_no_borders() -> None:
    named = [{**archive(number), "country_code": '{"}\\' * 3} for number in range(3)]
    stream = b"".join(json.dumps(each).encode() for each in named)
    assert len(assert_any_portions_give_the_same(OpenEewDecoder, stream)) == 9
    assert decode_all(OpenEewDecoder, [stream])[1] == 0


def test_any_portions_give_the_same() -> None:
    for form in (archive, older):
        stream = b"rubbish" + b"".join(wires(form, 3, 8)) + b'{"device_id": "no'
        assert len(assert_any_portions_give_the_same(OpenEewDecoder, stream, b"bod")) == 9

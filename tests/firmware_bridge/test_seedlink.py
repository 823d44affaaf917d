"""SeedLink transcripts of versions 3 and 4; any portions give the same events, damage a `WireError`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Literal

import link_laws
import numpy as np
import packets
import pytest
from packets import packet
from wire_fuzz import mutate, seeded

from seisedge.firmware_bridge import (
    Packet,
    SeedLinkClient,
    SeedLinkPacket,
    StationRequest,
    UserPassword,
    WebToken,
    WireError,
    decode_record,
)
from seisedge.firmware_bridge.seedlink_events import EndOfStream, Event, Hello, InfoReply, Refused, Streaming
from seisedge.firmware_bridge.seedlink_requests import selector_3, selector_4

COUNTS = np.random.default_rng(7).integers(-9999, 9999, 600).astype(np.int32)
RECORDS = packets.records(packet(COUNTS))
RECORDS_3 = packets.records(packet(COUNTS[:400]), version=3, length=1024)
HELLO_3 = b"SeedLink v3.1 (2020.075) :: SLPROTO:3.1 CAP EXTREPLY NSWILDCARD WS:13\r\nIRIS DMC\r\n"
HELLO_BATCH = b"SeedLink v3.1 (2020.075) :: SLPROTO:3.1 CAP EXTREPLY NSWILDCARD BATCH WS:13\r\nIRIS DMC\r\n"
HELLO_4 = b"SeedLink v4.0 (RingServer/4.0) :: SLPROTO:4.0 SLPROTO:3.1 CAP EXTREPLY\r\nGFZ\r\n"
OK, ERROR = b"OK\r\n", b"ERROR\r\n"


def packet_3(sequence: int, record: bytes) -> bytes:
    return b"SL%06X" % sequence + record


def packet_4(sequence: int, payload: bytes, *, kind: bytes = b"2D", station: bytes = b"XX_TEST") -> bytes:
    return b"SE" + kind + struct.pack("<IQB", len(payload), sequence, len(station)) + station + payload


def info_3(text: bytes, *, last: bool, channel: bytes = b"INF") -> bytes:
    """A SeedLink 3 INFO packet as ringserver builds it (`ringserver:src/slclient.c`)."""
    head = (
        b"000001D INFO   "
        + channel
        + b"XX"
        + struct.pack(">HHBBBBHHhhBBBBiHH", 2024, 60, 0, 0, 0, 0, 0, len(text), 0, 0, 0, 0, 0, 1, 0, 56, 48)
    )
    blockette = struct.pack(">HHBBBB", 1000, 0, 0, 1, 9, 0)
    return b"SLINFO " + (b" " if last else b"*") + (head + blockette + text).ljust(512, b"\0")


class Reader:
    """A client as the laws want it, that keeps what it sends."""

    def __init__(self, client: SeedLinkClient) -> None:
        self.client, self.sent = client, client.bytes_to_send()

    def feed(self, data: bytes) -> None:
        self.client.receive(data)

    def take(self) -> Event | None:
        event = self.client.next_event()
        self.sent += self.client.bytes_to_send()
        return event

    def end(self) -> None:
        pass

    @property
    def lines(self) -> list[str]:
        return self.sent.decode().replace("\r", "").splitlines()


def talk(client: SeedLinkClient, answers: Sequence[bytes]) -> tuple[list[Event], list[str]]:
    """All events of a dialogue, and the commands."""
    reader = Reader(client)
    events: list[Event]
    events, damage = link_laws.everything(reader, list(answers))
    assert not damage
    return events, reader.lines


def test_version_3_negotiates_station_by_station_and_streams() -> None:
    client = SeedLinkClient(
        [StationRequest("XX_TEST", ("HH?", "!HHN")), StationRequest("GE_APE", ("00BHZ",), after=0xFFFFFF)]
    )
    answers = [HELLO_3, *[OK] * 8, packet_3(0x1A, RECORDS[0]), packet_3(0x1B, RECORDS_3[0])]
    events, lines = talk(client, answers)
    assert lines == [
        "HELLO",
        "CAPABILITIES EXTREPLY",
        *("STATION TEST XX", "SELECT HH?", "SELECT !HHN", "DATA"),
        *("STATION APE GE", "SELECT 00BHZ", "DATA 000000"),  # 24 bits wrap
        "END",
    ]
    assert events == [
        Hello("SeedLink v3.1 (2020.075)", "IRIS DMC", ("SLPROTO:3.1", "CAP", "EXTREPLY", "NSWILDCARD", "WS:13"), 3),
        Streaming(2),
        SeedLinkPacket(0x1A, "XX_TEST", "2", "D", RECORDS[0]),
        SeedLinkPacket(0x1B, "XX_TEST", "3", "D", RECORDS_3[0]),
    ]


def test_batch_mode_sends_everything_at_once() -> None:
    client = SeedLinkClient([StationRequest("XX_A"), StationRequest("XX_B", starttime="2024-02-29T12:00:00Z")])
    _, lines = talk(client, [HELLO_BATCH, OK, OK])
    assert lines[2:] == [
        "BATCH",
        *("STATION A XX", "DATA", "STATION B XX", "TIME 2024,2,29,12,0,0", "END"),
    ]


def test_version_4_negotiates_and_streams_records_of_any_length() -> None:
    client = SeedLinkClient([StationRequest("XX_TEST", ("HH?", "00_B_H_Z.3", "!LHZ"), after=1 << 40)])
    long = packets.records(packet(COUNTS), length=4096)[0]
    answers = [HELLO_4, *[OK] * 7, packet_4(2**63, long), packet_4(2**63 + 1, RECORDS_3[0], kind=b"3D")]
    events, lines = talk(client, answers)
    assert lines == [
        "HELLO",
        "SLPROTO 4.0",
        "USERAGENT seisedge",
        *("STATION XX_TEST", "SELECT *_H_H_?", "SELECT 00_B_H_Z.3", "SELECT !*_L_H_Z", "DATA 1099511627777"),
        "END",
    ]
    assert events[1:] == [
        Streaming(1),
        SeedLinkPacket(2**63, "XX_TEST", "2", "D", long),
        SeedLinkPacket(2**63 + 1, "XX_TEST", "3", "D", RECORDS_3[0]),
    ]
    assert decode_record(long).samples.tolist() == COUNTS.tolist()


def test_times_and_fetch_of_version_4() -> None:
    request = StationRequest("XX_*", starttime="2024-01-01T00:00:00Z", endtime="2024-01-02T00:00:00Z")
    events, lines = talk(
        SeedLinkClient([request], fetch=True), [HELLO_4, *[OK] * 4, packet_4(1, RECORDS[0]), b"END\r\n"]
    )
    assert lines[-2:] == ["DATA ALL 2024-01-01T00:00:00Z 2024-01-02T00:00:00Z", "ENDFETCH"]
    assert isinstance(events[-1], EndOfStream)


def test_fetch_of_version_3_ends_with_the_servers_end() -> None:
    client = SeedLinkClient([StationRequest("XX_TEST", after=16)], version=3, fetch=True)
    events, lines = talk(client, [HELLO_4, *[OK] * 3, packet_3(17, RECORDS[0]), b"END"])
    assert lines[-2:] == ["FETCH 000011", "END"]
    assert isinstance(events[-1], EndOfStream)
    assert client.next_event() is None


def test_a_server_without_wildcards_is_asked_for_its_only_station() -> None:
    hello = b"SeedLink v3.1 Raspberry Shake\r\nAM\r\n"
    events, lines = talk(SeedLinkClient(), [hello, packet_3(1, RECORDS[0])])
    assert lines == ["HELLO", "DATA"]
    assert [type(each) for each in events] == [Hello, Streaming, SeedLinkPacket]


@pytest.mark.parametrize(
    ("credentials", "wanted"),
    [(UserPassword("me", "secret"), "AUTH USERPASS me secret"), (WebToken("a.b.c"), "AUTH JWT a.b.c")],
)
def test_credentials_are_sent_in_version_4_and_shown_nowhere(credentials: UserPassword | WebToken, wanted: str) -> None:
    client = SeedLinkClient(credentials=credentials)
    events, lines = talk(client, [HELLO_4, OK, OK, b"ERROR AUTH no such user\r\n"])
    assert lines[-1] == wanted
    assert events[1:] == [Refused("AUTH", "AUTH no such user", is_final=True)]
    assert "secret" not in repr(credentials)
    assert "a.b.c" not in repr(credentials)


def test_credentials_and_a_forced_version_that_the_server_lacks_are_refused() -> None:
    events, _ = talk(SeedLinkClient(credentials=WebToken("x")), [HELLO_3])
    assert isinstance(events[-1], Refused)
    assert "no authentication" in events[-1].message
    events, _ = talk(SeedLinkClient(version=4), [HELLO_3])
    assert events[-1] == Refused("HELLO", "the server speaks SeedLink 3 only, wanted version 4", is_final=True)
    events, _ = talk(SeedLinkClient(), [b"220 mail.example.org ESMTP\r\nready\r\n"])
    assert isinstance(events[-1], Refused)
    assert events[-1].is_final


def test_a_refused_station_is_left_out_and_told_in_the_servers_words() -> None:
    client = SeedLinkClient([StationRequest("XX_NONE", ("HHZ",)), StationRequest("XX_TEST")])
    events, lines = talk(client, [HELLO_3, OK, b"ERROR\rARGUMENTS unknown station\r\n", OK, OK])
    assert lines[2:] == ["STATION NONE XX", "STATION TEST XX", "DATA", "END"]
    assert events[1:] == [Refused("STATION NONE XX", "ARGUMENTS unknown station", is_final=False), Streaming(1)]


def test_nothing_accepted_is_final() -> None:
    events, lines = talk(SeedLinkClient([StationRequest("XX_NONE")]), [HELLO_3, OK, ERROR])
    assert lines[-1] == "STATION NONE XX"
    assert [type(each) for each in events] == [Hello, Refused, Refused]
    assert isinstance(events[-1], Refused)
    assert events[-1].is_final


def test_info_of_version_3_is_put_together() -> None:
    client = SeedLinkClient(info=["STREAMS"], streams=False)
    answers = [HELLO_3, OK, info_3(b"<seedlink><station ", last=False), info_3(b'name="A"/></seedlink>', last=True)]
    events, lines = talk(client, answers)
    assert lines[-1] == "INFO STREAMS"
    assert events[-1] == InfoReply("STREAMS", b'<seedlink><station name="A"/></seedlink>', is_error=False)


def test_info_of_version_4_is_json_and_errors_are_told() -> None:
    answers = [HELLO_4, OK, OK, packet_4(0, b'{"software":"x"}', kind=b"JI", station=b"")]
    answers += [packet_4(0, b'{"error":{}}', kind=b"JE", station=b""), b"ERROR UNAUTHORIZED no\r\n"]
    client = SeedLinkClient(info=["ID", "CONNECTIONS", "STREAMS"], streams=False)
    events, _ = talk(client, answers)
    assert events[1:] == [
        InfoReply("ID", b'{"software":"x"}', is_error=False),
        InfoReply("CONNECTIONS", b'{"error":{}}', is_error=True),
        Refused("INFO STREAMS", "UNAUTHORIZED no", is_final=False),
    ]


def test_keep_alive_and_farewell_between_packets() -> None:
    client = SeedLinkClient([StationRequest("XX_TEST")])
    reader = Reader(client)
    link_laws.everything(reader, [HELLO_3, OK, OK, OK])
    client.ask("ID")
    events, _ = link_laws.everything(
        reader, [packet_3(1, RECORDS[0]), info_3(b"<a/>", last=True), packet_3(2, RECORDS[1])]
    )
    client.bye()
    assert [type(each) for each in events] == [SeedLinkPacket, InfoReply, SeedLinkPacket]
    assert reader.lines[-1] == "INFO ID"
    assert client.bytes_to_send() == b"BYE\r\n"


def streaming(version: Literal[3, 4]) -> SeedLinkClient:
    stations, negotiation, _ = DIALOGUES[version]
    client = SeedLinkClient(stations)
    link_laws.everything(Reader(client), [negotiation])
    return client


def test_a_size_that_is_not_the_records_is_told_before_it_is_waited_for() -> None:
    client = streaming(4)
    damaged = bytearray(packet_4(1, RECORDS[0]))
    damaged[4:8] = struct.pack("<I", 900_000)
    client.receive(bytes(damaged))
    with pytest.raises(WireError, match="found a payload of 900000 bytes, wanted the record's 512"):
        client.next_event()
    client.receive(packet_4(2, RECORDS[1]))
    event = client.next_event()
    assert isinstance(event, SeedLinkPacket)
    assert event.sequence == 2


@pytest.mark.parametrize(("kind", "most"), [(b"2D", 1 << 20), (b"3D", 1 << 20), (b"JI", 32 << 20)])
def test_a_size_beyond_its_kind_is_damage(kind: bytes, most: int) -> None:
    client = streaming(4)
    client.receive(b"SE" + kind + struct.pack("<IQB", most + 1, 1, 0))
    with pytest.raises(WireError, match=f"wanted at most {most}"):
        client.next_event()


def test_an_answer_to_info_without_an_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seisedge.firmware_bridge.seedlink.MAX_INFO", 1000)
    client = streaming(3)
    client.ask("STREAMS")
    for _ in range(3):
        client.receive(info_3(b"x" * 400, last=False))
    with pytest.raises(WireError, match="more than 1000 bytes"):
        client.next_event()


@pytest.mark.parametrize("version", [2, 3])
def test_a_station_of_five_letters_is_named_by_its_record(version: int) -> None:
    (record,) = packets.records(Packet("FDSN:GE_ABCDE__B_H_Z", packets.START_NS, 20.0, COUNTS[:50]), version=version)
    client = streaming(3)
    client.receive(packet_3(1, record))
    event = client.next_event()
    assert isinstance(event, SeedLinkPacket)
    assert event.station_id == "GE_ABCDE"


def test_an_error_in_the_stream_is_final() -> None:
    events, _ = talk(SeedLinkClient([StationRequest("XX_TEST")]), [HELLO_3, OK, OK, OK, b"ERROR\r\n"])
    assert events[-1] == Refused("the stream", "ERROR without a reason", is_final=True)


SELECTORS = {
    "HHZ": ("HHZ", "*_H_H_Z"),
    "00HH?": ("00HH?", "00_H_H_?"),
    "--BHZ": ("--BHZ", "_B_H_Z"),
    "!LH?": ("!LH?", "!*_L_H_?"),
    "00_H_H_Z": ("00HHZ", "00_H_H_Z"),
    "*_H_H_?": ("HH?", "*_H_H_?"),
    "HHZ.D": ("HHZ.D", "*_H_H_Z.D"),
    "*": ("???", "*"),
}


@pytest.mark.parametrize("text", SELECTORS)
def test_selectors_have_a_form_for_each_version(text: str) -> None:
    assert (selector_3(text), selector_4(text)) == SELECTORS[text]


@pytest.mark.parametrize("station", ["APE", "GE.APE", "GE_APE\r\nBYE", "GE_", ""])
def test_station_names_cannot_smuggle_commands(station: str) -> None:
    with pytest.raises(WireError, match="wanted NET_STA"):
        StationRequest(station)


def test_selectors_and_times_cannot_either() -> None:
    with pytest.raises(WireError, match="wanted a channel"):
        StationRequest("XX_A", ("HHZ\r\nBYE",))
    with pytest.raises(WireError, match="wanted one such as"):
        StationRequest("XX_A", starttime="now\r\nBYE")


DIALOGUES: dict[int, tuple[list[StationRequest], bytes, list[bytes]]] = {
    3: (
        [StationRequest("XX_TEST", ("HH?",))],
        HELLO_3 + OK * 4,
        [packet_3(number, each) for number, each in enumerate(RECORDS * 3)],
    ),
    4: (
        [StationRequest("XX_TEST")],
        HELLO_4 + OK * 4,
        [packet_4(number, each) for number, each in enumerate(RECORDS * 3)],
    ),
}


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("kind", ["whole", "byte by byte", "random"])
def test_any_portions_give_the_same_dialogue(kind: str, version: int) -> None:
    stations, negotiation, stream = DIALOGUES[version]
    whole = negotiation + b"".join(stream)
    wanted, _ = link_laws.everything(Reader(SeedLinkClient(stations)), [whole])
    assert sum(isinstance(each, SeedLinkPacket) for each in wanted) == len(stream)
    reader = Reader(SeedLinkClient(stations))
    found, damage = link_laws.everything(reader, link_laws.feeds(whole, np.random.default_rng(version))[kind])
    assert (found, damage) == (wanted, [])
    assert reader.lines[-1] == "END"


@pytest.mark.parametrize("version", [3, 4])
def test_damaged_negotiations_give_events_or_a_wire_error(version: int) -> None:
    stations, negotiation, stream = DIALOGUES[version]
    chance = seeded(version)
    for _ in range(2500):
        damaged = mutate(chance, negotiation + stream[0])
        link_laws.everything(Reader(SeedLinkClient(stations, info=["ID"])), [damaged])


def test_a_server_that_never_ends_its_line_is_bounded() -> None:
    client = SeedLinkClient()
    damage = 0
    for _ in range(100):
        client.receive(b"x" * 1000)
        try:
            assert client.next_event() is None
        except WireError:
            damage += 1
    assert damage == 1
    assert len(client._buffer) < 8192  # pyright: ignore[reportPrivateUsage] - no other place shows it

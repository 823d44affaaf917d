"""DataLink frames, byte by byte from the protocol's description; any portions the same, damage a `WireError`."""

from __future__ import annotations

import link_laws
import numpy as np
import pytest

from seisedge.firmware_bridge import DataLinkClient, DataLinkPacket, WireError
from seisedge.firmware_bridge.datalink import Event, Info, Reply, ServerId, StreamEnded


def frame(header: str, data: bytes = b"") -> bytes:
    return b"DL" + bytes([len(header)]) + header.encode() + data


TRANSCRIPT = [
    (frame("ID DataLink 2024 :: DLPROTO:1.0 WRITE"), ServerId("DataLink 2024 :: DLPROTO:1.0 WRITE")),
    (
        frame("OK 3 26", b"3 streams selected after m"),
        Reply("MATCH", is_ok=True, value=3, message="3 streams selected after m"),
    ),
    (frame("OK 0 0"), Reply("REJECT", is_ok=True, value=0, message="")),
    (frame("ERROR 0 16", b"Packet not found"), Reply("POSITION", is_ok=False, value=0, message="Packet not found")),
    (
        frame("PACKET XX_TEST_00_HHZ/MSEED 42 1600000001000001 1600000000000000 1600000000990000 6", b"record"),
        DataLinkPacket(
            "XX_TEST_00_HHZ/MSEED",
            42,
            1_600_000_001_000_001_000,
            1_600_000_000_000_000_000,
            1_600_000_000_990_000_000,
            b"record",
        ),
    ),
    (frame("INFO STREAMS 11", b"<DataLink/>"), Info("STREAMS", b"<DataLink/>")),
    (frame("ENDSTREAM"), StreamEnded()),
    (frame("OK 43 0"), Reply("WRITE", is_ok=True, value=43, message="")),
]


class Reader:
    """A client as the laws want it, that has asked what the transcript answers."""

    def __init__(self) -> None:
        self.client = DataLinkClient()
        self.client.match("a")
        self.client.reject("b")
        self.client.position_set(41)
        self.client.write("XX/JSON", 0, 0, b"{}")

    def feed(self, data: bytes) -> None:
        self.client.receive(data)

    def take(self) -> Event | None:
        return self.client.next_event()

    def end(self) -> None:
        pass


def test_commands_are_framed_as_the_protocol_says() -> None:
    client = DataLinkClient()
    client.identify("seisedge", "me", 7, "linux")
    client.authorize("a.b.c")
    client.match("XX_.*")
    client.position_set(42, 1_600_000_000_000_001_000)
    client.position_set("EARLIEST")
    client.position_after(1_600_000_000_000_001_999)
    client.read(42)
    client.stream()
    client.end_stream()
    client.info("STREAMS", "XX_.*")
    client.write("XX_TEST/JSON", 1_000_000, 2_000_000, b"{}")
    client.write("XX_TEST/JSON", 1_000_000, 2_000_000, b"{}", acknowledge=False)
    assert client.bytes_to_send() == b"".join(
        [
            frame("ID seisedge:me:7:linux"),
            frame("AUTHORIZATION 5", b"a.b.c"),
            frame("MATCH 5", b"XX_.*"),
            frame("POSITION SET 42 1600000000000001"),
            frame("POSITION SET EARLIEST"),
            frame("POSITION AFTER 1600000000000001"),
            frame("READ 42"),
            frame("STREAM"),
            frame("ENDSTREAM"),
            frame("INFO STREAMS XX_.*"),
            frame("WRITE XX_TEST/JSON 1000 2000 A 2", b"{}"),
            frame("WRITE XX_TEST/JSON 1000 2000 N 2", b"{}"),
        ]
    )
    assert client.bytes_to_send() == b""


@pytest.mark.parametrize("kind", ["whole", "byte by byte", "random"])
def test_any_portions_give_the_transcript(kind: str) -> None:
    whole = b"".join(data for data, _ in TRANSCRIPT)
    found, damage = link_laws.everything(Reader(), link_laws.feeds(whole, np.random.default_rng(3))[kind])
    assert (found, damage) == ([event for _, event in TRANSCRIPT], [])


def test_trailing_bytes_stay() -> None:
    (first, wanted), (following, _) = TRANSCRIPT[4], TRANSCRIPT[5]
    client = DataLinkClient()
    client.receive(first + following[:4])
    assert client.next_event() == wanted
    assert client.next_event() is None
    client.receive(following[4:])
    assert client.next_event() == TRANSCRIPT[5][1]


def test_names_the_kind_of_a_packets_payload() -> None:
    event = TRANSCRIPT[4][1]
    assert isinstance(event, DataLinkPacket)
    assert event.kind == "MSEED"


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"HTTP/1.1 400", "wanted DL"),
        (frame("NONSENSE 1 2"), "wanted one of"),
        (frame("OK 0 99999999999"), "wanted at most"),
        (frame("OK 0 many"), "wanted a whole number"),
        (frame("PACKET XX 1 2 0"), "wanted PACKET and six values"),
    ],
)
def test_what_is_no_frame_is_a_wire_error_and_the_next_frame_comes(data: bytes, wanted: str) -> None:
    client = DataLinkClient()
    client.receive(data + TRANSCRIPT[0][0])
    with pytest.raises(WireError, match=wanted):
        client.next_event()
    found, _ = [], 0
    while True:
        try:
            event = client.next_event()
        except WireError:
            continue
        if event is None:
            break
        found.append(event)
    assert found[-1] == TRANSCRIPT[0][1]


def test_commands_that_cannot_be_sent_are_refused() -> None:
    client = DataLinkClient()
    with pytest.raises(WireError, match="without spaces"):
        client.write("XX TEST/JSON", 0, 0, b"")
    with pytest.raises(WireError, match="printable"):
        client.info("STREAMS", "x" * 300)
    assert client.bytes_to_send() == b""

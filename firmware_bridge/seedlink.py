"""A SeedLink client without a socket, versions 3 and 4: bytes in, events out, bytes to send.

    HELLO ─▶ CAPABILITIES, BATCH | SLPROTO, USERAGENT, AUTH ─▶ INFO … ─▶ STATION, SELECT, DATA … ─▶ END ─▶ packets

Commands wait for their answers one after the other, except in BATCH mode, where the server gives none. The caller owns
the connection and the clock: it sends `bytes_to_send()` after each call, and asks for `INFO ID` where it has heard
nothing for long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

from .errors import WireError
from .seedlink_events import EndOfStream, Event, Hello, InfoReply, Refused, Streaming, Version
from .seedlink_frames import MAX_INFO, InfoPart, SeedLinkPacket, ServerLine, take_frame, take_line
from .seedlink_requests import ALL_STATIONS, Credentials, StationRequest, commands_3, commands_4


@dataclass(slots=True)
class _Command:
    text: str
    station: int | None = None
    shown: str = field(default="")

    @property
    def word(self) -> str:
        return self.text.split(" ", 1)[0]


@final
class SeedLinkClient:
    """One connection's state.

    Parameters
    ----------
    stations
        What to ask for; empty for everything that the server has.
    info
        Items to ask for before the data, such as `ID`, `STATIONS` or `STREAMS`.
    version
        3 or 4 to insist on it; None for the newest that the server has.
    counted
        In which version the numbers of `stations` were heard; a server of the other one is not asked by them. None for
        the version that will be spoken.
    credentials
        For AUTH, which exists in version 4 only.
    fetch
        Ask for what the server has and then the end, instead of a stream that goes on.
    streams
        False to ask for `info` only.
    """

    def __init__(  # noqa: PLR0913 - a connection has that many choices
        self,
        stations: Sequence[StationRequest] = (),
        *,
        info: Sequence[str] = (),
        version: Version | None = None,
        counted: Version | None = None,
        credentials: Credentials | None = None,
        fetch: bool = False,
        streams: bool = True,
        agent: str = "seisedge",
    ) -> None:
        self._stations, self._info, self._wanted = tuple(stations), tuple(info), version
        self._credentials, self._fetch, self._streams, self._agent = credentials, fetch, streams, agent
        self._version: Version = version or 3
        self._counted = counted
        self._buffer, self._out = bytearray(), bytearray(b"HELLO\r\n")
        self._events: deque[Event] = deque()
        self._hello: list[str] = []
        self._commands: deque[_Command] = deque()
        self._awaited: _Command | None = None
        self._batch = self._streaming = self._final = self._is_damaged = False
        self._asked: deque[str] = deque()
        self._parts = bytearray()
        self._accepted = 0

    @property
    def version(self) -> Version:
        """The version that is spoken; known once `Hello` has come."""
        return self._version

    @property
    def is_streaming(self) -> bool:
        """Whether the negotiation is over."""
        return self._streaming

    def bytes_to_send(self) -> bytes:
        """Take what must be sent now."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def ask(self, item: str) -> None:
        """Ask for INFO while packets come, such as `ID` to keep the connection alive."""
        self._asked.append(item)
        self._send(f"INFO {item}")

    def bye(self) -> None:
        """Say that no more is wanted; the server closes the connection."""
        self._send("BYE")

    def receive(self, data: bytes | memoryview) -> None:
        """Take bytes of the server; nothing is decoded and nothing is raised."""
        self._buffer += data

    def next_event(self) -> Event | None:
        """Give the next event, or None where more bytes are needed.

        Raises
        ------
        WireError
            Once for each damaged stretch, which has been passed over: call again and go on.
        """
        while not self._events:
            try:
                if self._final or not self._advance():
                    return None
            except WireError:  # noqa: PERF203 - damage is rare
                known, self._is_damaged = self._is_damaged, True
                if not known:
                    raise
            else:
                self._is_damaged = False
        return self._events.popleft()

    def _send(self, command: str) -> None:
        self._out += command.encode("ascii", "replace") + b"\r\n"

    def _advance(self) -> bool:
        """Take one line or frame; false where it is not whole."""
        if self._streaming or self._asked:
            frame = take_frame(self._buffer, self._version)
            if frame is not None:
                self._take(frame)
            return frame is not None
        line = take_line(self._buffer)
        if line is None:
            return False
        if len(self._hello) < 2:
            self._greet(line)
        else:
            self._answer(line)
        return True

    def _take(self, frame: SeedLinkPacket | InfoPart | ServerLine) -> None:
        if isinstance(frame, InfoPart):
            self._collect(frame)
        elif isinstance(frame, SeedLinkPacket):
            self._events.append(frame)
        elif frame.text == "END":
            self._final = True
            self._events.append(EndOfStream())
        elif self._asked:
            self._events.append(Refused(f"INFO {self._asked.popleft()}", _words(frame.text), is_final=False))
            self._proceed()
        else:
            self._refuse("the stream", frame.text, is_final=True)

    def _collect(self, part: InfoPart) -> None:
        self._parts += part.content
        if len(self._parts) > MAX_INFO:
            self._parts.clear()
            raise WireError(f"SeedLink: found an INFO answer of more than {MAX_INFO} bytes")
        if part.is_last:
            item = self._asked.popleft() if self._asked else ""
            self._events.append(InfoReply(item, bytes(self._parts), part.is_error))
            self._parts.clear()
            self._proceed()

    def _greet(self, line: str) -> None:
        self._hello.append(line)
        if len(self._hello) < 2:
            return
        software, _, flags = self._hello[0].partition("::")
        if not software.lower().startswith("seedlink"):
            self._refuse("HELLO", f"found {software[:60]!r}, wanted a SeedLink server", is_final=True)
            return
        capabilities = tuple(flags.split())
        offers_4 = any(each.startswith(("SLPROTO:4", "CAP:SLPROTO:4")) for each in capabilities)
        self._version = self._wanted or (4 if offers_4 else 3)
        self._events.append(Hello(software.strip(), line.strip(), capabilities, self._version))
        if self._wanted == 4 and not offers_4:
            self._refuse("HELLO", "the server speaks SeedLink 3 only, wanted version 4", is_final=True)
        elif self._credentials and self._version == 3:
            self._refuse("AUTH", "SeedLink 3 has no authentication, wanted a server of version 4", is_final=True)
        else:
            self._plan(capabilities)
            self._proceed()

    def _plan(self, capabilities: tuple[str, ...]) -> None:
        """Queue all commands up to END."""
        texts: list[str] = []
        if self._version == 4:
            texts = ["SLPROTO 4.0", f"USERAGENT {self._agent}"]
        else:
            texts = ["CAPABILITIES EXTREPLY"] if "EXTREPLY" in capabilities or "CAP" in capabilities else []
            texts += ["BATCH"] if "BATCH" in capabilities and len(self._stations) > 1 else []
        self._commands += [_Command(each) for each in texts]
        if self._credentials:
            self._commands.append(_Command(f"AUTH {self._credentials.argument}", shown="AUTH"))
        self._commands += [_Command(f"INFO {item}") for item in self._info]
        if not self._streams:
            return
        requests = self._stations or (StationRequest(),)
        if self._counted not in (None, self._version):
            requests = tuple(replace(each, after=None) for each in requests)
        # A server without wildcards, such as a sensor's own, is asked for its only station.
        lone = len(requests) == 1 and requests[0].station_id == ALL_STATIONS
        single = self._version == 3 and lone and "NSWILDCARD" not in capabilities
        for index, request in enumerate(requests):
            commands = (
                commands_3(request, fetch=self._fetch, single=single) if self._version == 3 else commands_4(request)
            )
            self._commands += [_Command(each, index) for each in commands]
        if not single:
            self._commands.append(_Command("ENDFETCH" if self._fetch and self._version == 4 else "END"))

    def _proceed(self) -> None:
        """Send the next command, and in BATCH mode all those that get no answer."""
        while self._commands and self._awaited is None and not self._asked and not self._final:
            command = self._commands.popleft()
            if command.word in {"END", "ENDFETCH"} and not self._accepted:
                self._refuse("END", "the server accepted none of the stations", is_final=True)
                return
            self._send(command.text)
            if command.word == "INFO":
                self._asked.append(command.text.partition(" ")[2])
            elif command.word in {"END", "ENDFETCH"} or self._starts_stream(command):
                self._start_stream()
            elif not self._batch:
                self._awaited = command
            elif command.word == "STATION":
                self._accepted += 1

    def _starts_stream(self, command: _Command) -> bool:
        """Whether this is the last command of version 3 for a single station: packets follow it, no answer."""
        return not self._commands and command.word in {"DATA", "FETCH", "TIME"} and self._version == 3

    def _start_stream(self) -> None:
        self._streaming = True
        self._events.append(Streaming(self._accepted))

    def _answer(self, line: str) -> None:
        command, self._awaited = self._awaited, None
        if command is None:
            raise WireError(f"SeedLink: found {line[:60]!r}, wanted nothing before the next command")
        word, _, _ = line.replace("\r", " ").partition(" ")
        if word == "OK":
            self._batch = self._batch or command.word == "BATCH"
            self._accepted += command.word == "STATION"
        elif word == "ERROR":
            self._refused(command, line)
        else:
            self._final = True
            raise WireError(f"SeedLink: found {line[:60]!r} in answer to {command.shown or command.text}, wanted OK")
        self._proceed()

    def _refused(self, command: _Command, line: str) -> None:
        """Go on without what was refused, where that makes sense."""
        if command.word == "STATION":
            while self._commands and self._commands[0].station == command.station:
                self._commands.popleft()
        self._refuse(command.shown or command.text, line, is_final=command.word in {"SLPROTO", "AUTH"})

    def _refuse(self, command: str, line: str, *, is_final: bool) -> None:
        self._final = self._final or is_final
        self._events.append(Refused(command, _words(line), is_final))


def _words(line: str) -> str:
    """Take the server's words out of `ERROR [CODE] words`."""
    return " ".join(line.removeprefix("ERROR").split()) or "ERROR without a reason"

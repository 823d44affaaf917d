"""What all sub-commands share: their settings, a clock, a watch over the machine, and the report at the end."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from seisedge.edge.manifest import Components
from seisedge.edge.session import Engine

from .energy import EnergyMeter
from .environment import environment
from .noise import NoiseWatch, Probe, SystemProbe
from .records import Record, made_record, read_record
from .report import FORMAT, Report, Section, Verdict

Clock = Callable[[], int]
Advance = Callable[[str, float], None]
"""Called with what is measured now, and the share of the work that is done; may raise KeyboardInterrupt."""


@dataclass(frozen=True)
class Settings:
    """What the user may choose, for every sub-command.

    Attributes
    ----------
    quick
        A second for each figure, and shorter replays, trials and archives: confidence is low.
    seconds
        Most seconds for each figure of `models` and `peers`; None for 1 when quick, else 20.
    record
        A real record to replay; None for a made one.
    engine
        How ONNX Runtime runs.
    clock
        Nanoseconds.
    probe
        Reads the machine's load.
    """

    quick: bool = False
    seconds: float | None = None
    record: Path | None = None
    engine: Engine = field(default_factory=Engine)
    clock: Clock = time.perf_counter_ns
    probe: Probe = field(default_factory=SystemProbe)

    @property
    def limit_s(self) -> float:
        """Most seconds for each figure."""
        return self.seconds if self.seconds is not None else (1.0 if self.quick else 20.0)

    def words(self, extent: str = "") -> dict[str, str]:
        """The settings, for the report; `extent` is what was measured where that is no figure of so many seconds."""
        engine = self.engine
        return {
            "confidence": "low: --quick" if self.quick else extent or f"up to {self.limit_s:g} s for each figure",
            "engine": f"{engine.provider}, threads {engine.threads}, spinning {'on' if engine.spinning else 'off'}",
            "record": "made" if self.record is None else str(self.record),
        }


class Watch:
    """Watches the machine from its construction until the report is made."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._energy = EnergyMeter()
        self._noise = NoiseWatch(settings.probe)
        self._notes: list[str] = []

    def open_record(self, components: Components) -> Record:
        """Give the record to replay; what was done to it is noted in the report."""
        path = self._settings.record
        record = made_record() if path is None else read_record(path, components)
        self._notes += [record.note] if record.note and record.note not in self._notes else []
        return record

    def report(
        self,
        command: str,
        sections: list[Section],
        verdicts: list[Verdict],
        *,
        words: dict[str, str] | None = None,
        notes: list[str] | None = None,
        extent: str = "",
    ) -> Report:
        """Put the report together; `extent` as in `Settings.words`."""
        return Report(
            format=FORMAT,
            command=command,
            version=importlib.metadata.version("seisedge"),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            settings={**self._settings.words(extent), **(words or {})},
            environment=environment(),
            noise=self._noise.finish(),
            energy=self._energy.finish(),
            sections=tuple(sections),
            verdicts=tuple(verdicts),
            notes=(*self._notes, *(notes or [])),
        )

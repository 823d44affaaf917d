"""Ctrl-C between two records instead of anywhere: an exception in the middle of a library's clean-up would be lost."""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import final


@final
class StopSignal(AbstractContextManager["StopSignal"]):
    """Notes SIGINT while it is entered; `check` raises it as KeyboardInterrupt where the program can take it."""

    def __init__(self) -> None:
        self._stopped = False
        self._owns = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> StopSignal:
        if self._owns:
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owns:
            signal.signal(signal.SIGINT, self._previous)

    @property
    def is_set(self) -> bool:
        """Whether SIGINT came."""
        return self._stopped

    def check(self) -> None:
        """Raise KeyboardInterrupt if SIGINT came."""
        if self._stopped:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopped = True

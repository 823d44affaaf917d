"""Waveforms that a model gives → miniSEED, and the choice of the writer that fits a model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from pymseed import DataEncoding, MS3Record

from .detections import DETECTION_FIELDS, Detection
from .errors import DataError, UsageError
from .manifest import Manifest
from .picks import PICK_FIELDS, Pick
from .postprocess import Result
from .waveforms import Waveform
from .writers import PickWriter

_SUFFIX = ".mseed"
_RECORD_BYTES = 4096


class ResultWriter(Protocol):
    """Writes the results of one task; those of others do not come."""

    def write(self, results: Sequence[Result]) -> None:
        """Write results; they are with the operating system when this returns."""
        ...


def open_writer(path: Path | None, manifest: Manifest) -> AbstractContextManager[ResultWriter]:
    """Make the writer for what a model gives.

    Raises
    ------
    UsageError
        A form that does not fit the model, or a file that cannot be created.
    """
    if manifest.task == "waveform_inversion":
        return WaveformWriter(path, manifest)
    if manifest.task == "event_detection":
        if path is not None and path.suffix.lower() == ".txt":
            raise UsageError(
                f"output {path}: found suffix '.txt', a form for picks; model {manifest.name} gives detections: "
                "wanted .csv or .jsonl"
            )
        return _TextWriter(PickWriter(path, DETECTION_FIELDS))
    return _TextWriter(PickWriter(path, PICK_FIELDS))


class _TextWriter(AbstractContextManager[ResultWriter]):
    """Picks or detections, whichever the model gives."""

    def __init__(self, writer: PickWriter) -> None:
        self._writer = writer

    def write(self, results: Sequence[Result]) -> None:
        self._writer.write([each for each in results if isinstance(each, Pick | Detection)])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)


class WaveformWriter(AbstractContextManager[ResultWriter]):
    """Writes waveforms as miniSEED 3, float32, one channel per label.

    Label k of the model is channel `<band>XS` of a station `SRCk`: `FDSN:NET_SRC0__H_X_S`, with network
    and band of the first input channel; X is FDSN's code for what was derived from other data.

    Parameters
    ----------
    path
        A file that ends in `.mseed`.
    manifest
        The model's.

    Raises
    ------
    UsageError
        Another suffix or no file, or one that cannot be created.
    """

    def __init__(self, path: Path | None, manifest: Manifest) -> None:
        if path is None or path.suffix.lower() != _SUFFIX:
            found = "no output" if path is None else f"suffix {path.suffix!r}"
            raise UsageError(
                f"output: found {found}; model {manifest.name} gives waveforms: wanted --output FILE{_SUFFIX}"
            )
        self._path = path
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise UsageError(f"output {path}: cannot be written: {error.strerror}") from error

    def write(self, results: Sequence[Result]) -> None:
        """Write waveforms; they are with the operating system when this returns.

        Raises
        ------
        DataError
            The file takes no more: a full disk. What it has stays.
        """
        try:
            for each in results:
                if isinstance(each, Waveform):
                    self._file.writelines(_records(each))
            self._file.flush()
        except OSError as error:
            raise DataError(f"output {self._path}: cannot be written: {error.strerror}") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as failure:
            if error is None:  # otherwise `write` has told it
                raise DataError(f"output {self._path}: cannot be written: {failure.strerror}") from failure


def _records(waveform: Waveform) -> list[bytes]:
    records: list[bytes] = []
    for number in range(len(waveform.labels)):
        template = MS3Record()
        band = waveform.station.channel[:1]
        template.sourceid = f"FDSN:{waveform.station.network}_SRC{number}__{band}_X_S"
        template.starttime = waveform.starttime_ns
        template.samprate = waveform.sampling_rate
        template.formatversion = 3
        template.reclen = _RECORD_BYTES
        template.encoding = DataEncoding.FLOAT32
        column = np.ascontiguousarray(waveform.samples[:, number])
        records += [bytes(record) for record in template.generate(data_samples=column, sample_type="f")]
    return records

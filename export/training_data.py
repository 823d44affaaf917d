"""What a training reads: files and folders, and their digests for its record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .dataset import LabelledSet
from .records import Continuous


@dataclass(frozen=True)
class TrainingData:
    """What a model is trained with.

    Attributes
    ----------
    labelled
        Folder with both labelled sets; None for a model that needs none, or where a catalogue labels the archives.
    continuous
        Archives with consensus picks, or without where there is a catalogue.
    catalogue
        Of the P of the archives' stations, `catalog.json`, for a model that detects events; a fifth of the hours is
        kept for validation then.
    mems
        Long records of MEMS sensors, `.npz` with its picks beside it; None for none.
    left_out
        Beginnings of the ids of those that are kept for validation.
    accelerometers
        Records of other sensors are left out.
    teachers
        Files of weights of the same network, whose outputs teach beside the labels.
    start
        Weights to begin with; None for new ones.
    """

    labelled: Path | None = None
    continuous: tuple[Continuous, ...] = ()
    catalogue: Path | None = None
    mems: Path | None = None
    left_out: tuple[str, ...] = ()
    accelerometers: bool = False
    teachers: tuple[Path, ...] = ()
    start: Path | None = None

    def digests(self, sets: tuple[LabelledSet, LabelledSet] | None) -> dict[str, str]:
        """Name → SHA-256 of all that is read, the labelled sets' as they were read."""
        found: dict[str, str] = {}
        if sets is not None:
            found = {"labelled_train.npz": sets[0].digest, "labelled_val.npz": sets[1].digest}
        names = [each.folder.name for each in self.continuous]
        for each in self.continuous:
            name = each.folder.name if names.count(each.folder.name) == 1 else str(each.folder)
            files = each.folder.glob("*") if self.catalogue is None else each.folder.rglob("*")
            found[name] = _digest_of(sorted(files))
        for file in (self.catalogue, self.mems):
            if file is not None:
                found[file.name] = _digest_of([file])
        if self.start is not None:
            found[f"start {self.start.name}"] = _digest_of([self.start])
        return found | {f"teacher {each.name}": _digest_of([each]) for each in self.teachers}


def _digest_of(paths: list[Path]) -> str:
    """SHA-256 of the files one behind the other."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()

"""What came of importing weights: which tensor of the file became which of the network, and what did not fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ._keras_layouts import TensorSpec
from .errors import WeightError


@dataclass(frozen=True)
class MatchedTensor:
    """A tensor of the file, the entry of the network's `state_dict` it belongs to, its shape in the file."""

    file_path: str
    module_path: str
    shape: tuple[int, ...]
    note: str = ""
    """What was done to its numbers, such as `float16 to float32`."""


@dataclass(frozen=True)
class ImportReport:
    """Which tensor of the file is which of the network; `missing` and `surplus` in the order of the model."""

    path: Path
    network: str
    matched: tuple[MatchedTensor, ...]
    missing: tuple[TensorSpec, ...]
    surplus: tuple[TensorSpec, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the file holds the network's tensors, all of them and nothing else."""
        return not self.missing and not self.surplus

    def lines(self) -> list[str]:
        """A table for a screen: every tensor, the ones that did not fit last."""
        rows = [("matched", each.file_path, each.module_path, f"{each.shape} {each.note}") for each in self.matched]
        rows += [("missing", "", each.path, str(each.shape)) for each in self.missing]
        rows += [("surplus", each.path, "", str(each.shape)) for each in self.surplus]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        return ["  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])).rstrip()
                for row in rows]  # fmt: skip


class WeightMismatchError(WeightError):
    """The tensors of a file are not those of the network; `report` has all of them."""

    def __init__(self, report: ImportReport) -> None:
        found = report.surplus[0] if report.surplus else "no such tensor"
        wanted = report.missing[0] if report.missing else "no further tensor"
        super().__init__(
            f"{report.path}: not the weights of {report.network}: found {found}, wanted {wanted}; "
            f"in all {len(report.missing)} missing, {len(report.surplus)} surplus"
        )
        self.report = report


def require_complete(report: ImportReport) -> None:
    """Raise `WeightMismatchError` unless everything fits."""
    if not report.is_complete:
        raise WeightMismatchError(report)

"""Named budgets of the whole chain, from TOML."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seisedge.edge import strict
from seisedge.edge.errors import ManifestError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGED = Path(__file__).with_name("budgets.toml")
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class ChainBudget:
    """So many percent of the spans are within so many seconds.

    Attributes
    ----------
    span
        `window`: from the capture of a window's last sample; `pick`: from a pick's onset. Both to publication.
    """

    span: Literal["window", "pick"]
    percentile: float
    seconds: float
    source: str
    not_documented: str


def read_budgets(extra: Path | None = None) -> dict[str, ChainBudget]:
    """Give the packaged budgets, and those of a file of the user's, which may replace them.

    Raises
    ------
    UsageError
        The file cannot be read or breaks the form.
    """
    found = _read(PACKAGED)
    return found if extra is None else {**found, **_read(extra)}


def _read(path: Path) -> dict[str, ChainBudget]:
    try:
        with path.open("rb") as file:
            tables = tomllib.loads(file.read(_MAX_BYTES).decode())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    found: dict[str, ChainBudget] = {}
    for name, table in tables.items():
        try:
            found[name] = strict.read(ChainBudget, table, name)
        except ManifestError as error:
            raise UsageError(f"{path}: {error}") from error
        if not (0 < found[name].percentile < 100 and found[name].seconds > 0):
            raise UsageError(f"{path}: {name}: wanted a percentile between 0 and 100 and more than 0 seconds")
    return found

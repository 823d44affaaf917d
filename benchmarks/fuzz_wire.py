"""Mutation fuzzing of every decoder, long: packets or `WireError`, memory bounded, the next good frame found.

    python benchmarks/fuzz_wire.py                 a million cases over all decoders: ten minutes on one core
    python benchmarks/fuzz_wire.py --cases 20000 --only palert-1 --seed 7

The cases are those of tests/wire_fuzz.py, of which `make test` runs ten thousand and `make fuzz` so many of each
decoder. What is done is written to benchmarks/results/fuzz_wire.json after each portion: Ctrl-C loses nothing, and the
next run goes on from there, unless a decoder has changed since. A failure names the seed of its case and ends the run.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fuzz_decoders import FUZZED  # noqa: E402 - the cases are the tests'
from wire_fuzz import fuzz  # noqa: E402 - as above

RESULTS = ROOT / "benchmarks" / "results" / "fuzz_wire.json"
PORTION = 500


@dataclass
class Record:
    """What has been run of these decoders: cases without a fault and seconds, by name."""

    decoders: str
    seed: int
    machine: str
    cases: dict[str, int] = field(default_factory=dict[str, int])
    seconds: dict[str, float] = field(default_factory=dict[str, float])


def digest() -> str:
    """Of the decoders and of the cases."""
    paths = [*sorted((ROOT / "firmware_bridge").glob("*.py")), *sorted((ROOT / "tests").glob("*fuzz*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def begun(seed: int) -> Record:
    """The record of an earlier run that was of the same; else a new one."""
    new = Record(digest(), seed, f"{platform.machine()}, Python {platform.python_version()}")
    if not RESULTS.exists():
        return new
    found = Record(**json.loads(RESULTS.read_text(encoding="utf-8")))
    return found if (found.decoders, found.seed) == (new.decoders, seed) else new


def run(record: Record, name: str) -> None:
    """One portion of a decoder, and the file written anew."""
    start, done = time.monotonic(), record.cases.get(name, 0)
    fuzz(name, PORTION, record.seed * 1_000_000 + done // PORTION)
    record.cases[name] = done + PORTION
    record.seconds[name] = round(record.seconds.get(name, 0.0) + time.monotonic() - start, 3)
    RESULTS.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


@click.command()
@click.option("--cases", default=1_000_000, show_default=True, help="Cases over all decoders, those done before too.")
@click.option("--seed", default=1, show_default=True)
@click.option("--only", default="", help="One decoder's name; --cases are then its own.")
def main(cases: int, seed: int, only: str) -> None:
    """Fuzz every decoder of a wire format."""
    names = [name for name in FUZZED if only in ("", name)]
    if not names:
        raise click.BadParameter(f"found {only!r}, wanted one of {', '.join(FUZZED)}", param_hint="--only")
    record = begun(seed)
    each = -(-cases // (PORTION * len(names))) * PORTION
    left = sorted((done, name) for name in names for done in range(record.cases.get(name, 0), each, PORTION))
    try:
        with click.progressbar(left, label="fuzzing", file=sys.stderr) as bar:
            for _, name in bar:
                run(record, name)
    except KeyboardInterrupt:
        print("\nended early: the next run goes on from here")
    for name in names:
        print(f"{name:16} {record.cases.get(name, 0):10,} cases, no fault, {record.seconds.get(name, 0.0):8.1f} s")
    print(f"{sum(record.cases.values()):,} cases")


if __name__ == "__main__":
    main()

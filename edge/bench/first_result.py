"""A process of its own: from its start to the first result, and its memory.

`python -m seisedge.edge.bench.first_result ARTEFACT PROVIDER THREADS`. Writes one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from seisedge.edge.errors import ModelError
from seisedge.edge.session import Engine

_MOST_S = 600


@dataclass(frozen=True)
class FirstResult:
    """Seconds from the start of the process, seconds to load the artefact, and bytes at the peak."""

    seconds: float
    load_s: float
    peak_bytes: float


def first_result(artefact: Path, engine: Engine) -> FirstResult:
    """Start a process that loads the artefact, preprocesses a window and runs it.

    Raises
    ------
    ModelError
        It failed.
    """
    began = time.perf_counter()
    command = [sys.executable, "-m", "seisedge.edge.bench.first_result"]
    process = subprocess.Popen(  # noqa: S603 - this package's own module
        [*command, str(artefact), engine.provider, str(engine.threads)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        line = process.stdout.readline() if process.stdout else b""
        seconds = time.perf_counter() - began
        try:
            rest, error = process.communicate(timeout=_MOST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise ModelError(f"{artefact}: found no result in {_MOST_S} s, wanted one") from None
    if process.returncode:
        reason = " ".join(error.decode(errors="replace").split()[-40:])
        raise ModelError(f"{artefact}: a fresh process failed on it: {reason}")
    found = json.loads(rest)
    return FirstResult(seconds, float(json.loads(line)["load_s"]), float(found["peak_bytes"]))


def main() -> None:
    """What the process does."""
    import resource  # noqa: PLC0415 - what a station imports, and no more, until the first result

    from seisedge.edge.session import OrtSession  # noqa: PLC0415

    from .records import made_record  # noqa: PLC0415
    from .stages import StagedModel  # noqa: PLC0415

    path, provider, threads = sys.argv[1:]
    began = time.perf_counter()
    session = OrtSession(Path(path), engine=Engine(provider, int(threads)))  # type: ignore[arg-type]  # the caller's own
    load_s = time.perf_counter() - began
    queries = StagedModel(session, made_record(seconds=60), time.perf_counter_ns).queries()
    next(queries)
    sys.stdout.write(json.dumps({"load_s": load_s}) + "\n")
    sys.stdout.flush()
    for _ in range(4):
        next(queries)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(json.dumps({"peak_bytes": peak}) + "\n")


if __name__ == "__main__":
    main()

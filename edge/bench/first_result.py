"""A process of its own: from its start to the first result, and its memory.

`python -m seisedge.edge.bench.first_result ARTEFACT PROVIDER THREADS`. Writes one line of JSON.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import tempfile
import threading
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
    # Into a file, since nobody reads it before the end; and both lines through one reader, which may take them at once.
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - this package's own module
            [*command, str(artefact), engine.provider, str(engine.threads)], stdout=subprocess.PIPE, stderr=errors
        )
        limit = threading.Timer(_MOST_S, process.kill)
        limit.start()
        with process:
            line = process.stdout.readline() if process.stdout else b""
            seconds = time.perf_counter() - began
            rest = process.stdout.read() if process.stdout else b""
        limit.cancel()
        errors.seek(0)
        error = errors.read()
    if process.returncode == -signal.SIGKILL and seconds > _MOST_S:
        raise ModelError(f"{artefact}: found no result in {_MOST_S} s, wanted one")
    if process.returncode:
        reason = " ".join(error.decode(errors="replace").split()[-40:])
        raise ModelError(f"{artefact}: a fresh process failed on it: {reason}")
    found = json.loads(rest)
    return FirstResult(seconds, float(json.loads(line)["load_s"]), float(found["peak_bytes"]))


def main() -> None:
    """What the process does."""
    from seisedge.edge.session import OrtSession  # noqa: PLC0415 - what a station imports is part of its start

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
    sys.stdout.write(json.dumps({"peak_bytes": peak_bytes()}) + "\n")


def peak_bytes() -> int:
    """Largest resident memory of this process; `ru_maxrss` would be that of the process that started it, if larger."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    main()

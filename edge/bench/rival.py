"""A peer in a process of its own, run when told and timed there: libraries that cannot share a process need not.

`python -m seisedge.edge.bench.rival FOLDER`. Out: one line of JSON, why the peer cannot run or null. Then, for each
line in, the seconds of one run out.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seisedge.edge.errors import ModelError
from seisedge.edge.manifest import Manifest, read_manifest
from seisedge.edge.session import Engine, OrtSession

if TYPE_CHECKING:
    from .peers import Subject

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Task:
    """What the process is told beside the arrays."""

    path: str
    peer: str
    manifest: str
    digest: str
    sampling_rate: float
    stride: int
    engine: dict[str, str | int | bool]


def write_task(subject: Subject, peer: str, engine: Engine, folder: Path) -> None:
    """Write what `main` reads."""
    task = _Task(
        str(subject.path.resolve()),
        peer,
        subject.manifest.to_json(),
        subject.session.digest,
        subject.sampling_rate,
        subject.stride,
        asdict(engine),
    )
    (folder / "task.json").write_text(json.dumps(asdict(task)), encoding="utf-8")
    np.savez(folder / "arrays.npz", counts=subject.counts, windows=subject.windows, expected=subject.expected)


class Rival:
    """The process.

    Attributes
    ----------
    problem
        Why it cannot run, in one line; empty where it can.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this package's own module
            [sys.executable, "-m", "seisedge.edge.bench.rival", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self.problem = str(self._hear() or "")
        except ModelError as error:
            self.problem = str(error)

    def run(self) -> float:
        """Seconds of one run.

        Raises
        ------
        ModelError
            The process has ended.
        """
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # what it does not answer is the error
                self._process.stdin.write("\n")
                self._process.stdin.flush()
        return float(str(self._hear()))

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it, and what is open to it."""
        self.end()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _hear(self) -> object:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise ModelError(f"its process ended with {self._process.wait()}")
        return json.loads(line)


class _OnDemand:
    """The artefact's session, opened when a peer first asks for it: PyTorch's GRU and ONNX Runtime's end a process."""

    def __init__(self, task: _Task) -> None:
        self.manifest: Manifest = read_manifest(task.manifest, task.path)
        self.digest = task.digest
        self._task = task

    @cached_property
    def _session(self) -> OrtSession:
        return OrtSession(Path(self._task.path), engine=Engine(**self._task.engine))  # type: ignore[arg-type]  # ours

    def run(self, windows: Float32) -> list[Float32]:
        """As `Session.run`."""
        return self._session.run(windows)


def main() -> None:
    """What the process does."""
    from .peers import Subject, known_peers  # noqa: PLC0415 - which imports this module

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    folder = Path(sys.argv[1])
    task = _Task(**json.loads((folder / "task.json").read_text(encoding="utf-8")))
    with np.load(folder / "arrays.npz") as arrays:
        counts, windows, expected = arrays["counts"], arrays["windows"], arrays["expected"]
    subject = Subject(Path(task.path), _OnDemand(task), counts, task.sampling_rate, windows, task.stride, expected)

    def say(value: object) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        run = known_peers()[task.peer](subject)
        if run is not None:
            run()
    except ImportError as error:
        say(f"not installed ({error.name})")
        return
    except (RuntimeError, ValueError) as error:
        say(f"cannot run it: {' '.join(str(error).split())[:200]}")
        return
    if run is None:
        say("does not apply to it")
        return
    say(None)
    while sys.stdin.readline():
        began = time.perf_counter()
        run()
        say(time.perf_counter() - began)


if __name__ == "__main__":
    main()

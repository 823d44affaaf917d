"""The daemon on a real record: ObsPy's packaged example grows in a file as if it came in live, and a daemon picks it.

Run by `make demo-daemon`. The page stands at http://127.0.0.1:8600 until Ctrl-C; `--screenshot FILE` lets Chromium take
a picture of it and ends. The record is station RJOB of the Bavarian network, a local earthquake of 2009-08-24.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import obspy

FOLDER = Path("demo-daemon")
URL = "http://127.0.0.1:8600"
COUNTS_PER_UNIT = 100  # the packaged record is float64 and filtered; a digitizer sends integers
SPEED = 3.0
RECORD_S = 1.0

CONFIG = f"""\
[daemon]
state = "{FOLDER}/state"
history_s = 60.0

[[source]]
url = "file:{FOLDER}/live.mseed?follow=yes"
name = "RJOB"

[[model]]
name = "default"
artefact = "edge-picker"
stride = 50

[[sink]]
type = "jsonl"
path = "{FOLDER}/picks.jsonl"

[[sink]]
type = "quakeml"
folder = "{FOLDER}/quakeml"
provisional = false
"""


def records() -> list[bytes]:
    """The record as a digitizer sends it: a second of all three components at a time, about now."""
    stream = obspy.read()
    length = stream[0].stats.endtime - stream[0].stats.starttime
    shift = obspy.UTCDateTime() - length * (1 - 1 / SPEED) - stream[0].stats.starttime  # its end is now when it comes
    for trace in stream:
        trace.data = np.round(trace.data * COUNTS_PER_UNIT).astype(np.int32)
        trace.stats.starttime += shift
    start, end = stream[0].stats.starttime, stream[0].stats.endtime
    found: list[bytes] = []
    while start < end:
        part, content = stream.slice(start, start + RECORD_S - 0.001), io.BytesIO()
        part.write(content, format="MSEED", encoding="STEIM2", reclen=512)
        found.append(content.getvalue())
        start += RECORD_S
    return found


def get(path: str) -> Any:  # noqa: ANN401 - JSON
    """Ask the daemon."""
    with urllib.request.urlopen(f"{URL}/{path}", timeout=5) as answer:  # noqa: S310 - our own loopback
        return json.load(answer)


def wait_for_it(daemon: subprocess.Popen[bytes]) -> None:
    """Until it answers."""
    while daemon.poll() is None:
        try:
            get("status.json")
        except (urllib.error.URLError, OSError):  # noqa: PERF203 - it is what we wait for
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the daemon did not start")


def play() -> None:
    """Let the file grow, and tell each new statement."""
    told: set[tuple[str, int]] = set()
    with (FOLDER / "live.mseed").open("ab") as file:
        for record in records():
            file.write(record)
            file.flush()
            time.sleep(RECORD_S / SPEED)
            tell(told)
    for _ in range(10):
        time.sleep(0.2)
        tell(told)


def tell(told: set[tuple[str, int]]) -> None:
    """Print what is new."""
    for row in reversed(get("picks.json")):
        if (row["id"], row["revision"]) not in told:
            told.add((row["id"], row["revision"]))
            sys.stdout.write(
                f"{row['status']:11} {row['station']} {row['phase_hint']} {row['time'][:23]}  "
                f"p={row['probability']:.2f}  revision {row['revision']}  {row['id']}\n"
            )
            sys.stdout.flush()


def photograph(target: Path) -> None:
    """Let Chromium take a picture of the page."""
    program = shutil.which("chromium") or "chromium"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
    options += ["--window-size=1100,680", "--virtual-time-budget=3000", f"--user-data-dir={FOLDER.resolve()}/chromium"]
    command = [program, *options, f"--screenshot={target.resolve()}", URL]
    subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603 - fixed


def main() -> int:
    """Start the daemon, play the record, show the picks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshot", type=Path)
    chosen = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    (FOLDER / "live.mseed").touch()
    (FOLDER / "daemon.toml").write_text(CONFIG, encoding="utf-8")
    program = [str(Path(sys.executable).parent / "edge-daemon"), "run", str(FOLDER / "daemon.toml")]
    with subprocess.Popen(program) as daemon:  # noqa: S603 - our own command
        try:
            wait_for_it(daemon)
            sys.stdout.write(f"the page: {URL}\n")
            play()
            if chosen.screenshot is not None:
                photograph(chosen.screenshot)
            else:
                sys.stdout.write(f"the page stays at {URL}; Ctrl-C ends it\n")
                daemon.wait()
        except KeyboardInterrupt:
            sys.stdout.write("\n")
        finally:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
            daemon.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())

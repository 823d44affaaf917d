"""The main job on a real record: pick ObsPy's packaged example with the embedded model and draw what was found.

Run by `make demo`. The record is station RJOB of the Bavarian network, three components, 100 Hz, a local earthquake
of 2009-08-24; it comes with ObsPy.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import obspy

FOLDER = Path("demo")
COUNTS_PER_UNIT = 100  # the packaged record is float64 and filtered; a digitizer sends integers


def main() -> int:
    """Write the record as a digitizer would have, scan it, show the picks."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    stream = obspy.read()
    for trace in stream:
        trace.data = np.round(trace.data * COUNTS_PER_UNIT).astype(np.int32)
    record = FOLDER / "BW.RJOB.mseed"
    stream.write(str(record), format="MSEED", encoding="STEIM2")

    picks = FOLDER / "picks.csv"
    scan = [str(Path(sys.executable).parent / "edge-scan"), str(record), "--output", str(picks), "--plot", str(FOLDER)]
    code = subprocess.run(scan, check=False).returncode  # noqa: S603 - our own command
    sys.stdout.write(picks.read_text(encoding="utf-8"))
    for picture in FOLDER.glob("*.png"):
        picture.rename(FOLDER / "picks.png")
        sys.stdout.write(f"picture: {FOLDER / 'picks.png'}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Energy where the board tells: RAPL of x86 processors, INA3221 of Jetsons, the power chip of a Raspberry Pi 5."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_SYS = Path("/sys")


@dataclass(frozen=True)
class Energy:
    """What was used: `joules` is None where the board does not tell, and `source` says why or by what."""

    joules: float | None
    watts: float | None
    source: str


class EnergyMeter:
    """Measures from its construction to `finish`.

    RAPL counts joules; of the others the power is read at the start and at the end, which is all that they offer.
    """

    def __init__(self, root: Path = _SYS) -> None:
        self._root, self._began = root, time.monotonic()
        self._rapl = self._read_rapl()
        self._watts = self._read_watts() if self._rapl is None else None

    def finish(self) -> Energy:
        """Give what was used since."""
        wall = max(time.monotonic() - self._began, 1e-9)
        if self._rapl is not None and (end := self._read_rapl()) is not None:
            used, span = end[0] - self._rapl[0], end[1]
            joules = (used + span if used < 0 else used) / 1e6  # the counter wraps
            return Energy(joules, joules / wall, "RAPL, package 0")
        if self._watts is not None and (now := self._read_watts()) is not None:
            watts = (self._watts[0] + now[0]) / 2
            return Energy(watts * wall, watts, now[1])
        return Energy(None, None, "this board does not tell (no readable RAPL, INA3221 or Pi power chip)")

    def _read_rapl(self) -> tuple[int, int] | None:
        folder = self._root / "class" / "powercap" / "intel-rapl:0"
        try:
            return int((folder / "energy_uj").read_text()), int((folder / "max_energy_range_uj").read_text())
        except (OSError, ValueError):
            return None

    def _read_watts(self) -> tuple[float, str] | None:
        return self._read_ina3221() or _read_pi()

    def _read_ina3221(self) -> tuple[float, str] | None:
        """Sum of the rails: mV times mA of each channel (Linux, `Documentation/hwmon/ina3221.rst`)."""
        for name in self._root.glob("class/hwmon/hwmon*/name"):
            try:
                if name.read_text().strip() != "ina3221":
                    continue
                milliwatts = 0.0
                for current in name.parent.glob("curr[1-3]_input"):
                    voltage = name.with_name(current.name.replace("curr", "in"))
                    milliwatts += int(current.read_text()) * int(voltage.read_text()) / 1e3
            except (OSError, ValueError):
                continue
            return milliwatts / 1e3, "INA3221, all rails, at start and end"
        return None


def _read_pi() -> tuple[float, str] | None:
    """`vcgencmd pmic_read_adc`: current and voltage of each rail of a Raspberry Pi 5."""
    command = shutil.which("vcgencmd")
    if command is None:
        return None
    try:
        done = subprocess.run([command, "pmic_read_adc"], capture_output=True, text=True, check=True, timeout=5)  # noqa: S603 - the firmware's own tool, no user input
    except (OSError, subprocess.SubprocessError):
        return None
    rails: dict[str, dict[str, float]] = {}
    for rail, kind, value in re.findall(r"(\w+)_([AV]) \w+\(\d+\)=([\d.]+)", done.stdout):
        rails.setdefault(rail, {})[kind] = float(value)
    watts = sum(each["A"] * each["V"] for each in rails.values() if len(each) == 2)
    return (watts, "Raspberry Pi power chip, at start and end") if rails else None

"""Every decoder on damaged bytes; `benchmarks/fuzz_wire.py` runs a million of the same cases."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz_decoders import FUZZED, Fuzzed
from wire_fuzz import fuzz, mutate, seeded

from seisedge.firmware_bridge import Packet, WireError


@pytest.mark.parametrize("name", FUZZED)
def test_damage_gives_packets_or_a_wire_error_and_the_next_good_frame(name: str) -> None:
    fuzz(name, 500, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("name", FUZZED)
def test_ten_thousand_cases_of_damage(name: str) -> None:
    for portion in range(20):
        fuzz(name, 500, seed=2_000_000 + portion)


def test_mutations_follow_from_the_seed_and_are_of_every_kind() -> None:
    data = bytes(range(100))
    found = [mutate(seeded(seed), data) for seed in range(200)]
    assert found == [mutate(seeded(seed), data) for seed in range(200)]
    assert {len(each) < 100 for each in found} == {True, False}
    assert any(len(each) > 100 for each in found)
    assert any(sorted(each) == sorted(data) and each != data for each in found)  # swapped


GOOD = b"a good frame"
SENT = Packet("FDSN:XX_TEST__H_H_Z", 0, 100.0, np.arange(3, dtype=np.int32))


class Faulty:
    """A decoder with a fault that the law must see."""

    def __init__(self, fault: str) -> None:
        self._fault, self._fed, self._damaged = fault, b"", list[bytes]()

    def feed(self, data: bytes | memoryview) -> None:
        self._fed = bytes(data)

    def end(self) -> None:
        """Nothing waits."""

    def next_packet(self) -> Packet | None:
        data, self._fed = self._fed, b""
        if not data or (self._fault == "sulks" and self._damaged):
            return None
        if data == GOOD:
            return SENT
        self._damaged.append(bytes(1 << 20) if self._fault == "hoards" else data)
        raise KeyError(data) if self._fault == "breaks" else WireError("damage")


@pytest.mark.parametrize(
    ("fault", "told"), [("sulks", "no good frame found"), ("hoards", "bytes held"), ("breaks", "KeyError")]
)
def test_the_law_sees_faults(fault: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzzed = Fuzzed(lambda: Faulty(fault), [GOOD], is_stream=False, reach=1 << 12)
    monkeypatch.setitem(FUZZED, "faulty", lambda: fuzzed)
    with pytest.raises(AssertionError, match=f"faulty, seed 1, case .*{told}"):
        fuzz("faulty", 50, seed=1)

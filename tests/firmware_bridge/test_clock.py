"""The clock model: jitter, drift, loss, order, steps; and its stated accuracy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisedge.firmware_bridge import PacketFlag
from seisedge.firmware_bridge.clock import PacketClock, Stamped

START = 1_600_000_000_000_000_000
RATE, NPTS = 31.25, 32


def stamps(count: int, *, ppm: float = 0.0, jitter_s: float = 0.0, seed: int = 0) -> list[int]:
    """Time of each packet's last sample, as a device with this clock and jitter would say it."""
    rng = np.random.default_rng(seed)
    last = np.arange(1, count + 1) * NPTS - 1
    true = last / RATE * (1 + ppm * 1e-6) + rng.uniform(-jitter_s, jitter_s, count)
    return [START + round(each * 1e9) for each in true]


def place(clock: PacketClock, told: list[int]) -> list[Stamped]:
    return [clock.place(NPTS, each) for each in told]


def true_start(packet: int, ppm: float) -> float:
    return START + packet * NPTS / RATE * (1 + ppm * 1e-6) * 1e9


@settings(max_examples=40)
@given(st.floats(-100, 100), st.floats(0, 0.01), st.integers(0, 999))
def test_jitter_and_drift_leave_5_ms(ppm: float, jitter_s: float, seed: int) -> None:
    placed = place(PacketClock(RATE, stamps_last=True), stamps(200, ppm=ppm, jitter_s=jitter_s, seed=seed))
    assert all(each.flags == PacketFlag.NONE and each.sampling_rate == RATE for each in placed)
    for index in range(64, 200):
        assert abs(placed[index].starttime_ns - true_start(index, ppm)) < 5e6


def test_a_wrong_rate_is_found_and_packets_join() -> None:
    """3 % off, as the public OpenEEW archive has it."""
    placed = place(PacketClock(RATE, stamps_last=True), stamps(100, ppm=30_000, jitter_s=0.012))
    assert placed[-1].sampling_rate == pytest.approx(RATE / 1.03, rel=0.004)
    assert len({each.sampling_rate for each in placed}) <= 3
    assert all(each.flags == PacketFlag.NONE for each in placed)
    for a, b in pairwise(placed[40:]):
        assert abs(b.starttime_ns - a.starttime_ns - NPTS / a.sampling_rate * 1e9) < 0.5e9 / RATE


@settings(max_examples=40)
@given(st.sets(st.integers(20, 150), max_size=40), st.integers(0, 99))
def test_loss_is_a_gap_and_times_stay(lost: set[int], seed: int) -> None:
    told = stamps(160, ppm=50, jitter_s=0.01, seed=seed)
    clock = PacketClock(RATE, stamps_last=True)
    after_gap = False
    for index, stamp in enumerate(told):
        if index in lost:
            after_gap = True
            continue
        placed = clock.place(NPTS, stamp)
        assert placed.flags == (PacketFlag.SEQUENCE_GAP if after_gap else PacketFlag.NONE)
        assert abs(placed.starttime_ns - true_start(index, 50)) < 12e6
        after_gap = False
    assert clock.counts.missing_samples == NPTS * len({each for each in lost if each < 160})


def test_order_and_repetition() -> None:
    told = stamps(20)
    clock = PacketClock(RATE, stamps_last=True)
    place(clock, told[:10])
    flags = [clock.place(NPTS, told[index]).flags for index in (11, 10, 12, 12, 13)]
    assert flags == [PacketFlag.SEQUENCE_GAP, PacketFlag.REORDERED, 0, PacketFlag.DUPLICATE, 0]
    assert abs(clock.place(NPTS, told[14]).starttime_ns - true_start(14, 0)) < 1000


@settings(max_examples=30)
@given(st.sampled_from([-7200.3, -3.4, -0.45, 0.4, 1.5, 3.6, 900.4]), st.floats(0, 0.005), st.integers(0, 99))
def test_a_step_is_held_then_told_then_followed(step_s: float, jitter_s: float, seed: int) -> None:
    told = stamps(100, jitter_s=jitter_s, seed=seed)
    told[50:] = [each + round(step_s * 1e9) for each in told[50:]]
    clock = PacketClock(RATE, stamps_last=True)
    placed = place(clock, told)
    flags = [each.flags for each in placed]
    assert flags[50:53] == [PacketFlag.HOLDOVER, PacketFlag.HOLDOVER, PacketFlag.CLOCK_STEP]
    assert flags[53:] == [0] * 47
    for index in (50, 51):
        assert abs(placed[index].starttime_ns - true_start(index, 0)) < 30e6
    for index in range(52, 100):
        assert abs(placed[index].starttime_ns - true_start(index, 0) - step_s * 1e9) < 30e6
    assert (clock.counts.steps, clock.counts.held) == (1, 2)


def test_one_wild_stamp_is_not_followed() -> None:
    told = stamps(60, jitter_s=0.005)
    told[30] += 500_000_000
    placed = place(PacketClock(RATE, stamps_last=True), told)
    assert [each.flags for each in placed[29:32]] == [0, PacketFlag.HOLDOVER, 0]
    assert abs(placed[30].starttime_ns - true_start(30, 0)) < 5e6


def test_the_same_packets_give_the_same_times() -> None:
    told = stamps(300, ppm=-70, jitter_s=0.02, seed=4)
    assert place(PacketClock(RATE, stamps_last=True), told) == place(PacketClock(RATE, stamps_last=True), told)


def test_first_sample_stamps() -> None:
    clock = PacketClock(100.0, stamps_last=False)
    placed = [clock.place(25, START + i * 250_000_000) for i in range(30)]
    assert [each.starttime_ns for each in placed] == [START + i * 250_000_000 for i in range(30)]

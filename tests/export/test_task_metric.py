"""What the gate holds an artefact to: a model that knows the answers gets full marks, one that knows nothing none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from labelled import write_labelled

from seisedge.edge.manifest import Manifest, Provenance, Quantization, Verification
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import Session
from seisedge.export.dataset import LabelledWindow, read_labelled
from seisedge.export.errors import TrainingDataError
from seisedge.export.registry import find
from seisedge.export.synthetic import NODES, SAMPLES, synthetic_set
from seisedge.export.task_metric import (
    event_metric,
    event_windows,
    metric_of,
    pick_metric,
    remembered,
    waveform_metric,
)

Float32 = npt.NDArray[np.float32]


def manifest_of(name: str) -> Manifest:
    return find(name).recipe.manifest(
        version="1",
        quantization=Quantization("fp32", "any", None, None, ()),
        verification=Verification(0, 1, (), 0.0, {}, {}),
        provenance=Provenance("", "", "", "", {}),
    )


@dataclasses.dataclass
class Oracle:
    """A session whose answers a test writes."""

    manifest: Manifest
    answer: Callable[[Float32], list[Float32]]
    digest: str = ""

    def run(self, windows: Float32) -> list[Float32]:
        return self.answer(windows)


def labelled(samples: Float32, **arrivals: float) -> LabelledWindow:
    return LabelledWindow("w", "g", samples, arrivals, (), None)


def spiked(npts: int, arrival: int | None, seed: int = 0) -> Float32:
    """Noise with a spike at the arrival: what an oracle looks for."""
    x = np.random.default_rng(seed).normal(0, 0.01, (1, npts)).astype(np.float32)
    if arrival is not None:
        x[0, arrival] = 10
    return x


def picks_spikes(late: int = 0) -> Callable[[Float32], list[Float32]]:
    def answer(windows: Float32) -> list[Float32]:
        probability = np.zeros((*windows.shape[:1], 3000, 3), np.float32)
        for window, spike in zip(*np.nonzero(windows[:, 0] > 5), strict=True):
            if spike + late < 3000:
                probability[window, spike + late, 1] = 0.99
        return [probability]

    return answer


RECORDS = tuple(labelled(spiked(900, at, at), P=float(at)) for at in (12, 300, 520, 887))


def test_a_record_much_shorter_than_the_window_is_picked_everywhere() -> None:
    figures = pick_metric(RECORDS)(Oracle(manifest_of("unet-z"), picks_spikes()))
    assert figures["P_f1"] == 1
    assert figures["P_timing"] == pytest.approx(1, abs=1e-6)


def test_late_picks_lose_their_timing_and_then_count_no_more() -> None:
    manifest = manifest_of("unet-z")
    assert pick_metric(RECORDS)(Oracle(manifest, picks_spikes(late=2)))["P_timing"] == pytest.approx(0.6, abs=1e-6)
    assert pick_metric(RECORDS)(Oracle(manifest, picks_spikes(late=8)))["P_f1"] == 0


def events(npts: int = 1400) -> tuple[LabelledWindow, ...]:
    quiet = np.random.default_rng(0).normal(0, 0.01, (3, npts)).astype(np.float32)
    late = quiet.copy()
    late[:, 1100:] += np.sin(np.arange(npts - 1100, dtype=np.float32))
    early = quiet.copy()
    early[:, 60:] += np.sin(np.arange(npts - 60, dtype=np.float32))
    return (labelled(late, P=1100.0), labelled(early, P=60.0, S=90.0), labelled(quiet), labelled(quiet + 1))


def test_events_stand_in_the_window_that_is_to_detect_them() -> None:
    manifest = manifest_of("convnetquake")

    def loud(windows: Float32) -> list[Float32]:
        found = windows.std(axis=(1, 2)) > 0.34  # of the largest value: noise has 0.30
        return [np.stack([~found, found, *(np.zeros((5, len(windows)), bool))], axis=1).astype(np.float32)]

    metric = event_metric(Preprocess(manifest), events())
    assert metric(Oracle(manifest, loud)) == {"events_detected": 1, "noise_left_alone": 1}

    def always(windows: Float32) -> list[Float32]:
        return [np.tile(np.array([0.4, *[0.1] * 6], np.float32), (len(windows), 1))]

    assert metric(Oracle(manifest, always)) == {"events_detected": 1, "noise_left_alone": 0}


def test_records_that_are_too_short_for_a_detector_are_named() -> None:
    with pytest.raises(TrainingDataError, match="deepquake: found 0 events and 0 windows of noise of at least 5001"):
        event_metric(Preprocess(manifest_of("deepquake")), events())


def test_an_inversion_is_not_measured_by_onsets() -> None:
    with pytest.raises(TrainingDataError, match="source-inversion: found labelled onsets, and an inversion has none"):
        metric_of(Preprocess(manifest_of("source-inversion")), RECORDS)


def test_the_metric_is_that_of_the_task(tmp_path: Path) -> None:
    validation = write_labelled(tmp_path) / "labelled_val.npz"
    detector, picker = Preprocess(manifest_of("convnetquake")), Preprocess(manifest_of("gpd"))

    def silent(windows: Float32) -> list[Float32]:
        return [np.eye(1, 7, dtype=np.float32).repeat(len(windows), axis=0)]

    metric = metric_of(detector, read_labelled(validation, detector).windows)
    assert metric(Oracle(detector.manifest, silent)) == {"events_detected": 0, "noise_left_alone": 1}

    def noise(windows: Float32) -> list[Float32]:
        return [np.eye(1, 3, 2, dtype=np.float32).repeat(len(windows), axis=0)]

    metric = metric_of(picker, read_labelled(validation, picker).windows)
    assert metric(Oracle(picker.manifest, noise)) == {"P_f1": 0, "P_timing": 0, "S_f1": 0, "S_timing": 0}


def test_windows_of_events_hold_them_whatever_their_length() -> None:
    inputs = event_windows(Preprocess(manifest_of("unet-z")), RECORDS, most=3)
    assert inputs.shape == (3, 1, 3000)
    assert [np.flatnonzero(window[0] > 5).tolist() for window in inputs] == [[1062], [1350], [1937]]
    inputs = event_windows(Preprocess(manifest_of("gpd")), events(), most=99)
    assert inputs.shape == (2, 400, 3)
    loud = np.abs(inputs).mean(axis=2) > 0.3
    assert [int(np.flatnonzero(window)[0]) for window in loud] == pytest.approx([100, 60], abs=2)


def test_records_without_an_event_are_named() -> None:
    with pytest.raises(TrainingDataError, match="unet-z: found no event among 1 labelled windows"):
        event_windows(Preprocess(manifest_of("unet-z")), (labelled(spiked(900, None)),), most=3)


def test_the_correlation_of_waveforms_knows_no_scale_and_no_offset() -> None:
    data = synthetic_set(3, 0)
    manifest = manifest_of("source-inversion")
    for factor, wanted in ((1.0, 1.0), (-2.0, -1.0), (0.0, 0.0)):
        answer = [factor * data.sources + 3]
        found = waveform_metric(data)(Oracle(manifest, lambda _: answer))  # noqa: B023 - called at once
        assert found["correlation"] == pytest.approx(wanted, abs=1e-4)


def test_a_synthetic_set_is_its_seeds_and_of_the_order_of_one() -> None:
    one, again, other = synthetic_set(2, 5), synthetic_set(2, 5), synthetic_set(2, 6)
    np.testing.assert_array_equal(one.stations, again.stations)
    assert not np.array_equal(one.sources, other.sources)
    assert one.stations.shape == one.sources.shape == (2, SAMPLES, NODES)
    assert one.stations.dtype == one.sources.dtype == np.float32
    for part in (one.stations, one.sources):
        assert 0.5 < part.std() < 2


def test_the_stations_of_a_set_are_linear_in_its_sources_and_the_same_for_every_seed() -> None:
    """One unknown filter for each pair of source and station: least squares over one set predicts another."""
    lags = 200
    seen, unseen = synthetic_set(12, 1), synthetic_set(1, 2)

    def lagged(sources: Float32) -> npt.NDArray[np.float64]:
        padded = np.pad(sources.astype(np.float64), ((0, 0), (lags - 1, 0), (0, 0)))
        parts = [padded[:, lags - 1 - lag : lags - 1 - lag + SAMPLES] for lag in range(0, lags, 8)]
        return np.concatenate(parts, axis=2).reshape(-1, NODES * len(parts))

    filters, *_ = np.linalg.lstsq(lagged(seen.sources), seen.stations.reshape(-1, NODES), rcond=None)
    predicted = lagged(unseen.sources) @ filters
    truth = unseen.stations.reshape(-1, NODES)
    assert np.square(predicted - truth).mean() < 0.02 * np.square(truth).mean()


def test_components_are_found_under_the_names_they_stand_for(tmp_path: Path) -> None:
    validation = write_labelled(tmp_path) / "labelled_val.npz"
    by_letter, by_axis = Preprocess(manifest_of("deepquake")), Preprocess(manifest_of("spectrogram-cnn"))
    seen, other = (read_labelled(validation, each).windows[1].samples for each in (by_letter, by_axis))
    np.testing.assert_array_equal(other, seen[[0, 2, 1]])  # Z, N, E and Z, X, Y, where X is E
    with pytest.raises(TrainingDataError, match="source-inversion: found labelled windows of Z, N, E, wanted a comp"):
        read_labelled(validation, Preprocess(manifest_of("source-inversion")))


def test_an_artefact_is_measured_once() -> None:
    asked: list[str] = []

    def metric(session: Session) -> dict[str, float]:
        asked.append(session.digest)
        return {"f1": float(len(asked))}

    once = remembered(metric)
    sessions = [Oracle(manifest_of("gpd"), lambda windows: [windows], digest) for digest in ("a", "b", "a")]
    assert [once(each)["f1"] for each in sessions] == [1, 2, 1]
    assert asked == ["a", "b"]

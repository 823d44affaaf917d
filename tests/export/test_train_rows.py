"""One trainer for every row: it learns, can be stopped anywhere, and leaves an artefact for its task."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import os
import signal
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from labelled import write_labelled

from seisedge.edge.detections import Detection
from seisedge.edge.manifest import Manifest, Threshold
from seisedge.edge.picks import Pick, StationId
from seisedge.edge.postprocess import Result, postprocess_of
from seisedge.edge.preprocess import Preprocess
from seisedge.edge.runs import Clock
from seisedge.edge.session import OrtSession
from seisedge.edge.steps import Step
from seisedge.edge.waveforms import Waveform
from seisedge.export.cli import main
from seisedge.export.dataset import read_labelled
from seisedge.export.errors import TrainingDataError
from seisedge.export.evaluation.labelled_cases import labelled_cases
from seisedge.export.records import Record, labelled_records
from seisedge.export.registry import REGISTRY, find
from seisedge.export.train import Training
from seisedge.export.train_job import TrainJob, draft_manifest
from seisedge.export.train_options import ExampleOptions, TrainOptions, default_options
from seisedge.export.training_data import TrainingData

pytestmark = pytest.mark.usefixtures("one_thread")

SLOW = {
    "inception",
    "inception-z",
    "brnn",
    "brnn-z",
    "wavenet",
    "wavenet-z",
    "spectrogram-cnn",
    "source-inversion",
    "gpd-original",
}
"""Seconds for each step."""
RESULT = {
    "phase_picking": Pick,
    "phase_classification": Pick,
    "event_detection": Detection,
    "waveform_inversion": Waveform,
}

EVERY = [pytest.param(name, marks=pytest.mark.long if name in SLOW else ()) for name in REGISTRY]
ONE_OF_EACH_KIND = [
    "unet",
    "earthquake-cnn",
    "convnetquake",
    pytest.param("unet-z", marks=pytest.mark.long),
    pytest.param("source-inversion", marks=pytest.mark.long),
    pytest.param("deepquake", marks=pytest.mark.long),
    pytest.param("spectrogram-cnn", marks=pytest.mark.long),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled"), count=9)


def _records(manifest: Manifest, folder: Path) -> tuple[Record, ...]:
    if manifest.task == "waveform_inversion":
        return ()
    found = read_labelled(folder / "labelled_train.npz", Preprocess(manifest))
    return tuple(labelled_records(found, manifest.sampling_rate))


def _training(name: str, folder: Path, **changes: object) -> Training:
    manifest = draft_manifest(find(name))
    options = dataclasses.replace(default_options(manifest), mine_every=0, check_every=0, patience=0, held_out=0.0)
    options = dataclasses.replace(options, examples=options.examples.unchanged(), **changes)  # type: ignore[arg-type]  # by the test
    torch.manual_seed(0)
    return Training(find(name).build(), Preprocess(manifest), _records(manifest, folder), options)


@pytest.mark.parametrize("name", EVERY)
def test_a_few_steps_lower_the_loss(name: str, folder: Path) -> None:
    steps = 6 if name in SLOW or name.startswith("unet") else 24
    batch = 2 if name in SLOW and name != "spectrogram-cnn" else 8  # which sees an event or none: noisier
    training = _training(name, folder, steps=steps, batch=batch, average=0.0)
    smoothed: list[float] = []
    training.run(lambda row: smoothed.append(row["loss"]), report_every=1)
    losses = [smoothed[0], *(100 * b - 99 * a for a, b in pairwise(smoothed))]
    third = steps // 3
    assert np.mean(losses[-third:]) < np.mean(losses[:third])


@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_the_command_leaves_an_artefact_that_gives_what_its_task_gives(name: str, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "trained.onnx"
    data = [] if name == "source-inversion" else ["--data", str(folder)]
    command = ["train", name, *data, "--steps", "2", "--options", str(_small(tmp_path)), "-o", str(output)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    session = OrtSession(output)
    session.check_golden()
    assert session.manifest.name == name
    assert session.manifest.verification.quality
    results = list(_results(session))
    assert results
    assert {type(each) for each in results} == {RESULT[session.manifest.task]}


def test_a_network_of_any_length_is_trained_on_shorter_windows_than_it_is_run_on(folder: Path, tmp_path: Path) -> None:
    output, options = tmp_path / "trained.onnx", tmp_path / "options.json"
    options.write_text('{"batch": 2, "mined_records": 1, "window_samples": 400}')
    command = ["train", "unet-z", "--data", str(folder), "--steps", "2", "--options", str(options), "-o", str(output)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    manifest = OrtSession(output).manifest
    recipe = find("unet-z").recipe
    assert manifest.window_samples == recipe.window_samples
    assert manifest.postprocess.blinding_samples == recipe.postprocess.blinding_samples


def _small(folder: Path) -> Path:
    path = folder / "options.json"
    path.write_text('{"batch": 2, "mined_records": 1}')
    return path


def _results(session: OrtSession) -> Iterator[Result]:
    """What the runtime makes of noise at thresholds that let all of it through."""
    manifest = session.manifest
    count, stride = 3, manifest.stride_samples
    npts = manifest.window_samples + (count - 1) * stride
    samples = np.random.default_rng(0).standard_normal((len(manifest.components.order), npts)).astype(np.float32)
    inputs = Preprocess(manifest).windows(samples, count=count, stride=stride)
    thresholds = dict.fromkeys(manifest.picked_labels, Threshold(1e-3, 1e-3))
    station = StationId("XX", "A", "", "HH")
    made = postprocess_of(manifest, station, model_digest="", thresholds=thresholds, stride=stride)
    yield from made.push(0, Clock(0, 0, Fraction(manifest.sampling_rate)), session.run(inputs))
    yield from made.finish()


WHOLE = TrainOptions(
    steps=7,
    batch=4,
    window_samples=0,
    mine_every=2,
    mined_records=3,
    held_out=0.4,
    check_every=3,
    rounded_from=0.6,
    examples=ExampleOptions(shares=(0.2, 0.1, 0.1, 0.1, 0.5)),
)


@pytest.mark.parametrize("name", ["earthquake-cnn", "spec-cnn", "convnetquake", "unet-z"])
def test_a_training_that_was_stopped_gives_the_bits_of_one_that_was_not(
    name: str, folder: Path, tmp_path: Path
) -> None:
    """At any step, false picks, dropout, rounding and the best state included."""
    manifest = draft_manifest(find(name))
    records = _records(manifest, folder)
    state = tmp_path / "state.pt"

    def make() -> Training:
        torch.manual_seed(0)
        return Training(find(name).build(), Preprocess(manifest), records, WHOLE)

    def stop(row: dict[str, float]) -> None:
        if row["step"] == 3:
            raise KeyboardInterrupt

    whole, stopped, resumed = make(), make(), make()
    torch.manual_seed(1)
    whole.run(report_every=1)
    torch.manual_seed(1)
    stopped.run(stop, report_every=1, keep=state)
    torch.manual_seed(2)
    resumed.load(state)
    resumed.run()
    assert (stopped.step, resumed.step) == (3, 7)
    assert [row["step"] for row in whole.curve if "validation_loss" in row] == [3, 6, 7]
    for one, other in zip(whole.trained.state_dict().values(), resumed.trained.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def _earthquakes(folder: Path, options: TrainOptions) -> Training:
    manifest = draft_manifest(find("earthquake-cnn"))
    torch.manual_seed(0)
    return Training(find("earthquake-cnn").build(), Preprocess(manifest), _records(manifest, folder), options)


def test_ctrl_c_waits_for_the_end_of_a_step(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a training that was stopped in the middle of an update is that of a whole one."""
    state, clip = tmp_path / "state.pt", torch.nn.utils.clip_grad_norm_
    whole = _earthquakes(folder, WHOLE)
    torch.manual_seed(1)
    whole.run(report_every=1)
    stopped = _earthquakes(folder, WHOLE)

    def interrupted(*args: Any, **more: Any) -> torch.Tensor:
        if stopped.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return clip(*args, **more)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", interrupted)
    torch.manual_seed(1)
    stopped.run(report_every=1, keep=state)
    monkeypatch.undo()
    assert stopped.step == 4
    resumed = _earthquakes(folder, WHOLE)
    resumed.load(state)
    resumed.run(report_every=1)
    for one, other in zip(whole.trained.state_dict().values(), resumed.trained.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert [row["loss"] for row in resumed.curve] == [row["loss"] for row in whole.curve]


def test_a_training_that_lost_its_power_leaves_no_hole_in_the_curve(folder: Path, tmp_path: Path) -> None:
    def lose_power(row: dict[str, float]) -> None:
        if row["step"] == 5:
            raise OSError("no power")

    whole, stopped, resumed = (_earthquakes(folder, WHOLE) for _ in range(3))
    torch.manual_seed(1)
    whole.run(report_every=1)
    torch.manual_seed(1)
    with pytest.raises(OSError, match="no power"):
        stopped.run(lose_power, report_every=1, keep=tmp_path / "state.pt")
    resumed.load(tmp_path / "state.pt")
    assert resumed.step == 4  # where false picks were searched
    resumed.run(report_every=1)
    rows = [[(row["step"], row["loss"]) for row in each.curve] for each in (whole, resumed)]
    assert rows[0] == rows[1]


def test_a_training_with_nothing_held_out_takes_all_its_steps(folder: Path) -> None:
    training = _earthquakes(folder, dataclasses.replace(WHOLE, steps=12, held_out=0.0, check_every=1, patience=2))
    training.run()
    assert training.step == 12
    training = _earthquakes(folder, dataclasses.replace(WHOLE, steps=12, check_every=0, patience=2))
    training.run()
    assert training.step == 12


def test_a_training_that_ended_early_takes_no_step_more_when_it_is_run_again(folder: Path, tmp_path: Path) -> None:
    options = dataclasses.replace(WHOLE, steps=60, check_every=2, patience=3, learning_rate=0.5, average=0.0)
    first = _earthquakes(folder, options)
    first.run(keep=tmp_path / "state.pt")
    assert first.step < 60
    again = _earthquakes(folder, options)
    again.load(tmp_path / "state.pt")
    again.run()
    assert again.step == first.step


def test_a_state_of_other_data_is_refused(folder: Path, tmp_path: Path) -> None:
    training = _earthquakes(folder, WHOLE)
    training.data = {"labelled_train.npz": "a", "start": "b"}
    training.save(tmp_path / "state.pt")
    for data in ({"labelled_train.npz": "c", "start": "b"}, {"labelled_train.npz": "c"}):
        training.data = data
        with pytest.raises(TrainingDataError, match=r"a training on another labelled_train\.npz, wanted the same"):
            training.load(tmp_path / "state.pt")
    training.data = {"labelled_train.npz": "a"}
    with pytest.raises(TrainingDataError, match="found a training on another start"):
        training.load(tmp_path / "state.pt")


def test_a_loss_that_is_no_number_ends_the_training(folder: Path) -> None:
    manifest, network = draft_manifest(find("earthquake-cnn")), find("earthquake-cnn").build()
    for each in network.parameters():
        each.data.fill_(float("nan"))
    training = Training(network, Preprocess(manifest), _records(manifest, folder), WHOLE)
    with pytest.raises(TrainingDataError, match="step 1: found a loss of nan"):
        training.run()


def test_a_training_that_gets_no_better_ends_and_keeps_its_best(folder: Path, tmp_path: Path) -> None:
    options = dataclasses.replace(
        training_options(), steps=60, batch=4, check_every=2, patience=3, held_out=0.4, learning_rate=0.5, average=0.0
    )
    manifest = draft_manifest(find("earthquake-cnn"))
    torch.manual_seed(0)
    training = Training(find("earthquake-cnn").build(), Preprocess(manifest), _records(manifest, folder), options)
    training.run(keep=tmp_path / "state.pt")
    looks = {row["step"]: row["validation_loss"] for row in training.curve if "validation_loss" in row}
    best = min(looks, key=lambda step: looks[step])
    assert training.step == max(best, 30) + 6 < 60  # in the first half the learning rate is high: it goes on
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    for name, each in training.trained.state_dict().items():
        torch.testing.assert_close(each, state["best"][0][name], rtol=0, atol=0)
    assert not torch.equal(training.trained.classify.weight, state["average"]["module.classify.weight"])  # type: ignore[arg-type,union-attr]  # a layer's


def training_options() -> TrainOptions:
    return default_options(draft_manifest(find("earthquake-cnn")))


def test_a_mean_of_teachers_teaches_every_kind(folder: Path) -> None:
    for name in ("earthquake-cnn", "convnetquake", "unet-z", "unet"):
        manifest = draft_manifest(find(name))
        options = dataclasses.replace(WHOLE, steps=1, mine_every=0, check_every=0, held_out=0.0)
        teachers = (find(name).build(), find(name).build())
        module = find(name).build()
        training = Training(module, Preprocess(manifest), _records(manifest, folder), options, teachers)
        training.run()
        assert np.isfinite(training.curve[-1]["loss"])


def test_accelerometers_alone_are_used_where_that_is_said(folder: Path, tmp_path: Path) -> None:
    """The set of this test has none."""
    command = ["train", "earthquake-cnn", "--data", str(folder), "--accelerometers", "-o", str(tmp_path / "x.onnx")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "found no arrival to learn in 0" in done.output


def test_the_average_forgets_within_a_short_training() -> None:
    manifest = draft_manifest(find("deepquake"))
    assert default_options(manifest, 100).average == pytest.approx(0.97)
    assert default_options(manifest).average == pytest.approx(0.999)
    assert default_options(draft_manifest(find("edge-picker")), 100) == TrainOptions(steps=100)
    assert default_options(draft_manifest(find("unet"))).window_samples == 600  # a minute of its five
    assert default_options(draft_manifest(find("deepquake"))).window_samples == 0


def test_a_set_without_events_is_refused(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path, count=1)  # noise
    with pytest.raises(TrainingDataError, match="found no arrival to learn in 1"):
        _training("gpd", folder)


@pytest.mark.parametrize("dropout", [True, False])
def test_dropout_is_on_where_it_is_wanted(*, dropout: bool, folder: Path) -> None:
    manifest = draft_manifest(find("earthquake-cnn"))
    torch.manual_seed(0)
    options = dataclasses.replace(WHOLE, steps=2, mine_every=0, dropout=dropout)
    network = find("earthquake-cnn").build()
    training = Training(network, Preprocess(manifest), _records(manifest, folder), options)
    training.run()
    modes = {each.training for each in network.modules() if isinstance(each, torch.nn.Dropout)}
    assert modes == {dropout}
    assert network.training


def test_a_training_begins_with_weights_and_its_record_says_with_which(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    options = tmp_path / "options.json"
    options.write_text('{"batch": 2, "mined_records": 1, "learning_rate": 1e-9, "rounded_from": 0.0}')
    command = ["train", "earthquake-cnn", "--data", str(folder), "--steps", "2", "--options", str(options)]
    done = CliRunner().invoke(main, [*command, "-o", str(first)])
    assert done.exit_code == 0, done.output
    start = first.with_suffix(".npz")
    done = CliRunner().invoke(main, [*command, "--seed", "1", "--start", str(start), "-o", str(second)])
    assert done.exit_code == 0, done.output
    record = json.loads(second.with_suffix(".json").read_text())
    assert record["data_digests"]["start first.npz"] == hashlib.sha256(start.read_bytes()).hexdigest()
    with np.load(start) as old, np.load(second.with_suffix(".npz")) as new:
        for name in old.files:
            if "weight" in name:
                np.testing.assert_allclose(new[name], old[name], atol=1e-4)
    (tmp_path / "other.npz").write_bytes(b"no weights")
    done = CliRunner().invoke(main, [*command, "--start", str(tmp_path / "other.npz"), "-o", str(second)])
    assert done.exit_code == 1
    assert "other.npz" in done.output


def test_layers_round_from_the_step_that_is_wanted(folder: Path) -> None:
    losses = {
        share: _losses(_training("earthquake-cnn", folder, steps=2, batch=4, rounded_from=share))
        for share in (0.0, 0.5, 1.0)
    }
    assert losses[0.0][0] != losses[1.0][0] == losses[0.5][0]
    assert losses[0.5][1] != losses[1.0][1]


def _losses(training: Training) -> list[float]:
    rows: list[float] = []
    training.run(lambda row: rows.append(row["loss"]), report_every=1)
    return rows


def test_judging_tells_how_many_records_are_done_of_how_many(folder: Path, tmp_path: Path) -> None:
    model = find("earthquake-cnn")
    options = dataclasses.replace(default_options(draft_manifest(model), 1), batch=2, mined_records=1)
    job = TrainJob(model, TrainingData(labelled=folder), options, threads=1, state=None)
    job.fit(lambda _: None)
    seen: list[tuple[int, int]] = []
    record = job.write(tmp_path / "x.onnx", command="", judging=lambda done, of: seen.append((done, of)))
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]
    assert len(seen) >= record.windows["validation"] > 0


def test_windows_that_a_model_cannot_take_are_told(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path, count=9)
    _at_rates(folder / "labelled_train.npz", [1000.0, 500.0, *[100.0] * 7])
    command = ["train", "unet-z", "--data", str(folder), "--steps", "1", "--options", str(_small(tmp_path))]
    done = CliRunner().invoke(main, [*command, "-o", str(tmp_path / "x.onnx")])
    assert done.exit_code == 0, done.output
    assert "labelled_train.npz: 1 windows left out: sampling rate: found 1000 Hz" in done.output
    _at_rates(folder / "labelled_train.npz", [1000.0] * 9)
    done = CliRunner().invoke(main, [*command, "-o", str(tmp_path / "x.onnx")])
    assert done.exit_code == 1
    assert "labelled_train.npz: found no window to use: sampling rate: found 1000 Hz" in done.output


@pytest.mark.parametrize(("name", "is_told"), [("unet-z", True), ("edge-picker", False)])
def test_windows_of_which_a_normalisation_leaves_nothing_are_told(name: str, is_told: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a case
    """Metres per second are small numbers: PhaseNet's divisor is never below a millionth."""
    folder = write_labelled(tmp_path, count=9)
    with np.load(folder / "labelled_train.npz") as file:
        arrays = dict(file)
    arrays["samples"][: 3 * arrays["n"][0]] *= 1e-9
    _with(folder / "labelled_train.npz", samples=arrays["samples"])
    options = dataclasses.replace(default_options(draft_manifest(find(name)), 1), batch=2)
    job = TrainJob(find(name), TrainingData(labelled=folder), options, threads=1, state=None)
    told = "labelled_train.npz: 1 windows have a standard deviation below 1e-06"
    assert (told in job.describe()) == is_told
    assert "labelled_val" not in job.describe()


def test_a_normalisation_that_adds_nothing_leaves_every_window(tmp_path: Path) -> None:
    manifest = draft_manifest(find("earthquake-cnn"))
    found = read_labelled(write_labelled(tmp_path, count=9) / "labelled_train.npz", Preprocess(manifest))
    steps = (*(each for each in manifest.steps if each.scope == "stream"), Step("normalise_signed_max", "window", {}))
    assert list(found.unused(dataclasses.replace(manifest, steps=steps))) == []


def test_a_window_with_a_sample_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path, count=9)
    with np.load(folder / "labelled_train.npz") as file:
        arrays = dict(file)
    arrays["samples"][5] = np.nan
    _with(folder / "labelled_train.npz", samples=arrays["samples"])
    options = dataclasses.replace(default_options(draft_manifest(find("earthquake-cnn")), 1), batch=2)
    job = TrainJob(find("earthquake-cnn"), TrainingData(labelled=folder), options, threads=1, state=None)
    assert "labelled_train.npz: 1 windows left out: found samples that are not finite" in job.describe()


def test_labels_without_an_origin_are_those_of_who_made_them(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path, count=9)
    for name in ("train", "val"):
        table = folder / f"labelled_{name}.csv"
        with table.open(encoding="utf-8", newline="") as file:
            rows = [{key: each for key, each in row.items() if key != "p_origin"} for row in csv.DictReader(file)]
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    assert {each.origin for case in labelled_cases(folder / "labelled_val.npz").cases for each in case.labels} == {
        "manual"
    }
    options = dataclasses.replace(default_options(draft_manifest(find("earthquake-cnn")), 1), batch=2, mined_records=1)
    job = TrainJob(find("earthquake-cnn"), TrainingData(labelled=folder), options, threads=1, state=None)
    job.fit(lambda _: None)
    assert "validation_manual_P_f1" in job.write(tmp_path / "x.onnx", command="").scores


def _at_rates(path: Path, rates: list[float]) -> None:
    _with(path, fs=np.array(rates))


def _with(path: Path, **changes: object) -> None:
    with np.load(path) as file:
        arrays: dict[str, Any] = {**file, **changes}
    np.savez(path, **arrays)

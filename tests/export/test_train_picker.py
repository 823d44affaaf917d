"""Training a picker: it learns, goes on where it stopped, and leaves an artefact with its record."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from labelled import write_labelled
from torch import nn

from seisedge.edge.preprocess import Preprocess
from seisedge.edge.session import OrtSession
from seisedge.export.cli import main
from seisedge.export.dataset import read_labelled
from seisedge.export.errors import TrainingDataError, WeightError
from seisedge.export.networks.edge_picker import WINDOW, EdgePicker
from seisedge.export.records import Record, labelled_records
from seisedge.export.registry import find
from seisedge.export.train import Training
from seisedge.export.train_job import draft_manifest
from seisedge.export.train_options import TrainOptions

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS = TrainOptions(steps=4, batch=4, mine_every=2, mined_records=2)
SEARCH = dataclasses.replace(OPTIONS, mined_records=9)


@pytest.fixture(scope="module")
def preprocess() -> Preprocess:
    return Preprocess(draft_manifest(find("edge-picker")))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, preprocess: Preprocess) -> tuple[Record, ...]:
    folder = write_labelled(tmp_path_factory.mktemp("labelled"))
    found = list(labelled_records(read_labelled(folder / "labelled_train.npz", preprocess), 100.0))
    noise = np.random.default_rng(0).standard_normal((3, 2 * OPTIONS.window_samples)).astype(np.float32)
    return (*found, Record("long", "continuous", noise))


def _training(preprocess: Preprocess, records: tuple[Record, ...], options: TrainOptions = OPTIONS) -> Training:
    torch.manual_seed(0)
    return Training(EdgePicker(dropout=0.0), preprocess, records, options)


def _weights(training: Training) -> list[torch.Tensor]:
    return [each.detach().clone() for each in training.trained.state_dict().values()]


def test_the_network_gives_a_probability_for_every_sample() -> None:
    with torch.inference_mode():
        probability = EdgePicker().eval()(torch.randn(2, 3, WINDOW))
    assert probability.shape == (2, WINDOW, 2)
    assert 0 <= float(probability.min()) <= float(probability.max()) <= 1


def test_the_lowest_level_sees_the_whole_window() -> None:
    """A sample at the one end has a say in the probability at the other."""
    network = EdgePicker().eval()
    x = torch.randn(1, 3, WINDOW, requires_grad=True)
    (gradient,) = torch.autograd.grad(network.logits(x)[0, 0, WINDOW - 1], x)
    assert gradient[0, :, : WINDOW // 8].abs().sum() > 0


def test_a_training_can_be_repeated_to_the_bit(preprocess: Preprocess, records: tuple[Record, ...]) -> None:
    first, second = (_training(preprocess, records) for _ in range(2))
    for each in (first, second):
        each.run()
    assert first.curve[0]["loss"] == second.curve[0]["loss"]
    for one, other in zip(_weights(first), _weights(second), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_training_learns(preprocess: Preprocess, records: tuple[Record, ...]) -> None:
    training = _training(preprocess, records, dataclasses.replace(OPTIONS, steps=40, mine_every=100, average=0.5))
    training.run(report_every=1)
    assert training.curve[-1]["loss"] < 0.9 * training.curve[0]["loss"]


def test_a_stopped_training_goes_on(preprocess: Preprocess, records: tuple[Record, ...], tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    stopped = _training(preprocess, records)

    def stop(row: dict[str, float]) -> None:
        if row["step"] == 2:
            raise KeyboardInterrupt

    stopped.run(stop, report_every=1, keep=state)
    assert stopped.step == 2
    resumed = _training(preprocess, records)
    resumed.load(state)
    assert resumed.step == 2
    resumed.run(keep=state)
    assert resumed.step == OPTIONS.steps
    again = _training(preprocess, records)
    again.load(state)
    assert again.step == OPTIONS.steps


def test_the_state_of_another_training_is_refused(
    preprocess: Preprocess, records: tuple[Record, ...], tmp_path: Path
) -> None:
    _training(preprocess, records).save(tmp_path / "state.pt")
    other = _training(preprocess, records, dataclasses.replace(OPTIONS, seed=1))
    with pytest.raises(TrainingDataError, match="found a training with other options"):
        other.load(tmp_path / "state.pt")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"text", pickle.dumps([1]), pickle.dumps({"options": None}), pickle.dumps(print)]
)
def test_a_file_that_is_no_state_is_named(
    preprocess: Preprocess, records: tuple[Record, ...], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(content)
    with pytest.raises((TrainingDataError, WeightError), match=r"state\.pt: found"):
        _training(preprocess, records).load(path)


def test_a_state_that_was_cut_short_or_is_of_another_network_is_named(
    preprocess: Preprocess, records: tuple[Record, ...], tmp_path: Path
) -> None:
    path = tmp_path / "state.pt"
    _training(preprocess, records).save(path)
    state = torch.load(path, weights_only=True)
    del state["module"]["head.weight"]
    torch.save(state, path)
    with pytest.raises(TrainingDataError, match=r"state\.pt: found no state of a training of this model"):
        _training(preprocess, records).load(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightError, match=r"state\.pt: found no whole file"):
        _training(preprocess, records).load(path)


class _Always(nn.Module):
    """Picks a P at one sample of every window."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.full((len(x), 2, x.shape[2]), -9.0)
        scores[:, 0, 1000] = 9.0
        return scores + self.bias


def test_false_picks_are_found_where_nothing_is_known_to_be(preprocess: Preprocess) -> None:
    quiet = Record("quiet", "noise", np.ones((3, OPTIONS.window_samples), np.float32))
    at_arrival = dataclasses.replace(quiet, id="busy", kind="continuous", arrivals=(("P", 1010.0),))
    unknown = dataclasses.replace(quiet, id="unknown", unknown=((None, 900.0, 1100.0),))
    training = Training(_Always(), preprocess, (quiet, at_arrival, unknown), SEARCH)
    training.search_false_picks()
    assert [(record.id, at) for record, at in training.false_picks] == [("quiet", 1000)]


def test_the_command_writes_an_artefact_and_its_record(tmp_path: Path) -> None:
    folder, output = write_labelled(tmp_path / "labelled"), tmp_path / "picker.onnx"
    command = ["train", "edge-picker", "--data", str(folder), "--steps", "2", "--state", str(tmp_path / "s.pt")]
    done = CliRunner().invoke(main, [*command, "-o", str(output)])
    assert done.exit_code == 0, done.output
    record = json.loads(output.with_suffix(".json").read_text())
    assert record["options"]["steps"] == 2
    session = OrtSession(output)
    session.check_golden()
    assert session.manifest.name == "edge-picker"
    assert session.manifest.verification.quality == record["scores"]


class _Says(nn.Module):
    """Says the same everywhere: P surely, S surely not."""

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack((torch.full_like(x[:, 0], 9.0), torch.full_like(x[:, 0], -9.0)), dim=1)


def test_teachers_are_believed_where_labels_are_not_known(preprocess: Preprocess, records: tuple[Record, ...]) -> None:
    unknown: tuple[tuple[str | None, float, float], ...] = ((None, 0.0, 1e9),)
    puzzles = tuple(dataclasses.replace(each, kind="continuous", arrivals=(), unknown=unknown) for each in records)
    examples = dataclasses.replace(OPTIONS.examples, shares=(0.0, 0.0, 0.0, 1.0, 0.0), superpose_event=0.0)
    options = dataclasses.replace(OPTIONS, steps=30, average=0.5, examples=examples)
    torch.manual_seed(0)
    training = Training(EdgePicker(), preprocess, puzzles, options, (_Says(), _Says()))
    training.run()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 2560)).astype(np.float32))
    with torch.inference_mode():
        said = training.trained(x)
    assert said[..., 0].mean() > 0.5 + 0.2 > said[..., 1].mean()


def test_the_options_of_a_record_can_be_given_again(tmp_path: Path) -> None:
    folder, output = write_labelled(tmp_path / "labelled"), tmp_path / "picker.onnx"
    (tmp_path / "o.json").write_text(json.dumps({"batch": 8, "steps": 3, "examples": {"burst": 0.25}}))
    command = ["train", "edge-picker", "--data", str(folder), "--options", str(tmp_path / "o.json")]
    done = CliRunner().invoke(main, [*command, "-o", str(output)])
    assert done.exit_code == 0, done.output
    weights = output.with_suffix(".npz")
    done = CliRunner().invoke(
        main, [*command, "--steps", "1", "--teacher", str(weights), "-o", str(tmp_path / "b.onnx")]
    )
    assert done.exit_code == 0, done.output
    first, second = (json.loads(each.read_text()) for each in (output.with_suffix(".json"), tmp_path / "b.json"))
    assert (first["options"]["batch"], first["options"]["steps"], second["options"]["steps"]) == (8, 3, 1)
    assert first["options"]["examples"]["burst"] == 0.25
    assert second["data_digests"]["teacher picker.npz"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_options_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "o.json").write_text(json.dumps({"bach": 8}))
    command = ["train", "edge-picker", "--data", str(tmp_path), "--options", str(tmp_path / "o.json")]
    done = CliRunner().invoke(main, [*command, "-o", str(tmp_path / "x.onnx")])
    assert "unknown key 'bach'; did you mean 'batch'?" in done.output
    assert done.exit_code != 0


def test_only_an_inversion_needs_no_data(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["train", "edge-picker", "-o", str(tmp_path / "x.onnx")])
    assert done.exit_code == 2
    assert "--data: missing, wanted labelled windows for edge-picker" in done.output


def test_the_state_of_an_older_trainer_is_gone_on_with(
    preprocess: Preprocess, records: tuple[Record, ...], tmp_path: Path
) -> None:
    """It had neither all of the options nor the random numbers; what it lacks had no effect."""
    state = tmp_path / "state.pt"
    first = _training(preprocess, records)
    first.run(keep=state)
    kept = torch.load(state, weights_only=True)
    for name in ("held_out", "check_every", "patience"):
        del kept["options"][name]
    for name in ("embed", "offset", "near_s", "pwave_window_s", "avoid_before_s", "avoid_after_s"):
        del kept["options"]["examples"][name]
    older = {name: kept[name] for name in ("options", "step", "curve", "module", "average", "optimiser", "schedule")}
    torch.save(older, state)
    resumed = _training(preprocess, records)
    resumed.load(state)
    assert resumed.step == OPTIONS.steps
    for one, other in zip(_weights(first), _weights(resumed), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)

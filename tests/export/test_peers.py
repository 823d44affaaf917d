"""The peers with torch run the same weights as the artefact, or say that they cannot."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch

from seisedge.edge import OrtSession
from seisedge.edge.bench.peers import GROUP, Subject, known_peers
from seisedge.edge.bench.records import made_record
from seisedge.edge.bench.rival import Rival, write_task
from seisedge.edge.bench.stages import StagedModel
from seisedge.edge.errors import ModelError
from seisedge.edge.models import embedded_models
from seisedge.edge.session import Engine
from seisedge.export.artefact import Source, export_fp32, tensors_digest
from seisedge.export.peers import eager, network_of
from seisedge.export.registry import find


def subject_of(path: Path) -> Subject:
    session = OrtSession(path)
    staged = StagedModel(session, made_record(seconds=60), lambda: 0)
    counts = made_record(seconds=60).components(3)
    windows = staged.windows(2)
    return Subject(path, session, counts, 100.0, windows, staged.stride, session.run(windows)[0])


def test_peers_of_the_export_side_are_registered() -> None:
    assert {each.name for each in entry_points(group=GROUP)} == {"torch eager", "torch.compile"}
    assert {"torch eager", "torch.compile", "OpenVINO"} <= known_peers().keys()


def test_the_embedded_weights_stand_beside_the_artefact() -> None:
    subject = subject_of(embedded_models()["seismo-performer"])
    run = eager(subject)
    assert run is not None
    assert isinstance(run(), torch.Tensor)


def test_random_weights_are_known_by_their_digest_and_others_are_not(tmp_path: Path) -> None:
    model = find("earthquake-cnn")
    for seed, known in ((0, True), (1, False)):
        torch.manual_seed(seed)
        network = model.build()
        path = tmp_path / f"{seed}.onnx"
        export_fp32(network, model.recipe, Source("1", tensors_digest(network), "", "", ""), path)
        assert (network_of(subject_of(path)) is not None) == known


def test_other_weights_are_refused() -> None:
    subject = subject_of(embedded_models()["seismo-performer"])
    with pytest.raises(ValueError, match="wanted the same weights"):
        eager(dataclasses.replace(subject, expected=1.0 - subject.expected))


def test_a_rival_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    write_task(subject_of(embedded_models()["seismo-performer"]), "torch eager", Engine(), tmp_path)
    with closing(Rival(tmp_path)) as rival:
        assert rival.problem == ""
        assert rival.run() > 0
        rival.end()
        with pytest.raises(ModelError, match="its process ended"):
            rival.run()


def test_a_rival_that_is_not_installed_says_so(tmp_path: Path) -> None:
    write_task(subject_of(embedded_models()["seismo-performer"]), "SeisBench annotate", Engine(), tmp_path)
    with closing(Rival(tmp_path)) as rival:
        assert rival.problem in {"not installed (seisbench)", "does not apply to it"}

"""The embedded models: which file a machine gets, and that each is what its name says."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from seisedge.edge import models
from seisedge.edge.errors import UsageError
from seisedge.edge.session import OrtSession
from seisedge.edge.targets import ProcessorTarget, host_target, runs_on

HOSTS: tuple[ProcessorTarget | None, ...] = (*get_args(ProcessorTarget), None)


def test_each_file_is_of_the_model_and_the_form_that_it_is_named_after() -> None:
    for key, path in models.embedded_files().items():
        manifest = OrtSession(path, any_target=True).manifest
        precision, target = manifest.quantization.precision, manifest.quantization.target
        assert key == f"{manifest.name}:{precision if target == 'any' else f'{precision}-{target}'}"


@pytest.mark.parametrize("host", HOSTS)
def test_a_machine_gets_what_was_verified_for_it(host: ProcessorTarget | None) -> None:
    found = models.models_for(host)
    assert models.DEFAULT in found
    for name, path in found.items():
        quantization = OrtSession(path, any_target=True).manifest.quantization
        assert runs_on(quantization.target, host)
        own = models.embedded_files().get(f"{name}:int8-{host}")
        assert path == own or own is None


def test_every_model_has_a_file_for_everybody() -> None:
    assert all(f"{name}:fp32" in models.embedded_files() for name in models.embedded_models())


def test_a_name_means_this_machine_and_a_form_means_a_file() -> None:
    for name in models.embedded_models():
        assert models.find_model(name) == models.models_for(host_target())[name]
        assert models.find_model(f"{name}:fp32") == Path(models.__file__).parent / f"{name}.onnx"


def test_a_form_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"^model 'edge-picker:int4': no such file, and no embedded model"):
        models.find_model("edge-picker:int4")


def test_files_that_run_here_pass_their_golden_check() -> None:
    for path in models.embedded_files().values():
        session = OrtSession(path, any_target=True)
        if runs_on(session.manifest.quantization.target, host_target()):
            session.check_golden()

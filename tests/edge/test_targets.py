"""Which processors an artefact is for, and where it is refused."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path
from typing import get_args

import artefacts
import pytest

from seisedge.edge import ModelError, OrtSession, session
from seisedge.edge.targets import ProcessorTarget, Target, host_target, runs_on

PROCESSORS: tuple[ProcessorTarget | None, ...] = ("x86-vnni", "x86-avx2", "arm", None)


@pytest.mark.parametrize(
    ("machine", "flags", "target"),
    [
        ("x86_64", "flags : sse4_2 avx2 avx512_vnni", "x86-vnni"),
        ("AMD64", "flags : avx2 avx_vnni", "x86-vnni"),
        ("x86_64", "flags : avx2 avx512f", "x86-avx2"),
        ("x86_64", "", "x86-avx2"),
        ("aarch64", "Features : asimd", "arm"),
        ("arm64", "", "arm"),
    ],
)
def test_a_processor_has_its_class(machine: str, flags: str, target: str) -> None:
    assert host_target(machine, flags) == target


def test_another_processor_has_none() -> None:
    assert host_target("riscv64", "") is None


def test_floats_run_everywhere_and_integers_only_where_they_are_right() -> None:
    integers = [each for each in get_args(Target) if each != "any"]
    assert all(runs_on("any", host) for host in PROCESSORS)
    right = {(target, host) for target, host in itertools.product(integers, PROCESSORS) if runs_on(target, host)}
    assert right == {("x86-vnni", "x86-vnni"), ("x86-avx2", "x86-vnni"), ("x86-avx2", "x86-avx2"), ("arm", "arm")}


def made_for(target: Target, path: Path) -> Path:
    manifest = artefacts.tiny_manifest()
    quantization = dataclasses.replace(manifest.quantization, precision="int8", target=target)
    return artefacts.write_tiny(path, dataclasses.replace(manifest, quantization=quantization))


@pytest.mark.parametrize(
    ("host", "target", "way"),
    [
        ("x86-avx2", "x86-vnni", "make one with edge-export quantize --target x86-avx2"),
        ("arm", "x86-avx2", "make one with edge-export quantize --target arm"),
        ("x86-vnni", "tensorrt", "build its engine"),
    ],
)
def test_an_artefact_for_another_class_is_refused(
    host: ProcessorTarget, target: Target, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "host_target", lambda: host)
    path = made_for(target, tmp_path / "int8.onnx")
    message = f"int8.onnx: found an artefact for {target}, and this machine is {host}: {way}"
    with pytest.raises(ModelError, match=re.escape(message)):
        OrtSession(path)
    assert OrtSession(path, any_target=True).manifest.quantization.target == target

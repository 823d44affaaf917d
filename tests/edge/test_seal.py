"""An artefact whose bytes are not those that were exported is refused."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import artefacts
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seisedge.edge import ModelError, OrtSession
from seisedge.edge.manifest import METADATA_KEY
from seisedge.edge.seal import SEAL_KEY, check_seal, metadata_entry

SEALED = artefacts.sealed(artefacts.tiny_graph().SerializeToString())


def check(content: bytes) -> str:
    return check_seal(io.BytesIO(content), len(content), "model.onnx")


def test_a_sealed_model_is_a_model_with_one_more_pair() -> None:
    pairs = {each.key: each.value for each in onnx.load_from_string(SEALED).metadata_props}
    assert list(pairs) == [SEAL_KEY]
    assert re.fullmatch("[0-9a-f]{64}", pairs[SEAL_KEY])
    assert check(SEALED) == hashlib.sha256(SEALED).hexdigest()


@pytest.mark.parametrize("length", [0, 1, 100, 127, 128, 20_000, 3_000_000])
def test_a_pair_of_any_length_is_appended_as_protobuf_has_it(length: int) -> None:
    model = onnx.ModelProto()
    model.ParseFromString(SEALED + metadata_entry("key", "é" * length))
    assert [(each.key, each.value) for each in model.metadata_props[1:]] == [("key", "é" * length)]


def test_a_seal_survives_a_program_that_changes_nothing() -> None:
    assert onnx.load_from_string(SEALED).SerializeToString() == SEALED


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed(place: int, change: int) -> None:
    broken = bytearray(SEALED)
    broken[place] ^= change
    with pytest.raises(ModelError, match=r"model\.onnx: found (contents|no seisedge\.sha256)"):
        check(bytes(broken))


@given(st.integers(0, len(SEALED) - 1))
def test_nothing_can_be_cut_off_or_added(length: int) -> None:
    for broken in (SEALED[:length], SEALED + SEALED[length:][:1]):
        with pytest.raises(ModelError):
            check(broken)


def test_a_changed_weight_is_refused_and_the_way_on_is_named(tiny_path: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_path)
    weights = bytearray(model.graph.initializer[0].raw_data)
    weights[3] ^= 1
    model.graph.initializer[0].raw_data = bytes(weights)
    path = tmp_path / "changed.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"changed\.onnx: found contents .* export it again") as caught:
        OrtSession(path)
    assert "\n" not in str(caught.value)


def test_a_model_that_another_program_made_is_refused(tmp_path: Path) -> None:
    graph = artefacts.tiny_graph()
    entry = graph.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, artefacts.tiny_manifest().to_json()
    path = tmp_path / "foreign.onnx"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match=r"foreign\.onnx: found no seisedge\.sha256 at its end, wanted an artefact"):
        OrtSession(path)

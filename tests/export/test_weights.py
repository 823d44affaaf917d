"""Weights from any file: all of them or nothing, every misfit told, and nothing in a file is run."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared
from torch import nn

from seisedge.export.cli import main
from seisedge.export.errors import WeightError
from seisedge.export.registry import find
from seisedge.export.weights import load_weights, save_weights
from seisedge.export.weights_report import WeightMismatchError

Writer = Callable[[Path, dict[str, torch.Tensor]], None]


def network(seed: int = 0, name: str = "spec-cnn") -> nn.Module:
    torch.manual_seed(seed)
    return find(name).build()


def write_npz(path: Path, state: dict[str, torch.Tensor]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: tensor.numpy() for name, tensor in state.items()})


def write_torch(path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, path)


def write_old_torch(path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def write_checkpoint(path: Path, state: dict[str, torch.Tensor]) -> None:
    named = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}, "model_state_dict": named}, path)


def write_safetensors(path: Path, state: dict[str, torch.Tensor]) -> None:
    kinds = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in state.items():
        raw = tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.ndim else tensor.numpy().tobytes()
        header[name] = {
            "dtype": kinds[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_imagenet_checkpoint(path: Path, state: dict[str, torch.Tensor]) -> None:
    """As PyTorch's own example does: a tensor that is no weight stands beside them."""
    torch.save({"epoch": 3, "best_acc1": torch.tensor(71.5), "state_dict": state}, path)


WRITERS: dict[str, Writer] = {
    "w.npz": write_npz,
    "w.pt": write_torch,
    "old.pth": write_old_torch,
    "checkpoint.ckpt": write_checkpoint,
    "checkpoint.pth.tar": write_imagenet_checkpoint,
    "w.safetensors": write_safetensors,
    "a name without a suffix": write_safetensors,
}


@pytest.mark.parametrize("name", WRITERS)
def test_weights_come_back_from_every_form_as_they_were(name: str, tmp_path: Path) -> None:
    source, other = network(0), network(1)
    WRITERS[name](tmp_path / name, source.state_dict())
    loaded = load_weights(tmp_path / name, other)
    assert {each.module_path for each in loaded.report.matched} == set(source.state_dict())
    for key, tensor in source.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[key]), key


def test_a_checkpoint_that_holds_itself_is_no_endless_search(tmp_path: Path) -> None:
    state: dict[str, object] = {**network(0).state_dict()}
    state["model"] = state
    torch.save(state, tmp_path / "w.pt")
    load_weights(tmp_path / "w.pt", network(1))


def test_our_own_file_comes_back(tmp_path: Path) -> None:
    source, other = network(0), network(1)
    save_weights(tmp_path / "w.npz", source)
    load_weights(tmp_path / "w.npz", other)
    for key, tensor in source.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[key]), key


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32_and_the_report_says_so(dtype: torch.dtype, tmp_path: Path) -> None:
    source, other = network(0), network(1)
    state = {key: each.to(dtype) if each.is_floating_point() else each for key, each in source.state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    notes = {each.module_path: each.note for each in load_weights(tmp_path / "w.pt", other).report.matched}
    if dtype != torch.bfloat16:  # which torch itself widens
        assert notes["classify.bias"] == f"{str(dtype).removeprefix('torch.')} to float32"
    for key, tensor in state.items():
        assert torch.equal(tensor.to(other.state_dict()[key].dtype), other.state_dict()[key]), key


def test_every_misfit_is_in_the_report_and_nothing_is_loaded(tmp_path: Path) -> None:
    source, other = network(0), network(1)
    before = {key: tensor.clone() for key, tensor in other.state_dict().items()}
    state = dict(source.state_dict())
    state["extra"] = torch.zeros(2)
    state["classify.bias"] = torch.zeros(4)
    del state["classify.weight"]
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(
        WeightMismatchError, match=r"w\.pt: not the weights of SpecCnn: .* 2 missing, 2 surplus"
    ) as caught:
        load_weights(tmp_path / "w.pt", other)
    report = caught.value.report
    assert {each.path for each in report.missing} == {"classify.weight", "classify.bias"}
    assert {(each.path, each.shape) for each in report.surplus} == {("extra", (2,)), ("classify.bias", (4,))}
    assert all(torch.equal(tensor, before[key]) for key, tensor in other.state_dict().items())


def test_torchs_own_counter_may_be_missing(tmp_path: Path) -> None:
    source, other = network(0), network(1)
    state = {key: each for key, each in source.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert len(state) < len(source.state_dict())
    torch.save(state, tmp_path / "w.pt")
    load_weights(tmp_path / "w.pt", other)
    assert torch.equal(source.state_dict()["classify.weight"], other.state_dict()["classify.weight"])


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("/tmp/seisedge-was-here"),)  # noqa: S108 - nothing may appear there


@pytest.mark.parametrize("form", ["torch", "old", "pickle"])
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(form: str, tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pt", Path("/tmp/seisedge-was-here")  # noqa: S108 - nothing may appear there
    mark.unlink(missing_ok=True)
    if form == "pickle":
        path.write_bytes(pickle.dumps(_Evil(), protocol=2))
    else:
        torch.save({"a": _Evil()}, path, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(WeightError, match=r"evil\.pt: found a pickle that runs code when it is read, which is refused"):
        load_weights(path, network())
    assert not mark.exists()


def test_an_npz_that_needs_a_pickle_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickle.npz", embed=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(WeightError, match="without pickles"):
        load_weights(tmp_path / "pickle.npz", network())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(bad: float, tmp_path: Path) -> None:
    state = network().state_dict()
    state["classify.bias"][1] = bad
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(WeightError, match=r"classify\.bias: found NaN or infinity"):
        load_weights(tmp_path / "w.pt", network())
    state["classify.bias"] = torch.zeros(3, dtype=torch.int32)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(WeightError, match=r"classify\.bias: found type int32, wanted floats"):
        load_weights(tmp_path / "w.pt", network())


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 damaged", b"\x80\x02damaged", b"\x10" + bytes(30)])
def test_files_that_are_no_weights_are_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(content)
    with pytest.raises(WeightError, match=r"w\.bin: found .*wanted") as caught:
        load_weights(path, network())
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightError, match=r"nowhere\.pt: no such file"):
        load_weights(tmp_path / "nowhere.pt", network())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for name, writer in WRITERS.items():
        writer(folder / name, network().state_dict())
    return folder


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(sorted(WRITERS)), st.integers(0, 4000), st.integers(1, 255), st.booleans())
def test_damage_is_a_weight_error_or_nothing(
    whole: Path,
    tmp_path: Path,
    name: str,
    place: int,
    change: int,
    cut: bool,  # noqa: FBT001
) -> None:
    """At the start, where the structure is: no other exception may escape."""
    broken = bytearray((whole / name).read_bytes())
    broken[place] ^= change
    path = tmp_path / "broken"
    path.write_bytes(bytes(broken[: place + 50] if cut else broken))
    with contextlib.suppress(WeightError):
        load_weights(path, network())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "U8"}, "found type 'U8'"),
        ({"shape": [-1]}, r"found shape \[-1\]"),
        ({"shape": [1 << 50]}, "wanted whole numbers"),
        ({"data_offsets": [4, 16]}, "found bytes 4 to 16"),
        ({"data_offsets": [0, 1 << 33]}, "found bytes 0 to"),
    ],
)
def test_safetensors_whose_header_lies_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [3], "data_offsets": [0, 12], **change}
    text = json.dumps({"classify.bias": entry}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(12))
    with pytest.raises(WeightError, match=message):
        load_weights(path, network())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_the_command_lists_every_tensor_and_writes_only_what_fits(tmp_path: Path) -> None:
    torch.save({f"model.{key}": each for key, each in network().state_dict().items()}, tmp_path / "w.pt")
    good = run("import-weights", "spec-cnn", tmp_path / "w.pt", "-o", tmp_path / "good.npz")
    assert good.exit_code == 0, good.output
    assert good.stdout.count("matched") == len(network().state_dict())
    load_weights(tmp_path / "good.npz", network(1))
    bad = run("import-weights", "gpd", tmp_path / "w.pt", "-o", tmp_path / "bad.npz")
    assert bad.exit_code == 1
    assert not (tmp_path / "bad.npz").exists()
    gpd, spec = network(name="gpd").state_dict(), network().state_dict()
    shared = sum(key in spec and spec[key].shape == each.shape for key, each in gpd.items())
    assert bad.stdout.count("surplus") == len(spec) - shared
    assert bad.stderr.count("\n") == 1


@needs_shared
@pytest.mark.parametrize("name", ["model-10534", "model-10534.index", "convnetquake_wenchuan_30s_step10534.npz"])
def test_the_published_convnetquake_comes_from_checkpoint_and_npz(name: str) -> None:
    module = find("convnetquake-wenchuan").build()
    folder = SHARED / "weights" / "convnetquake_wenchuan_mit"
    assert len(load_weights(folder / name, module).report.matched) == 20
    with np.load(folder / "convnetquake_wenchuan_30s_step10534.npz") as wanted:
        np.testing.assert_array_equal(module.get_parameter("blocks.8.conv.weight").detach(), wanted["conv9/weights"].T)
        np.testing.assert_array_equal(module.get_parameter("classify.weight").detach(), wanted["logits/weights"].T)


@needs_shared
@pytest.mark.parametrize(
    "name", ["lppn_mit/16-4.wave", "seist_mit/seist_s_dpk_diting.pth", "seisbench_phasenetlight_gpl3/ethz.pt.v2"]
)
def test_published_torch_files_are_read_and_their_tensors_listed(name: str) -> None:
    with pytest.raises(WeightMismatchError) as caught:
        load_weights(SHARED / "weights" / name, network())
    assert len(caught.value.report.surplus) > 20

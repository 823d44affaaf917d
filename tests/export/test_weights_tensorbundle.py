"""TensorFlow checkpoints: a published one, and ones written here byte by byte, whole, damaged and hostile."""

from __future__ import annotations

import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from naive_networks import F64Array, fill
from numpy.typing import NDArray
from scipy import signal
from shared_data import SHARED, needs_shared
from torch import nn

from seisedge.export.errors import WeightError
from seisedge.export.networks import parameter_count
from seisedge.export.networks.convnetquake import ConvNetQuake, ConvNetQuakeOptions
from seisedge.export.weights_convnetquake import load_tensorbundle_weights
from seisedge.export.weights_report import MatchedTensor
from seisedge.export.weights_tensorbundle import read_tensorbundle

with warnings.catch_warnings():
    # Importing ObsPy 1.5 asks importlib.metadata in a way that Python 3.10 and 3.11 deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    import obspy

Variables = dict[str, NDArray[np.generic]]

WENCHUAN = SHARED / "weights" / "convnetquake_wenchuan_mit"
SMALL = ConvNetQuakeOptions(samples=9, channels=2, classes=3, convolutions=2, filters=4, dense=2, hidden=3)


def small() -> ConvNetQuake:
    return fill(ConvNetQuake(options=SMALL)).float()


def varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def checksum(data: bytes) -> bytes:
    """CRC-32C bit by bit, in LevelDB's form."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32).to_bytes(4, "little")


def entry(values: NDArray[np.generic], offset: int, *, kind: int | None = None) -> bytes:
    kinds = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}
    shape = b"".join(part(2, number(1, size)) for size in values.shape)
    message = number(1, kind or kinds[str(values.dtype)]) + part(2, shape) + number(4, offset)
    return message + number(5, values.nbytes) + varint(6 << 3 | 5) + checksum(values.tobytes())


HEADER = number(1, 1) + part(3, number(1, 1))


def listed(variables: Variables) -> tuple[dict[bytes, bytes], bytes]:
    entries, data = {b"": HEADER}, b""
    for name in sorted(variables):
        entries[name.encode()] = entry(variables[name], len(data))
        data += variables[name].tobytes()
    return entries, data


def block(entries: list[tuple[bytes, bytes]], *, compression: int = 0) -> bytes:
    """One block with its trailer; every fourth key is written out."""
    body, before, restarts = b"", b"", b""
    for index, (key, value) in enumerate(entries):
        shared = max(n for n in range(len(before) + 1) if key.startswith(before[:n])) if index % 4 else 0
        restarts += b"" if index % 4 else len(body).to_bytes(4, "little")
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    body += restarts + (len(restarts) // 4).to_bytes(4, "little") + bytes([compression])
    return body + checksum(body)


def table(blocks: list[bytes], content: bytes = b"") -> bytes:
    """An index file of such blocks, behind some other content."""
    handles = list[bytes]()
    for each in (*blocks, block([])):
        handles.append(varint(len(content)) + varint(len(each) - 5))
        content += each
    index = block([(bytes([key]), handle) for key, handle in enumerate(handles[:-1])])
    footer = handles[-1] + varint(len(content)) + varint(len(index) - 5)
    return content + index + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def write(folder: Path, entries: dict[bytes, bytes], data: bytes, *, per_block: int = 5) -> Path:
    items = list(entries.items())
    blocks = [block(items[i : i + per_block]) for i in range(0, len(items), per_block)]
    (folder / "model-1.data-00000-of-00001").write_bytes(data)
    path = folder / "model-1.index"
    path.write_bytes(table(blocks))
    return path


def variables_of(module: ConvNetQuake) -> Variables:
    names = {"blocks.0.conv": "conv1", "blocks.1.conv": "conv2", "dense.0": "fc1", "classify": "logits"}
    named: Variables = {"global_step": np.array(7, np.int64), "conv1/weights/Adam": np.ones((3, 2, 4), np.float64)}
    for path, tensor in module.state_dict().items():
        layer, _, kind = path.rpartition(".")
        named[f"{names[layer]}/{'weights' if kind == 'weight' else 'biases'}"] = np.ascontiguousarray(tensor.numpy().T)
    return named


@pytest.mark.parametrize("per_block", [1, 5, 99])
def test_variables_land_where_they_belong(tmp_path: Path, per_block: int) -> None:
    source, target = small(), ConvNetQuake(options=SMALL).double().eval()
    written = variables_of(source)
    path = write(tmp_path, *listed(written), per_block=per_block)
    for name, values in read_tensorbundle(path).items():
        np.testing.assert_array_equal(values, written[name], strict=True)
    report = load_tensorbundle_weights(path, target)
    torch.testing.assert_close(target.state_dict(), source.double().state_dict(), rtol=0, atol=0)
    assert not target.training
    assert (report.path, report.network, report.is_complete, len(report.matched)) == (path, "ConvNetQuake", True, 8)
    assert MatchedTensor("conv2/weights", "blocks.1.conv.weight", (3, 4, 4)) in report.matched


@needs_shared
def test_published_checkpoint_holds_what_others_unpacked() -> None:
    found = read_tensorbundle(WENCHUAN / "model-10534.index")
    with np.load(WENCHUAN / "convnetquake_wenchuan_30s_step10534.npz") as file:
        wanted = {name: file[name] for name in file.files}
    assert len(found) == len(wanted) == 21
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, strict=True)


def event_probability(windows: F64Array) -> F64Array:
    """P(class 2) of (batch, sample, channel), each channel without its mean and over its largest value."""
    windows = windows - windows.mean(axis=1, keepdims=True)
    windows = windows / np.abs(windows).max(axis=1, keepdims=True)
    module = ConvNetQuake(options=ConvNetQuakeOptions(samples=3001, convolutions=9, classes=3)).eval()
    assert len(load_tensorbundle_weights(WENCHUAN / "model-10534.index", module).matched) == 20
    assert parameter_count(module) == 25_731
    probabilities = module(torch.from_numpy(windows.astype(np.float32))).detach().double().numpy()
    assert probabilities[:, 1].max() < 1e-4  # the labels skip class 1
    return np.asarray(probabilities[:, 2])


@needs_shared
def test_published_weights_tell_an_event_from_white_noise() -> None:
    noise = event_probability(np.random.default_rng(1).standard_normal((64, 3001, 3)))
    assert noise.mean() == pytest.approx(1e-4, abs=5e-5)  # documented: 0.0001
    record = obspy.read()  # ObsPy's example, a local event at RJOB: 30 s of Z, N, E
    sections = signal.butter(4, [0.5, 20.0], "bandpass", fs=100.0, output="sos")
    for order in ("ZNE", "ENZ"):
        traces = [record.select(component=component)[0].data for component in order]
        filtered = signal.sosfilt(sections, [trace - trace.mean() for trace in traces])
        window = np.pad(filtered, ((0, 0), (0, 1)), "edge").T  # the record has 3000 samples
        assert 0.515 < event_probability(window[None])[0] < 0.615  # documented: 0.52 to 0.61


@needs_shared
def test_checkpoint_of_another_network_is_read_and_refused() -> None:
    phasenet = SHARED / "weights" / "phasenet_190703-214543" / "model_95.ckpt.index"
    require_refused(phasenet, r"not the weights of ConvNetQuake: found beta \(8,\) at DownConv_0/.* 93 surplus")


def require_refused(path: Path, message: str) -> None:
    """See loading fail with one line, and leave the module alone."""
    module = small()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(WeightError, match=message) as caught:
        load_tensorbundle_weights(path, module)
    assert "\n" not in str(caught.value)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("conv2/biases", None, r"found no such tensor, wanted biases \(4,\) at blocks.1.conv.bias; in all 1 m"),
        ("conv3/biases", np.ones(4, np.float32), r"found biases \(4,\) at conv3/biases, wanted no further tensor"),
        ("conv1/weights", np.ones((2, 3, 4), np.float32), r"found weights \(2, 3, 4\) .*, wanted weights \(3, 2, 4\)"),
        ("logits/biases", np.ones(3, np.int32), "logits/biases: found type int32, wanted float32"),
        ("logits/biases", np.array([0, np.nan, 0], np.float32), "logits/biases: found NaN or infinity"),
    ],
)
def test_misfits_are_refused(tmp_path: Path, name: str, values: NDArray[np.generic] | None, message: str) -> None:
    variables = variables_of(small())
    if values is None:
        del variables[name]
    else:
        variables[name] = values
    require_refused(write(tmp_path, *listed(variables)), message)


BIASES = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (b"", b"", "header: found 0 shards of byte order 0, wanted 1 of 0"),
        (b"", HEADER + number(2, 1), "header: found 1 shards of byte order 1"),
        (b"fc1/biases", entry(BIASES, 0, kind=7), "fc1/biases: found data type 7 in shard 0"),
        (b"fc1/biases", entry(BIASES, 0) + number(3, 1), "fc1/biases: found data type 1 in shard 1"),
        (b"fc1/biases", entry(BIASES, 0) + part(7, b""), "fc1/biases: found field 7 of wire type 2"),
        (b"fc1/biases", entry(BIASES, 0)[:-3], "fc1/biases: found 1 bytes, wanted 4 more"),
        (b"fc1/biases", entry(BIASES, 4), "fc1/biases: found it at byte 4, wanted it at"),
        (b"fc1/biases", entry(BIASES[:0], 0), r"fc1/biases: found shape \(0,\) in 0 bytes"),
        (b"fc1/biases", entry(np.ones((1,) * 9, np.float32), 0), r"found shape \(1, 1, 1, 1, 1, 1, 1, 1, 1\) in 4"),
        (b"fc1/biases", number(1, 1) + number(5, 8), r"fc1/biases: found shape \(\) in 8 bytes, wanted"),
        (b"fc1/biases", b"\xff" * 11, "fc1/biases: found a number in more bytes than needed"),
        (b"fc1/\x1b", entry(BIASES, 0), r"found variable 'fc1/\\x1b', wanted a printable name"),
        (b"f" * 513, entry(BIASES, 0), r"found a key of . \+ 51. bytes after"),
    ],
    ids=range(13),
)
def test_entries_that_say_something_else_are_refused(tmp_path: Path, key: bytes, value: bytes, message: str) -> None:
    entries, data = listed(variables_of(small()))
    require_refused(write(tmp_path, dict(sorted((entries | {key: value}).items())), data), message)


def test_what_the_index_does_not_account_for_is_refused(tmp_path: Path) -> None:
    entries, data = listed(variables_of(small()))
    require_refused(
        write(tmp_path, entries, data + b"\0"), r"-of-00001: found \d+ bytes, wanted the \d+ that the index"
    )
    require_refused(write(tmp_path, dict(reversed(entries.items())), data), "found keys out of order, wanted them to")
    path, whole = write(tmp_path, entries, data), block(list(entries.items()))
    path.write_bytes(table([whole], content=b"\0"))
    require_refused(path, "found a block at byte 1, wanted it at 0")
    body = bytes([1, 0, len(HEADER)]) + HEADER + bytes(4) + b"\1\0\0\0" + b"\0"
    path.write_bytes(table([body + checksum(body)]))
    require_refused(path, r"block at byte 0: found a key of 1 \+ 0 bytes after 0")


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"PK\x03\x04" + bytes(900), bytes(2**18 + 1)])
def test_other_kinds_of_file_are_refused(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, *listed(variables_of(small())))
    path.write_bytes(table([block([(b"", HEADER)], compression=1)]))
    require_refused(path, "model-1.index: block at byte 0: found compression 1, wanted none")
    path.write_bytes(content)
    message = "no magic number at the end, wanted the" if len(content) <= 2**18 else "262145 bytes, wanted 262144 at"
    require_refused(path, f"model-1.index: found {message}")
    require_refused(tmp_path, "found no file, wanted one of a TensorFlow checkpoint")
    with pytest.raises(WeightError, match="found a network of type Linear, wanted a ConvNetQuake"):
        load_tensorbundle_weights(path, nn.Linear(2, 2))


def test_any_changed_or_lost_byte_is_found(tmp_path: Path) -> None:
    path, random = write(tmp_path, *listed(variables_of(small()))), np.random.default_rng(5)
    for file, step in ((path, 1), (path.with_name("model-1.data-00000-of-00001"), 7)):
        whole = file.read_bytes()
        for at in range(0, len(whole), step):
            flipped = bytes([whole[at] ^ 1 << int(random.integers(8))])
            for damaged in (whole[:at] + flipped + whole[at + 1 :], whole[:at])[: 1 + (at % 8 == 0)]:
                file.write_bytes(damaged)
                with pytest.raises(WeightError, match=r"\A[^\n]+\Z"):
                    read_tensorbundle(path)
        file.write_bytes(whole)
    read_tensorbundle(path)


def changed(content: bytes, random: np.random.Generator) -> bytes:
    body = bytearray(content)
    for at in random.integers(len(content), size=random.integers(1, 4)):
        body[at : at + int(random.integers(3))] = random.bytes(int(random.integers(3)))
    return bytes(body)


@pytest.mark.parametrize("seed", range(4))
def test_changed_entries_with_sound_checksums_load_or_are_refused(tmp_path: Path, seed: int) -> None:
    entries, data = listed(variables_of(small()))
    path, whole = write(tmp_path, entries, data), block(list(entries.items()))[:-5]
    random, module, refusals = np.random.default_rng(seed), small(), list[str]()
    tracemalloc.start()
    for key in (*entries, *entries, *[None] * 40):  # the entries first, then the block around them
        if key is None:
            body = changed(whole, random) + b"\0"
            path.write_bytes(table([body + checksum(body)]))
        else:
            write(tmp_path, entries | {key: changed(entries[key], random)}, data)
        try:
            load_tensorbundle_weights(path, module)
        except WeightError as error:
            refusals.append(str(error))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22
    assert sum("\n" not in refusal for refusal in refusals) == len(refusals) > 40
    assert all(torch.isfinite(tensor).all() for tensor in module.state_dict().values())

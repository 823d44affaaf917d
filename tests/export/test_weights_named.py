"""Names of tensors that are changed to the network's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from seisedge.export.cli import main
from seisedge.export.errors import WeightError
from seisedge.export.registry import find
from seisedge.export.weights import load_weights
from seisedge.export.weights_named import parse_rename
from seisedge.export.weights_report import WeightMismatchError


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return find("spec-cnn").build()


def test_names_can_be_changed(tmp_path: Path) -> None:
    source, other = network(0), network(1)
    torch.save({f"net.stage_{key}": each for key, each in source.state_dict().items()}, tmp_path / "w.pt")
    with pytest.raises(WeightMismatchError):
        load_weights(tmp_path / "w.pt", other)
    load_weights(tmp_path / "w.pt", other, (parse_rename(r"^net\.stage_="),))
    assert torch.equal(source.state_dict()["classify.weight"], other.state_dict()["classify.weight"])
    with pytest.raises(WeightError, match="found two tensors of one name after renaming"):
        load_weights(tmp_path / "w.pt", other, (parse_rename(r".*=x"),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "wanted REGEX=REPLACEMENT"),
        ("(=x", "found no regular expr"),
        ("a{99999999999}=x", "found no regular expr"),
        (r"^blocks=\1x", r"'\^blocks=.*: found the replacement .*invalid group reference 1"),
        (r"^blocks=\g<name>x", "found the replacement .*unknown group name 'name'"),
        (r"^blocks=\q", r"found the replacement .*bad escape"),
    ],
)
def test_a_rename_that_is_none_is_named(text: str, message: str) -> None:
    with pytest.raises(WeightError, match=message) as caught:
        parse_rename(text)
    assert "\n" not in str(caught.value)


def test_a_rename_may_take_groups_of_its_expression() -> None:
    rename = parse_rename(r"^(?P<part>\w+)\.(\d)=\g<part>_\2")
    assert rename.pattern.sub(rename.replacement, "blocks.1.weight") == "blocks_1.weight"


def test_the_command_tells_a_bad_rename_in_one_line(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "w.pt")
    options = ["--rename", r"^blocks=\1x", "-o", str(tmp_path / "x.npz")]
    done = CliRunner().invoke(main, ["import-weights", "spec-cnn", str(tmp_path / "w.pt"), *options])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert r"rename '^blocks=\\1x': found the replacement" in done.stderr
    assert not (tmp_path / "x.npz").exists()

"""`check`, `init`, `run` and `replay` refuse what cannot work, in one line with its place, and leave no trace."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import daemon_rig as rig
import packets
import pytest
from click.testing import CliRunner

from seisedge.edge import OrtSession, UsageError, daemon_cli, models
from seisedge.edge.daemon import possible
from seisedge.edge.daemon.config import parse_config
from seisedge.edge.daemon.service import Service
from seisedge.edge.pipeline import LoadedModel

PICKER = '[[model]]\nname = "picker"\nartefact = "edge-picker"\n'
STRIDE = "found 5000, wanted at most 2048 for model edge-picker"


def _no_log(form: str, *, verbose: bool) -> None:
    """As `set_up_log`."""


@pytest.fixture(autouse=True)
def _process_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in the test's process, whose log and garbage collector are not theirs."""
    monkeypatch.setattr(daemon_cli, "set_up_log", _no_log)
    monkeypatch.setattr(daemon_cli, "prepare_process", lambda: None)


@dataclass(frozen=True)
class Done:
    """What the command did."""

    code: int
    out: str
    err: str


def edge_daemon(*arguments: str | Path) -> Done:
    result = CliRunner().invoke(daemon_cli.main, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def written(folder: Path, more: str, *, url: str = "udp://:8888", state: str = "state") -> Path:
    """A configuration without a sink in a folder of its own."""
    path = folder / "x.toml"
    text = f'[daemon]\nstate = "{folder / state}"\n[http]\nlisten = ""\n[[source]]\nurl = "{url}"\n{more}'
    path.write_text(text, encoding="utf-8")
    return path


def assert_refused(done: Done, message: str, *, code: int = 2) -> None:
    assert (done.code, done.out, done.err) == (code, "", f"edge-daemon: {message}\n")


WRONG = {
    PICKER + "stride = 5000\n": f"model[0].stride: {STRIDE}",
    PICKER + "threshold = { p = 0.5 }\n": "model[0].threshold: unknown label 'p' of model edge-picker, wanted one of "
    "P, S",
    PICKER + "threshold = { P = 1.5 }\n": "model[0].threshold P: found 1.5, wanted more than 0 and at most 1",
    '[[model]]\nname = "a"\nartefact = "edge-pickr"\n': "model[0].artefact: model 'edge-pickr': no such file, and no "
    "embedded model of that name; did you mean 'edge-picker'?",
    PICKER + '[[station]]\nmatch = "*"\ncomponents = "NE"\n': "station[0].components: found 'NE', wanted Z at least: "
    "model picker needs them",
    PICKER + '[[station]]\nmatch = "*"\ncomponents = "EHZ"\n': "station[0].components: found 'H' in 'EHZ', wanted "
    "letters that its models know: 1, 2, 3, E, N, Z",
}


@pytest.mark.parametrize("more", WRONG)
def test_what_a_model_does_not_have_is_named_with_file_and_key(tmp_path: Path, more: str) -> None:
    path = written(tmp_path, more)
    assert_refused(edge_daemon("check", path), f"{path}: {WRONG[more]}")


def test_letters_of_a_station_that_nothing_picks_are_its_own_affair(tmp_path: Path) -> None:
    more = '[[station]]\nmatch = "*.HD"\ncomponents = "F"\nmodels = []\n'
    assert edge_daemon("check", written(tmp_path, more)).code == 0


def test_a_stride_that_leaves_samples_out_is_refused_as_soon_as_the_model_is_loaded() -> None:
    session = OrtSession(models.find_model("edge-picker"))
    assert LoadedModel(session, {}, 2048).stride == 2048
    with pytest.raises(UsageError, match=f"^stride: {STRIDE.replace('5000', '2049')}$"):
        LoadedModel(session, {}, 2049)


def test_a_reload_with_such_a_stride_keeps_the_old_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = rig.config_text(tmp_path, Path("edge-picker"))

    async def run() -> None:
        rig.feed(monkeypatch, rig.stream(), live=True)
        async with rig.live(text) as service:
            before = service.config
            wrong = text.replace("threshold", "stride = 5000\nthreshold")
            assert not await service.reload(lambda: parse_config(wrong, "x.toml"))
            assert service.config is before
            assert service.last_reload_problem == f"x.toml: model[0].stride: {STRIDE}"

    asyncio.run(run())


SOURCES = {
    "seedlink://rs.local?stream=AM_R24FA": "unknown option 'stream'; did you mean 'streams'?",
    "rs.local": "rs.local: no such file or folder",
    "mqtts://me@broker/t?password_file=/nope/mqtt": "password_file /nope/mqtt: cannot be read: No such file",
    "mqtts://me@broker/t?ca_file=/nope/ca.pem": "ca_file /nope/ca.pem: cannot be read: ",
    "udp://:8888?format=datacst": "format",
}


@pytest.mark.parametrize("url", SOURCES)
@pytest.mark.parametrize("command", ["check", "init", "run"])
def test_a_source_that_can_never_run_is_refused(tmp_path: Path, url: str, command: str) -> None:
    path = written(tmp_path, "", url=url)
    done = edge_daemon(command, url if command == "init" else path)
    if command == "init" and "_file" in url:  # the file may come later: the configuration is written all the same
        assert (done.code, done.out.startswith("# Configuration of edge-daemon")) == (0, True)
    else:
        assert (done.code, done.out) == (2, "")
    assert done.err.startswith("edge-daemon: " if command == "init" else f"edge-daemon: {path}: source[0].url: ")
    assert SOURCES[url] in done.err
    assert done.err.count("\n") == 1


FILES = {
    "daemon.state": ("", "/proc/nope"),
    "sink[0].path": ('[[sink]]\ntype = "jsonl"\npath = "/proc/nope/x.jsonl"\n', "/proc/nope/x.jsonl"),
    "sink[0].folder": ('[[sink]]\ntype = "quakeml"\nfolder = "/proc/nope"\n', "/proc/nope"),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
@pytest.mark.parametrize("key", FILES)
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    def mkdir(self: Path) -> None:  # what root is told there; others are told that they may not
        raise FileNotFoundError(2, "No such file or directory", str(self))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    more, found = FILES[key]
    path = written(tmp_path, more, state="/proc/nope" if not more else ".")
    assert_refused(edge_daemon("check", path), f"{path}: {key}: {found}: cannot be written: No such file or directory")


def test_a_folder_in_place_of_a_sinks_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picks.csv").mkdir()
    path = written(tmp_path, f'[[sink]]\ntype = "csv"\npath = "{tmp_path}/picks.csv"\n')
    wanted = f"{path}: sink[0].path: {tmp_path}/picks.csv: cannot be written: Is a directory"
    assert_refused(edge_daemon("check", path), wanted)


def test_a_look_leaves_nothing_behind_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text("{}\n", encoding="utf-8")
    more = f'[[sink]]\ntype = "jsonl"\npath = "{tmp_path}/old.jsonl"\n'
    more += f'[[sink]]\ntype = "csv"\npath = "{tmp_path}/a/b/c.csv"\n'
    more += f'[[sink]]\ntype = "waveform"\nfolder = "{tmp_path}/a/cuts"\n'
    path = written(tmp_path, more, state="s/t")
    done = edge_daemon("check", path)
    assert (done.code, done.err) == (0, "")
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["old.jsonl", "x.toml"]
    assert (tmp_path / "old.jsonl").read_text(encoding="utf-8") == "{}\n"


def test_a_folder_of_the_daemons_own_user_is_told_and_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(possible, "require_writable", closed)
    path = written(tmp_path, "")
    done = edge_daemon("check", path)
    assert done.code == 0
    wanted = f"{path}: daemon.state: {tmp_path}/state: this user may not write there, the daemon's must"
    assert done.err == f"edge-daemon: {wanted}\n"


def recorded(folder: Path) -> Path:
    path = folder / "day.mseed"
    path.write_bytes(b"".join(record for each in rig.stream(samples=400) for record in packets.records(each)))
    return path


@pytest.mark.parametrize("fault", ["key", "model", "source", "scheme"])
def test_a_replay_that_cannot_be_keeps_what_its_output_had(tmp_path: Path, tiny_path: Path, fault: str) -> None:
    text = rig.config_text(tmp_path, tiny_path)
    if fault in {"key", "model"}:
        text = text.replace("artefact", "artefct") if fault == "key" else text.replace(str(tiny_path), "/nope.onnx")
    config, output = tmp_path / "x.toml", tmp_path / "old.jsonl"
    config.write_text(text, encoding="utf-8")
    output.write_text("{}\n", encoding="utf-8")
    sources: dict[str, str | Path] = {"source": tmp_path / "nope.mseed", "scheme": "sedlink://x"}
    source = sources.get(fault, recorded(tmp_path))
    done = edge_daemon("replay", config, source, "-o", output)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert output.read_text(encoding="utf-8") == "{}\n"


def test_a_replay_empties_its_output_once_it_can_be(tmp_path: Path, tiny_path: Path) -> None:
    config, output = tmp_path / "x.toml", tmp_path / "old.jsonl"
    config.write_text(rig.config_text(tmp_path, tiny_path), encoding="utf-8")
    output.write_text("old\n", encoding="utf-8")
    assert edge_daemon("replay", config, recorded(tmp_path), "-o", output).code == 0
    lines = output.read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 3
    assert all(each.startswith('{"id"') for each in lines)


def test_an_output_in_a_folder_that_is_not_there_is_one_line(tmp_path: Path, tiny_path: Path) -> None:
    config, output = tmp_path / "x.toml", tmp_path / "nope" / "picks.jsonl"
    config.write_text(rig.config_text(tmp_path, tiny_path), encoding="utf-8")
    done = edge_daemon("replay", config, recorded(tmp_path), "-o", output)
    assert_refused(done, f"--output: {output}: cannot be written: No such file or directory")
    assert not output.parent.exists()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "/x"), "/x: No space left on device"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, line: str
) -> None:
    async def fail(self: Service) -> int:
        del self
        raise error

    monkeypatch.setattr(Service, "run", fail)
    assert_refused(edge_daemon("run", written(tmp_path, "")), line, code=1)

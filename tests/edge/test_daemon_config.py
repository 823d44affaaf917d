"""The configuration is read strictly: one line with the key's path and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest

from seisedge.edge import OrtSession, StationId, UsageError
from seisedge.edge.daemon.config import parse_config, read_config
from seisedge.edge.daemon.config_text import config_text
from seisedge.edge.daemon.secrets import read_secret
from seisedge.edge.models import find_model

SOURCE = '[[source]]\nurl = "day.mseed"\n'

WRONG = {
    "[[source]]\nulr = 'x'": "x.toml: source[0]: unknown key 'ulr'; did you mean 'url'?",
    SOURCE + "[deamon]\n": "x.toml: unknown key 'deamon'; did you mean 'daemon'?",
    SOURCE + "[daemon]\nworkers = 'two'": "x.toml: daemon.workers: found str 'two', wanted int",
    SOURCE + "[daemon]\nworkers = 0": "x.toml: daemon.workers: found 0, wanted 1 to 64",
    SOURCE + "[daemon]\nhistory_s = nan": "x.toml: daemon.history_s: found nan, wanted a finite number",
    "": "x.toml: source: found none, wanted at least one [[source]]",
    "[[source]]\nurl = 'seedlnik://x'": "x.toml: source[0].url: source seedlnik://x: unknown scheme 'seedlnik'; "
    "did you mean 'seedlink'?",
    SOURCE + SOURCE: "x.toml: source: found 'day.mseed' twice, wanted distinct names",
    SOURCE + "[[model]]\nname = 'a'\nartefact = 'b'\n[[station]]\nmatch = '*'\nmodels = ['b']": "x.toml: "
    "station[0].models: unknown model 'b', wanted one of a",
    SOURCE
    + "[[station]]\nmatch = '*'\ncomponents = 'Z,N'": "x.toml: station[0].components: found 'Z,N', wanted letters "
    'such as "Z" or "ZNE"',
    SOURCE + "[[sink]]\ntype = 'mqqt'": "x.toml: sink[0].type: unknown kind 'mqqt'; did you mean 'mqtt'?",
    SOURCE + "[[sink]]\ntype = 'csv'": "x.toml: sink[0]: missing key 'path' of a sink of type csv",
    SOURCE + "[[sink]]\ntype = 'csv'\npth = ''": "x.toml: sink[0]: unknown key 'pth'; did you mean 'path'?",
    SOURCE + "[[sink]]\ntype = 'mqtt'\nca_file = 'x'": "x.toml: sink[0]: found certificates and tls = false, "
    "wanted tls = true",
    SOURCE + "[[sink]]\ntype = 'http'\nurl = 'https://me:secret@x/'": "x.toml: sink[0].url: found a user or password "
    "in the URL, wanted a token_file",
    SOURCE + "[http]\nlisten = 'x'": "x.toml: http.listen: found 'x', wanted host:port such as 127.0.0.1:8600",
    SOURCE + "sink = 3": "x.toml: source[0]: unknown key 'sink', wanted one of name, queue_packets, url, when_full",
    "[source]\nurl = 'x'": "x.toml: source: found one table, wanted a list of them: [[source]]",
    SOURCE + "[model]\nname = 'a'": "x.toml: model: found one table, wanted a list of them: [[model]]",
    SOURCE + "[station]\nmatch = '*'": "x.toml: station: found one table, wanted a list of them: [[station]]",
    "source = 3": "x.toml: source: found int 3, wanted a list of them: [[source]]",
    SOURCE + "[[model]]\nname = 'a'\nartefact = 'b'\nthreshold = 0.5": "x.toml: model[0].threshold: found 0.5, wanted "
    "one for each label, such as { P = 0.5 }",
    SOURCE + "[sink]\ntype = 'csv'": "x.toml: sink: found one table, wanted a list of them: [[sink]]",
    SOURCE + "[[sink]]\ntype = 'waveform'\nfolder = 'x'\nafter_s = 300": "x.toml: sink[0]: found 315 s around a pick, "
    "wanted at most daemon.history_s - 30 = 90",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_config(text, "x.toml")
    assert str(caught.value) == WRONG[text]


@pytest.mark.parametrize("text", ["[[source]", "a = 1\na = 2", '"\\'])
def test_no_toml_is_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^x.toml: found no TOML: [^\n]*$"):
        parse_config(text, "x.toml")


def test_a_secret_in_the_url_never_reaches_the_message() -> None:
    with pytest.raises(UsageError) as caught:
        parse_config("[[source]]\nurl = 'mqtt://me:secret@x/t'", "x.toml")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["udp://:8888?format=datacast", "seedlink://x:18000?streams=CX_PB01:HH?", 'a "b".mseed']
)
def test_what_init_writes_can_be_read(url: str) -> None:
    config = parse_config(config_text(url), "x.toml")
    assert config.source[0].url == url
    assert [each.type for each in config.sink] == ["jsonl"]
    assert config.http.listen == "127.0.0.1:8600"


def test_the_defaults_that_init_shows_are_the_defaults() -> None:
    text = config_text("udp://:8888")
    shown = text.replace("# workers", "workers").replace("# history_s", "history_s").replace("# listen", "listen")
    shown = shown.replace("# queue_packets", "queue_packets").replace("# when_full", "when_full")
    shown = (
        shown.replace("# rotate_megabytes", "rotate_megabytes").replace("# keep", "keep").replace("# fsync", "fsync")
    )
    shown = shown.replace("# max_stations", "max_stations").replace("# stall_s", "stall_s")
    assert parse_config(shown, "x") == parse_config(text, "x")


def test_the_thresholds_that_init_shows_are_those_of_the_artefact_that_it_names() -> None:
    shown = config_text("udp://:8888").replace("# threshold", "threshold")
    (model,) = parse_config(shown, "x").model
    own = OrtSession(find_model(model.artefact)).manifest.postprocess.thresholds
    assert model.threshold == {label: each.on for label, each in own.items()}


def test_a_key_that_is_no_table_of_ours_stays_unknown() -> None:
    with pytest.raises(UsageError, match=r"^x.toml: unknown key 'where'"):
        parse_config("where = 'y'\n" + SOURCE, "x.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read: No such file or directory$"):
        read_config(tmp_path / "x.toml")


def test_stations_and_models() -> None:
    config = parse_config(
        SOURCE + "[[model]]\nname='a'\nartefact='x'\n[[model]]\nname='b'\nartefact='y'\n"
        "[[station]]\nmatch='CX.*..HH'\nmodels=['b']\n[[station]]\nmatch='GE.*'\n",
        "x",
    )
    one, other = (
        config.station_part(StationId("CX", "PB01", "", "HH")),
        config.station_part(StationId("GE", "A", "", "B")),
    )
    assert one is not None
    assert other is not None
    assert [each.name for each in config.models_of(one)] == ["b"]
    assert [each.name for each in config.models_of(other)] == ["a", "b"]
    assert config.station_part(StationId("CX", "PB01", "", "BH")) is None


def test_sources_that_keep_what_was_not_fetched_wait() -> None:
    urls = ["seedlink://x", "udp://:1", "day.mseed", "serial:/dev/ttyACM0"]
    config = parse_config("".join(f"[[source]]\nurl = '{url}'\n" for url in urls), "x")
    assert [each.waits for each in config.source] == [True, False, True, False]


def test_secrets_come_from_files_and_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    (tmp_path / "empty").write_text("", encoding="utf-8")
    assert read_secret(str(tmp_path / "token")) == "s3cret"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret("token") == "s3cret"
    for name in ("empty", "absent"):
        with pytest.raises(UsageError, match=name):
            read_secret(name)

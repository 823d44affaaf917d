"""How far a daemon looks back: as far as its models' windows need, whatever the configuration says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import daemon_rig as rig
import pytest

from seisedge.edge import OrtSession
from seisedge.edge.daemon.config import Config, parse_config
from seisedge.edge.daemon.service import Service
from seisedge.edge.daemon.sessions import load_sessions, with_history

LONG = '[[model]]\nname = "long"\nartefact = "edge-picker-long"\n'


def _config(folder: Path, model: str, around_s: float = 0.0, history_s: float = 120.0) -> Config:
    cuts = f'[[sink]]\ntype = "waveform"\nfolder = "{folder}/cuts"\nbefore_s = {around_s}\nafter_s = 0.0\n'
    text = rig.config_text(folder, Path(model), cuts if around_s else "")
    return parse_config(text.replace("[daemon]", f"[daemon]\nhistory_s = {history_s}"), "x")


@pytest.mark.parametrize(
    ("model", "around_s", "history_s", "wanted_s"),
    [
        ("edge-picker", 80.0, 120.0, 120.0),
        ("edge-picker", 0.0, 30.0, None),  # final when the last window with its sample is there; that window again
        ("edge-picker-long", 80.0, 120.0, None),
        ("edge-picker-long", 80.0, 200.0, 200.0),
    ],
)
def test_windows_and_waveforms_fit_into_what_is_kept(
    tmp_path: Path, model: str, around_s: float, history_s: float, wanted_s: float | None
) -> None:
    config = _config(tmp_path, model, around_s, history_s)
    sessions = load_sessions(config)
    manifest = sessions["tiny"].manifest
    unseen = manifest.window_samples - manifest.postprocess.blinding_samples[0] + manifest.stride_samples
    needed_s = (unseen + max(manifest.window_samples, around_s * 100)) / 100
    found = with_history(config, sessions)
    assert found.daemon.history_s == pytest.approx(wanted_s or needed_s)
    assert found.daemon.history_s >= needed_s
    assert with_history(config, sessions, least_s=500.0).daemon.history_s == 500.0


def test_a_reload_may_take_a_long_model_away_but_not_bring_one(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = rig.config_text(tmp_path, tiny_path).replace("[daemon]", "[daemon]\nhistory_s = 40.0")

    async def run(first: str, then: str) -> tuple[bool, Service]:
        rig.feed(monkeypatch, rig.stream(), live=True)
        service = Service(parse_config(first, "x"))
        task = asyncio.ensure_future(service.run())
        await rig.until(lambda: bool(service.intakes))
        done = await service.reload(lambda: parse_config(then, "x"))
        service.stop()
        await task
        return done, service

    done, service = asyncio.run(run(small + LONG, small))
    window_s = OrtSession(tiny_path).manifest.window_samples / 100
    assert done
    assert service.config.daemon.history_s > 2 * 40 > window_s  # what is kept stays as long as it was
    done, service = asyncio.run(run(small, small + LONG))
    assert not done
    assert "daemon.history_s: found 1" in service.last_reload_problem
    assert "it is 40.0 since the start: restart for it" in service.last_reload_problem

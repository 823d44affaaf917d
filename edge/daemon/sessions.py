"""The models that a configuration names, loaded; and the seconds of data that they need to look back on."""

from __future__ import annotations

import dataclasses
import logging

from seisedge.edge.models import find_model
from seisedge.edge.session import OrtSession

from .config import Config
from .pipeline import Model, require_components
from .place import at
from .sink_config import WaveformSink

_LOG = logging.getLogger("seisedge.daemon")


def load_sessions(config: Config) -> dict[str, OrtSession]:
    """Load each model once, and run its golden input: a device that computes something else is found here.

    Raises
    ------
    SeisedgeError
        The artefact is not there, damaged, for other processors, or gives other numbers; or the configuration asks for
        what a model does not have: a label, a stride, a component.
    """
    sessions: dict[str, OrtSession] = {}
    models: dict[str, Model] = {}
    for number, part in enumerate(config.model):
        with at(config.place(f"model[{number}].artefact: ")):
            session = OrtSession(find_model(part.artefact))
            session.check_golden()
        with at(config.place(f"model[{number}].")):  # the message begins with the key
            models[part.name] = Model(part, session)
        sessions[part.name] = session
    for number, station in enumerate(config.station):
        chosen = [models[part.name] for part in config.models_of(station)]
        with at(config.place(f"station[{number}].components: ")):
            require_components(chosen, station)
    return sessions


def with_history(config: Config, sessions: dict[str, OrtSession], *, least_s: float = 0.0) -> Config:
    """Give the configuration with a `history_s` that is enough for its models, and at least `least_s`.

    A pick is final when no later window has its sample. Until then its triggered waveform must be in memory, and a
    restart must be able to go back by the windows that had it.
    """
    waveforms = [each for each in config.sink if isinstance(each, WaveformSink)]
    around_s = max((each.before_s + each.after_s for each in waveforms), default=0.0)
    history_s = max(config.daemon.history_s, least_s)
    for part in config.model:
        model = Model(part, sessions[part.name])
        window, rate = model.manifest.window_samples, model.manifest.sampling_rate
        behind = window - model.manifest.postprocess.blinding_samples[0] + model.stride
        needed_s = behind / rate + max(window / rate, around_s)
        if needed_s > history_s:
            _LOG.info("daemon.history_s: %g, needed for model %s: %g", history_s, part.name, needed_s)
            history_s = needed_s
    return dataclasses.replace(config, daemon=dataclasses.replace(config.daemon, history_s=history_s))

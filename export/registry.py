"""The models that this package can build: name → network, recipe, number of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from seisedge.edge.strict import suggestion

from .errors import UnknownModelError
from .networks import parameter_count, phasenet
from .networks.convnetquake import WENCHUAN, ConvNetQuake, deepquake
from .networks.edge_picker import EdgePicker
from .networks.gpd import Gpd
from .networks.seismictorch import EarthquakeCnn, SpectrogramCnn
from .networks.seismo_performer import SeismoPerformer, SpecCnn
from .networks.source_inversion import SourceInversion
from .recipe import Recipe
from .recipes import GPD, GPD_ORIGINAL, SEISMO_PERFORMER, SPEC_CNN
from .recipes_events import (
    CONVNETQUAKE,
    CONVNETQUAKE_WENCHUAN,
    DEEPQUAKE,
    EARTHQUAKE_CNN,
    SOURCE_INVERSION,
    SPECTROGRAM_CNN,
)
from .recipes_phasenet import PHASENET
from .recipes_picker import EDGE_PICKER, EDGE_PICKER_LONG

Counted = Literal["trained", "trained and moving statistics"]


@dataclass(frozen=True)
class Model:
    """One row of the registry.

    Attributes
    ----------
    build
        Makes the network with fresh weights.
    recipe
        How it is fed and what it gives.
    parameters
        How many numbers it has.
    counted
        Which of them the published table counts: those that training changes, or the moving statistics of batch
        normalisation too. The tables of PhaseNet and SeismicTorch leave these
        out.
    """

    build: Callable[[], nn.Module]
    recipe: Recipe
    parameters: int
    counted: Counted = "trained and moving statistics"

    @property
    def name(self) -> str:
        """The registry's name of the model."""
        return self.recipe.name

    def count(self, module: nn.Module) -> int:
        """Count the numbers of a network as `parameters` does."""
        return phasenet.trainable_count(module) if self.counted == "trained" else parameter_count(module)


def _phasenet(name: str, build: Callable[..., nn.Module], parameters: int) -> Model:
    channels = 1 if name.endswith("-z") else 3
    return Model(partial(build, channels=channels), PHASENET[name], parameters, "trained")


_MODELS = (
    _phasenet("inception", phasenet.inception, 5_639_784),
    _phasenet("brnn", phasenet.brnn, 1_801_638),
    _phasenet("wavenet", phasenet.wavenet, 2_717_830),
    _phasenet("unet", phasenet.unet, 846_278),
    _phasenet("inception-z", phasenet.inception, 229_283),
    _phasenet("brnn-z", phasenet.brnn, 476_195),
    _phasenet("wavenet-z", phasenet.wavenet, 2_715_651),
    _phasenet("unet-z", phasenet.unet, 845_603),
    Model(SeismoPerformer, SEISMO_PERFORMER, 57_123),
    Model(SpecCnn, SPEC_CNN, 176_387),
    Model(Gpd, GPD, 1_742_763),
    Model(partial(Gpd, original=True), GPD_ORIGINAL, 1_742_763),
    Model(ConvNetQuake, CONVNETQUAKE, 22_951),
    Model(partial(ConvNetQuake, options=WENCHUAN), CONVNETQUAKE_WENCHUAN, 25_731),
    Model(deepquake, DEEPQUAKE, 42_370),
    Model(SourceInversion, SOURCE_INVERSION, 563_658),
    Model(EarthquakeCnn, EARTHQUAKE_CNN, 33_795, "trained"),
    Model(SpectrogramCnn, SPECTROGRAM_CNN, 42_072_258, "trained"),
    Model(EdgePicker, EDGE_PICKER, 480_018),
    Model(EdgePicker, EDGE_PICKER_LONG, 480_018),
)

REGISTRY: dict[str, Model] = {model.name: model for model in _MODELS}


def find(name: str) -> Model:
    """A row by its name.

    Raises
    ------
    UnknownModelError
        There is none; the nearest name is in the message.
    """
    if name not in REGISTRY:
        raise UnknownModelError(f"model: found {name!r}{suggestion(name, set(REGISTRY))}")
    return REGISTRY[name]

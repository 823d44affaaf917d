"""The manifest: the one description of a model's input, preprocessing, outputs and provenance.

Written once by the export, stored under one key of the ONNX file's metadata, and the only source from which
both the training side and the station build their preprocessing.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Literal

from . import steps as steps_
from . import strict
from .errors import ManifestError
from .output_checks import check_outputs, check_postprocess
from .steps import Step
from .targets import Target

FORMAT = 1
METADATA_KEY = "seisedge.manifest"
MAX_BYTES = 1 << 20  # far above any real manifest; bounds what a hostile file can make us parse
MAX_NUMBERS = 1 << 26  # of a window; bounds what it can make us allocate

Task = Literal["phase_picking", "phase_classification", "event_detection", "waveform_inversion"]
OutputKind = Literal["class_probability", "sample_probability", "time_offset", "waveform"]


@dataclass(frozen=True)
class Components:
    """The components in network order, and what stands for one that has another name or is missing.

    Attributes
    ----------
    order
        Component letters as the network wants them.
    aliases
        Other orientation codes → component letter, such as `{"1": "N"}`.
    required
        A station without one of these is refused.
    missing
        What the others are when a station lacks them: `zeros`, or `refuse` the station.
    """

    order: tuple[str, ...]
    aliases: dict[str, str]
    required: tuple[str, ...]
    missing: Literal["zeros", "refuse"]

    def letter_of(self, code: str) -> str | None:
        """Give the component that an orientation code stands for; None for one that the network does not take."""
        return code if code in self.order else self.aliases.get(code)

    @property
    def needed(self) -> tuple[str, ...]:
        """Those without which a station is refused."""
        return self.order if self.missing == "refuse" else self.required


@dataclass(frozen=True)
class Input:
    """The network's input: its name, the shape of one window, and which batches give the same bits."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32"]
    batch: Literal["any", "at_least_two", "one"]


@dataclass(frozen=True)
class Output:
    """One output of the network.

    Attributes
    ----------
    name
        Its name in the graph.
    kind
        What its numbers are.
    labels
        Meaning of its last axis, in order.
    reference_sample
        The sample of the window that a per-window label speaks of; null for other kinds.
    time_offset_scale
        Samples per unit of a time offset; null for other kinds.
    """

    name: str
    kind: OutputKind
    labels: tuple[str, ...]
    reference_sample: int | None
    time_offset_scale: float | None


@dataclass(frozen=True)
class Threshold:
    """A run of probabilities opens at `on` or above and closes below `off`."""

    on: float
    off: float


@dataclass(frozen=True)
class Postprocess:
    """How probabilities become picks.

    Attributes
    ----------
    thresholds
        For each label that is picked; labels without one (noise) are not.
    minimum_separation_s
        Two picks of one label are at least this far apart; of nearer ones the more probable stays.
    pick_time
        Where in a run of probabilities the pick stands: its `peak`; the `centroid` of what is at or above `on`;
        or by the `offset` that the model gives for the samples around the peak (see `sample_picks`). The minimum
        separation of the last is that of the peaks.
    blinding_samples
        Samples at the start and the end of a window whose values per sample are not used, because the network
        sees too little on one side; 0 and 0 for values per window.
    """

    thresholds: dict[str, Threshold]
    minimum_separation_s: float
    pick_time: Literal["peak", "centroid", "offset"]
    blinding_samples: tuple[int, int]


@dataclass(frozen=True)
class Quantization:
    """Number format of the graph, the processors it is for, how it was reached, and the operators left out of it."""

    precision: Literal["fp32", "fp16", "int8"]
    target: Target
    scheme: str | None
    calibration_digest: str | None
    exceptions: tuple[str, ...]


@dataclass(frozen=True)
class Verification:
    """What a device must get for the golden input before it trusts the artefact.

    The golden input is `golden_windows` windows of `numpy.random.default_rng(golden_seed).standard_normal`
    in float32. `golden_output` is the first output, flattened, or what `session.drawn` takes of it; `tolerance`
    bounds |found - golden|.
    `parity` and `quality` are the figures of the export's own checks.
    """

    golden_seed: int
    golden_windows: int
    golden_output: tuple[float, ...]
    tolerance: float
    parity: dict[str, float]
    quality: dict[str, float]


@dataclass(frozen=True)
class Budget:
    """A documented inference budget: seconds, what they cover, who says so, and what is not documented."""

    seconds: float
    covers: str
    source: str
    not_documented: str


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from."""

    weights_digest: str
    training_data: str
    licence: str
    citation: str
    tools: dict[str, str]


@dataclass(frozen=True)
class Manifest:
    """Everything that the runtime has to know of a model; see the parts for their meaning."""

    format: int
    name: str
    version: str
    system: str
    task: Task
    components: Components
    sampling_rate: float
    window_samples: int
    stride_samples: int
    steps: tuple[Step, ...]
    input: Input
    outputs: tuple[Output, ...]
    postprocess: Postprocess
    quantization: Quantization
    verification: Verification
    budgets: tuple[Budget, ...]
    provenance: Provenance

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, whoever builds it: the export or a reader."""
        _check_format(self.format)
        _check_components(self.components)
        _check_window(self)
        rate, width = self.sampling_rate, self.window_samples
        steps_.check(self.steps, "manifest.steps", sampling_rate=rate, window_samples=width)
        check_outputs(self)
        check_postprocess(self)

    @property
    def picked_labels(self) -> tuple[str, ...]:
        """Labels that become picks, in the order of the network's output."""
        return tuple(label for label in self.outputs[0].labels if label in self.postprocess.thresholds)

    def to_json(self) -> str:
        """Write the text that goes into the artefact; `read_manifest` gives back an equal manifest."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_manifest(text: str, where: str) -> Manifest:
    """Read a manifest strictly: unknown or missing keys, wrong types and unknown steps are errors.

    Parameters
    ----------
    text
        JSON.
    where
        The artefact's name, for messages.

    Raises
    ------
    ManifestError
        Naming `where`, the key's path, what was found and what was wanted.
    """
    if len(text) > MAX_BYTES:
        raise ManifestError(f"{where}: manifest: found {len(text)} characters, wanted at most {MAX_BYTES}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{where}: manifest: found no JSON ({error}), wanted an object") from error
    try:
        if isinstance(value, dict) and "format" in value:
            _check_format(value["format"])
        return strict.read(Manifest, value, "manifest")
    except ManifestError as error:
        line = " ".join(str(error).split())  # a key may hold a line break
        raise ManifestError(f"{where}: {line}") from error


def _check_format(found: object) -> None:
    if found != FORMAT or isinstance(found, bool):
        raise ManifestError(f"manifest.format: found {found!r}, wanted {FORMAT}: another release wrote this artefact")


def _check_components(components: Components) -> None:
    order = components.order
    if not order or len(set(order)) != len(order):
        raise ManifestError(f"manifest.components.order: found {list(order)}, wanted distinct letters")
    named = (*components.aliases.values(), *components.required)
    if stranger := next((each for each in named if each not in order), None):
        raise ManifestError(f"manifest.components: found {stranger!r}, wanted one of {', '.join(order)}")
    if clash := next((each for each in components.aliases if each in order), None):
        raise ManifestError(f"manifest.components.aliases: found {clash!r}, which is a component itself")


def _check_window(manifest: Manifest) -> None:
    numbers = {
        "sampling_rate": manifest.sampling_rate,
        "window_samples": manifest.window_samples,
        "stride_samples": manifest.stride_samples,
    }
    for key, value in numbers.items():
        if not 0 < value <= MAX_NUMBERS:
            raise ManifestError(f"manifest.{key}: found {value}, wanted more than 0, at most {MAX_NUMBERS}")
    shape = manifest.input.shape
    if not shape or min(shape) < 1 or math.prod(shape) > MAX_NUMBERS:
        wanted = f"positive sizes whose product is at most {MAX_NUMBERS}"
        raise ManifestError(f"manifest.input.shape: found {list(shape)}, wanted {wanted}")

"""Compiled signal processing on arrays: pure functions that write into arrays of the caller.

Waveforms are C-contiguous (channel, sample): int16, int32 or float32 counts in, float32 out. Every function
checks its arguments and raises `ArrayError`; nothing is converted in silence. Streams (functions named
`..._step_into`, and `triggers_into`) carry their state in arrays of the caller, and give the same bits however they are
cut.
"""

from __future__ import annotations

from ._arrays import ArrayError, Float32, Float64, Int16, Int32, Int64, Samples, UInt8
from ._fourier import FrameTransform, frame_scratch, frame_transform
from ._kernel import Compilation, CompilationError, compilation
from ._levels import SILENCE_DB
from .baseline import demean, demean_into, detrend, detrend_into
from .filters import Band, SosState, butterworth_sos, sos_step_into, steady_state
from .image import SpectrogramImage, spectrogram_image, spectrogram_image_into
from .normalise import normalise_max_abs_into, normalise_signed_max_into, normalise_std_into
from .onset import peak_amplitude, refine_onset, signal_to_noise
from .quantise import dequantise_into, pack_int24_into, quantise_into, truncate_int16_into, unpack_int24_into
from .resample import (
    Resampler,
    ResampleState,
    design_resampler,
    output_bound,
    resample_state,
    resample_step_into,
)
from .spectrogram import (
    SpectrogramScratch,
    WindowGeometry,
    assemble_windows_into,
    frame_levels_into,
    spectrogram_scratch,
    spectrogram_windows_into,
    window_peaks_into,
)
from .sta_lta import (
    ClassicStaLtaState,
    RecursiveStaLtaState,
    classic_sta_lta_state,
    classic_sta_lta_step_into,
    recursive_sta_lta_state,
    recursive_sta_lta_step_into,
)
from .taper import cosine_ramp, taper_into
from .triggers import TriggerState, open_trigger, peaks_into, trigger_bound, trigger_state, triggers_into
from .window import WindowOp, WindowPlan, WindowScratch, WindowStep, cut_windows_into, window_plan, window_scratch

__all__ = [
    "SILENCE_DB",
    "ArrayError",
    "Band",
    "ClassicStaLtaState",
    "Compilation",
    "CompilationError",
    "Float32",
    "Float64",
    "FrameTransform",
    "Int16",
    "Int32",
    "Int64",
    "RecursiveStaLtaState",
    "ResampleState",
    "Resampler",
    "Samples",
    "SosState",
    "SpectrogramImage",
    "SpectrogramScratch",
    "TriggerState",
    "UInt8",
    "WindowGeometry",
    "WindowOp",
    "WindowPlan",
    "WindowScratch",
    "WindowStep",
    "assemble_windows_into",
    "butterworth_sos",
    "classic_sta_lta_state",
    "classic_sta_lta_step_into",
    "compilation",
    "cosine_ramp",
    "cut_windows_into",
    "demean",
    "demean_into",
    "dequantise_into",
    "design_resampler",
    "detrend",
    "detrend_into",
    "frame_levels_into",
    "frame_scratch",
    "frame_transform",
    "normalise_max_abs_into",
    "normalise_signed_max_into",
    "normalise_std_into",
    "open_trigger",
    "output_bound",
    "pack_int24_into",
    "peak_amplitude",
    "peaks_into",
    "quantise_into",
    "recursive_sta_lta_state",
    "recursive_sta_lta_step_into",
    "refine_onset",
    "resample_state",
    "resample_step_into",
    "signal_to_noise",
    "sos_step_into",
    "spectrogram_image",
    "spectrogram_image_into",
    "spectrogram_scratch",
    "spectrogram_windows_into",
    "steady_state",
    "taper_into",
    "trigger_bound",
    "trigger_state",
    "triggers_into",
    "truncate_int16_into",
    "unpack_int24_into",
    "window_peaks_into",
    "window_plan",
    "window_scratch",
]

"""Preprocessing is what the manifest says: the kernels called by hand, and the same bits however a stream is cut."""

# pyright: reportPrivateUsage=false
# (the runs of a stream are looked at to see where components stand)

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import artefacts
import numpy as np
import packets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisedge import kernels
from seisedge.edge import DataError, ManifestError, Preprocess, StationStream
from seisedge.edge.manifest import Manifest
from seisedge.edge.preprocess import StreamChain
from seisedge.edge.steps import Step
from seisedge.firmware_bridge import Samples

RESAMPLE = Step("resample", "stream", {"method": "polyphase_kaiser", "start": "first_sample"})


def pass_filter(op: str, **params: float) -> Step:
    return Step(op, "stream", {**params, "order": 4, "phase": "causal", "start": "first_sample"})


CHAINS = {
    "resample and high-pass": (RESAMPLE, pass_filter("highpass", corner_hz=2.0)),
    "three filters": (
        RESAMPLE,
        pass_filter("bandpass", low_hz=1.0, high_hz=20.0),
        pass_filter("lowpass", corner_hz=30.0),
        pass_filter("highpass", corner_hz=0.5),
    ),
    "resample alone": (RESAMPLE,),
    "nothing": (),
}


def counts(npts: int, dtype: str, offset: int = 20_000) -> Samples:
    x: Samples = (np.random.default_rng(npts).normal(offset, 300, npts)).astype(dtype)
    return x


def chain(name: str, rate: float) -> StreamChain:
    return StreamChain(CHAINS[name], source_rate=rate, model_rate=100.0)


@pytest.mark.parametrize("rate", [31.25, 50.0, 100.0, 250.0])
@pytest.mark.parametrize("name", ["resample and high-pass", "three filters", "resample alone"])
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 700), max_size=12), dtype=st.sampled_from(["int16", "int32", "float32"]))
def test_any_chunking_gives_the_same_bits(name: str, rate: float, cuts: list[int], dtype: str) -> None:
    x = counts(700, dtype)
    whole = chain(name, rate)
    whole.start(float(x[0]))
    wanted = whole.push(x)
    cut = chain(name, rate)
    cut.start(float(x[0]))
    edges = sorted([0, 0, 1, *cuts, 699, 700, 700])
    found = [cut.push(x[start:stop]) for start, stop in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(found), wanted)
    assert wanted.dtype == np.float32


def test_a_chain_equals_its_kernels_called_by_hand() -> None:
    x = counts(4000, "int32")
    found = chain("resample and high-pass", 200.0)
    found.start(float(x[0]))
    resampler = kernels.design_resampler(Fraction(200), Fraction(100))
    resampled = np.empty(kernels.output_bound(resampler, x.size), np.float32)
    size = kernels.resample_step_into(x, resampler, kernels.resample_state(resampler), resampled)
    sos = kernels.butterworth_sos(4, "highpass", (2.0,), 100.0)
    wanted = np.empty(size, np.float32)
    state = kernels.SosState(sos, kernels.steady_state(sos) * float(x[0]))
    kernels.sos_step_into(resampled[:size], state, wanted)
    np.testing.assert_array_equal(found.push(x), wanted)


def test_without_stream_steps_samples_are_only_made_floats() -> None:
    x = counts(100, "int16")
    found = chain("nothing", 100.0)
    found.start(float(x[0]))
    np.testing.assert_array_equal(found.push(x), x.astype(np.float32))


@pytest.mark.parametrize("name", ["resample and high-pass", "three filters", "resample alone"])
@pytest.mark.parametrize("rate", [50.0, 100.0, 200.0])
def test_a_constant_makes_no_transient(name: str, rate: float) -> None:
    x = np.full(2000, -123_456, np.int32)
    found = chain(name, rate)
    found.start(float(x[0]))
    out = found.push(x)
    level = -123_456 if name == "resample alone" else 0
    np.testing.assert_allclose(out, level, atol=1e-4 * 123_456 * 1e-3)


def test_a_start_forgets_the_past() -> None:
    x = counts(500, "int32")
    fresh, used = chain("resample and high-pass", 125.0), chain("resample and high-pass", 125.0)
    used.start(-1e6)
    used.push(counts(333, "int32", offset=-1_000_000))
    for each in (fresh, used):
        each.start(float(x[0]))
    np.testing.assert_array_equal(used.push(x), fresh.push(x))


@pytest.mark.parametrize("rate", [0.9, 7_000.0, 101.0])
def test_a_rate_without_a_simple_ratio_is_refused(rate: float) -> None:
    with pytest.raises(DataError, match=rf"sampling rate: found {rate:g} Hz, wanted one whose ratio to 100 Hz"):
        chain("resample alone", rate)


def test_a_model_that_does_not_resample_takes_its_own_rate_only() -> None:
    with pytest.raises(DataError, match="sampling rate: found 50 Hz, wanted 100 Hz: the model does not resample"):
        chain("nothing", 50.0)


@pytest.mark.parametrize(("rate", "out"), [(100.02, 100.02), (199.96, 99.98), (31.25, 100.0), (1000.0, 100.0)])
def test_what_comes_out_is_as_far_off_the_models_rate_as_the_source(rate: float, out: float) -> None:
    assert float(chain("resample alone", rate).rate) == pytest.approx(out, rel=1e-12)


def spectrogram_manifest() -> Manifest:
    return artefacts.tiny_manifest()


def test_windows_equal_the_spectrogram_kernel_called_by_hand() -> None:
    manifest = spectrogram_manifest()
    samples = np.random.default_rng(1).standard_normal((3, 400 + 10 * 6)).astype(np.float32)
    found = Preprocess(manifest).windows(samples, count=7, stride=10)
    assert found.shape == (7, 22, 33, 3)
    assert found.dtype == np.float32
    wanted = np.empty((1, 22, 33, 3), np.float32)
    transform = kernels.frame_transform(64)
    scratch = kernels.spectrogram_scratch(
        3, stride=1, width=400, hop=16, transform=transform, floor_db=-50.0, divisor=50.0
    )
    for index in range(7):
        kernels.spectrogram_windows_into(samples, scratch, wanted, first=10 * index)
        np.testing.assert_array_equal(found[index], wanted[0])


OUTPUT = artefacts.tiny_manifest().outputs[0]
WINDOW_STEPS = (
    Step("demean", "window", {}),
    Step("detrend", "window", {}),
    Step("taper", "window", {"shape": "cosine", "fraction": 0.05}),
    Step("normalise_std", "window", {"joint": False, "ddof": 0, "eps": 1e-6}),
    Step("normalise_max_abs", "window", {"joint": True, "eps": 0.0}),
)


def waveform_manifest(steps: tuple[Step, ...] = WINDOW_STEPS, shape: tuple[int, ...] = (3, 400)) -> Manifest:
    fields = artefacts.tiny_manifest().input
    return artefacts.tiny_manifest(steps=steps, input=dataclasses.replace(fields, shape=shape))


def test_windows_equal_the_waveform_kernels_called_by_hand() -> None:
    samples = np.random.default_rng(2).normal(5, 3, (3, 400 + 37 * 2)).astype(np.float32)
    found = Preprocess(waveform_manifest()).windows(samples, count=3, stride=37)
    for index in range(3):
        window = kernels.detrend(kernels.demean(np.ascontiguousarray(samples[:, 37 * index : 37 * index + 400])))
        kernels.taper_into(window, kernels.cosine_ramp(400, 0.05), window)
        scaled, wanted = np.empty_like(window), np.empty_like(window)
        kernels.normalise_std_into(window, scaled, joint=False, ddof=0, eps=1e-6)
        kernels.normalise_max_abs_into(scaled, wanted, joint=True, eps=0.0)
        np.testing.assert_array_equal(found[index], wanted)


def test_an_input_shape_that_the_steps_do_not_give_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"manifest.input.shape: found \[3, 401\], the steps give \[3, 400\]"):
        Preprocess(waveform_manifest(shape=(3, 401)))


Arrange = Callable[[kernels.Float32], kernels.Float32]


def _as_image(window: kernels.Float32) -> kernels.Float32:
    return window.T[np.newaxis]


LAYOUTS: dict[str, tuple[tuple[int, ...], Arrange]] = {
    "component_sample": ((3, 80), lambda window: window),
    "sample_component": ((80, 3), np.transpose),
    "image_sample_component": ((1, 80, 3), _as_image),
}


@pytest.mark.parametrize("order", LAYOUTS)
def test_a_layout_gives_the_axes_that_it_names(order: str) -> None:
    shape, arrange = LAYOUTS[order]
    steps = (Step("demean", "window", {}), Step("layout", "window", {"order": order}))
    manifest = artefacts.tiny_manifest(
        steps=steps,
        window_samples=80,
        outputs=(dataclasses.replace(OUTPUT, reference_sample=40),),
        input=dataclasses.replace(artefacts.tiny_manifest().input, shape=shape),
    )
    samples = np.random.default_rng(4).normal(5, 3, (3, 80 + 7 * 4)).astype(np.float32)
    found = Preprocess(manifest).windows(samples, count=5, stride=7)
    for index in range(5):
        window = kernels.demean(np.ascontiguousarray(samples[:, 7 * index : 7 * index + 80]))
        np.testing.assert_array_equal(found[index], arrange(window))


def test_nothing_stands_behind_a_layout() -> None:
    steps = (Step("layout", "window", {"order": "sample_component"}), Step("demean", "window", {}))
    with pytest.raises(ManifestError, match=r"steps\[1\]: found 'demean' behind 'layout', wanted nothing behind it"):
        waveform_manifest(steps=steps, shape=(400, 3))


def seismictorch(normalise: Step) -> Preprocess:
    steps = (normalise, Step("quantise_int16", "window", {"rounding": "truncate"}), normalise)
    return Preprocess(waveform_manifest(steps=steps))


@pytest.mark.parametrize("gain", [1.0, 1e-6, 4096.0])
def test_seismictorchs_chain_is_that_of_its_source(gain: float) -> None:
    """normalize, quantize, float32, normalize of Gauss963/SeismicTorch, as NumPy writes them."""
    x = (np.random.default_rng(5).normal(0, 1, (3, 400)) * gain).astype(np.float32)
    x[0, 7] = -1.25 * np.abs(x).max()  # the largest one is negative: both forms differ

    def upstream(window: kernels.Float32, largest: Callable[[kernels.Float32], float]) -> kernels.Float32:
        window = (window / np.float32(largest(window))).astype(np.float32)
        whole = np.trunc(window.astype(np.float64) * 32767 / np.abs(window).max()).astype(np.int16)
        floats = whole.astype(np.float32)
        scaled: kernels.Float32 = (floats / np.float32(largest(floats))).astype(np.float32)
        return scaled

    signed = seismictorch(Step("normalise_signed_max", "window", {}))
    ours = seismictorch(Step("normalise_max_abs", "window", {"joint": True, "eps": 0.0}))
    found = [each.windows(x, count=1, stride=1)[0] for each in (signed, ours)]
    np.testing.assert_allclose(found[0], upstream(x, np.max), atol=2e-7, rtol=1e-6)
    np.testing.assert_allclose(found[1], upstream(x, lambda window: np.abs(window).max()), atol=2e-7, rtol=1e-6)
    assert found[0].min() < -1.2
    assert found[1].min() == -1.0
    steps_of_32767 = found[1] * 32767
    np.testing.assert_allclose(steps_of_32767, np.round(steps_of_32767), atol=0.01)


def test_a_spectrogram_stands_alone() -> None:
    steps = (*WINDOW_STEPS[:1], *artefacts.tiny_manifest().steps[2:])
    with pytest.raises(ManifestError, match="found window steps beside spectrogram_db, wanted it alone"):
        Preprocess(waveform_manifest(steps=steps))


def test_a_record_goes_through_the_stream_steps_of_each_component() -> None:
    preprocess = Preprocess(spectrogram_manifest())
    offsets = np.array([[0], [5000], [-70_000]])
    x = np.random.default_rng(5).normal(offsets, 300, (3, 1000)).astype(np.int32)
    found = preprocess.record(x, 200.0)
    for row, component in zip(found, x, strict=True):
        single = preprocess.stream(200.0)
        single.start(float(component[0]))
        np.testing.assert_array_equal(row, single.push(component))


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_samples_reach_the_first_kernel_in_the_sensors_own_type(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    step = kernels.sos_step_into

    def spy(x: Samples, state: kernels.SosState, out: kernels.Float32) -> None:
        seen.add(str(x.dtype))
        step(x, state, out)

    monkeypatch.setattr(kernels, "sos_step_into", spy)
    stream = StationStream(Preprocess(spectrogram_manifest()), stride=10)
    for place in range(0, 2000, 100):
        part = packets.packet(counts(100, dtype), start_ns=packets.START_NS + place * 10_000_000)
        stream.push(2, part)
    stream.flush()
    assert seen == {dtype}


@pytest.mark.parametrize("rate", [99.98, 100.0, 199.9])
def test_times_follow_a_rate_that_is_a_little_off(rate: float) -> None:
    """After a quarter of an hour the window's time is still that of its samples."""
    npts = round(900 * rate)
    stream = StationStream(Preprocess(spectrogram_manifest()), stride=10)
    x = counts(npts, "int32")
    last = None
    for component in range(3):
        stream.push(component, packets.packet(x, rate=rate))
    stream.flush()
    while block := stream.cutter.take(1000):
        last = block
    assert last is not None
    end = (last.number + last.count - 1) * 10 + 400
    off_s = (last.clock.time_ns(end) - packets.START_NS) / packets.NANOSECONDS - 900
    assert -0.5 < off_s <= 0  # the stride, and the resampler's delay of 0.28 s


@pytest.mark.parametrize("off_ns", [3_000_000, -3_000_000])
def test_components_stand_together_after_a_clock_drifted(off_ns: int) -> None:
    """Every record begins 0.3 samples late or early; N comes back after a gap beside Z, which had none."""
    stream = StationStream(Preprocess(spectrogram_manifest()), stride=10)
    for k in range(300):
        start_ns = packets.START_NS + k * (4_000_000_000 + off_ns)
        for component in (0, 1, 2):
            if component != 0 or not 100 <= k < 105:
                part = packets.packet(counts(400, "int32"), start_ns=start_ns, component="NEZ"[component])
                stream.push(component, part)
    runs = stream.cutter._runs
    clocks = [runs[component][-1].clock for component in (0, 2)]
    end = min(runs[component][-1].end for component in (0, 2))
    assert abs(clocks[0].time_ns(end) - clocks[1].time_ns(end)) <= 10_000_000
    assert abs(runs[2][-1].lag(Fraction(100)) - 300 * off_ns // 10_000_000) <= 1


@pytest.mark.parametrize("died_at", [0, 100])
@pytest.mark.parametrize("off_ns", [3_000_000, -3_000_000])
def test_windows_keep_pace_beside_a_dead_component(off_ns: int, died_at: int) -> None:
    """A drifting clock does not make those that go on wait for longer and longer."""
    stream = StationStream(Preprocess(spectrogram_manifest()), stride=10)
    latest, waits_s = 0, list[float]()
    for k in range(600):
        start_ns = packets.START_NS + k * (4_000_000_000 + off_ns)
        for component in (0, 1, 2):
            if component != 0 or k < died_at:
                part = packets.packet(counts(400, "int32"), start_ns=start_ns, component="NEZ"[component])
                stream.push(component, part)
        while block := stream.cutter.take(1000):
            latest = block.clock.time_ns((block.number + block.count - 1) * 10 + 400)
        waits_s.append((start_ns + 4 * packets.NANOSECONDS - latest) / packets.NANOSECONDS)
    assert max(waits_s[110:]) < 5.0 + 4.0 + 0.2  # the wait for a late packet, a packet's length, the stride
    assert stream.cutter.windows > 0.9 * 600 * 40


@pytest.mark.parametrize("samples", [25, 400])
def test_windows_are_ready_with_the_last_packet_where_the_others_are_known_to_be_absent(samples: int) -> None:
    """The same windows as after the wait, and each as soon as its last sample is there."""
    found: list[list[tuple[int, bytes]]] = []
    for absent in (frozenset[int](), frozenset((0, 1))):
        stream = StationStream(Preprocess(spectrogram_manifest()), stride=10, absent=absent)
        windows = list[tuple[int, bytes]]()
        for at in range(0, 4000, samples):
            start_ns = packets.START_NS + at * 10_000_000
            stream.push(2, packets.packet(counts(4000, "int32")[at : at + samples], start_ns=start_ns))
            windows += taken(stream)
            if absent and at >= 1000:  # a stream's first packet waits for earlier ones
                assert windows[-1][0] * 10 + 400 > 100 * packets.START_NS // packets.NANOSECONDS + at + samples - 10
        stream.flush()
        found.append(windows + taken(stream))
    assert found[0] == found[1]
    assert len(found[0]) == 361


def taken(stream: StationStream) -> list[tuple[int, bytes]]:
    windows = list[tuple[int, bytes]]()
    while block := stream.cutter.take(1):
        windows.append((block.number, block.samples.tobytes()))
    return windows

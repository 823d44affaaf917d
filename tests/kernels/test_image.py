"""The spectrogram as a picture equals SciPy's, scaled, turned and resized pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from seisedge.kernels import ArrayError, spectrogram_image, spectrogram_image_into

SIZE = (20, 30)
NPTS = 1500 if not reference.COMPILED else 6000


def painted(x: reference.Numbers, size: tuple[int, int] = SIZE, range_db: float = 120.0) -> reference.Numbers:
    image = spectrogram_image(x.shape[1], frame_samples=256, hop=128, taper_fraction=0.25, range_db=range_db, size=size)
    out = np.full((len(x), *size), np.nan, np.float32)
    spectrogram_image_into(x, image, out)
    return out


def noise(npts: int, seed: int = 0) -> reference.Numbers:
    x = np.random.default_rng(seed).standard_normal((3, npts)) * [[1.0], [1e4], [1e-5]]
    x[1] += 1e5  # counts of a sensor that does not stand level
    return x.astype(np.float32)


@pytest.mark.parametrize("npts", [256, 383, 384, 511, NPTS, NPTS + 77])
@pytest.mark.parametrize("size", [SIZE, (100, 150)])
def test_equals_reference(npts: int, size: tuple[int, int]) -> None:
    if size != SIZE and not reference.COMPILED:
        pytest.skip("100 by 150 pixels take minutes uncompiled")
    x = noise(npts)
    # 1e-6 of a level of some 100 dB, over a range of 20 dB or more: a hundredth of a grey value.
    np.testing.assert_allclose(painted(x, size), reference.spectrogram_image(x, size, 120.0), atol=0.02)


def test_the_highest_frequency_is_in_row_0_and_time_goes_to_the_right() -> None:
    times = np.arange(NPTS) / 100
    low = np.sin(2 * np.pi * 2 * times) * (times < times[-1] / 2)
    high = np.sin(2 * np.pi * 45 * times) * (times >= times[-1] / 2)
    x = (low + high + 1e-3 * np.random.default_rng(1).standard_normal(NPTS)).astype(np.float32)[np.newaxis]
    rows, columns = 129, 30
    (panel,) = painted(x, (rows, columns))
    assert panel[: rows // 2, columns // 2 + 2 :].max() > 240
    assert panel[rows // 2 :, : columns // 2 - 2].max() > 240
    assert panel[: rows // 2, : columns // 2 - 3].max() < 150
    assert panel[rows // 2 + 4 :, columns // 2 + 3 :].max() < 150


def test_a_panel_of_its_own_size_spans_0_to_255_whatever_the_gain() -> None:
    x = noise(256 + 128 * 29)
    panels = painted(x, (129, 30))
    for panel in panels:
        assert (panel.min(), panel.max()) == (0, 255)
    np.testing.assert_allclose(painted(x * np.float32(1e6), (129, 30)), panels, atol=0.02)


def test_a_dead_component_is_black_and_one_with_no_number_no_picture() -> None:
    x = noise(1000)
    x[0] = 7
    x[2, 500] = np.nan
    panels = painted(x)
    assert not panels[0].any()
    assert panels[1].max() > 200
    assert np.isnan(panels[2]).all()


def test_silence_in_a_record_is_the_range_below_its_highest_level() -> None:
    x = noise(NPTS)[:1]
    x[:, : NPTS * 2 // 3] = 0  # so long that even the short record has whole frames on both sides
    (panel,) = painted(x)
    assert panel[:, : SIZE[1] // 2 - 2].max() == 0
    assert panel[:, SIZE[1] * 2 // 3 + 3 :].min() > 100


def test_contract() -> None:
    x = noise(1000)
    image = spectrogram_image(1000, frame_samples=256, hop=128, taper_fraction=0.25, range_db=120.0, size=SIZE)
    out = np.zeros((3, *SIZE), np.float32)
    with pytest.raises(ArrayError, match="x: found 1200 samples, wanted as many"):
        spectrogram_image_into(noise(1200), image, out)
    with pytest.raises(ArrayError, match=r"out: found shape \(3, 20, 31\), wanted the size"):
        spectrogram_image_into(x, image, np.zeros((3, 20, 31), np.float32))
    with pytest.raises(ArrayError, match="x: found dtype int16"):
        spectrogram_image_into(reference.untyped(np.ones((3, 1000), np.int16)), image, out)
    wrong = {"npts": 255, "taper_fraction": 0.0, "range_db": -1.0, "hop": 0}
    right = {"npts": 1000, "frame_samples": 256, "hop": 128, "taper_fraction": 0.25, "range_db": 120.0, "size": SIZE}
    for name, value in wrong.items():
        with pytest.raises(ArrayError, match=f"{name}:? "):
            spectrogram_image(**reference.untyped({**right, name: value}))

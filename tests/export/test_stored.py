"""Files of records: what is in them comes back, and whatever is wrong with them is named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared

from seisedge.export.consensus import archive_picks, record_picks
from seisedge.export.errors import TrainingDataError
from seisedge.export.stored import numbers, read_arrays, read_table, stored_record

_SAMPLES = np.arange(24, dtype=np.int16)
_GOOD = {
    "samples": _SAMPLES,
    "start": np.array([0, 12]),
    "n": np.array([4, 4]),
    "fs": np.array([31.25, 100.0]),
    "id": np.array(["a", "b"]),
}


def _file(folder: Path, **changes: object) -> Path:
    path = folder / "records.npz"
    np.savez_compressed(
        path, allow_pickle=True, **{**_GOOD, **{name: np.asarray(each) for name, each in changes.items()}}
    )
    return path


def test_records_come_back_component_by_component(tmp_path: Path) -> None:
    arrays = read_arrays(_file(tmp_path))
    name, rate, samples = stored_record(arrays, 1)
    assert (name, rate) == ("b", 100.0)
    assert samples.dtype == np.int16
    assert samples.tolist() == [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fs": 100.0}, "fs: found float64 in 0 dimensions, wanted a row of numbers"),
        ({"fs": ["a", "b"]}, "fs: found <U1 in 1 dimensions, wanted a row of numbers"),
        ({"id": [1, 2]}, "id: found int64 in 1 dimensions, wanted a row of text"),
        ({"n": [4.0, 4.0]}, "n: found float64 in 1 dimensions, wanted a row of whole numbers"),
        ({"fs": [100.0]}, r"found arrays of \[1, 2\] records"),
        ({"id": ["a", "a"]}, "found an id twice"),
        ({"n": [4, 5]}, "b: found 24 samples, wanted its three times 5 from 12 on"),
        ({"start": [-1, 12]}, "a: found 24 samples"),
        ({"n": np.array([4, 2**62])}, "b: found 24 samples"),
        ({"n": [4, 1]}, "b: found 1 samples at 100.0 Hz"),
        ({"fs": [np.nan, 1.0]}, "a: found 4 samples at nan Hz"),
        ({"fs": [1.0, np.inf]}, "b: found 4 samples at inf Hz"),
        ({"id": np.array(["a", None], object)}, r"found no \.npz file of arrays"),
    ],
)
def test_arrays_that_are_no_records_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingDataError, match=rf"records\.npz: {message}"):
        read_arrays(_file(tmp_path, **changes))


def test_places_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    assert np.isnan(read_arrays(_file(tmp_path, p_sample=[1.0, np.nan]), "p_sample")["p_sample"]).sum() == 1
    with pytest.raises(TrainingDataError, match="p_sample: found an infinite number"):
        read_arrays(_file(tmp_path, p_sample=[1.0, np.inf]), "p_sample")


def test_an_array_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"records\.npz: missing array 'group'"):
        read_arrays(_file(tmp_path), "group")


def _bytes() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **_GOOD)  # type: ignore[arg-type]  # arrays by name
    return buffer.getvalue()


_WHOLE = _bytes()


@settings(max_examples=400, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(_WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    length=st.one_of(st.just(len(_WHOLE)), st.integers(0, len(_WHOLE))),
)
def test_a_damaged_file_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(_WHOLE)
    for place, value in changes:
        damaged[place] = value
    path = tmp_path_factory.mktemp("damaged") / "records.npz"
    path.write_bytes(damaged[:length])
    try:
        arrays = read_arrays(path)
    except TrainingDataError:
        return
    for index in range(len(arrays["id"])):
        assert stored_record(arrays, index)[2].shape[0] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"id,phase\na,P\n", "missing column 'sample'"),
        (b"id,phase,sample,n_models\na,P,1.5\n", "line 2: found no n_models"),
        (b"id,phase,sample,n_models\na,P,1,3\na,P,early,3\n", "line 3: could not convert string to float: 'early'"),
        (b"id,phase,sample,n_models\na,P,1,some\n", "line 2: invalid literal"),
        (b"\xff\xfe", "found no table"),
    ],
)
def test_tables_of_picks_that_are_wrong_are_named(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "picks.csv"
    path.write_bytes(text)
    with pytest.raises(TrainingDataError, match=rf"picks\.csv: {message}"):
        record_picks(path)


def test_picks_come_by_record_and_by_station(tmp_path: Path) -> None:
    path = tmp_path / "picks.csv"
    path.write_text("id,phase,sample,n_models\na,P,1.5,3\nb,S,2,1\na,S,9,4\n")
    assert record_picks(path) == {"a": [("P", 1.5, 3), ("S", 9.0, 4)], "b": [("S", 2.0, 1)]}
    path.write_text("network,station,phase,time,n_models\nCX,PB01,P,1970-01-01T00:00:01.5Z,4\n")
    assert archive_picks(path) == {("CX", "PB01"): [("P", 1_500_000_000, 4)]}
    path.write_text("network,station,phase,time,n_models\nCX,PB01,P,noon,4\n")
    with pytest.raises(TrainingDataError, match="line 2: time: found 'noon'"):
        archive_picks(path)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="no such file"):
        read_table(tmp_path / "no.csv", "id")


def test_numbers_of_a_field() -> None:
    assert numbers("") == []
    assert numbers("12.5;7") == [12.5, 7.0]
    assert numbers("P@3. (.)") == [3.0]


@needs_shared
def test_what_the_guide_to_training_says_of_the_validation_set() -> None:
    arrays = read_arrays(SHARED / "labelled" / "labelled_val.npz")
    records = [stored_record(arrays, index)[2].astype(np.float64) for index in range(len(arrays["id"]))]
    deviations = np.array([each.std(axis=1) for each in records])
    assert len(records) == 307
    assert np.sum(deviations.max(axis=1) < 1e-5) == 15  # in m/s; others are counts
    alive = deviations > 0
    away = np.abs([each.mean(axis=1) for each in records])[alive] / deviations[alive]
    assert 1 / 6.5 < np.mean(away > 10) < 1 / 5.5
    assert 0.005 < np.mean(away > 300) < 0.02

"""Channels are grouped to stations; components find their places by name, by alias, or are told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from seisedge.edge.archive_index import Trace
from seisedge.edge.manifest import Components
from seisedge.edge.stations import Station, group_stations
from seisedge.export.recipes import SEISMO_PERFORMER
from seisedge.firmware_bridge import SourceId

COMPONENTS = SEISMO_PERFORMER.components
REFUSE = dataclasses.replace(COMPONENTS, missing="refuse")


def trace(name: str) -> Trace:
    """A trace of `NET.STA.LOC.CHA`."""
    network, station, location, channel = name.split(".")
    return Trace(Path(f"{name}.mseed"), SourceId(network, station, location, *channel))


def group(*names: str, components: Components = COMPONENTS) -> list[Station]:
    return group_stations([trace(name) for name in names], components)


@pytest.mark.parametrize("letters", ["ZNE", "Z12", "312", "ZN2", "EZN"])
def test_components_are_found_by_name_and_alias(letters: str) -> None:
    (station,) = group(*[f"XX.A..HH{letter}" for letter in letters])
    places = {each.source_id.component: place for place, each in station.traces}
    assert places == {letter: {"N": 0, "1": 0, "E": 1, "2": 1, "Z": 2, "3": 2}[letter] for letter in letters}
    assert (station.components, station.refused, station.skipped) == (("N", "E", "Z"), None, [])


def test_network_station_location_and_instrument_tell_stations_apart() -> None:
    names = ["XX.A..HHZ", "XX.A..HHN", "XX.A.00.HHZ", "XX.A..ENZ", "YY.A..HHZ", "XX.B..HHZ"]
    assert [str(each.id) for each in group(*names)] == ["XX.A..EN", "XX.A..HH", "XX.A.00.HH", "XX.B..HH", "YY.A..HH"]


def test_a_component_of_unknown_name_is_told_and_the_rest_used() -> None:
    (station,) = group("XX.A..HHZ", "XX.A..HHW")
    assert station.skipped == ["XX.A..HHW: component 'W' is none of N, E, Z, 1, 2, 3"]
    assert (station.components, station.refused) == (("Z",), None)


def test_an_alias_gives_way_to_the_name_itself() -> None:
    (station,) = group("XX.A..HHZ", "XX.A..HHN", "XX.A..HH1")
    assert station.skipped == ["XX.A..HH1: component N is there under its own name"]
    assert station.components == ("N", "Z")


def test_a_station_without_a_required_component_is_refused() -> None:
    (station,) = group("XX.A..HHN", "XX.A..HHE")
    assert station.refused == "found components E, N, wanted Z: Z missing"


def test_a_vertical_alone_is_accepted_where_the_manifest_says_so() -> None:
    (station,) = group("XX.A..HHZ")
    assert (station.components, station.refused) == (("Z",), None)
    (station,) = group("XX.A..HHZ", components=REFUSE)
    assert station.refused == "found components Z, wanted N, E, Z: N, E missing"


def test_a_station_of_unknown_components_is_refused() -> None:
    (station,) = group("XX.A..HDF")
    assert station.refused == "found components none that the model knows, wanted Z: Z missing"


def test_files_of_a_station_are_named_once() -> None:
    (station,) = group("XX.A..HHZ", "XX.A..HHZ", "XX.A..HHN")
    assert [each.name for each in station.paths] == ["XX.A..HHN.mseed", "XX.A..HHZ.mseed"]
    assert [place for place, _ in station.traces] == [2, 2, 0]


def test_the_span_is_that_of_all_components_whatever_is_missing() -> None:
    (station,) = group("XX.A..HHZ", "XX.A..HHN", "XX.A..HHE")
    assert station.span_ns == (0, 0)  # no record of it was read
    for place, each in station.traces:
        for start_s in (10 + place, 500 + place):
            each.starts.append(start_s * 10**9)
            each.npts.append(400)
            each.rates.append(100.0)
    assert station.span_ns == (10 * 10**9, (502 + 4) * 10**9)


@pytest.mark.parametrize("rate", [1e-300, 0.0, float("nan"), float("inf")])
def test_an_absurd_rate_makes_no_absurd_span(rate: float) -> None:
    (station,) = group("XX.A..HHZ")
    ((_, each),) = station.traces
    each.starts.append(5)
    each.npts.append(100)
    each.rates.append(rate)
    start_ns, end_ns = station.span_ns
    assert start_ns == 5
    assert 5 <= end_ns <= 5 + 366 * 86_400 * 10**9

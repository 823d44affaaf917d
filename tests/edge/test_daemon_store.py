"""What a restart must know of each stream stays bounded, however many results there were."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from seisedge.edge import StationId
from seisedge.edge.daemon.results import Statement
from seisedge.edge.daemon.store import Entry, Store


def ended(station: str, number: int) -> Entry:
    """The last statement of a pick."""
    statement = Statement(
        id=f"{number:016x}",
        revision=1,
        status="final",
        kind="pick",
        station=StationId("XX", station, "", "HH"),
        label="P",
        time_ns=number * 10**9,
        opened_ns=number * 10**9,
        probability=0.9,
        model_digest="d" * 64,
        row={"id": f"{number:016x}"},
    )
    return Entry("pick", statement.as_row(), statement=statement)


def test_the_newest_results_of_each_stream_are_known_and_old_ones_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with closing(Store(str(path))) as store:
        for number in range(200):
            store.add([ended("BUSY", number)], (), {})
        store.add([ended("QUIET", 7)], (), {})
    with closing(Store(str(path))) as store:
        found = {each[0].station.station: each for each in store.known().values()}
    busy, quiet = found["BUSY"], found["QUIET"]
    assert 64 <= len(busy) < 64 + 16
    assert [each.time_ns for each in busy] == [number * 10**9 for number in range(200 - len(busy), 200)]
    assert [each.station.station for each in quiet] == ["QUIET"]

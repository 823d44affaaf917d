"""The lines of a training's table: what is known, and how long it will still take."""

from __future__ import annotations

from seisedge.export.train_table import HEADER, TrainTable


def test_a_line_has_the_rows_figures_below_the_headings() -> None:
    table = TrainTable(1000)
    line = table.line({"step": 100.0, "loss": 1.23456, "seconds": 60.0, "false_picks": 7.0, "validation_loss": 0.5})
    assert line.split() == ["100", "1.2346", "0.5000", "7", "0:01:00", "0:09:00"]
    assert len(line) == len(HEADER)


def test_what_a_row_does_not_have_is_a_dash_and_the_time_left_follows_the_last_rows_pace() -> None:
    table = TrainTable(1000)
    table.line({"step": 100.0, "loss": 2.0, "seconds": 60.0})
    line = table.line({"step": 200.0, "loss": 1.0, "seconds": 3700.0})
    assert line.split() == ["200", "1.0000", "-", "0", "1:01:40", "8:05:20"]


def test_a_day_and_the_end_have_their_places() -> None:
    table = TrainTable(10)
    assert table.line({"step": 10.0, "loss": 1.0, "seconds": 90_061.0}).split()[-4:] == [
        "1",
        "day,",
        "1:01:01",
        "0:00:00",
    ]

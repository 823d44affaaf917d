"""S-files: whole ones, bare ones and damaged ones; counts and times from outside where the shared data are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared

from seisedge.edge.times import parse_time
from seisedge.export.errors import TrainingDataError
from seisedge.export.nordic import NordicEvent, read_catalogue, read_events

ORIGIN = " 2018  427 0851 46.8 L  10.280 -68.080  3.8  FUN 11 0.4 3.1WFUN                1"
P = " TURV HZ IP     C  851 52.42                              97   -0.1410 32.4  55 "
S = " TURV HN ES   3    852 2.125                              97   -0.1410 32.4  55 "
HEADER = " STAT SP IPHASW D HRMM SECON CODA AMPLIT PERI AZIMU VELO AIN AR TRES W  DIS CAZ7"
COMMENT = " ACTION:UP  18-12-12 12:20 OP:elv  STATUS:               ID:20180424035719 L   I"
ERRORS = " GAP=121        1.57       3.6     2.0  3.9 -0.1677E+00  0.1548E+01  0.1923E+01E"
AGENCY = " 2018 0427 0852 20.1 L  10.300 -68.100       NAO  2 1.0                 2.0LNAO1"
MAGNITUDES = " 2018  427                                   FUN        1.6WFUN                1"
MINUTE = " 2018  427  850      LE                      MDT                               1"
HEADER_2 = " STAT COM NTLO IPHASE   W HHMM SS.SSS   PAR1  PAR2 AGA OPE  AIN  RES W  DIS CAZ7"
P_2 = " EGD  HHZ NS   IP       4 1325 35.950      C       BER jh 120.0-1.131047.70   6 "
S_2 = " BER  BHN NS00 ES         1325 42.030              BER jh  70.0-.9901061.00  11 "
AMPLITUDE = " TURV HZ  IAML     852 13.60        50.7  0.2                           184  53 "


def _read(folder: Path, *lines: str) -> tuple[list[NordicEvent], list[str]]:
    path, problems = folder / "01-0000-00M.S200601", list[str]()
    path.write_text("\n".join(lines), encoding="latin-1")
    return list(read_events(path, problems.append)), problems


@pytest.mark.parametrize(
    "lines",
    [
        (ORIGIN, P, S),
        (ORIGIN, COMMENT, HEADER, P, AMPLITUDE, S, " " * 80),
        (ORIGIN, ORIGIN.replace("46.8", "44.1"), HEADER, P, S),  # another agency's origin
        (ORIGIN.rstrip(), P.rstrip(), S[:28]),
        (ORIGIN, P[:79] + "4", S[:79] + "4"),
        (ORIGIN[:79], HEADER[:79], P[:79], S[:79]),
        (ORIGIN, ERRORS, AGENCY, MAGNITUDES, MINUTE, HEADER, P, S),
    ],
    ids=["bare", "whole", "two origins", "cut lines", "type 4", "all cut", "all kinds of other solutions"],
)
def test_an_event_and_its_picks(tmp_path: Path, lines: tuple[str, ...]) -> None:
    (event,), problems = _read(tmp_path, *lines)
    assert not problems
    assert event.origin_ns == parse_time("2018-04-27T08:51:46.8")
    assert (event.latitude, event.longitude, event.depth_km, event.magnitude) == (10.28, -68.08, 3.8, 3.1)
    first, second = event.picks
    assert (first.station, first.component, first.onset, first.phase_hint) == ("TURV", "HZ", "I", "P")
    assert (first.weight, first.polarity, first.time_ns) == (0, "C", parse_time("2018-04-27T08:51:52.42"))
    assert (second.phase_hint, second.weight, second.time_ns) == ("S", 3, parse_time("2018-04-27T08:52:02.125"))


def test_events_follow_each_other_with_and_without_a_blank_line(tmp_path: Path) -> None:
    later = ORIGIN.replace("0851", "0951")
    for between in ([], [""]):
        events, _ = _read(tmp_path, ORIGIN, P, *between, later, P.replace(" 851", " 951"))
        assert [len(event.picks) for event in events] == [1, 1]


OTHER_DAY = ORIGIN.replace("427 0851", "430 1207")
P_OTHER_DAY = P.replace(" 851 52.42", "12 7 35.20")


@pytest.mark.parametrize("between", [(), (ERRORS, COMMENT), (HEADER,)])
@pytest.mark.parametrize("length", [80, 79], ids=["whole", "cut"])
def test_an_event_without_picks_takes_none_of_the_next(tmp_path: Path, between: tuple[str, ...], length: int) -> None:
    later = OTHER_DAY[:length]
    (first, second), problems = _read(tmp_path, ORIGIN, *between, later, P_OTHER_DAY)
    assert not problems
    assert not first.picks
    assert [pick.time_ns for pick in second.picks] == [parse_time("2018-04-30T12:07:35.2")]


def test_a_cut_origin_behind_picks_begins_an_event(tmp_path: Path) -> None:
    events, problems = _read(tmp_path, ORIGIN[:79], P, OTHER_DAY[:79], P_OTHER_DAY)
    assert not problems
    assert [event.picks[0].time_ns for event in events] == [
        parse_time("2018-04-27T08:51:52.42"),
        parse_time("2018-04-30T12:07:35.2"),
    ]


@pytest.mark.parametrize("length", [80, 79], ids=["whole", "cut"])
def test_every_origin_of_a_compact_file_is_an_event(tmp_path: Path, length: int) -> None:
    origins = [ORIGIN.replace("427 0851", f"427 {hour:2d}51")[:length] for hour in range(10)]
    events, problems = _read(tmp_path, *origins)
    assert not problems
    assert [event.origin_ns for event in events] == [parse_time(f"2018-04-27T0{hour}:51:46.8") for hour in range(10)]


def test_a_year_of_two_digits_is_of_the_last_century(tmp_path: Path) -> None:
    origin = ORIGIN.replace("2018", "1990")
    (event,), problems = _read(tmp_path, origin, origin.replace("1990", "  90"), P)
    assert not problems
    assert event.picks[0].time_ns == parse_time("1990-04-27T08:51:52.42")


def test_an_undated_origin_gives_its_picks_to_no_other(tmp_path: Path) -> None:
    (event,), problems = _read(tmp_path, ORIGIN, OTHER_DAY.replace("430", "431"), P_OTHER_DAY)
    assert not event.picks
    assert ["found the date" in problems[0], "without an origin" in problems[1]] == [True, True]


def test_a_solution_whose_time_is_damaged_is_told_and_loses_no_picks(tmp_path: Path) -> None:
    (event,), problems = _read(tmp_path, ORIGIN, AGENCY.replace("20.1", "2x.1"), P)
    assert len(event.picks) == 1
    assert [problem.partition(", ")[2] for problem in problems] == ["line 2: found the seconds '2x.1', wanted a number"]


def test_picks_without_an_origin_are_told(tmp_path: Path) -> None:
    text = "a text of somebody, of which nothing is like a pick"
    events, problems = _read(tmp_path, text, ERRORS, HEADER, P, AMPLITUDE, S[:79] + "4")
    assert not events
    assert [problem.partition(", ")[2] for problem in problems] == [
        f"line {number}: found the pick {pick!r} without an origin, wanted the origin's line before it"
        for number, pick in ((4, P[1:28].strip()), (6, S[1:28].strip()))
    ]


@pytest.mark.parametrize("length", [80, 79], ids=["whole", "cut"])
def test_nordic2_is_told_by_name_and_not_read(tmp_path: Path, length: int) -> None:
    lines = (ORIGIN, HEADER_2[:length], P_2, S_2, OTHER_DAY, HEADER, P_OTHER_DAY)
    (first, second), problems = _read(tmp_path, *lines)
    assert (len(first.picks), len(second.picks)) == (0, 1)
    wanted = "found picks in Nordic2 (STAT COM NTLO), wanted Nordic (STAT SP IPHASW): the event's picks are left out"
    assert [problem.partition(", ")[2] for problem in problems] == [f"line 2: {wanted}"]
    events, problems = _read(tmp_path, HEADER_2[:length], P_2)
    assert not events
    assert "line 1: found picks in Nordic2" in problems[0]


@pytest.mark.parametrize(("hour", "day"), [("24 1", 28), (" 0 1", 28), ("2359", 27)])
def test_a_pick_behind_midnight_is_of_the_next_day(tmp_path: Path, hour: str, day: int) -> None:
    (event,), _ = _read(tmp_path, ORIGIN.replace("0851", "2358"), P.replace(" 851", hour))
    clock = hour.replace("24", "00").replace(" ", "0")
    assert event.picks[0].time_ns == parse_time(f"2018-04-{day}T{clock[:2]}:{clock[2:]}:52.42")


def test_a_damaged_line_is_told_and_loses_nothing_else(tmp_path: Path) -> None:
    (event,), problems = _read(tmp_path, ORIGIN, P.replace("52.42", "5x.42"), S)
    assert [pick.phase_hint for pick in event.picks] == ["S"]
    assert problems == [f"{tmp_path / '01-0000-00M.S200601'}, line 2: found the seconds ' 5x.42', wanted a number"]
    events, problems = _read(tmp_path, ORIGIN.replace("427", "431"), P)
    assert not events
    assert problems[0].endswith("line 1: found the date '2018  431', wanted a day of the calendar")


@given(damage=st.data())
@settings(max_examples=200, deadline=None)
def test_no_damage_ends_the_reading(damage: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = f"{ORIGIN}\n{AGENCY}\n{HEADER}\n{P}\n{S}\n\n{ORIGIN[:79]}\n{P}\n{OTHER_DAY}\n{HEADER_2}\n{P_2}"
    for _ in range(damage.draw(st.integers(1, 5))):
        at = damage.draw(st.integers(0, len(text) - 1))
        text = text[:at] + damage.draw(st.sampled_from(["", "\n", "x", " ", "9", "²"])) + text[at + 1 :]
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_text(text, encoding="latin-1")
    assert len(list(read_events(path))) <= 10


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="no such file or folder, wanted s-files"):
        read_catalogue([tmp_path / "absent"])


@needs_shared
@pytest.mark.parametrize(
    ("name", "events", "p", "s"),
    [("select1.out", 778, 4005, 3856), ("select2.out", 176, 789, 754), ("seisobs", 50, 538, 285)],
)
def test_counts_are_those_of_another_reader(name: str, events: int, p: int, s: int) -> None:
    problems: list[str] = []
    found = read_catalogue([SHARED / "nordic" / name], problems.append)
    hints = [pick.phase_hint for event in found for pick in event.picks]
    assert not problems
    assert (len(found), *(sum(hint.startswith(letter) for hint in hints) for letter in "PS")) == (events, p, s)

"""`edge-export evaluate`: what pickers are worth, on labels, on continuous records and on MEMS sensors."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from seisedge.edge import OrtSession, models
from seisedge.edge.errors import UsageError
from seisedge.edge.interrupt import StopSignal

from .cli_parts import FILE, examples, reports_errors, require_writable
from .evaluation.archive_cases import archive_cases
from .evaluation.cases import Case, CaseSet, with_components
from .evaluation.evaluation import Evaluation, Plan, Results
from .evaluation.events import EventPicker
from .evaluation.labelled_cases import labelled_cases, mems_cases
from .evaluation.pick_files import FilePicker
from .evaluation.pick_store import PickStore
from .evaluation.pickers import ArtefactPicker, Picker
from .evaluation.sta_lta import StaLtaPicker
from .evaluation.tables import markdown, tables
from .records import Continuous

_INTERRUPTED = 130
_OWN = "own"


@click.command(
    epilog=examples(
        "edge-export evaluate edge-picker --data labelled/",
        "edge-export evaluate mine.onnx mine-int8.onnx --data labelled/ --state picks/ -o report/",
        "edge-export evaluate edge-picker --data labelled/ --continuous cx/,2014-05-01T09:00 --continuous ridgecrest/",
        "edge-export evaluate edge-picker --data labelled/ --mems openeew_int16.npz,2018_9_25,2020_7_2",
        "edge-export evaluate edge-picker --data labelled/ --components Z",
        "edge-export evaluate edge-picker --data labelled/ --picks published=picks.csv --reference published",
    )
)
@click.argument("artefacts", nargs=-1, metavar="ARTEFACT...")
@click.option("--data", type=FILE, help="Folder with labelled_NAME.npz and .csv.")
@click.option(
    "--choose", default="train", show_default=True, metavar="NAME", help="Set on which thresholds are chosen."
)
@click.option("--report", default="val", show_default=True, metavar="NAME,...", help="Sets to report on.")
@click.option("--labels", default="manual", show_default=True, help="Origin of the labels that count, or all.")
@click.option(
    "--continuous", multiple=True, metavar="FOLDER[,START[,END]]", help="Archive, with picks_consensus.csv. Repeatable."
)
@click.option("--mems", multiple=True, metavar="FILE[,ID,...]", help="Long records, NAME_picks.csv beside. Repeatable.")
@click.option("--picks", multiple=True, metavar="NAME=FILE", help="CSV of picks that others made. Repeatable.")
@click.option("--components", metavar="CODE,...", help="Take the others away: Z for stations of a vertical alone.")
@click.option("--sta-lta/--no-sta-lta", default=True, show_default=True, help="Recursive STA/LTA too, for P.")
@click.option("--reference", metavar="PICKER", help="Compare on continuous records at its recall. [default: the first]")
@click.option("--state", type=FILE, help="Folder that keeps picks: a stopped evaluation goes on, a wider one is quick.")
@click.option("--output", "-o", type=FILE, help="Folder for evaluation.json, evaluation.md and pictures.")
@click.option("--jobs", "-j", type=click.IntRange(1, 1024), help="Threads. [default: one per core]")
@reports_errors
def evaluate(  # noqa: PLR0913, PLR0917 - one parameter per option
    artefacts: tuple[str, ...],
    data: Path | None,
    choose: str,
    report: str,
    labels: str,
    continuous: tuple[str, ...],
    mems: tuple[str, ...],
    picks: tuple[str, ...],
    components: str | None,
    sta_lta: bool,  # noqa: FBT001 - a flag of the command line
    reference: str | None,
    state: Path | None,
    output: Path | None,
    jobs: int | None,
) -> None:
    """Hold the picks of each ARTEFACT (a file, or the name of an embedded model) against labels.

    Of a model that detects events: whether its detections hold the P, of all labels, and how many hold no arrival.
    All records go through the runtime's stream. Thresholds are chosen on one set (--choose own: the pickers' own) and
    applied to the others.
    """
    pickers, detectors = _pickers(artefacts, picks, sta_lta=sta_lta)
    if reference is not None and reference not in (names := [each.name for each in pickers]):
        raise UsageError(f"--reference: found {reference!r}, wanted one of {', '.join(names)}")
    for folder, option in ((output, "--output"), (state, "--state")):
        if folder is not None:
            require_writable(folder, option)
    chosen, reported = _labelled(data, choose, report)
    codes = tuple(filter(None, (components or "").upper().split(",")))

    def heard(cases: CaseSet) -> CaseSet:
        return with_components(cases, codes) if codes else cases

    plan = Plan(
        pickers=pickers,
        choose=heard(chosen) if chosen else None,
        report=tuple(map(heard, reported)),
        continuous=tuple(heard(archive_cases(Continuous.parse(each))) for each in continuous),
        mems=tuple(heard(mems_cases(Path(first), tuple(ids))) for first, *ids in (each.split(",") for each in mems)),
        origin=None if labels == "all" else labels,
        reference=reference,
        detectors=detectors,
    )
    _check(plan)
    for line in (line for cases in plan.sets for line in cases.told):
        click.echo(f"edge-export: {line}", err=True)
    results = _run(plan, PickStore(state), jobs or len(os.sched_getaffinity(0)))
    for table in tables(results):
        click.echo("\n".join(table.plain()))
    if output is not None:
        _write(results, output)


def _pickers(
    artefacts: tuple[str, ...], picks: tuple[str, ...], *, sta_lta: bool
) -> tuple[tuple[Picker, ...], tuple[EventPicker, ...]]:
    found: list[Picker] = []
    detectors: list[EventPicker] = []
    for text in picks:
        name, separator, path = text.partition("=")
        if not separator:
            raise UsageError(f"--picks: found {text!r}, wanted NAME=FILE")
        found.append(FilePicker(name, Path(path)))
    for each in artefacts:
        session = OrtSession(models.find_model(each), any_target=True)
        name = f"{Path(each).stem.partition(':')[0]} {session.manifest.quantization.precision}"
        if session.manifest.task == "event_detection":
            detectors.append(EventPicker(name, session))
        else:
            found.append(ArtefactPicker(name, session))
    if sta_lta and (found or not detectors):
        found.append(StaLtaPicker())
    names = [each.name for each in (*found, *detectors)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"found two pickers named {twice!r}, wanted files of different names")
    if not names:
        raise UsageError("found nothing to evaluate, wanted an artefact, --picks or --sta-lta")
    return tuple(found), tuple(detectors)


def _labelled(data: Path | None, choose: str, report: str) -> tuple[CaseSet | None, tuple[CaseSet, ...]]:
    if data is None:
        if choose not in ("train", _OWN):
            raise UsageError(f"--choose {choose}: found no --data, wanted the folder of the set")
        return None, ()
    names = [each for each in report.split(",") if each]
    sets = {name: labelled_cases(data / f"labelled_{name}.npz") for name in {choose, *names} - {_OWN}}
    return sets.get(choose), tuple(sets[name] for name in names)


def _check(plan: Plan) -> None:
    if not plan.sets:
        raise UsageError("found no records, wanted --data, --continuous or --mems")
    for cases in filter(None, (plan.choose, *plan.report) if plan.pickers else ()):
        origins = {label.origin for case in cases.cases for label in case.labels}
        if plan.origin is not None and plan.origin not in origins:
            raise UsageError(
                f"--labels: found {plan.origin!r}, {cases.name} has {', '.join(sorted(origins)) or 'none'}"
            )
        for phase in sorted({label.phase for case in cases.cases for label in case.labels}):
            mine = {label.origin for case in cases.cases for label in case.labels if label.phase == phase}
            if plan.origin is not None and plan.origin not in mine:
                found = f"{cases.name} has none of its {phase}"
                click.echo(f"--labels {plan.origin}: {found}: its figures mean nothing; see --labels all", err=True)


def _run(plan: Plan, store: PickStore, jobs: int) -> Results:
    seconds = sum(cases.days for cases in {cases.digest: cases for cases in plan.sets}.values()) * 86400
    with (
        StopSignal() as stop,
        click.progressbar(
            length=max(1, round(seconds * (len(plan.pickers) + len(plan.detectors)))), file=sys.stderr, label="picking"
        ) as bar,
    ):

        def advance(picker: Picker, case: Case) -> None:
            bar.label = f"{picker.name}: {case.source}"
            bar.update(round(case.days * 86400))

        command = " ".join(["edge-export", *sys.argv[1:]])
        try:
            return Evaluation(plan, store, jobs=jobs, check=stop.check, advance=advance).run(command)
        except KeyboardInterrupt:
            pass
    click.echo("edge-export: stopped; with --state, records that are done need not be picked again", err=True)
    sys.exit(_INTERRUPTED)


def _write(results: Results, folder: Path) -> None:
    from .evaluation.plots import draw  # noqa: PLC0415 - matplotlib comes with it

    results.write(folder / "evaluation.json")
    pictures = draw(results, folder)
    (folder / "evaluation.md").write_text(markdown(results, [each.name for each in pictures]), encoding="utf-8")
    names = ["evaluation.json", "evaluation.md", *(each.name for each in pictures)]
    click.echo(f"{folder}: {', '.join(names)}")

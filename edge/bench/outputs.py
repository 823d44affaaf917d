"""Where a report goes: files that can be written are asked for before anything is measured; and the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seisedge.edge.errors import UsageError
from seisedge.edge.output_paths import require_outputs

from .page import html
from .report import Report, cell, markdown, noise_line


@dataclass(frozen=True)
class Outputs:
    """The files of `--json`, `--markdown` and `--html`; None for those that nobody asked for."""

    json: Path | None = None
    markdown: Path | None = None
    html: Path | None = None

    def check(self, record: Path | None = None) -> None:
        """Refuse what could not be written, two in one file, and the record that is read.

        Raises
        ------
        UsageError
            Naming the first one.
        """
        require_outputs({"json": self.json, "markdown": self.markdown, "html": self.html}, (record,))

    def write(self, report: Report) -> None:
        """Write the files.

        Raises
        ------
        UsageError
            One cannot be written.
        """
        for path, text in ((self.json, Report.to_json), (self.markdown, markdown), (self.html, html)):
            if path is not None:
                _write(path, text(report))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def plain(report: Report) -> Iterator[str]:
    """Tables, verdicts and notes, line by line, for the terminal."""
    for section in report.sections:
        yield f"\n{section.title}"
        rows = [("", *section.columns)] + [
            (row.name, *(cell(row, column) for column in section.columns)) for row in section.rows
        ]
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(text.rjust(w) for text, w in zip(row[1:], widths[1:], strict=True))]
            yield "  ".join(cells)
    for verdict in report.verdicts:
        word = "pass" if verdict.passed else "FAIL"
        found = "nothing" if verdict.found_s is None else f"{verdict.found_s:.4g} s"
        ratio = "" if verdict.ratio is None else f", ratio {verdict.ratio:.3g}"
        yield (
            f"{word}  {verdict.name}: {verdict.covers}: budget {verdict.budget_s:.4g} s, "
            f"found {found} ({verdict.measured_as}){ratio}"
        )
    yield from (f"note: {note}" for note in report.notes)
    yield noise_line(report.noise)

"""The outbox's tables in SQLite: results, who has not confirmed which, and what a restart must know."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from seisedge.edge.picks import StationId

from .results import Statement

_SCHEMA = """
CREATE TABLE IF NOT EXISTS result (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body TEXT NOT NULL, content BLOB
);
CREATE TABLE IF NOT EXISTS delivery (
    sink TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (sink, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivery_seq ON delivery (seq);
CREATE TABLE IF NOT EXISTS position (source TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS known (
    stream TEXT NOT NULL, id TEXT NOT NULL, time_ns INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (stream, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wish (
    id TEXT PRIMARY KEY, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, pick TEXT NOT NULL, content BLOB NOT NULL
);
"""
_VERSION = 1
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # `json.dumps` would make one for each row
_KNOWN_PER_STREAM = 64
_PRUNED_EVERY = 16  # ends of a stream's results: looking for the oldest costs as much as storing one


@dataclass(frozen=True)
class Subscription:
    """What a sink wants: results of which kinds, and whether provisional ones too."""

    sink: str
    provisional: bool = True
    records: bool = False

    def wants(self, entry: Entry) -> bool:
        """Whether an entry is for this sink."""
        if entry.kind == "wish":
            return False
        if entry.kind == "record" or self.records:
            return entry.kind == "record" and self.records
        return self.provisional or not entry.is_provisional


@dataclass(frozen=True)
class Wish:
    """A triggered waveform that is still to be cut, and its samples (miniSEED) as far as they were there."""

    pick: Statement
    start_ns: int
    end_ns: int
    content: bytes


@dataclass(frozen=True)
class Entry:
    """Something to be delivered: a statement's row, or a triggered waveform (`record`) with its name in the row.

    A `wish` is stored with its pick, and removed with the waveform that has the pick's id. An entry of that kind brings
    one up to date, and is for no sink.
    """

    kind: str
    row: dict[str, Any]
    is_provisional: bool = False
    content: bytes | None = None
    statement: Statement | None = None
    wish: Wish | None = None


@dataclass(frozen=True)
class Item:
    """An entry in the outbox."""

    seq: int
    kind: str
    row: dict[str, Any]
    content: bytes | None


class Store:
    """One SQLite database. Not thread-safe: `Outbox` locks.

    Parameters
    ----------
    path
        Of the file; `:memory:` for one that does not last.

    Raises
    ------
    sqlite3.Error
        It cannot be opened, or is of another version.
    """

    def __init__(self, path: str) -> None:
        self.is_memory = path == ":memory:"
        self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA journal_size_limit=4194304")
            found = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if found not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"found an outbox of version {found}, wanted {_VERSION}")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={_VERSION}")
            row = self._db.execute("SELECT count(*), total(length(body) + coalesce(length(content), 0)) FROM result")
            count, size = row.fetchone()
        except sqlite3.Error:
            self._db.close()
            raise
        self.results, self.size = int(count), int(size)
        self._ended: dict[str, int] = {}

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def add(self, entries: Sequence[Entry], subscriptions: Sequence[Subscription], positions: dict[str, str]) -> None:
        """Store entries for those who want them, and the sources' places, all or nothing."""
        added, size = 0, 0
        with _Transaction(self._db) as db:
            for entry in entries:
                self._note_known(db, entry)
                self._note_wish(db, entry)
                wanting = [each.sink for each in subscriptions if each.wants(entry)]
                if not wanting:
                    continue
                body = _encode(entry.row)
                cursor = db.execute(
                    "INSERT INTO result (kind, body, content) VALUES (?, ?, ?)", (entry.kind, body, entry.content)
                )
                for sink in wanting:
                    db.execute("INSERT INTO delivery VALUES (?, ?)", (sink, cursor.lastrowid))
                added, size = added + 1, size + len(body) + len(entry.content or b"")
            db.executemany("INSERT OR REPLACE INTO position VALUES (?, ?)", positions.items())
        self.results, self.size = self.results + added, self.size + size

    def _note_known(self, db: sqlite3.Connection, entry: Entry) -> None:
        each = entry.statement
        if each is None or each.kind == "waveform":
            return
        values = (each.stream, each.id, each.time_ns, _text_of(each))
        db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)", values)
        self._ended[each.stream] = self._ended.get(each.stream, 0) + each.is_last
        if self._ended[each.stream] >= _PRUNED_EVERY:
            del self._ended[each.stream]
            db.execute(
                "DELETE FROM known WHERE stream = ?1 AND id NOT IN "
                "(SELECT id FROM known WHERE stream = ?1 ORDER BY time_ns DESC LIMIT ?2)",
                (each.stream, _KNOWN_PER_STREAM),
            )

    def _note_wish(self, db: sqlite3.Connection, entry: Entry) -> None:
        if entry.wish is not None:
            wish = entry.wish
            values = (wish.pick.id, wish.start_ns, wish.end_ns, _text_of(wish.pick), wish.content)
            db.execute("INSERT OR REPLACE INTO wish VALUES (?, ?, ?, ?, ?)", values)
        if entry.kind == "record":
            db.execute("DELETE FROM wish WHERE id = ?", (entry.row["id"],))

    def wishes(self) -> list[Wish]:
        """Give the triggered waveforms that are still to be cut."""
        rows = self._db.execute("SELECT start_ns, end_ns, pick, content FROM wish ORDER BY start_ns")
        return [Wish(_statement_of(pick), start, end, content) for start, end, pick, content in rows]

    def pending(self, sink: str, most: int, after: int = 0) -> list[Item]:
        """Give the oldest entries that a sink has not confirmed."""
        rows = self._db.execute(
            "SELECT r.seq, r.kind, r.body, r.content FROM delivery d JOIN result r ON r.seq = d.seq "
            "WHERE d.sink = ? AND d.seq > ? ORDER BY d.seq LIMIT ?",
            (sink, after, most),
        )
        return [Item(seq, kind, json.loads(body), content) for seq, kind, body, content in rows]

    def waiting(self, sink: str) -> int:
        """Count what a sink has not confirmed."""
        return int(self._db.execute("SELECT count(*) FROM delivery WHERE sink = ?", (sink,)).fetchone()[0])

    def confirm(self, sink: str, seqs: Iterable[int]) -> None:
        """Note that a sink has these; what all have is removed.

        This one does not wait for the disk: a power cut may undo it, and then the sink is given the same once more.
        """
        with _Transaction(self._db, waits_for_disk=False) as db:
            numbers = [(seq,) for seq in seqs]
            db.executemany("DELETE FROM delivery WHERE sink = ? AND seq = ?", [(sink, seq) for (seq,) in numbers])
            gone = [each for each in numbers if not self._is_wanted(db, each)]
            self._remove(db, gone)

    def _is_wanted(self, db: sqlite3.Connection, number: tuple[int]) -> bool:
        return db.execute("SELECT 1 FROM delivery WHERE seq = ? LIMIT 1", number).fetchone() is not None

    def _remove(self, db: sqlite3.Connection, numbers: list[tuple[int]]) -> None:
        for number in numbers:
            row = db.execute(
                "DELETE FROM result WHERE seq = ? RETURNING length(body) + coalesce(length(content), 0)", number
            ).fetchone()
            if row is not None:
                self.results, self.size = self.results - 1, self.size - int(row[0])

    def trim(self, most: int, most_bytes: int) -> int:
        """Remove the oldest results until the bounds hold; give how many deliveries were lost by it."""
        lost = 0
        while self.results > 0 and (self.results > most or self.size > most_bytes):
            excess = max(1, self.results - most)
            with _Transaction(self._db) as db:
                numbers = db.execute("SELECT seq FROM result ORDER BY seq LIMIT ?", (min(excess, 1000),)).fetchall()
                for number in numbers:
                    lost += db.execute("DELETE FROM delivery WHERE seq = ?", number).rowcount
                self._remove(db, numbers)
        return lost

    def keep_sinks(self, subscriptions: Sequence[Subscription]) -> None:
        """Drop the deliveries of sinks that are no more, and the wishes where no sink takes waveforms."""
        kept = [each.sink for each in subscriptions]
        marks = ",".join("?" * len(kept))
        with _Transaction(self._db) as db:
            db.execute(f"DELETE FROM delivery WHERE sink NOT IN ({marks})", tuple(kept))  # noqa: S608 - marks only
            numbers = db.execute("SELECT seq FROM result WHERE seq NOT IN (SELECT seq FROM delivery)").fetchall()
            self._remove(db, numbers)
            if not any(each.records for each in subscriptions):
                db.execute("DELETE FROM wish")

    def positions(self) -> dict[str, str]:
        """Give the sources' places."""
        return dict(self._db.execute("SELECT source, value FROM position"))

    def known(self) -> dict[str, list[Statement]]:
        """Give the last statements of each stream, by time."""
        found: dict[str, list[Statement]] = {}
        with closing(self._db.execute("SELECT stream, body FROM known ORDER BY time_ns")) as rows:
            for stream, body in rows:
                found.setdefault(stream, []).append(_statement_of(body))
        return found


def _text_of(each: Statement) -> str:
    """Write what a restart must know of a statement."""
    return json.dumps(
        {
            "id": each.id,
            "revision": each.revision,
            "status": each.status,
            "kind": each.kind,
            "station": [each.station.network, each.station.station, each.station.location, each.station.channel],
            "label": each.label,
            "time_ns": each.time_ns,
            "opened_ns": each.opened_ns,
            "probability": each.probability,
            "model_digest": each.model_digest,
            "row": each.row,
        }
    )


def _statement_of(text: str) -> Statement:
    value = json.loads(text)
    value["station"] = StationId(*value["station"])
    return Statement(**value)


class _Transaction:
    """All or nothing. `BEGIN IMMEDIATE` takes the lock at once, so nothing fails half way for want of it.

    With `waits_for_disk` a commit is on the disk, and a power cut loses nothing.
    """

    def __init__(self, db: sqlite3.Connection, *, waits_for_disk: bool = True) -> None:
        self._db, self._synchronous = db, "FULL" if waits_for_disk else "NORMAL"

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute(f"PRAGMA synchronous={self._synchronous}")
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            return
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

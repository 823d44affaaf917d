"""The log on stderr: lines for people, or one JSON object a line for machines."""

from __future__ import annotations

import json
import logging
import sys

from seisedge.edge.times import format_time


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        row = {
            "time": format_time(round(record.created * 1e9)),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row, ensure_ascii=False)


def set_up_log(form: str, *, verbose: bool) -> None:
    """Send the daemon's messages to stderr, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else logging.Formatter("%(levelname).1s %(message)s"))
    log = logging.getLogger("seisedge")
    log.handlers = [handler]
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    log.propagate = False

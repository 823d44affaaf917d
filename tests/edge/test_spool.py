"""Inputs that can be read only once become files that can be read twice."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from packets import packet, records

from seisedge.edge.spool import spooled


def test_a_pipe_is_copied_and_files_stay_what_they_are(tmp_path: Path) -> None:
    content = b"".join(records(packet(list(range(500)))))
    pipe, plain = tmp_path / "pipe", tmp_path / "plain.mseed"
    os.mkfifo(pipe)
    plain.write_bytes(content)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    with spooled((pipe, plain, tmp_path), pytest.fail) as paths:
        assert paths[0].read_bytes() == content
        assert paths[1:] == (plain, tmp_path)
    writer.join()
    assert not paths[0].exists()

"""Grillo's 125 Hz accelerometers: concatenated JSON objects of the older OpenEEW form, several packets in each."""

from __future__ import annotations

from .naming import Naming
from .openeew import OpenEewDecoder


def grillo_decoder(naming: Naming | None = None, *, vertical: str = "x", is_message: bool = False) -> OpenEewDecoder:
    """Make the decoder: `{"device_id", "cloud_t", "traces": [{"t", "sr", "x", "y", "z"}, …]}`, one behind the other."""
    return OpenEewDecoder(naming, vertical=vertical, is_message=is_message)

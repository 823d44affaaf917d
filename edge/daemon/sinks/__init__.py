"""Where results go. A sink either takes what it is given, or raises `SinkError` and is given the same again."""

from .sink import Sink, SinkError, open_sink

__all__ = ["Sink", "SinkError", "open_sink"]

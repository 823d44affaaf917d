"""The on-station service: sources → picks → a durable outbox → sinks, in one process."""

from .clock import Clock, SystemClock
from .config import Config, read_config
from .service import Service

__all__ = ["Clock", "Config", "Service", "SystemClock", "read_config"]

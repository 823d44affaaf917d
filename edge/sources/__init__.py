"""The ways in which packets reach the gateway, each opened from a URL."""

from .source import Source, SourceCounts
from .urls import SCHEMES, SourceUrl, open_source, parse_url

__all__ = ["SCHEMES", "Source", "SourceCounts", "SourceUrl", "open_source", "parse_url"]

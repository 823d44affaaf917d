"""The errors of this package. A message says what is wrong, where, what was found and what was wanted."""

from __future__ import annotations


class ExportError(Exception):
    """Whatever `seisedge.export` refuses; anything else that escapes is a bug."""


class NetworkError(ExportError, ValueError):
    """The options of a network contradict each other."""


class WeightError(ExportError, ValueError):
    """A weight file that cannot be read, or whose tensors are not those of the network."""


class UnknownModelError(ExportError, ValueError):
    """A model name that the registry does not have."""


class TrainingDataError(ExportError, ValueError):
    """Labelled windows that are not there or not in their documented form."""


class VerificationError(ExportError):
    """An artefact that does not compute what its source computes."""

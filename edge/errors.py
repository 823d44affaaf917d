"""The runtime's errors. A message says what, where, found, wanted, in one line."""


class SeisedgeError(Exception):
    """Base of the runtime's errors. `exit_code` is what a command ends with."""

    exit_code = 1


class UsageError(SeisedgeError, ValueError):
    """The user asked for something impossible: an unknown label, a model that is not there."""

    exit_code = 2


class SecretFileError(UsageError):
    """A file of a secret or of certificates that a source names cannot be read; it may be there later."""


class DataError(SeisedgeError, ValueError):
    """An input cannot be read or does not hold what it must."""


class ManifestError(DataError):
    """An artefact's manifest is missing or breaks its format."""


class ModelError(DataError):
    """An artefact cannot be loaded, or does not match its manifest."""


class GpuError(SeisedgeError):
    """There is no GPU, no driver or no TensorRT, or it failed."""

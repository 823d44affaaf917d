"""The errors of this package: what came over the wire is not what its format allows."""


class WireError(ValueError):
    """Bytes that do not follow their format: found, wanted. Anything else raised is a bug.

    Attributes
    ----------
    offset
        Byte of the buffer at which it shows, where there is one.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class TruncatedError(WireError):
    """The bytes end inside a record: more of them may make it whole."""

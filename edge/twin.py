"""A shallow copy of an object of our own, for what is tried out on the side many times a second."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def twin_of(it: T) -> T:
    """Give what `copy.copy` gives, in a tenth of its time: that one looks for ways to pickle first.

    `it` keeps its attributes in a `__dict__`, as all classes without `__slots__` do.
    """
    other = object.__new__(type(it))
    other.__dict__.update(it.__dict__)
    return other

"""Samples of a time → percentiles, how sure they are, and how many samples they need.

The counts are those of MLPerf's early stopping (`mlcommons/inference_policies:inference_rules.adoc`, appendix on
early stopping): a percentile is stated when, with 99 % confidence, the true one is not above the value given, and
that needs 64 queries for p90, 662 for p99 and 6,636 for p99.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import lgamma, log, log1p

import numpy as np
import numpy.typing as npt

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
CONFIDENCE = 0.99


@dataclass(frozen=True)
class Figure:
    """A number, its unit, and the bounds within which it lies with 99 % confidence where that is known."""

    value: float
    unit: str
    low: float | None = None
    high: float | None = None


@cache
def queries_wanted(percentile: float, confidence: float = CONFIDENCE) -> int:
    """Fewest queries of which one may be above an honest bound of the percentile.

    Parameters
    ----------
    percentile
        In (0, 100).
    confidence
        In (0, 1).
    """
    count = 2
    while _at_most(1, count, 1 - percentile / 100) > 1 - confidence:
        count += 1
    return count


def bounds(ordered: npt.NDArray[np.float64], percentile: float) -> tuple[float | None, float | None]:
    """Give the order statistics between which a percentile lies, each side with 99 % confidence.

    Parameters
    ----------
    ordered
        (n,), ascending.
    percentile
        In (0, 100).

    Returns
    -------
    Lower and upper bound; None where there are too few samples for one.
    """
    count, share = ordered.size, percentile / 100
    low = _last_rare(count, share)
    high = _last_rare(count, 1 - share)
    return (
        None if low is None else float(ordered[low]),
        None if high is None else float(ordered[count - 1 - high]),
    )


def _last_rare(count: int, share: float) -> int | None:
    """Give the largest k such that at most k of `count` events of this probability are as rare as 1 - confidence."""
    total, found = 0.0, None
    for k in range(count):
        total += _exactly(k, count, share)
        if total > 1 - CONFIDENCE:
            break
        found = k
    return found


def _exactly(k: int, count: int, share: float) -> float:
    ways = lgamma(count + 1) - lgamma(k + 1) - lgamma(count - k + 1)
    return float(np.exp(ways + k * log(share) + (count - k) * log1p(-share)))


def _at_most(k: int, count: int, share: float) -> float:
    return sum(_exactly(each, count, share) for each in range(k + 1))


def percentile_name(percentile: float) -> str:
    """`p99.9`."""
    return f"p{percentile:g}"


def distribution(samples: npt.ArrayLike, unit: str, prefix: str = "") -> dict[str, Figure]:
    """Mean and percentiles of samples, as `numpy.percentile` gives them (linear), with their bounds.

    Parameters
    ----------
    samples
        (n,), at least one.
    unit
        Of the samples.
    prefix
        Of the names: `inference ` gives `inference p50`.
    """
    ordered = np.sort(np.asarray(samples, np.float64))
    found = {f"{prefix}mean": _mean(ordered, unit)}
    for percentile in PERCENTILES:
        low, high = bounds(ordered, percentile)
        value = float(np.percentile(ordered, percentile))
        low = None if low is None else min(low, value)  # few samples: the interpolated value stands below the bound
        found[f"{prefix}{percentile_name(percentile)}"] = Figure(value, unit, low, high)
    return found


def _mean(ordered: npt.NDArray[np.float64], unit: str) -> Figure:
    """Mean, with 99 % bounds of a normal distribution of means."""
    value = float(ordered.mean())
    if ordered.size < 10:
        return Figure(value, unit)
    margin = 2.576 * float(ordered.std(ddof=1)) / ordered.size**0.5
    return Figure(value, unit, value - margin, value + margin)


def unsure(count: int) -> tuple[str, ...]:
    """Percentiles for which this many samples are too few."""
    return tuple(percentile_name(each) for each in PERCENTILES if count < queries_wanted(each))

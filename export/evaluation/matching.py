"""Picks against labels, one to one: the only place that says which pick is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Pair = tuple[int, int]
"""Place of a pick, place of its label."""


def match(picks: Sequence[int], labels: Sequence[int], tolerance: int) -> list[Pair]:
    """Pair picks with labels that are no further apart than the tolerance, each at most once.

    Of all such pairings this has the most pairs and, among those, the least sum of distances; so it does not depend on
    the order in which picks or labels come, nor on which side is called which.

    Parameters
    ----------
    picks, labels
        Times, ns, in any order.
    tolerance
        Largest distance of a pair, ns; a pair at just that distance counts.

    Returns
    -------
    list of (place in `picks`, place in `labels`), by the time of the label.
    """
    order = sorted(range(len(picks)), key=picks.__getitem__)
    wanted = sorted(range(len(labels)), key=labels.__getitem__)
    pairs: list[Pair] = []
    for mine, theirs in _clusters([picks[i] for i in order], [labels[j] for j in wanted], tolerance):
        found = _best([picks[order[i]] for i in mine], [labels[wanted[j]] for j in theirs], tolerance)
        pairs += [(order[mine[i]], wanted[theirs[j]]) for i, j in found]
    return pairs


def _clusters(picks: list[int], labels: list[int], tolerance: int) -> Iterator[tuple[range, range]]:
    """Cut sorted times where nothing on one side can belong to anything on the other."""
    i = j = 0
    while i < len(picks) and j < len(labels):
        first, start = i, j
        last = min(picks[i], labels[j])
        while True:
            if i < len(picks) and picks[i] - last <= tolerance and (j == len(labels) or picks[i] <= labels[j]):
                last, i = picks[i], i + 1
            elif j < len(labels) and labels[j] - last <= tolerance:
                last, j = labels[j], j + 1
            else:
                break
        if first < i and start < j:
            yield range(first, i), range(start, j)


def _best(picks: list[int], labels: list[int], tolerance: int) -> list[Pair]:
    """Pair sorted times: of times on a line the best pairs never cross, so prefixes are enough."""
    worth = [[(0, 0)] * (len(labels) + 1) for _ in range(len(picks) + 1)]  # pairs, less their distances
    for i, pick in enumerate(picks, 1):
        for j, label in enumerate(labels, 1):
            best = max(worth[i - 1][j], worth[i][j - 1])
            if abs(pick - label) <= tolerance:
                pairs, distances = worth[i - 1][j - 1]
                best = max(best, (pairs + 1, distances - abs(pick - label)))
            worth[i][j] = best
    i, j, found = len(picks), len(labels), list[Pair]()
    while i and j:
        if worth[i][j] == worth[i - 1][j]:
            i -= 1
        elif worth[i][j] == worth[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found.append((i, j))
    return found[::-1]

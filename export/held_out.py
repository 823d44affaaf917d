"""Records that are looked at instead of trained on: whole groups, and all else of their stations."""

from __future__ import annotations

import zlib

from .records import Record


def split_records(records: tuple[Record, ...], share: float) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Give the records to train on and those that are held out.

    Groups are taken in an order that depends on their names alone, as long as no more than `share` of the records with
    arrivals is out, and no more of those without; a group too large for that stays in. Continuous records without a
    group, of a station that is held out, are neither trained on nor looked at: they hold the same minutes. Where what
    is out would lack events or noise, nothing is.
    """
    sizes: dict[str, list[int]] = {}
    for each in records:
        if each.group:
            sizes.setdefault(each.group, [0, 0])[bool(each.arrivals)] += 1
    room = [share * sum(size[kind] for size in sizes.values()) for kind in (0, 1)]
    groups = set[str]()
    for group in sorted(sizes, key=lambda name: (zlib.crc32(name.encode()), name)):
        if all(size <= left for size, left in zip(sizes[group], room, strict=True)):
            groups.add(group)
            room = [left - size for size, left in zip(sizes[group], room, strict=True)]
    held = tuple(each for each in records if each.group in groups)
    has_quiet = any(each.kind == "continuous" or not each.arrivals for each in held)
    if not has_quiet or not any(each.arrivals for each in held):
        return records, ()
    stations = {each.station for each in held if each.station}
    kept = tuple(
        each
        for each in records
        if (each.group or each.kind != "continuous" or each.station not in stations) and each.group not in groups
    )
    return kept, held

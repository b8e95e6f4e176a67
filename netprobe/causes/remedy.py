"""Fixes that several causes share: commands made of the object that a cause names."""

from __future__ import annotations

from netprobe.path.case import Case


def without_rule(case: Case) -> tuple[str, ...]:
    """The command that takes away the rule that the cause names; nothing when it names none."""
    words = case.stop.object.id.split() if case.stop is not None and case.stop.object is not None else []
    match words:
        case ["nft", family, table, chain, "handle", handle]:
            return (f"nft delete rule {family} {table} {chain} handle {handle}",)
        case [tool, table, chain, number] if "tables" in tool and number.isdigit():
            return (f"{tool} -t {table} -D {chain} {number}",)
    return ()

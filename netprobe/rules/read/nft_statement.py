"""Statements of libnftables-json(5) as statements."""

# ruff: noqa: ARG001, ARG005 - the functions of one table take the same arguments
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import structs

from netprobe.model import Statement, Term
from netprobe.model.lookup import but
from netprobe.rules.moment import numbered

from . import xt_target
from .nft_expression import term, word
from .terms import key, note, undone, unknown, value

# Statements that change nothing about where the packet goes. A set that is updated matters only by what hangs
# on it (limit).
NO_EFFECT = frozenset(
    (
        "counter",
        "log",
        "flow",
        "dup",
        "last",
        "secmark",
        "ct helper",
        "ct timeout",
        "ct expectation",
        "reset",
        "continue",
    )
)
VERDICTS = frozenset(("accept", "drop", "return"))
_UNITS = {"bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20}


def statements(expressions: list[Any]) -> list[Statement]:
    """The statements of one rule; what we do not know becomes "unknown" with its JSON."""
    found: list[Statement] = []
    for expression in expressions:
        if isinstance(expression, str):
            expression = {expression: None}
        try:
            [(kind, inside)] = expression.items()
            found += _statement(kind, inside)
        except (KeyError, ValueError, TypeError, AttributeError):
            found.append(unknown(_json(expression)))
    return found


def _name(found: Any) -> str:
    """A word that JSON writes as such. Raises TypeError for anything else."""
    if not isinstance(found, str):
        raise TypeError(f"no name: {_json(found)}")
    return found


def _json(found: Any) -> str:
    return msgspec.json.encode(found).decode()


def _statement(kind: str, inside: Any) -> list[Statement]:
    if kind in NO_EFFECT:
        return [note(kind)]
    if kind in VERDICTS:
        return [Statement(kind)]
    if kind in ("jump", "goto"):
        return [Statement(kind, target=_name(inside["target"]))]
    reader = READERS.get(kind)
    return reader(inside) if reader is not None else [unknown(_json({kind: inside}))]


def _extension(inside: Any) -> list[Statement]:
    """An extension of iptables, of which there is the name alone: what a target does is not known, unless it
    does nothing to the packet's way.
    """
    if not isinstance(inside, dict):
        return [unknown(_json({"xt": inside}))]
    text = f"xt {inside['type']} {inside['name']}"
    if inside["type"] != "target":
        return [unknown(text)]
    return [note(text)] if inside["name"] in xt_target.NO_EFFECT else [undone(text)]


_CLOCK = ("meta time", "meta hour", "meta day")


def _match(inside: dict[str, Any]) -> list[Statement]:
    left, right, op = term(inside["left"]), inside["right"], _name(inside["op"])
    if left.text in _CLOCK:
        return [Statement("match", left, op, _timed(term(right)))]
    if (
        left.text.startswith("fib ")
        and left.text.endswith((" oif", " oifname"))
        and right in (False, True, "0", 0)
    ):
        return [
            Statement(
                "match",
                key(f"{left.text.rpartition(' ')[0]} check"),
                op,
                value("exists" if right is True else "missing"),
            )
        ]
    if op == "in" and isinstance(right, list):
        return [Statement("match", left, "in", Term("set", args=tuple(value(word(each)) for each in right)))]
    return [Statement("match", left, op, term(right))]


def _timed(found: Term) -> Term:
    """An expression of times in numbers."""
    return structs.replace(found, text=numbered(found.text), args=tuple(_timed(each) for each in found.args))


def _vmap(inside: dict[str, Any]) -> list[Statement]:
    return [Statement("vmap", term(inside["key"]), right=term(inside["data"]), text="vmap")]


def _mangle(inside: dict[str, Any]) -> list[Statement]:
    return [Statement("set", term(inside["key"]), right=term(inside["value"]))]


def _nat(kind: str) -> Callable[[Any], list[Statement]]:
    def read(inside: dict[str, Any] | None) -> list[Statement]:
        return [
            Statement(
                kind,
                right=_optional(inside, "addr"),
                port=_optional(inside, "port"),
                options=_flags(inside),
                text=kind,
            )
        ]

    return read


def _flags(inside: dict[str, Any] | None) -> dict[str, str]:
    """The flags of a statement, of which one stands there alone."""
    flags = (inside or {}).get("flags", [])
    return dict.fromkeys(map(_name, flags if isinstance(flags, list) else [flags]), "")


def _optional(inside: dict[str, Any] | None, name: str) -> Term | None:
    return term(inside[name]) if inside and name in inside else None


def _tproxy(inside: dict[str, Any]) -> list[Statement]:
    """No verdict: the rule goes on, with the packet handed to a local socket at the end of input routing."""
    family = {"family": inside["family"]} if "family" in inside else {}
    return [
        Statement("tproxy", right=_optional(inside, "addr"), port=_optional(inside, "port"), options=family)
    ]


def _reject(inside: dict[str, Any] | None) -> list[Statement]:
    inside = inside or {}
    kind = _name(inside.get("type", "icmpx"))
    how = "tcp-reset" if kind == "tcp reset" else word(inside.get("expr", "port-unreachable"))
    return [Statement("reject", options={"type": kind, "with": how})]


def _limit(inside: Any) -> list[Statement]:
    if isinstance(inside, str):
        return [Statement("limit", target=inside, text=f"limit name {inside}")]
    over, word_of_it = _over(inside)
    text = f"limit rate {word_of_it}{inside['rate']}/{inside.get('per', 'second')}"
    options = {name: word(each) for name, each in inside.items() if name != "inv"}
    return [Statement("limit", options=options | over, text=text)]


def _over(inside: dict[str, Any]) -> tuple[dict[str, str], str]:
    """What says of a limit that it holds for what is above it: an option, and a word of its text."""
    return ({"over": ""}, "over ") if inside.get("inv") else ({}, "")


def _quota(inside: Any) -> list[Statement]:
    if isinstance(inside, str):
        return [Statement("quota", target=inside, text=f"quota name {inside}")]
    options = {
        "bytes": str(inside["val"] * _UNITS.get(inside.get("val_unit", "bytes"), 1)),
        "used": str(inside.get("used", 0) * _UNITS.get(inside.get("used_unit", "bytes"), 1)),
    }
    over, word_of_it = _over(inside)
    return [Statement("quota", options=options | over, text=f"quota {word_of_it}{options['bytes']} bytes")]


def _connections(inside: dict[str, Any]) -> list[Statement]:
    over, word_of_it = _over(inside)
    count = word(inside["val"])
    return [Statement("connlimit", options={"count": count} | over, text=f"ct count {word_of_it}{count}")]


def _update(inside: dict[str, Any]) -> list[Statement]:
    """`update @set { key limit rate ... }`: a limit for each element; without one it changes nothing for this
    packet.
    """
    found = but(statements(inside.get("stmt", [])), kind="note")
    limits = [structs.replace(each, text=f"{each.text} in set {inside['set']}") for each in found]
    return limits or [note("set")]


def _meter(inside: dict[str, Any]) -> list[Statement]:
    return statements([inside["stmt"]])


def _queue(inside: dict[str, Any] | None) -> list[Statement]:
    number = _optional(inside, "num") or term(0)
    return [Statement("queue", right=number, options=_flags(inside))]


def _forward(inside: dict[str, Any]) -> list[Statement]:
    return [Statement("stolen", target=word(inside.get("dev", "")), text="fwd to another device")]


def _synproxy(inside: Any) -> list[Statement]:
    return [Statement("match", key("meta l4proto"), "==", value("tcp")), Statement("stolen", text="synproxy")]


READERS: dict[str, Callable[[Any], list[Statement]]] = {
    "xt": _extension,
    "match": _match, "vmap": _vmap, "mangle": _mangle, "snat": _nat("snat"), "dnat": _nat("dnat"),
    "masquerade": _nat("masquerade"),
    "redirect": _nat("redirect"), "tproxy": _tproxy, "reject": _reject, "limit": _limit, "quota": _quota,
    "ct count": _connections,
    "set": _update, "map": _update, "meter": _meter, "queue": _queue, "fwd": _forward, "synproxy": _synproxy,
    "notrack": lambda inside: [Statement("notrack")],
}  # fmt: skip

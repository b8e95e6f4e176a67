"""Statements of libnftables-json(5) as statements."""

# ruff: noqa: ARG001, ARG005 - the functions of one table take the same arguments
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import structs

from netprobe.model import Statement, Term
from netprobe.rules.moment import numbered

from .nft_expression import term, word
from .terms import key, note, unknown, value

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
        [(kind, inside)] = expression.items()
        try:
            found += _statement(kind, inside)
        except (KeyError, ValueError, TypeError):
            found.append(unknown(_json(expression)))
    return found


def _json(found: Any) -> str:
    return msgspec.json.encode(found).decode()


def _statement(kind: str, inside: Any) -> list[Statement]:
    if kind in NO_EFFECT:
        return [note(kind)]
    if kind in VERDICTS:
        return [Statement(kind)]
    if kind in ("jump", "goto"):
        return [Statement(kind, target=inside["target"])]
    reader = READERS.get(kind)
    if reader is None:
        return [
            unknown(
                f"xt {inside['type']} {inside['name']}"
                if kind == "xt" and isinstance(inside, dict)
                else _json({kind: inside})
            )
        ]
    return reader(inside)


_CLOCK = ("meta time", "meta hour", "meta day")


def _match(inside: dict[str, Any]) -> list[Statement]:
    left, right, op = term(inside["left"]), inside["right"], inside["op"]
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
        inside = inside or {}
        flags = inside.get("flags", [])
        options = dict.fromkeys(flags if isinstance(flags, list) else [flags], "")
        return [
            Statement(
                kind,
                right=_optional(inside, "addr"),
                port=_optional(inside, "port"),
                options=options,
                text=kind,
            )
        ]

    return read


def _optional(inside: dict[str, Any], name: str) -> Term | None:
    return term(inside[name]) if name in inside else None


def _tproxy(inside: dict[str, Any]) -> list[Statement]:
    """No verdict: the rule goes on, with the packet handed to a local socket at the end of input routing."""
    return [Statement("tproxy", right=_optional(inside, "addr"), port=_optional(inside, "port"))]


def _reject(inside: dict[str, Any] | None) -> list[Statement]:
    inside = inside or {}
    kind = inside.get("type", "icmpx")
    how = "tcp-reset" if kind == "tcp reset" else word(inside.get("expr", "port-unreachable"))
    return [Statement("reject", options={"type": kind, "with": how})]


def _limit(inside: Any) -> list[Statement]:
    if isinstance(inside, str):
        return [Statement("limit", target=inside, text=f"limit name {inside}")]
    over = {"over": ""} if inside.get("inv") else {}
    text = f"limit rate {'over ' if over else ''}{inside['rate']}/{inside.get('per', 'second')}"
    return [
        Statement(
            "limit",
            options={name: word(each) for name, each in inside.items() if name != "inv"} | over,
            text=text,
        )
    ]


def _quota(inside: Any) -> list[Statement]:
    if isinstance(inside, str):
        return [Statement("quota", target=inside, text=f"quota name {inside}")]
    options = {
        "bytes": str(inside["val"] * _UNITS.get(inside.get("val_unit", "bytes"), 1)),
        "used": str(inside.get("used", 0) * _UNITS.get(inside.get("used_unit", "bytes"), 1)),
    }
    over = {"over": ""} if inside.get("inv") else {}
    return [
        Statement(
            "quota", options=options | over, text=f"quota {'over ' if over else ''}{options['bytes']} bytes"
        )
    ]


def _connections(inside: dict[str, Any]) -> list[Statement]:
    over = {"over": ""} if inside.get("inv") else {}
    return [
        Statement(
            "connlimit",
            options={"count": word(inside["val"])} | over,
            text=f"ct count {'over ' if over else ''}{inside['val']}",
        )
    ]


def _update(inside: dict[str, Any]) -> list[Statement]:
    """`update @set { key limit rate ... }`: a limit for each element; without one it changes nothing for this
    packet.
    """
    found = (each for each in statements(inside.get("stmt", [])) if each.kind != "note")
    limits = [structs.replace(each, text=f"{each.text} in set {inside['set']}") for each in found]
    return limits or [note("set")]


def _meter(inside: dict[str, Any]) -> list[Statement]:
    return statements([inside["stmt"]])


def _queue(inside: dict[str, Any] | None) -> list[Statement]:
    inside = inside or {}
    flags = inside.get("flags", [])
    options = dict.fromkeys(flags if isinstance(flags, list) else [flags], "")
    return [Statement("queue", right=term(inside.get("num", 0)), options=options)]


def _forward(inside: dict[str, Any]) -> list[Statement]:
    return [Statement("stolen", target=word(inside.get("dev", "")), text="fwd to another device")]


def _synproxy(inside: Any) -> list[Statement]:
    return [Statement("match", key("meta l4proto"), "==", value("tcp")), Statement("stolen", text="synproxy")]


READERS: dict[str, Callable[[Any], list[Statement]]] = {
    "match": _match, "vmap": _vmap, "mangle": _mangle, "snat": _nat("snat"), "dnat": _nat("dnat"),
    "masquerade": _nat("masquerade"),
    "redirect": _nat("redirect"), "tproxy": _tproxy, "reject": _reject, "limit": _limit, "quota": _quota,
    "ct count": _connections,
    "set": _update, "map": _update, "meter": _meter, "queue": _queue, "fwd": _forward, "synproxy": _synproxy,
    "notrack": lambda inside: [Statement("notrack")],
}  # fmt: skip

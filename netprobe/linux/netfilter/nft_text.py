"""A rule in nft's JSON as nft(8) would print it, for what was read without nft. Pure.

Source: libnftables-json(5), nft(8).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_BARE = frozenset(("iif", "oif", "iifname", "oifname", "iiftype", "oiftype"))
_OPERATORS = ("&", "|", "^")
_BURST = 5  # of a limit that names none
_VERDICTS = ("accept", "drop", "return", "continue")


def written(expressions: list[dict[str, Any]], comment: str | None = None) -> str:
    """The text of a rule."""
    words = [_statement(*each.popitem()) for each in map(dict, expressions)]
    return " ".join([*words, *([f'comment "{comment}"'] if comment is not None else [])])


def _statement(kind: str, inside: Any) -> str:
    if kind in _VERDICTS:
        return kind
    if kind in ("jump", "goto"):
        return f"{kind} {inside['target']}"
    writer = _STATEMENTS.get(kind)
    return writer(inside) if writer else kind


def _match(inside: dict[str, Any]) -> str:
    left, right = inside["left"], inside["right"]
    plain = inside["op"] in ("==", "in") and not any(each in left for each in _OPERATORS)
    op = "" if plain else {"in": "== ", "not in": "!= "}.get(inside["op"], f"{inside['op']} ")
    said = ",".join(map(str, right)) if isinstance(right, list) else _of_kind(left, right)
    return f"{_expression(left)} {op}{said}"


def _of_kind(left: Any, right: Any) -> str:
    """A literal as it stands beside this expression: names in quotes, marks as hexadecimal numbers."""
    if isinstance(right, dict) and "set" in right:
        return f"{{ {', '.join(_of_kind(left, each) for each in right['set'])} }}"
    if isinstance(right, dict):
        said = {
            kind: [_of_kind(left, each) for each in inside]
            for kind, inside in right.items()
            if kind == "range"
        }
        return "-".join(said["range"]) if said else _expression(right)
    if isinstance(right, int) and _is_mark(left):
        return f"0x{right:08x}"
    named = isinstance(left, dict) and left.get("meta", {}).get("key") in ("iifname", "oifname")
    return f'"{right}"' if named and not str(right).startswith("@") else _expression(right)


def _is_mark(found: Any) -> bool:
    if isinstance(found, dict) and any(each in found for each in _OPERATORS):
        return any(_is_mark(each) for inside in found.values() for each in inside)
    return isinstance(found, dict) and any(
        found.get(kind, {}).get("key") == "mark" for kind in ("meta", "ct")
    )


def _nat(kind: str) -> Callable[[dict[str, Any] | None], str]:
    def write(inside: dict[str, Any] | None) -> str:
        inside = inside or {}
        port = f":{_expression(inside['port'])}" if "port" in inside else ""
        address = _expression(inside["addr"]) if "addr" in inside else ""
        address = f"[{address}]" if ":" in address and port and " " not in address else address
        family = f" {inside['family']}" if "family" in inside else ""
        goal = [f"to {address}{port}"] if address or port else []
        flags = [",".join(inside["flags"])] if "flags" in inside else []
        return " ".join([f"{kind}{family}", *goal, *flags])

    return write


def _limit(inside: dict[str, Any]) -> str:
    over = "over " if inside.get("inv") else ""
    burst = f" burst {inside['burst']} packets" if inside["burst"] != _BURST else ""
    return f"limit rate {over}{inside['rate']}/{inside['per']}{burst}"


def _reject(inside: dict[str, Any] | None) -> str:
    if not inside or inside in ({"type": kind, "expr": "port-unreachable"} for kind in ("icmpx", "icmp")):
        return "reject"
    how = f" {inside['expr']}" if "expr" in inside else ""
    return f"reject with {inside['type']}{how}"


_STATEMENTS: dict[str, Callable[[Any], str]] = {
    "match": _match,
    "vmap": lambda inside: f"{_expression(inside['key'])} vmap {_expression(inside['data'])}",
    "mangle": lambda inside: f"{_expression(inside['key'])} set {_of_kind(inside['key'], inside['value'])}",
    "snat": _nat("snat"), "dnat": _nat("dnat"), "masquerade": _nat("masquerade"),
    "redirect": _nat("redirect"),
    "limit": _limit, "reject": _reject,
    "ct count": lambda inside: f"ct count {'over ' if inside.get('inv') else ''}{inside['val']}",
    "set": lambda inside: f"{inside['op']} {inside['set']} {{ {_expression(inside['elem'])} }}",
}  # fmt: skip


def _expression(found: Any) -> str:
    if isinstance(found, list):  # an element of a map
        return f"{_expression(found[0])} : {_expression(found[1])}"
    if not isinstance(found, dict):
        return str(found)
    [(kind, inside)] = found.items()
    if kind in _OPERATORS:
        return f"{_expression(inside[0])} {kind} {_of_kind(found, inside[1])}"
    if kind in _VERDICTS or kind in ("jump", "goto"):
        return _statement(kind, inside)
    return _EXPRESSIONS[kind](inside)


_EXPRESSIONS: dict[str, Callable[[Any], str]] = {
    "payload": lambda inside: f"{inside['protocol']} {inside['field']}",
    "meta": lambda inside: inside["key"] if inside["key"] in _BARE else f"meta {inside['key']}",
    "ct": lambda inside: " ".join(["ct", *([inside["dir"]] if "dir" in inside else []), inside["key"]]),
    "fib": lambda inside: f"fib {' . '.join(inside['flags'])} {inside['result']}",
    "numgen": lambda inside: (
        f"numgen {inside['mode']} mod {inside['mod']}"
        + (f" offset {inside['offset']}" if inside["offset"] else "")
    ),
    "prefix": lambda inside: f"{inside['addr']}/{inside['len']}",
    "range": lambda inside: f"{_expression(inside[0])}-{_expression(inside[1])}",
    "concat": lambda inside: " . ".join(map(_expression, inside)),
    "set": lambda inside: f"{{ {', '.join(map(_expression, inside))} }}",
    "map": lambda inside: f"{_expression(inside['key'])} map {_expression(inside['data'])}",
}

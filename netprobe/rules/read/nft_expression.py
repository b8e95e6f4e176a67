"""Expressions of libnftables-json(5) as terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netprobe.model import Term

from .terms import key, value

VERDICTS = frozenset(("accept", "drop", "continue", "return", "jump", "goto"))


def term(found: Any) -> Term:
    """Any expression as a term; one that we do not know as "unknown" with its JSON."""
    if isinstance(found, str):
        return Term("ref", found[1:]) if found.startswith("@") else value(found)
    if isinstance(found, list):
        return value(",".join(word(each) for each in found))
    if not isinstance(found, dict):
        return value(word(found))
    [(kind, inside)] = found.items() if len(found) == 1 else [("", found)]
    reader = READERS.get(kind)
    if reader is None and kind in VERDICTS:
        return Term("verdict", f"{kind} {inside['target']}" if isinstance(inside, dict) else kind)
    try:
        return reader(inside) if reader else Term("unknown", word(found))
    except (KeyError, ValueError, TypeError):
        return Term("unknown", word(found))


def word(found: Any) -> str:
    """A literal as text."""
    if isinstance(found, bool):
        return "exists" if found else "missing"
    return str(found)


def element(found: Any) -> Term:
    """One element of a set, or of a map as a pair."""
    if isinstance(found, list) and len(found) == 2:
        return Term("pair", args=(element(found[0]), term(found[1])))
    return term(found)


def _payload(inside: dict[str, Any]) -> Term:
    if "base" in inside:
        return key(f"@{inside['base']},{inside['offset']},{inside['len']}")
    return key(f"{inside['protocol']} {inside['field']}")


def _meta(inside: dict[str, Any]) -> Term:
    return Term("numgen", "meta random") if inside["key"] == "random" else key(f"meta {inside['key']}")


def _ct(inside: dict[str, Any]) -> Term:
    return key(" ".join(["ct", *(inside[part] for part in ("dir", "family", "key") if part in inside)]))


def _fib(inside: dict[str, Any]) -> Term:
    flags = inside["flags"] if isinstance(inside["flags"], list) else [inside["flags"]]
    ordered = [flag for flag in ("saddr", "daddr", "mark", "iif", "oif") if flag in flags]
    return key(f"fib {' . '.join(ordered)} {inside['result']}")


def _numgen(inside: dict[str, Any]) -> Term:
    return Term("numgen", f"{inside['mode']} mod {inside['mod']} offset {inside.get('offset', 0)}")


def _hash(name: str) -> Callable[[dict[str, Any]], Term]:
    return lambda inside: Term("hash", f"{name} mod {inside['mod']}")


def _prefix(inside: dict[str, Any]) -> Term:
    if not isinstance(inside["addr"], str | int):  # of a mark or a bit field it is a number
        raise ValueError("a prefix of an expression")
    return value(f"{inside['addr']}/{inside['len']}")


def _range(inside: list[Any]) -> Term:
    return value(f"{word(inside[0])}-{word(inside[1])}")


def _set(inside: Any) -> Term:
    return Term(
        "set", args=tuple(element(each) for each in (inside if isinstance(inside, list) else [inside]))
    )


def _map(inside: dict[str, Any]) -> Term:
    return Term("map", args=(term(inside["key"]), term(inside["data"])))


def _operator(kind: str) -> Callable[[list[Any]], Term]:
    return lambda inside: Term(kind, args=tuple(term(each) for each in inside))


def _header(kind: str) -> Callable[[dict[str, Any]], Term]:
    """`exthdr frag`, `tcp option maxseg size`, `ip option lsrr`."""
    return lambda inside: key(
        " ".join([kind, *(inside[part] for part in ("name", "field") if part in inside)])
    )


def _named(kind: str) -> Callable[[dict[str, Any]], Term]:
    return lambda inside: key(f"{kind} {inside['key']}")


READERS: dict[str, Callable[[Any], Term]] = {
    "payload": _payload, "meta": _meta, "ct": _ct, "fib": _fib, "numgen": _numgen, "jhash": _hash("jhash"),
    "symhash": _hash("symhash"),
    "prefix": _prefix, "range": _range, "set": _set, "map": _map,
    "concat": lambda inside: Term("concat", args=tuple(term(each) for each in inside)),
    "elem": lambda inside: element(inside["val"]),
    "|": _operator("|"), "&": _operator("&"), "^": _operator("^"), "<<": _operator("<<"),
    ">>": _operator(">>"),
    "exthdr": _header("exthdr"), "tcp option": _header("tcp option"), "ip option": _header("ip option"),
    "sctp chunk": _header("sctp chunk"), "dccp option": _header("dccp option"),
    "ipsec": lambda inside: key(f"ipsec {inside['dir']} {inside['key']}"),
    "socket": _named("socket"), "rt": _named("rt"), "osf": _named("osf"),
}  # fmt: skip

"""Whether what nft has printed stays true until somebody changes the rules: then it is not printed again.

Not so are counters and all else that packets change, elements whose time is up, what goes with an interface,
and the name of one, of which the kernel has the number: another one may have that name by now. Pure. What is
not known here is not so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from netprobe.rules.read.nft_json import NOT_UNDERSTOOD, listed

# of libnftables-json(5): what a rule may do, what it may look at, and how that is written
_WORDS = frozenset((
    "match", "accept", "drop", "continue", "return", "jump", "goto", "reject", "notrack", "log", "mangle",
    "masquerade", "snat", "dnat", "redirect", "vmap", "map",
    "op", "left", "right", "target", "key", "value", "data", "type", "expr", "addr", "port", "family",
    "flags", "prefix", "group", "snaplen", "queue-threshold", "level",
    "payload", "protocol", "field", "base", "offset", "len", "ct", "dir",
    "set", "range", "concat", "|", "&", "^", "<<", ">>",
    "meta iifname", "meta oifname", "meta ibrname", "meta obrname", "meta l4proto", "meta nfproto",
    "meta protocol", "meta mark", "meta length", "meta pkttype", "meta priority", "meta skuid", "meta skgid",
))  # fmt: skip
_SET = frozenset(("family", "name", "table", "handle", "type", "map", "flags", "elem", "comment"))
_SET_FLAGS = frozenset((None, "constant", "interval"))
_BY_NUMBER = "iface_index"


def is_lasting(listing: bytes) -> bool:
    """Whether all that `nft -j list` has printed lasts."""
    try:
        objects = (each for item in listed(listing) for each in item.items())
        return all(kind in _LASTS and _LASTS[kind](found) for kind, found in objects)
    except NOT_UNDERSTOOD:
        return False


def _is_lasting_set(found: dict[str, Any]) -> bool:
    kinds = (*_several(found.get("type")), *_several(found.get("map")))
    known = found.keys() <= _SET and _SET_FLAGS.issuperset(_several(found.get("flags")))
    return known and _BY_NUMBER not in kinds and _is_known(found.get("elem"))


def _is_known(expression: Any) -> bool:
    """Whether there is nothing in an expression, or several, but what is known to last."""
    return _WORDS.issuperset(_words(expression))


def _words(expression: Any) -> Iterator[str]:
    """The words that an expression, or several, is made of; that of what is beside a packet with its key."""
    match expression:
        case {"meta": {"key": str(key)}, **rest} if not rest:
            yield f"meta {key}"
        case dict():
            yield from expression
            yield from chain.from_iterable(map(_words, expression.values()))
        case list():
            yield from chain.from_iterable(map(_words, expression))


def _several(value: Any) -> list[Any]:
    """One, several or none, as the JSON may have it."""
    return value if isinstance(value, list) else [value]


_LASTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "metainfo": lambda _: True,
    "table": lambda found: not found.get("flags"),  # one with an owner goes with that program
    "chain": lambda found: "dev" not in found,
    "rule": lambda found: _is_known(found.get("expr")),
    "set": _is_lasting_set,
    "map": _is_lasting_set,
}

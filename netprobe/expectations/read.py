"""A file of expectations becomes values. docs/check.md has every key.

version: 1                       optional
endpoints: {NAME: ENDPOINT}      short names
groups: {NAME: [ENDPOINT, …]}    names for several at once
expect: [{from:, to:, …}]        each for all pairs of from and to, without those of one with itself
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from netprobe.endpoint import parse
from netprobe.errors import WrongQuestion
from netprobe.model.protocol import ASKED_FAR
from netprobe.question import Question

from .document import Mapping, Node, Sequence, Text, document
from .expectation import Expectation
from .keys import Keys, listed, number_of, of_kind, shown, text_of, wrong

VERSION = "1"
MOST = 20_000  # questions of one file
_TOP = ("version", "endpoints", "groups", "expect")
_ASKED = ("name", "from", "to", "is", "protocol", "port", "ip", "size", "df", "count", "nat", "via",
          "max_rtt", "cause", "by")  # fmt: skip
_ARPING = ("from", "to", "is", "ip", "count", "unique", "mac", "max_rtt", "cause", "by")
_MAC = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_OF_BLOCKED: tuple[str, ...] = ("cause", "by")
_OF_REACHABLE: tuple[str, ...] = ("nat", "via", "max_rtt", "unique", "mac")
_BLOCKED = "Write `is: blocked` beside it, or leave it out."


def expectations(data: bytes, file: str, codes: Collection[str]) -> tuple[Expectation, ...]:
    """The expectations of a file, in its order; `codes` are those of the causes.

    Raises WrongQuestion with line and column.
    """
    return tuple(_File(document(data, file), codes).expectations())


class _File:
    def __init__(self, root: Node, codes: Collection[str]) -> None:
        keys = Keys(root, _TOP, "the file")
        self._codes = codes
        keys.choice("version", VERSION)
        self._endpoints = dict(self._named(keys.node("endpoints")))
        self._groups: dict[str, tuple[str, ...]] = {}
        groups = self._entries(keys.node("groups"), "groups")
        later = {name.value for name, _ in groups}
        for name, members in groups:
            if name.value in self._endpoints:
                wrong(name, f"{shown(name)} is the name of an endpoint already")
            words = listed(members, name.value)
            for word in words:
                if word.value in later:
                    wrong(word, f"the group {shown(word)} is not defined yet", "Put it above this one.")
            later.remove(name.value)
            self._groups[name.value] = self._several(words)
        expect = of_kind(keys.needed("expect"), Sequence, "expect")
        self._items = expect.items
        if not expect.items:
            wrong(expect, "expect is an empty list", "See docs/check.md for an example.")

    def _entries(self, node: Node | None, name: str) -> tuple[tuple[Text, Node], ...]:
        return () if node is None else of_kind(node, Mapping, name).entries

    def _named(self, node: Node | None) -> Iterator[tuple[str, str]]:
        for name, value in self._entries(node, "endpoints"):
            text_of(name, "the name of an endpoint")
            yield name.value, text_of(value, name.value)

    def _several(self, words: tuple[Text, ...]) -> tuple[str, ...]:
        """The endpoints that words stand for, each once."""
        found = (each for word in dict.fromkeys(word.value for word in words) for each in self._meant(word))
        return tuple(dict.fromkeys(found))

    def _meant(self, word: str) -> tuple[str, ...]:
        return self._groups.get(word) or (self._endpoints.get(word, word),)

    def expectations(self) -> Iterator[Expectation]:
        """All of them, one for each pair and port."""
        number = 0
        for item in self._items:
            for made in self._of_item(item):
                number += 1
                if number > MOST:
                    wrong(item, f"these are more than {MOST} questions", "Divide the file into several.")
                yield made

    def _of_item(self, item: Node) -> Iterator[Expectation]:
        mapping = of_kind(item, Mapping, "an expectation")
        if any(key.value == "arping" for key, _ in mapping.entries):
            outer = Keys(item, ("name", "arping"), "an expectation of arping")
            yield from self._pairs(Keys(outer.needed("arping"), _ARPING, "arping"), outer, "arping")
        else:
            keys = Keys(item, _ASKED, "an expectation")
            yield from self._pairs(keys, keys, "ping")

    def _pairs(self, keys: Keys, outer: Keys, command: str) -> Iterator[Expectation]:
        """The expectation for each source, destination and port."""
        sources, destinations = (self._several(listed(keys.needed(key), key)) for key in ("from", "to"))
        if len({*sources, *destinations}) == 1:
            outer.at.wrong("from and to leave no pair: nobody is asked about itself")
        expected = self._expected(keys) | {"name": outer.text("name") or "", "at": outer.at}
        asked = self._asked(keys, command)
        ports = self._ports(keys)
        for source, destination in _distinct(sources, destinations):
            for port in ports:
                question = Question(source, destination, command, port=port, **asked)
                yield Expectation(question, **expected)

    def _ports(self, keys: Keys) -> tuple[int | None, ...]:
        node = keys.node("port")
        if node is None:
            return (None,)
        return tuple(number_of(each, "port", 1, 65_535) for each in listed(node, "port"))

    def _asked(self, keys: Keys, command: str) -> dict[str, Any]:
        """How it is asked: the fields of the question."""
        version = keys.choice("ip", "4", "6")
        found: dict[str, Any] = {
            "version": int(version) if version else None,
            "protocol": "arp" if command == "arping" else keys.choice("protocol", *ASKED_FAR),
            "size": keys.number("size", 0, 65_507),
            "df": keys.switch("df"),
            "count": keys.number("count", 1, 100_000),
        }
        return {key: value for key, value in found.items() if value is not None}

    def _expected(self, keys: Keys) -> dict[str, Any]:
        """What is expected: the fields of the expectation."""
        reachable = keys.choice("is", "reachable", "blocked") != "blocked"
        self._check_company(keys, reachable)
        unique, mac = keys.switch("unique") or False, keys.text("mac")
        if mac is not None and not _MAC.fullmatch(mac):
            wrong(
                keys.needed("mac"), f"mac cannot be {mac!r:.60}", "Write it as ip(8) does: 02:42:ac:11:00:03."
            )
        via = keys.node("via")
        return {
            "reachable": reachable,
            "via": () if via is None else tuple(self._place(each) for each in listed(via, "via")),
            "max_rtt_ns": keys.span_ns("max_rtt"),
            "cause": self._cause(keys),
            "by": keys.text("by"),
            "unique": unique,
            "mac": mac,
            **_translated(keys),
        }

    def _check_company(self, keys: Keys, reachable: bool) -> None:
        """Raises WrongQuestion for a key that has no meaning beside the others."""
        others, hint = _OF_REACHABLE, "Leave it out."
        about = "is of what is reachable, and this is to be blocked"
        if reachable:
            others, hint = _OF_BLOCKED, _BLOCKED
            about = "says what blocks, and this is to be reachable"
        found = next((key for key in others if key in keys), None)
        if found is not None:
            keys.key(found).wrong(f"{found} {about}", hint)

    def _place(self, node: Text) -> str:
        """A place on the way: short names stand for theirs."""
        return self._endpoints.get(node.value, node.value)

    def _cause(self, keys: Keys) -> str | None:
        code = keys.text("cause")
        if code is None or code in self._codes:
            return code
        hint = _nearest(code, self._codes)
        return wrong(keys.needed("cause"), f"no cause is called {code!r:.60}", hint)


def _distinct(sources: tuple[str, ...], destinations: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """All pairs, one at a time: a small file can name millions."""
    return ((one, other) for one in sources for other in destinations if one != other)


def _nearest(code: str, codes: Collection[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(code, codes, 2)
    meant = f"Did you mean {' or '.join(found)}? " if found else ""
    return f"{meant}`netprobe explain` lists them all."


def _translated(keys: Keys) -> dict[str, Any]:
    """The fields of `nat:`, which is `none`, or keys with what source and destination become."""
    node = keys.node("nat")
    if node is None:
        return {}
    if isinstance(node, Text):
        if node.value != "none":
            wrong(
                node,
                f"nat cannot be {shown(node)}",
                "Write none, or {source: ADDRESS, destination: ADDRESS}.",
            )
        return {"untranslated": True}
    inner = Keys(node, ("source", "destination"), "nat")
    found = {f"nat_{key}": _address(inner, key) for key in ("source", "destination") if key in inner}
    if not found:
        wrong(node, "nat says neither a source nor a destination")
    return found


def _address(keys: Keys, key: str) -> str:
    """ADDRESS or ADDRESS:PORT, as it is written in a report: IPv6 with a port in brackets."""
    node, written = keys.needed(key), keys.text(key) or ""
    hint = "Write an address, with a port if that changes as well: 10.0.0.5, 10.0.0.5:80, [2001:db8::1]:80."
    try:
        named = parse(written)
    except WrongQuestion:
        return wrong(node, f"{key} cannot be {shown(node)}", hint)
    if named.ip is None or named.protocol is not None or named.interface is not None:
        wrong(node, f"{key} cannot be {shown(node)}", hint)
    return named.ip if named.port is None else f"{_bracketed(named.ip)}:{named.port}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address

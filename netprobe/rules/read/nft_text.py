"""A rule in the words of nft(8), as libnftables-json(5) would have it: what a person types, or nft prints.

Read are the tests and statements that firewalls are made of; any other word is an error, and never passed
over. What the expressions mean is told by `nft_statement`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from netprobe.model import Statement
from netprobe.model.pattern import pattern

from .nft_statement import statements

_TOKEN = pattern(r'"[^"]*"|[{},]|[^\s{},"]+')
_OPERATORS = ("==", "!=", "<", ">", "<=", ">=")
_FLAGS = ("ct state", "ct status", "ct event", "tcp flags")  # tested bit by bit
_META = (
    "mark", "iif", "oif", "iifname", "oifname", "iiftype", "oiftype", "skuid", "skgid", "length", "protocol",
    "nfproto", "l4proto", "priority", "pkttype", "cpu", "iifgroup", "oifgroup", "cgroup", "ibrname",
    "obrname",
)  # fmt: skip
_BARE_META = ("iif", "oif", "iifname", "oifname", "iiftype", "oiftype", "mark", "skuid", "skgid")
_FIELDS = {
    "ip": "saddr daddr protocol ttl dscp ecn length id version hdrlength frag-off checksum",
    "ip6": "saddr daddr nexthdr hoplimit dscp ecn length flowlabel version",
    "tcp": "sport dport flags sequence ackseq window", "udp": "sport dport length checksum",
    "sctp": "sport dport vtag", "th": "sport dport", "icmp": "type code id sequence",
    "icmpv6": "type code id sequence", "ether": "saddr daddr type", "vlan": "id type pcp",
    "arp": "operation htype ptype hlen plen",
}  # fmt: skip
_CT = ("state", "status", "mark", "direction", "expiration", "helper", "label", "id", "zone")
_VERDICTS = ("accept", "drop", "return", "continue")
_SPAN = pattern(r"(.+)/(second|minute|hour|day|week)")

Json = dict[str, Any]


def rule_statements(text: str) -> tuple[Statement, ...]:
    """The statements of a rule. Raises ValueError, with the rest, for what is not read here."""
    return tuple(statements(_Words(text).rule()))


class _Words:
    """The words of a rule, taken one by one."""

    def __init__(self, text: str) -> None:
        self._left: list[str] = _TOKEN.findall(text)

    def rule(self) -> list[Json]:
        """Its statements; a comment at the end says nothing."""
        found = list[Json]()
        while self._left and self._left[0] != "comment":
            one = self._statement()
            found += [*(each for each in _implied(one) if each not in found), one]
        if self._left[2:]:  # behind the comment
            raise ValueError(self._left[2])
        return found

    def _next(self) -> str:
        if not self._left:
            raise ValueError("the rule ends too early")
        return self._left.pop(0)

    def _has(self, *words: str) -> bool:
        """Whether these words come next; then they are taken."""
        if tuple(self._left[: len(words)]) != words:
            return False
        del self._left[: len(words)]
        return True

    def _statement(self) -> Json:
        word = self._left[0]
        if word in _VERDICTS:
            return {self._next(): None}
        reader = _STATEMENTS.get(word)
        return self._test() if reader is None else reader(self, self._next())

    # ---- statements

    def _jump(self, word: str) -> Json:
        return {word: {"target": self._next()}}

    def _counter(self, word: str) -> Json:
        if self._has("packets"):
            self._next()
            if self._has("bytes"):
                self._next()
        return {word: None}

    def _log(self, word: str) -> Json:
        while self._left and self._left[0] in ("prefix", "level", "group", "flags", "snaplen"):
            del self._left[:2]
        return {word: None}

    def _notrack(self, word: str) -> Json:
        return {word: None}

    def _reject(self, word: str) -> Json:
        if self._has("with", "tcp", "reset"):
            return {word: {"type": "tcp reset"}}
        if not self._has("with"):
            return {word: None}
        kind = self._next()
        self._has("type")
        return {word: {"type": kind, "expr": self._next()}}

    def _masquerade(self, word: str) -> Json:
        return {word: {"flags": self._nat_flags()}}

    def _nat(self, word: str) -> Json:
        for family in ("ip", "ip6"):
            self._has(family)
        mapped = ["netmap"] if self._has("prefix") else []
        inside: Json = {}
        if self._has("to"):
            inside = {"addr": self._looked_up()} if self._is_key() else _socket(self._next())
        elif word != "redirect":
            raise ValueError(word)
        return {word: {**inside, "flags": [*mapped, *self._nat_flags()]}}

    def _nat_flags(self) -> list[str]:
        found = []
        while self._left and self._left[0].rstrip(",") in ("random", "fully-random", "persistent"):
            found.append(self._next())
            self._has(",")
        return found

    def _limit(self, word: str) -> Json:
        if not self._has("rate"):
            raise ValueError(word)
        over = self._has("over")
        found = _SPAN.fullmatch(self._next())
        if found is None or not found[1].isdigit():
            raise ValueError(word)
        burst = int(self._next()) if self._has("burst") else 5
        self._has("packets")
        inside: Json = {"rate": int(found[1]), "per": found[2], "burst": burst}
        return {word: {**inside, "inv": True} if over else inside}

    # ---- tests

    def _test(self) -> Json:
        name, left = self._key()
        if self._has("set"):
            value = self._looked_up() if self._is_key() else self._value()
            return {"mangle": {"key": left, "value": value}}
        if self._has("vmap"):
            return {"vmap": {"key": left, "data": self._value()}}
        if self._has("&"):
            left = {"&": [left, self._value()]}
        op = self._next() if self._left and self._left[0] in _OPERATORS else "=="
        right = self._value()
        if name in _FLAGS and not isinstance(right, dict):
            op = {"==": "in", "!=": "not in"}[op]
            while self._has(","):
                right = [*(right if isinstance(right, list) else [right]), self._value()]
        return {"match": {"op": op, "left": left, "right": right}}

    def _is_key(self) -> bool:
        """Whether a selector comes next."""
        return self._left[:1] != [] and self._left[0] in (*_BARE_META, *_FIELDS, "meta", "ct", "fib")

    def _looked_up(self) -> Json:
        """What a selector finds in the packet, or a map has for that: `KEY map @NAME`, `KEY map { … }`."""
        _, key = self._key()
        return {"map": {"key": key, "data": self._value()}} if self._has("map") else key

    def _key(self) -> tuple[str, Json]:
        """A selector, or several one after the other, as text and as JSON."""
        parts = [self._selector()]
        while self._has("."):
            parts.append(self._selector())
        if len(parts) == 1:
            return parts[0]
        return " . ".join(name for name, _ in parts), {"concat": [part for _, part in parts]}

    def _selector(self) -> tuple[str, Json]:
        """A selector, as text and as JSON."""
        word = self._next()
        if word in _BARE_META:
            return f"meta {word}", {"meta": {"key": word}}
        if word == "fib":
            return self._fib()
        field = self._next()
        if word == "meta" and field in _META:
            return f"meta {field}", {"meta": {"key": field}}
        if word == "ct" and field in _CT:
            return f"ct {field}", {"ct": {"key": field}}
        if word == "arp" and field in ("saddr", "daddr"):
            field = f"{field} {self._next()}"
        elif field not in _FIELDS.get(word, "").split():
            raise ValueError(f"{word} {field}")
        return f"{word} {field}", {"payload": {"protocol": word, "field": field}}

    def _fib(self) -> tuple[str, Json]:
        """What the routing tables say of an address: `fib daddr . iif type`."""
        asked = [self._next()]
        while self._has("."):
            asked.append(self._next())
        if not self._has("type"):
            raise ValueError("fib")
        return f"fib {' . '.join(asked)} type", {"fib": {"flags": asked, "result": "type"}}

    def _value(self) -> Any:
        """A literal, a set in braces, or the name of one."""
        word = self._next()
        if word != "{":
            return self._joined(word)
        elements: list[Any] = []
        while not self._has("}"):
            elements.append(self._element())
            self._has(",")
        return {"set": elements}

    def _element(self) -> Any:
        """An element, or a pair of a map; no set has sets in it."""
        key = self._joined(self._next())
        if not self._has(":"):
            return key
        verdict = self._next()
        if verdict in ("jump", "goto"):
            return [key, {verdict: {"target": self._next()}}]
        return [key, {verdict: None} if verdict in _VERDICTS else self._joined(verdict)]

    def _joined(self, first: str) -> Any:
        """A literal, or several one after the other, as their selectors are."""
        parts = [_literal(first)]
        while self._has("."):
            parts.append(_literal(self._next()))
        return parts[0] if len(parts) == 1 else {"concat": parts}


_OF_TCP = {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}


def _implied(one: Json) -> list[Json]:
    """The test that nft puts before a reset, which is of TCP (its evaluate.c, stmt_evaluate_reset)."""
    return [_OF_TCP] if one.get("reject") == {"type": "tcp reset"} else []


_STATEMENTS: dict[str, Callable[[_Words, str], Json]] = {
    "counter": _Words._counter, "log": _Words._log, "jump": _Words._jump, "goto": _Words._jump,
    "notrack": _Words._notrack, "reject": _Words._reject, "masquerade": _Words._masquerade,
    "snat": _Words._nat, "dnat": _Words._nat, "redirect": _Words._nat, "limit": _Words._limit,
}  # fmt: skip


def _literal(word: str) -> Any:
    """A value as JSON has it: numbers as such, prefixes and ranges in their parts, names without quotes."""
    if word in _SIGNS:
        raise ValueError(word)
    found = next((found for form in _FORMS if (found := form.fullmatch(word))), None)
    if found is None:
        return word.strip('"')
    said = {name: text for name, text in found.groupdict().items() if text is not None}
    match said:
        case {"decimal": digits}:
            return int(digits)
        case {"hexadecimal": digits}:
            return int(digits, 16)
        case {"address": address, "length": length}:
            return {"prefix": {"addr": address, "len": int(length)}}
    return {"range": [_literal(said["low"]), _literal(said["high"])]}


_SIGNS = ("=", ":", "{", "}", ",", ".", *_OPERATORS)
_NUMBER = r"[0-9]+(?:\.[0-9.]+)?|[0-9a-f]*:[0-9a-f:]+"  # or an address: what has a range
_FORMS = tuple(
    map(
        re.compile,
        (
            r"(?P<decimal>\d+)",
            r"0x(?P<hexadecimal>[0-9a-fA-F]+)",
            r'(?P<address>[^"]+)/(?P<length>\d+)',
            rf"(?P<low>{_NUMBER})-(?P<high>{_NUMBER})",
        ),
    )
)


_SOCKET = pattern(r"\[(?P<six>[^\]]+)\](?::(?P<port6>\S+))?|(?P<four>[0-9.-]*)(?::(?P<port>\S+))?")


def _socket(word: str) -> Json:
    """ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT or :PORT, each of them perhaps a range."""
    found = re.fullmatch(
        r"\[(?P<six>[^\]]+)\](?::(?P<port6>\S+))?|(?P<four>[0-9.-]*)(?::(?P<port>\S+))?", word
    )
    if found is None:
        return {"addr": _literal(word)}
    address, port = found["six"] or found["four"], found["port6"] or found["port"]
    inside = {"addr": _literal(address)} if address else {}
    return {**inside, "port": _literal(port)} if port else inside

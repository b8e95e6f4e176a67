"""What `nft -j list ruleset` prints, as tables. Pure: JSON in, values out. Source: libnftables-json(5)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Chain, Flowtable, NamedObject, NamedSet, Rule, Statement, Table
from netprobe.model.lookup import where
from netprobe.model.pattern import pattern

from .nft_expression import element, word
from .nft_statement import statements
from .nft_text import rule_statements

# A rule stands two tabs deep; nft breaks a long set into lines that stand deeper.
_RULE = pattern(r"^\t\t(\S.*(?:\n\t\t\t.*)*) # handle (\d+)$", re.MULTILINE)
_TABLE = pattern(r"^table (\S+) (\S+) \{(?: # handle \d+)?$", re.MULTILINE)
_OBJECTS = ("quota", "limit", "counter", "ct helper", "ct timeout", "ct expectation", "secmark", "synproxy")

Key = tuple[str, str]

NOT_UNDERSTOOD = (msgspec.MsgspecError, LookupError, ValueError, TypeError, AttributeError, RecursionError)
"""What the functions of this file raise for something else than libnftables-json(5) describes."""


class KernelChain(Struct, frozen=True, gc=False):
    """A chain: its base hook, priority, policy and devices, if it has one."""

    family: str
    table: str
    name: str
    hook: str | None
    priority: int
    policy: str
    type: str
    devices: tuple[str, ...]
    handle: int


def read_listing(listing: bytes, texts: str, chains: Iterable[KernelChain], wanted: set[Key]) -> list[Table]:
    """The tables of a listing that are `wanted` (family, name).

    `texts` is the same listing as text with handles; `chains` the kernel's, for what the JSON of some
    versions leaves out. Raises NOT_UNDERSTOOD.
    """
    return read_items(listed(listing), texts, chains, wanted)


def listed(listing: bytes) -> list[dict[str, Any]]:
    """The objects of a listing. Raises NOT_UNDERSTOOD."""
    items: list[dict[str, Any]] = msgspec.json.decode(listing)["nftables"]
    return items


def of_table(items: list[dict[str, Any]], key: Key, texts: str = "") -> Table:
    """One table from the objects of listings that are not of the table as a whole; `texts` as above."""
    head = {"table": {"family": key[0], "name": key[1]}}
    [table] = read_items([head, *items], texts, (), {key})
    return table


def read_items(
    items: list[dict[str, Any]], texts: str, chains: Iterable[KernelChain], wanted: set[Key]
) -> list[Table]:
    """The tables among the objects of a listing, as `read_listing`."""
    drafts: dict[Key, _JsonTable] = {}
    known = {(chain.family, chain.table, chain.name): chain for chain in chains}
    printed = rule_texts(texts)
    for item in items:
        [(kind, found)] = item.items()
        if kind == "table" and (found["family"], found["name"]) in wanted:
            drafts[found["family"], found["name"]] = _JsonTable(
                found["family"], found["name"], printed.get((found["family"], found["name"]), {})
            )
        elif (found.get("family"), found.get("table")) in drafts:
            drafts[found["family"], found["table"]].add(kind, found, known)
    return [draft.table() for draft in drafts.values()]


def rule_texts(listing: str) -> dict[Key, dict[int, str]]:
    """The text of each rule by (family, table) and handle, from `nft -a list ruleset`; nothing for no
    listing.
    """
    found: dict[Key, dict[int, str]] = {}
    heads = list(_TABLE.finditer(listing))
    ends = [head.start() for head in heads[1:]] + [len(listing)]
    for head, end in zip(heads, ends, strict=False):
        rules = [(int(rule[2]), rule[1]) for rule in _RULE.finditer(listing, head.end(), end)]
        times = Counter(handle for handle, _ in rules)
        # a comment may hold lines that look like rules
        found[head[1], head[2]] = {
            handle: " ".join(text.split()) for handle, text in rules if times[handle] == 1
        }
    return found


class _JsonTable:
    """A table while its objects are read."""

    def __init__(self, family: str, name: str, texts: Mapping[int, str]) -> None:
        self.family, self.name, self.texts = family, name, texts
        self.chains: dict[str, Chain] = {}
        self.rules: dict[str, list[Rule]] = {}
        self.sets: list[NamedSet] = []
        self.objects: list[NamedObject] = []
        self.flowtables: list[Flowtable] = []

    def add(
        self, kind: str, found: dict[str, Any], known: Mapping[tuple[str, str, str], KernelChain]
    ) -> None:
        """One object of the listing."""
        if kind == "chain":
            self.chains[found["name"]] = _chain(found, known.get((self.family, self.name, found["name"])))
        elif kind == "rule":
            rules = self.rules.setdefault(found["chain"], [])
            rules.append(_rule(len(rules) + 1, found, self.texts))
        elif kind in ("set", "map"):
            self.sets.append(_set(found))
        elif kind == "flowtable":
            self.flowtables.append(Flowtable(found["name"], tuple(_many(found.get("dev")))))
        elif kind in _OBJECTS:
            self.objects.append(NamedObject(kind, found["name"], named_options(found)))

    def table(self) -> Table:
        """The finished table."""
        chains = tuple(
            replace(chain, rules=tuple(self.rules.get(name, ()))) for name, chain in self.chains.items()
        )
        return Table(
            "nft",
            self.family,
            self.name,
            chains,
            tuple(self.sets),
            tuple(self.objects),
            tuple(self.flowtables),
        )


def _many(value: Any) -> list[str]:
    """One, several or none, as the JSON may have it."""
    several = value if isinstance(value, list) else [value]
    return [word(each) for each in several if each is not None]


class _PrintedChain(Struct, gc=False):
    """A chain's object. Chains of rules alone have neither hook nor priority."""

    name: str
    handle: int | None = None
    hook: str | None = None
    prio: int = 0
    type: str = "filter"
    policy: str = "accept"


class _PrintedRule(Struct):
    """A rule's object; of its expressions other files know more."""

    handle: int
    expr: list[Any] = []
    comment: str | None = None


class _PrintedCounter(Struct, gc=False):
    """A counter in a rule; where listings are without state, without numbers."""

    packets: int | None = None
    bytes: int | None = None


def _chain(found: dict[str, Any], kernel: KernelChain | None) -> Chain:
    said = msgspec.convert(found, _PrintedChain)
    devices = kernel.devices if kernel else tuple(_many(found.get("dev")))
    return Chain(said.name, (), said.hook, said.prio, said.type, said.policy, devices, said.handle)


def _rule(number: int, found: dict[str, Any], texts: Mapping[int, str]) -> Rule:
    said = msgspec.convert(found, _PrintedRule)
    counters = (each["counter"] for each in said.expr if isinstance(each, dict) and "counter" in each)
    counter = msgspec.convert(next(filter(_is_object, counters), {}), _PrintedCounter)
    text = texts.get(said.handle) or msgspec.json.encode(said.expr).decode()
    return Rule(
        number,
        text,
        _with_extensions(tuple(statements(said.expr)), text),
        said.handle,
        counter.packets,
        counter.bytes,
        said.comment,
    )


def _is_object(found: Any) -> bool:
    """Of JSON: a counter of a rule is one; that of a table is referred to by its name."""
    return isinstance(found, dict)


def _with_extensions(found: tuple[Statement, ...], text: str) -> tuple[Statement, ...]:
    """The statements of a rule that has extensions of iptables among them, of which JSON has the names alone:
    by the words that nft has for them (xt_stmt_xlate), where it has some. Where somebody has put a rule of
    nft's into a table of iptables', that does not print it any more.
    """
    if not any(each.text.startswith("xt ") for each in where(found, kind="unknown")):
        return found
    try:
        return rule_statements(text)
    except ValueError:
        return found


class _PrintedSet(Struct):
    """A set's or a map's object: types, those of a map's data and flags are one or several."""

    name: str
    type: Any = None
    map: Any = None
    flags: Any = None
    elem: list[Any] = []


def read_set(listing: bytes) -> NamedSet | None:
    """The set or map that `nft -j list set` prints; None for something else."""
    try:
        return next(
            (_set(each[kind]) for each in listed(listing) for kind in each if kind in ("set", "map")), None
        )
    except NOT_UNDERSTOOD:
        return None


def _set(found: dict[str, Any]) -> NamedSet:
    said = msgspec.convert(found, _PrintedSet)
    data = " . ".join(_many(said.map)) if said.map is not None else None
    elements = tuple(map(element, said.elem))
    return NamedSet(said.name, tuple(_many(said.type)), data, tuple(_many(said.flags)), elements)


def named_options(found: dict[str, Any]) -> dict[str, str]:
    """The numbers of a stateful object; "over" when it is inverted."""
    options = {
        name: word(value)
        for name, value in found.items()
        if name not in ("family", "name", "table", "handle", "inv")
    }
    return options | ({"over": ""} if found.get("inv") else {})

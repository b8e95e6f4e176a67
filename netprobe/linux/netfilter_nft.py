"""What `nft -j list ruleset` prints, as tables. Pure: JSON in, values out. Source: libnftables-json(5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from netprobe.model import Chain, Flowtable, NamedObject, NamedSet, Rule, Table

from .netfilter_expressions import element, word
from .netfilter_kernel import KernelChain
from .netfilter_statements import statements

_TEXT = re.compile(r"^\t\t(.+?) # handle (\d+)$", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(r"^table (\S+) (\S+) \{(?: # handle \d+)?$", re.MULTILINE)
_OBJECTS = ("quota", "limit", "counter", "ct helper", "ct timeout", "ct expectation", "secmark", "synproxy")

Key = tuple[str, str]


def read_listing(listing: bytes, texts: str, chains: Iterable[KernelChain], wanted: set[Key]) -> list[Table]:
    """The tables of a listing that are `wanted` (family, name).

    `texts` is the same listing as text with handles; `chains` the kernel's, for what the JSON of some versions leaves out.
    Raises msgspec.DecodeError for something that is no listing.
    """
    drafts: dict[Key, _Draft] = {}
    known = {(chain.family, chain.table, chain.name): chain for chain in chains}
    printed = rule_texts(texts)
    for item in msgspec.json.decode(listing)["nftables"]:
        [(kind, found)] = item.items()
        if kind == "table" and (found["family"], found["name"]) in wanted:
            drafts[found["family"], found["name"]] = _Draft(
                found["family"], found["name"], printed.get((found["family"], found["name"]), {})
            )
        elif (found.get("family"), found.get("table")) in drafts:
            drafts[found["family"], found["table"]].add(kind, found, known)
    return [draft.table() for draft in drafts.values()]


def rule_texts(listing: str) -> dict[Key, dict[int, str]]:
    """The text of each rule by (family, table) and handle, from `nft -a list ruleset`."""
    found: dict[Key, dict[int, str]] = {}
    heads = list(_TABLE.finditer(listing))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        body = listing[head.end() : following.start() if following else None]
        rules: dict[int, str] = {}
        for text, handle in _TEXT.findall(body):
            rules[int(handle)] = " ".join(text.rpartition("\n\t\t")[2].split()) if "\n\t\t\t" not in text else _joined(text)
        found[head[1], head[2]] = rules
    return found


def _joined(text: str) -> str:
    """A rule that nft broke into lines (a long set): from its own first line on."""
    lines = text.split("\n")
    start = max((n for n, line in enumerate(lines) if n == 0 or not line.startswith("\t\t\t")), default=0)
    return " ".join(" ".join(lines[start:]).split())


class _Draft:
    """A table while its objects are read."""

    def __init__(self, family: str, name: str, texts: Mapping[int, str]) -> None:
        self.family, self.name, self.texts = family, name, texts
        self.chains: dict[str, Chain] = {}
        self.rules: dict[str, list[Rule]] = {}
        self.sets: list[NamedSet] = []
        self.objects: list[NamedObject] = []
        self.flowtables: list[Flowtable] = []

    def add(self, kind: str, found: dict[str, Any], known: Mapping[tuple[str, str, str], KernelChain]) -> None:
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
        chains = tuple(replace(chain, rules=tuple(self.rules.get(name, ()))) for name, chain in self.chains.items())
        return Table("nft", self.family, self.name, chains, tuple(self.sets), tuple(self.objects), tuple(self.flowtables))


def _many(value: Any) -> list[str]:
    """One, several or none, as the JSON may have it."""
    return [] if value is None else [word(each) for each in value] if isinstance(value, list) else [word(value)]


def _chain(found: dict[str, Any], kernel: KernelChain | None) -> Chain:
    devices = kernel.devices if kernel else tuple(_many(found.get("dev")))
    return Chain(
        found["name"], (), found.get("hook"), found.get("prio", 0), found.get("type", "filter"), found.get("policy", "accept"), devices,
        found.get("handle"),
    )  # fmt: skip


def _rule(number: int, found: dict[str, Any], texts: Mapping[int, str]) -> Rule:
    expressions = found.get("expr", [])
    counter: dict[str, int] = next((each["counter"] for each in expressions if isinstance(each.get("counter"), dict)), {})
    text = texts.get(found["handle"]) or msgspec.json.encode(expressions).decode()
    return Rule(
        number,
        text,
        tuple(statements(expressions)),
        found["handle"],
        counter.get("packets"),
        counter.get("bytes"),
        found.get("comment"),
    )


def _set(found: dict[str, Any]) -> NamedSet:
    elements = tuple(element(each) for each in found["elem"]) if "elem" in found else ()
    data = found.get("map")
    data = " . ".join(data) if isinstance(data, list) else data
    return NamedSet(found["name"], tuple(_many(found.get("type"))), data, tuple(_many(found.get("flags"))), elements)


def named_options(found: dict[str, Any]) -> dict[str, str]:
    """The numbers of a stateful object; "over" when it is inverted."""
    options = {name: word(value) for name, value in found.items() if name not in ("family", "name", "table", "handle", "inv")}
    return options | ({"over": ""} if found.get("inv") else {})

"""The rulesets of one namespace, both engines, as values: tables, chains, rules, sets.

Rules of every engine are kept in one vocabulary, that of nft(8): an iptables match `-s 10.0.0.0/8` is the
statement `ip saddr 10.0.0.0/8`. So one evaluation serves them all, and `Rule.text` still holds what the
rule's own tool prints.

Terms, statements and rules are msgspec Structs, not dataclasses: a ruleset has thousands, and they are made
in a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from msgspec import Struct, field
from msgspec.structs import replace

from .lookup import find, first, indexed, named
from .place import Blind


class Term(Struct, frozen=True, gc=False, omit_defaults=True):
    """One node of an expression of nft(8).

    kind: "key" (a selector of the packet, `text` as nft spells it: "ip saddr", "tcp dport", "ct state"),
    "value" (a literal: "80", "10.0.0.0/8", "1-1023", "eth*", "established"), "ref" (a named set or map,
    `text` without the @), "set", "concat", "pair" (an element of a map: key and data), "verdict" (`text`
    "drop" or "jump NAME"), "map" (key, then a set or ref), "numgen" and "hash" (`text` as nft spells it), the
    operators "&", "|", "^", "<<", ">>", and "unknown".
    """

    kind: str
    text: str = ""
    args: tuple[Term, ...] = ()

    @property
    def nodes(self) -> Iterator[Term]:
        """The term itself, and all that are in it."""
        yield self
        for each in self.args:
            yield from each.nodes


class Statement(Struct, frozen=True, gc=False, omit_defaults=True):
    """One step of a rule: a test that must hold for the next step to happen, or something that is done to the
    packet.

    kind: "match" (`left` `op` `right`), "vmap" (`left` looked up in `right`), a verdict (accept, drop,
    return, continue, jump, goto, reject, queue, stolen), "set" (the key `left` becomes `right`), a
    translation (snat, dnat, masquerade, redirect, netmap, tproxy: `right` the address, `port` the port), a
    condition on other packets (limit, quota, random, nth, connlimit, recent, ...), "note" (log, counter: no
    effect) or "unknown". `target` is a chain's, set's, list's or interface's name.
    """

    kind: str
    left: Term | None = None
    op: str = ""
    right: Term | None = None
    port: Term | None = None
    target: str = ""
    options: dict[str, str] = {}
    text: str = ""

    @property
    def key(self) -> str:
        """The selector that it looks at or sets; "" where there is none."""
        return "" if self.left is None else self.left.text

    @property
    def value(self) -> str:
        """What it compares with or gives, as one literal; "" where there is none."""
        return "" if self.right is None else self.right.text

    @property
    def nodes(self) -> Iterator[Term]:
        """All that its expressions are made of."""
        for each in filter(None, (self.left, self.right, self.port)):
            yield from each.nodes


_ENDS = ("accept", "drop", "reject", "jump", "goto", "note")


class Rule(Struct, frozen=True, gc=False, omit_defaults=True):
    """One rule: `number` counts from 1 in its chain, `handle` is nft's, `text` is what its own tool
    prints.
    """

    number: int
    text: str
    statements: tuple[Statement, ...] = ()
    handle: int | None = None
    packets: int | None = None
    bytes: int | None = None
    comment: str | None = None

    @property
    def leads_to(self) -> str:
        """The chain that it jumps or goes to; empty where it does not."""
        for each in self.statements:  # of ten thousand rules
            if each.kind in ("jump", "goto"):
                return each.target
        return ""

    @property
    def asks(self) -> dict[str, str]:
        """What it tests a packet for: each test, with the key that it looks at."""
        tests = (each for each in self.statements if each.kind not in _ENDS)
        return {repr(each): getattr(each.left, "text", "") for each in tests}


class Chain(Struct, frozen=True, gc=False):
    """A chain; a base chain has a `hook` (prerouting, input, forward, output, postrouting, ingress, egress)
    and a policy.

    `priority` is nft's number (filter 0, conntrack -200, raw -300); `devices` those of an ingress or egress
    hook. `unread`: why its rules could not be read.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    hook: str | None = None
    priority: int = 0
    type: str = "filter"
    policy: str = "accept"
    devices: tuple[str, ...] = ()
    handle: int | None = None
    unread: str = ""

    @property
    def at(self) -> str:
        """The hook; "" where it hangs at none, and is jumped to."""
        return self.hook or ""


class NamedSet(Struct, frozen=True, gc=False):
    """A named set or map. `types` of its key, in nft's words; `data` the type a map gives ("verdict",
    "ipv4_addr"), or None.

    `elements` None: too many to read at once; membership is asked one by one (`SetQuery`).
    """

    name: str
    types: tuple[str, ...]
    data: str | None = None
    flags: tuple[str, ...] = ()
    elements: tuple[Term, ...] | None = None

    @property
    def known(self) -> tuple[Term, ...]:
        """Its elements, as far as they were read."""
        return self.elements or ()


class NamedObject(Struct, frozen=True, gc=False):
    """A stateful object of nft:

    `kind` quota, limit, counter, ct helper; `options` its numbers ("bytes", "used", "rate").
    """

    kind: str
    name: str
    options: Mapping[str, str] = field(default_factory=dict)


class Flowtable(Struct, frozen=True, gc=False):
    """A flowtable: established flows through `devices` pass its ingress hook and no chain at all."""

    name: str
    devices: tuple[str, ...] = ()


class Table(Struct, frozen=True, gc=False):
    """A table. `engine`: nft, iptables (nft-backed), iptables-legacy, ebtables or arptables; the tool that
    prints and edits it.

    `family`: ip, ip6, inet, bridge, arp or netdev. Tables stand in the order in which the kernel lists them.
    `dormant`: its chains hang at no hook (nft(8), "flags dormant"). `owned`: the program that made it alone
    can change it ("flags owner"; firewalld's since 2.1). `partial`: too large to be read whole: of its chains
    the base chains are here, and those that a walk has come to (`ChainQuery`).
    """

    engine: str
    family: str
    name: str
    chains: tuple[Chain, ...] = ()
    sets: tuple[NamedSet, ...] = ()
    objects: tuple[NamedObject, ...] = ()
    flowtables: tuple[Flowtable, ...] = ()
    dormant: bool = False
    owned: bool = False
    partial: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Engine, family and name, which no two tables share."""
        return self.engine, self.family, self.name

    @property
    def rules(self) -> Iterable[Rule]:
        """The rules of all its chains."""
        return chain.from_iterable(each.rules for each in self.chains)

    @property
    def placed(self) -> Iterable[tuple[Chain, Rule]]:
        """The same, each with the chain that it stands in."""
        return ((each, rule) for each in self.chains for rule in each.rules)

    def chain(self, name: str) -> Chain | None:
        """The chain of this name, or None."""
        return indexed(_chains, self.chains).get(name)

    def set(self, name: str) -> NamedSet | None:
        """The set or map of this name, or None."""
        return named(self.sets, name)


def _chains(chains: tuple[Chain, ...]) -> dict[str, Chain]:
    return first(chains, lambda chain: chain.name)


class RecentEntry(Struct, frozen=True, gc=False):
    """One address on a list of xt_recent:

    `ages_ms` says how long ago its packets were seen, the newest first; ttl of the last.
    """

    address: str
    ages_ms: tuple[int, ...] = ()
    ttl: int = 0


class RecentList(Struct, frozen=True, gc=False):
    """A list of xt_recent(8), as /proc/net/xt_recent shows it."""

    name: str
    entries: tuple[RecentEntry, ...] = ()


class IpSetEntry(Struct, frozen=True, gc=False):
    """An entry of a set of ipset(8), with what its type has of these.

    `first` and `second` are addresses, prefixes or ranges; `protocol` is its number; `name` another set;
    `nomatch`: what it holds is not in the set; `physdev`: `interface` is a port of a bridge.
    """

    first: str = ""
    second: str = ""
    ports: tuple[int, int] | None = None
    protocol: int | None = None
    mac: str = ""
    interface: str = ""
    mark: int | None = None
    name: str = ""
    nomatch: bool = False
    physdev: bool = False


class IpSet(Struct, frozen=True, gc=False):
    """A set of ipset(8): `type` as it is created ("hash:ip,port"), `version` 4 or 6, None for either.

    `entries` None: too many to read.
    """

    name: str
    type: str
    version: int | None = None
    netmask: int | None = None
    entries: tuple[IpSetEntry, ...] | None = None


class SetQuery(Struct, frozen=True, gc=False):
    """A question to the kernel: is `key` (its parts as text) in this set? For a map: and what does it
    give?
    """

    family: str
    table: str
    set: str
    key: tuple[str, ...]


class ChainQuery(Struct, frozen=True, gc=False):
    """A chain of a large table, which a walk has come to and nobody has read."""

    engine: str
    family: str
    table: str
    chain: str


class AskedSet(Struct, frozen=True, gc=False):
    """The kernel's answer to a `SetQuery`; `data` is what a map gives.

    `error`: it could not be asked, and why.
    """

    query: SetQuery
    member: bool
    data: Term | None = None
    error: str | None = None


class Ruleset(Struct, frozen=True, gc=False):
    """All firewall and NAT rules of one namespace; `blind` says which engine could not be read and why.

    `queues` are the NFQUEUE numbers that a program listens on, None when unknown.
    """

    blind: tuple[Blind, ...] = ()
    tables: tuple[Table, ...] = ()
    recent: tuple[RecentList, ...] = ()
    queues: tuple[int, ...] | None = None
    answers: tuple[AskedSet, ...] = ()
    ipsets: tuple[IpSet, ...] = ()

    def table(self, engine: str, family: str, name: str) -> Table | None:
        """The table of this engine, family and name, or None."""
        return find(self.tables, key=(engine, family, name))

    def table_of(self, key: tuple[str, str, str]) -> Table:
        """The same; a bare one where there is none."""
        return self.table(*key) or Table(*key)

    def flowtables_at(self, device: str) -> tuple[Flowtable, ...]:
        """The flowtables that take packets in at an interface."""
        return tuple(
            flowtable
            for table in self.tables
            for flowtable in table.flowtables
            if device in flowtable.devices
        )

    def ipset(self, name: str) -> IpSet | None:
        """The set of ipset(8) of this name, or None."""
        return named(self.ipsets, name)

    def answer(self, query: SetQuery) -> AskedSet | None:
        """What the kernel said to `query`, or None when it has not been asked."""
        return find(self.answers, query=query)

    def with_chain(self, query: ChainQuery, chain: Chain) -> Ruleset:
        """This ruleset, knowing one chain more of a large table."""
        where = (query.engine, query.family, query.table)
        tables = tuple(
            replace(table, chains=(*table.chains, chain))
            if (table.engine, table.family, table.name) == where
            else table
            for table in self.tables
        )
        return replace(self, tables=tables)

    def with_answer(self, asked: AskedSet) -> Ruleset:
        """This ruleset, knowing one answer more."""
        return replace(self, answers=(*self.answers, asked))

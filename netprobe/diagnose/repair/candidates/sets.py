"""Sets that lack the packet, so that a rule that looks there would let it through, or hold it, so that one
refuses it. Pure.

See: nft(8), SETS; ipset(8); iptables-extensions(8), set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import (
    Command,
    Flow,
    IpSet,
    NamedSet,
    Namespace,
    Object,
    Protocol,
    Rule,
    Statement,
    Table,
)
from netprobe.predict import fixes, prefix

_PORTS = ("tcp dport", "udp dport", "th dport")
_REFUSED = {"policy-drop", "rejected-by-rule", "filtered-by-rule"}
_OF_ADDRESSES = ("hash:ip", "hash:net")


class _Lookup(Struct, frozen=True):
    """A test of a rule that wants what the packet has, `value`, in a set; `table` is that of a set of nft."""

    test: Statement
    named: NamedSet | IpSet
    value: str
    table: Table | None = None

    @property
    def words(self) -> str:
        """The set, as its tool would have it named."""
        family = ("nft", self.table.family, self.table.name) if self.table is not None else ("ipset",)
        return " ".join((*family, self.named.name))

    def held(self) -> Iterable[str]:
        """The elements that are what the packet has, or have it in them."""
        if isinstance(self.named, IpSet):
            texts = (each.first for each in self.named.entries or ())
        else:
            texts = (nat_rules.written(each) for each in self.named.elements or ())
        return (text for text in texts if _holds(text, self.value))

    def change(self, what: str, element: str) -> fixes.Fix:
        """The command that adds an element, or takes one away."""
        if self.table is None:
            return (Command.of("ipset", {"add": "add", "delete": "del"}[what], self.named.name, element),)
        where = ("element", self.table.family, self.table.name, self.named.name)
        return fixes.nft((self.table.name, self.named.name), what, *where, f"{{ {element} }}")


def candidates(loss: Loss) -> Iterator[Repair]:
    """What each set would have to hold, or not to hold, at the place where rules refused the packet."""
    namespace = loss.snapshot.get(loss.stop.place.namespace)
    if loss.stop.code not in _REFUSED or namespace is None:
        return
    refusing = nat_rules.found(namespace, loss.stop.object) if loss.stop.object is not None else None
    tests = refusing.statements if refusing is not None else ()
    unwanted = _turned_away(namespace)
    for flow in _flows(loss, namespace):
        for lookup in (*_of_nft(namespace, flow), *_of_ipset(namespace, flow)):
            if lookup.test in tests:
                yield from _without(loss, lookup)
            elif _called(lookup.table, lookup.test) not in unwanted:
                yield from _with(loss, lookup)


def _flows(loss: Loss, namespace: Namespace) -> Iterator[Flow]:
    """The packet as it came there, and what a tunnel of the namespace would carry it in."""
    yield from [hop.flow for hop in reversed(loss.hops) if hop.namespace == namespace.name][:1]
    for link in namespace.links:
        if link.vxlan is not None:
            others = (entry.remote for entry in namespace.fdb if entry.index == link.index)
            for remote in filter(None, dict.fromkeys((link.vxlan.remote, *others))):
                yield Flow(remote, link.vxlan.local or "", Protocol.UDP, dport=link.vxlan.port)


def _with(loss: Loss, lookup: _Lookup) -> Iterator[Repair]:
    """The packet's value added to the set."""
    text = f"the set {lookup.named.name} of {loss.stop.place.namespace} lacks {lookup.value}"
    thing = Object("set", lookup.words, lookup.words)
    yield from _repair(loss, text, thing, lookup.change("add", lookup.value))


def _without(loss: Loss, lookup: _Lookup) -> Iterator[Repair]:
    """The elements taken away for which the rule refuses the packet: an address that was banned."""
    text = f"the set {lookup.named.name} of {loss.stop.place.namespace} holds {lookup.value}"
    for element in lookup.held():
        yield from _repair(loss, text, loss.stop.object, lookup.change("delete", element))


def _repair(loss: Loss, text: str, thing: Object | None, fix: fixes.Fix) -> Iterator[Repair]:
    told = f"{text}: {loss.stop.text}"
    proof = (loss.stop.text,)
    stop = replace(loss.stop, text=told, object=thing, commands=fix, proof=proof, advice="")
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _holds(element: str, value: str) -> bool:
    """Whether an address, a network or a port of a set is, or has in it, what the packet has."""
    if element == value or not nat_rules.is_prefix(element) or not nat_rules.is_prefix(value):
        return element == value
    version = prefix.version(element.partition("/")[0])
    return version == prefix.version(value) and prefix.contains(element, value)


def _tests(table: Table) -> Iterator[Statement]:
    """What the rules of a table do, one after the other."""
    for chain in table.chains:
        for rule in chain.rules:
            yield from rule.statements


def _of_nft(namespace: Namespace, flow: Flow) -> Iterator[_Lookup]:
    """Each test of a rule that looks into a set of nft whose elements were read."""
    for table in namespace.tables:
        for test in _tests(table) if table.engine == "nft" else ():
            named = _set_of(table, test)
            value = _value(test, flow)
            if named is not None and value:
                yield _Lookup(test, named, value, table)


def _of_ipset(namespace: Namespace, flow: Flow) -> Iterator[_Lookup]:
    """Each test of a rule that wants the packet in a set of ipset(8) of addresses or networks alone."""
    for table in namespace.tables:
        for test in _tests(table):
            named = _ipset_of(namespace, test) if test.kind == "ipset" and test.op == "==" else None
            value = flow.src if test.options.get("match-set") == "src" else flow.dst
            if named is not None and named.version in (None, flow.version) and value:
                yield _Lookup(test, named, value)


def _ipset_of(namespace: Namespace, test: Statement) -> IpSet | None:
    named = namespace.ruleset.ipset(test.target) if namespace.ruleset is not None else None
    plain = named is not None and named.entries is not None and named.type in _OF_ADDRESSES
    return named if plain else None


def _turned_away(namespace: Namespace) -> set[str]:
    """The sets of what rules turn away: whatever exceptions they make, nothing passes for being in them."""
    found: set[str] = set()
    for table in namespace.tables:
        for rule in table.rules:
            if rule.statements and _refuses(table, rule):
                found.update(_called(table, statement) for statement in rule.statements)
    return found


def _called(table: Table | None, statement: Statement) -> str:
    """The set that a test wants the packet to be in; "" for any other statement."""
    if statement.op not in ("==", "in", ""):
        return ""
    if statement.kind == "ipset":
        return f"ipset {statement.target}"
    right = statement.right
    if table is None or right is None or right.kind != "ref":
        return ""
    return f"{table.family} {table.name} {right.text}"


def _refuses(table: Table, rule: Rule) -> bool:
    """Whether the rule turns away what it finds in a set: by itself, or by the last word of its chain."""
    last = rule.statements[-1]
    chain = table.chain(last.target) if last.kind in ("jump", "goto") else None
    if chain is not None and chain.rules:
        last = next(reversed(chain.rules[-1].statements), last)
    return last.kind in ("drop", "reject")


def _set_of(table: Table, statement: Statement) -> NamedSet | None:
    """The plain set that a test looks into; None for a map, and where membership is what it does not want."""
    right = statement.right
    if (
        statement.kind != "match"
        or statement.op not in ("==", "in", "")
        or right is None
        or right.kind != "ref"
    ):
        return None
    named = table.set(right.text)
    return named if named is not None and named.data is None and named.elements is not None else None


def _value(statement: Statement, flow: Flow) -> str | None:
    """What the packet has where the test looks, as an element."""
    family = "ip6" if flow.version == 6 else "ip"
    port = str(flow.dport) if flow.dport is not None else None
    known = {f"{family} saddr": flow.src, f"{family} daddr": flow.dst, **dict.fromkeys(_PORTS, port)}
    return known.get(statement.left.text) if statement.left is not None else None

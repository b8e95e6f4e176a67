"""Sets that lack the packet, so that a rule that looks there would let it through, or hold it, so that one
refuses it. Pure.

See: nft(8), SETS; ipset(8); iptables-extensions(8), set.
"""

from __future__ import annotations

from collections.abc import Iterator

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


def candidates(loss: Loss) -> Iterator[Repair]:
    """What each set would have to hold, or not to hold, at the place where rules refused the packet."""
    namespace = loss.snapshot.get(loss.stop.place.namespace)
    if loss.stop.code not in _REFUSED or namespace is None:
        return
    refusing = nat_rules.found(namespace, loss.stop.object) if loss.stop.object is not None else None
    for flow in _flows(loss, namespace):
        for table, named, statement in _looked_up(namespace):
            value = _value(statement, flow)
            if value:
                yield from _with(loss, table, named, value)
        for ipset, statement in _of_ipset(namespace):
            value = _side(ipset, statement, flow)
            if value and statement not in (refusing.statements if refusing is not None else ()):
                yield from _changed(loss, ipset.name, "add", value)
        if refusing is not None:
            yield from _held(loss, namespace, refusing, flow)


def _flows(loss: Loss, namespace: Namespace) -> Iterator[Flow]:
    """The packet as it came there, and what a tunnel of the namespace would carry it in."""
    hops = reversed(loss.hops)
    yield from [hop.flow for hop in hops if hop.namespace == namespace.name][:1]
    for link in namespace.links:
        if link.vxlan is None:
            continue
        ends = {link.vxlan.remote: None, **{e.remote: None for e in namespace.fdb if e.index == link.index}}
        for remote in filter(None, ends):
            yield Flow(remote, link.vxlan.local or "", Protocol.UDP, dport=link.vxlan.port)


def _held(loss: Loss, namespace: Namespace, rule: Rule, flow: Flow) -> Iterator[Repair]:
    """The element of a set that the refusing rule asks for: an address that was banned."""
    for table, named, statement in _looked_up(namespace):
        value = _value(statement, flow) if statement in rule.statements else None
        for element in (named.elements or ()) if value else ():
            text = nat_rules.written(element)
            if value and _holds(text, value):
                words = ("delete", "element", table.family, table.name, named.name, f"{{ {text} }}")
                yield from _without(loss, named.name, value, fixes.nft((table.name, named.name), *words))
    for ipset, statement in _of_ipset(namespace):
        value = _side(ipset, statement, flow) if statement in rule.statements else None
        for entry in (ipset.entries or ()) if value else ():
            if value and _holds(entry.first, value) and not entry.nomatch:
                yield from _changed(loss, ipset.name, "del", entry.first, value)


def _holds(element: str, value: str) -> bool:
    """Whether an address, a network or a port of a set is, or has in it, what the packet has."""
    if element == value or not nat_rules.is_prefix(element) or not nat_rules.is_prefix(value):
        return element == value
    return prefix.version(element.partition("/")[0]) == prefix.version(value) and prefix.contains(
        element, value
    )


def _without(loss: Loss, name: str, value: str, fix: fixes.Fix) -> Iterator[Repair]:
    text = f"the set {name} of {loss.stop.place.namespace} holds {value}: {loss.stop.text}"
    stop = replace(loss.stop, text=text, commands=fix, proof=(loss.stop.text,), advice="")
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _changed(loss: Loss, name: str, how: str, entry: str, value: str = "") -> Iterator[Repair]:
    """`ipset add|del SET ENTRY`."""
    fix = (Command.of("ipset", how, name, entry),)
    if how == "del":
        yield from _without(loss, name, value or entry, fix)
        return
    text = f"the set {name} of {loss.stop.place.namespace} lacks {entry}: {loss.stop.text}"
    thing = Object("set", f"ipset {name}", f"ipset {name}")
    stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=(loss.stop.text,), advice="")
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _of_ipset(namespace: Namespace) -> Iterator[tuple[IpSet, Statement]]:
    """Each test of a rule that wants the packet in a set of ipset(8) of addresses or networks alone."""
    ruleset = namespace.ruleset
    for table in namespace.tables:
        rules = (rule for chain in table.chains for rule in chain.rules)
        for statement in (statement for rule in rules for statement in rule.statements):
            wanted = statement.kind == "ipset" and statement.op == "=="
            named = ruleset.ipset(statement.target) if wanted and ruleset is not None else None
            if named is not None and named.entries is not None and named.type in ("hash:ip", "hash:net"):
                yield named, statement


def _side(named: IpSet, statement: Statement, flow: Flow) -> str | None:
    """The address of the packet that a rule looks for in a set."""
    if named.version not in (None, flow.version):
        return None
    return flow.src if statement.options.get("match-set") == "src" else flow.dst or None


def _with(loss: Loss, table: Table, named: NamedSet, value: str) -> Iterator[Repair]:
    words = ("add", "element", table.family, table.name, named.name, f"{{ {value} }}")
    name = " ".join(("nft", table.family, table.name, named.name))
    text = f"the set {named.name} of {loss.stop.place.namespace} lacks {value}: {loss.stop.text}"
    fix = fixes.nft((table.name, named.name), *words)
    proof = (loss.stop.text,)
    stop = replace(
        loss.stop, text=text, object=Object("set", name, name), commands=fix, proof=proof, advice=""
    )
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _looked_up(namespace: Namespace) -> Iterator[tuple[Table, NamedSet, Statement]]:
    """Each test of a rule that looks into a set whose elements were read."""
    for table in namespace.tables:
        rules = table.rules if table.engine == "nft" else ()
        for statement in (statement for rule in rules for statement in rule.statements):
            named = _set_of(table, statement)
            if named is not None:
                yield table, named, statement


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

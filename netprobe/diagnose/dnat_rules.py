"""Rules that change the destination, as a loss looks at them: what they publish, how one is written. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from netprobe.model import Blank, Chain, Command, Flow, Link, Namespace, Rule, Snapshot, Statement, Table
from netprobe.model.link import name_of
from netprobe.model.lookup import among, column, find, first, has, indexed, not_among, where
from netprobe.predict import fixes, prefix
from netprobe.rules import naming
from netprobe.rules.naming import rule_decision
from netprobe.rules.ruling import Decision

from .nat_rules import TO, NatRule, nat_chains, networks, rules_of_nat, said

PUBLISHING = ("dnat", "redirect")
ENGINES = ("docker", "podman", "kubernetes")  # who publish ports of what they have started


_PORTS = (*naming.PORT_KEYS, *naming.SOURCE_PORT_KEYS)  # who took one for the other spoke of it as well


def speaks_of(statements: tuple[Statement, ...], port: int | None) -> bool:
    """Whether a rule names a port: by itself, among others or in a range, or to leave it out."""
    compared = filter(None, column(among(statements, key=_PORTS), "right"))
    said = chain.from_iterable((each.text, *column(each.args, "text")) for each in compared)
    return any(port in numbers(text) for text in said)


def numbers(text: str) -> range:
    """The ports that one of a rule or a range of them stands for; none for any other word."""
    low, _, high = text.partition("-")
    return range(int(low), int(high or low) + 1) if low.isdigit() else range(0)


def speaks_of_address(statements: tuple[Statement, ...], address: str) -> bool:
    """Whether a rule names a destination that this address is of."""
    return prefix.within(networks(statements, "ip daddr", "ip6 daddr"), address)


def is_shut_in(namespace: Namespace, flow: Flow) -> bool:
    """Whether the programs on the port to which a packet was led listen on a loopback, or on one interface,
    alone: they are what is wrong, and no rule.
    """
    programs = where(namespace.waiting(flow.protocol.value), port=flow.dport)
    return all(each.interface or prefix.is_loopback(each.address) for each in programs)


def led_by_map(statements: tuple[Statement, ...], flow: Flow) -> bool:
    """Whether a rule takes another destination for this one, on this port, from a map: it translates nothing
    for which that has no element. A port that the map has and the rule does not ask for is meant as well.
    """
    rights = filter(None, column(where(statements, kind="dnat"), "right"))
    maps = where(rights, kind="map")
    keys = (pair.args[0].text for each in maps for pair in where(each.args[1].args, kind="pair"))
    asks = among(statements, key=naming.PORT_KEYS)
    about = not asks or speaks_of(statements, flow.dport) or str(flow.dport) in keys
    return bool(maps) and about and speaks_of_address(statements, flow.dst)


def is_for_all_in(rule: NatRule, namespace: Namespace, flow: Flow, iif: Link | None) -> bool:
    """Whether a rule redirects what comes in by this interface, or by one that is not there, to whatever
    destination: a proxy's.
    """
    statements = rule.statements
    doors = filter(namespace.link_named, said(statements, "iifname", "meta iifname"))
    senders = networks(statements, "ip saddr", "ip6 saddr")
    addressed = networks(statements, "ip daddr", "ip6 daddr")
    meant = {*doors} <= {name_of(iif)} and (not senders or prefix.within(senders, flow.src))
    return meant and not addressed and has(statements, kind="redirect")


def leads_to(namespace: Namespace, flow: Flow, port: int) -> bool:
    """Whether any rule leads to this port of the destination of a flow, or an element of a map of one."""
    version = str(prefix.version(flow.dst))
    return at(flow.dst, str(port)) in indexed(_all_goals, namespace.tables, of=version)


def _all_goals(version: str, tables: tuple[Table, ...]) -> frozenset[str]:
    """Where the rules that may change a destination lead, of all tables: of hundreds of services each rule is
    looked at once.
    """
    chains = chain.from_iterable(nat_chains(tables, hook, int(version)) for hook in ("prerouting", "output"))
    rules = (NatRule(table, each, rule, each.at) for table, each in chains for rule in each.rules)
    return frozenset(chain.from_iterable(map(_goals, rules)))


def _goals(rule: NatRule) -> set[str]:
    """The words of a rule, and where its maps lead: to an address and a port, or to an address alone, on the
    port by which it is found.
    """
    nodes = [*chain.from_iterable(column(rule.statements, "nodes"))]
    named = among(rule.table.sets, name={*column(where(nodes, kind="ref"), "text")})
    pairs = column(where((*nodes, *chain.from_iterable(column(named, "known"))), kind="pair"), "args")
    ends = (data.args or (data, [*key.nodes][-1]) for key, data in pairs)
    return {*rule.rule.text.split(), *(at(each[0].text, each[-1].text) for each in ends)}


def is_for_one(address: str, rule: Rule) -> bool:
    """Whether a rule is for what is sent to one address."""
    return {each.partition("/")[0] for each in networks(rule.statements, *TO)} == {address}


def at(address: str, port: str) -> str:
    """A port of an address, as rules write it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _rules(namespace: Namespace, flow: Flow) -> Iterator[NatRule]:
    """The rules of a namespace that may change the destination of a flow."""
    hooks = (rules_of_nat(namespace, hook, flow.dst) for hook in ("prerouting", "output"))
    return chain.from_iterable(hooks)


def jumps(
    namespace: Namespace, at: tuple[str, str, str], but: str
) -> Iterator[tuple[Decision, tuple[str, ...]]]:
    """The rules of iptables from which a chain (tool, table, chain) is reached, with their words but for the
    interface, where none of the hook `but` leads there.
    """
    tool, name, goal = at
    for table in where(namespace.tables, name=name):
        found = [*_leading_to(table, goal)]
        hooks = {base.hook for base, _ in found}
        if naming.tool(table) == tool and but not in hooks:
            for base, rule in found:
                if base.hook is not None:
                    yield _jump(table, base, rule)


def _leading_to(table: Table, goal: str) -> Iterator[tuple[Chain, Rule]]:
    """The rules that name a chain as their target."""
    return ((base, rule) for base, rule in table.placed if has(rule.statements, target=goal))


def _jump(table: Table, base: Chain, rule: Rule) -> tuple[Decision, tuple[str, ...]]:
    words = _anywhere(fixes.xt_words(base.name, rule.text))
    return rule_decision(table, base, rule, base.at), words


def _anywhere(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a rule without its interfaces, which the other hook does not have."""
    kept = list(words)
    while (at := next((n for n, word in enumerate(kept) if word in ("-i", "-o")), None)) is not None:
        first = at - (at > 0 and kept[at - 1] == "!")
        del kept[first : at + 2]
    return tuple(kept)


def publishing(namespace: Namespace, flow: Flow) -> Iterable[NatRule]:
    """The rules of a namespace that publish the destination port of a flow, each once."""
    rules = (each for each in _rules(namespace, flow) if _publishes(each.statements, flow.dport))
    found = (each for each in rules if not _is_for_another_side(namespace, each, flow))
    return first(found, _identity).values()


def _is_for_another_side(namespace: Namespace, rule: NatRule, flow: Flow) -> bool:
    """Whether a rule is for what comes in by some interfaces, and the destination is another one's own
    address: a program of the namespace itself may be meant there.
    """
    doors = {*said(rule.statements, "iifname", "meta iifname")}
    owner = find(namespace.addresses, address=flow.dst, scope="global")
    own = namespace.link(owner.index) if owner is not None else None
    return own is not None and own.kind != "bridge" and bool(doors) and own.name not in doors


def _identity(rule: NatRule) -> str:
    return rule.decision.object.id


def _publishes(statements: tuple[Statement, ...], port: int | None) -> bool:
    return bool(among(statements, kind=PUBLISHING)) and speaks_of(statements, port)


def published(rule: NatRule, flow: Flow, *, made_here: bool, target: str | None = None) -> fixes.Fix:
    """The rule that publishes a port for this packet as another one does: to the same target, or to that
    one's address in the IP version of the packet; for the tool that made it.
    """
    translation = among(rule.statements, kind=PUBLISHING)[0]
    to, port = (term.text if term is not None else "" for term in (translation.right, translation.port))
    redirected = (("REDIRECT", "--to-ports", port), ("redirect", "to", f":{port}")) if port else None
    led = {"redirect": redirected}.get(translation.kind, _to_station(rule.table, flow, target or to, port))
    if led is None:
        return ()
    tool, (xt, nft) = naming.tool(rule.table), led
    if tool == "nft":
        return _by_nft(rule.table, flow, _CHAINS[made_here].lower(), nft)
    return _by_iptables(tool, flow, _CHAINS[made_here], xt)


def led_to(namespace: Namespace, tool: str, flow: Flow, goal: str | Blank) -> Iterator[fixes.Fix]:
    """The rule that leads what comes for the destination and the port of a flow to a station, by the tool of
    another rule: by nft, in each table that has a chain for it.
    """
    if tool != "nft":
        yield _by_iptables(tool, flow, "PREROUTING", _station(Table(tool, "", ""), flow, goal)[0])
        return
    for table in where(namespace.tables, engine="nft"):
        yield from filter(None, (_by_nft(table, flow, "prerouting", _station(table, flow, goal)[1]),))


_Words = tuple[str | Blank, ...]


def _to_station(table: Table, flow: Flow, to: str, port: str) -> tuple[_Words, _Words] | None:
    """What leads to a station, in the words of iptables and of nft; None without its address."""
    return _station(table, flow, at(to, port) if port else to) if to else None


def _station(table: Table, flow: Flow, goal: str | Blank) -> tuple[_Words, _Words]:
    family = {"inet": ({4: "ip", 6: "ip6"}[flow.version],)}.get(table.family, ())
    return ("DNAT", "--to-destination", goal), ("dnat", *family, "to", goal)


def _by_iptables(tool: str, flow: Flow, chain: str, goal: _Words) -> fixes.Fix:
    tool = fixes.iptables(flow.dst) + ("-legacy" if tool.endswith("-legacy") else "")
    matches = ("-p", str(flow.protocol), "-d", flow.dst, "--dport", str(flow.dport))
    return (Command.of(tool, "-t", "nat", "-A", chain, *matches, "-j", *goal),)


def _by_nft(table: Table, flow: Flow, hook: str, goal: _Words) -> fixes.Fix:
    """At the begin of the chain of the table for this hook; nothing where it has none."""
    family = {4: "ip", 6: "ip6"}[flow.version]
    matches = (family, "daddr", flow.dst, flow.protocol.value, "dport", str(flow.dport))
    bases = where(table.chains, type="nat", hook=hook)
    places = ((table.family, table.name, base.name) for base in bases)
    return next((fixes.nft(each[1:], "insert", "rule", *each, *matches, *goal) for each in places), ())


_CHAINS = {True: "OUTPUT", False: "PREROUTING"}  # of a packet that is made here, or comes in


def listeners(snapshot: Snapshot, flow: Flow, but: str) -> Iterator[tuple[str, str]]:
    """(namespace, address) of those that listen on the port of a dead target."""
    for namespace in not_among(snapshot.namespaces.values(), name=(but,)):
        if has(namespace.waiting(flow.protocol.value), port=flow.dport):
            own = where(namespace.addresses, scope="global", version=flow.version)
            for each in own:
                yield namespace.name, each.address

"""Rules of address translation, as a loss looks at them: which there are, whom they are for, how one is
written. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from netprobe.model import (
    Chain,
    Command,
    Flow,
    Hop,
    Link,
    Namespace,
    Object,
    Rule,
    Statement,
    Table,
    Term,
)
from netprobe.predict import fixes, prefix
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed
from netprobe.rules import naming
from netprobe.rules.naming import rule_decision
from netprobe.rules.ruling import Decision

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7")
# to other containers, or to other hosts of a cluster
_INSIDE = ("bridge", "vxlan", "geneve", "tun", "wireguard", "gre", "ipip", "sit")
_EXEMPTIONS = 8  # rules that are tried
_IS = ("", "==", "in")
_SOURCE = ("snat", "masquerade")


def is_private(address: str) -> bool:
    """Whether an address means nothing to the rest of the world (RFC 1918, 6598, 3927, 4193)."""
    return any(prefix.contains(p, address) for p in PRIVATE)


def expects_translation(router: Routed, out: Link | None, prediction: Prediction) -> bool:
    """Whether a private source should not leave as it is: towards the world, or out of a host whose own
    bridge it comes from.
    """
    hops = prediction.request.hops
    target = hops[-1].flow.dst if hops else prediction.probe.destination.address or ""
    if not is_private(target):
        return True
    bridged = router.iif is not None and router.iif.kind == "bridge"
    return bridged and out is not None and out.kind not in _INSIDE


def translates(namespace: Namespace, version: int, out: Link | None = None) -> bool:
    """Whether any rule of a namespace gives packets of this IP version another source; one that is only for
    other interfaces of its than `out` does not count.
    """
    rules = rules_of_nat(namespace, "postrouting", {4: "0.0.0.0", 6: "::"}[version])
    translating = (each.statements for each in rules if _gives_source(each))
    return any(out is None or _is_for(_ways_out(namespace, each), out) for each in translating)


def _gives_source(rule: NatRule) -> bool:
    return any(statement.kind in _SOURCE for statement in rule.statements)


def _ways_out(namespace: Namespace, statements: tuple[Statement, ...]) -> list[str]:
    """The interfaces of a namespace for which a rule is; none: for all."""
    names = said(statements, "oifname", "meta oifname")
    return [device for device in names if namespace.link_named(device) is not None]


def _is_for(devices: list[str], out: Link) -> bool:
    return not devices or out.name in devices


def changed(hops: tuple[Hop, ...], namespace: str, *fields: str) -> Hop | None:
    """The last hop in a namespace at which one of these header fields was rewritten."""
    here = (hop for hop in reversed(hops) if hop.namespace == namespace)
    return next((hop for hop in here if hop.change_of(*fields) is not None), None)


def source_rules(
    namespace: Namespace, out: Link | None, source: str, target: str, expected: bool
) -> Iterator[Decision]:
    """The source NAT rules of a namespace that do not speak of another of its interfaces, or of its networks.

    Where translation is expected, one that names the network of `source` itself is meant for it, whatever the
    interface.
    """
    for each in rules_of_nat(namespace, "postrouting", source):
        if not _gives_source(each):
            continue
        statements = each.statements
        known = _ways_out(namespace, statements)
        networks = [each for each in said(statements, "ip saddr", "ip6 saddr") if is_prefix(each)]
        meant = (
            not known
            or (out is not None and out.name in known)
            or (expected and any(prefix.contains(n, source) for n in networks))
        )
        others = any(
            not prefix.contains(network, source) and _has(namespace, network) for network in networks
        )
        if meant and not others and not _for_neighbours(namespace, statements, target):
            yield each.decision


def exempting(
    namespace: Namespace, source: str, target: str, hook: str = "postrouting"
) -> Iterator[Decision]:
    """The rules for translation that end the search for some packets, if not plainly for others only: the
    first few.
    """
    found = 0
    for each in rules_of_nat(namespace, hook, source):
        statements = each.statements
        if not any(s.kind in ("accept", "return") for s in statements):
            continue
        others = _is_for_others(statements, ("ip saddr", "ip6 saddr"), source)
        others = others or _is_for_others(statements, ("ip daddr", "ip6 daddr"), target)
        if not others and found < _EXEMPTIONS:
            found += 1
            yield each.decision


def _is_for_others(statements: tuple[Statement, ...], keys: tuple[str, ...], address: str) -> bool:
    networks = [each for each in said(statements, *keys) if is_prefix(each)]
    return bool(networks) and not any(prefix.contains(network, address) for network in networks)


def _has(namespace: Namespace, network: str) -> bool:
    return any(prefix.contains(network, a.address) for a in namespace.addresses)


def _for_neighbours(namespace: Namespace, statements: tuple[Statement, ...], target: str) -> bool:
    """Whether a rule is for packets to the host's own containers, which `target` is none of: the hairpin rule
    of a published port.
    """
    own = [prefix.network(a.address, a.prefixlen) for a in namespace.addresses]
    goals = [network for network in said(statements, "ip daddr", "ip6 daddr") if is_prefix(network)]
    return any(
        not prefix.contains(to, target) and any(prefix.contains(n, to.partition("/")[0]) for n in own)
        for to in goals
    )


def said(statements: tuple[Statement, ...], *keys: str) -> list[str]:
    """What the statements of a rule compare some keys with."""
    return [
        s.right.text
        for s in statements
        if s.left is not None and s.left.text in keys and s.right is not None and s.op in _IS
    ]


def is_prefix(text: str) -> bool:
    """Whether a text is an address or a network."""
    try:
        prefix.contains(text, text.partition("/")[0])
    except ValueError:
        return False
    return True


class NatRule(NamedTuple):
    """A rule of a nat chain at a hook, or of one that is jumped to; what is said of it is made when it is
    asked for: a host of many services has thousands.
    """

    table: Table
    chain: Chain
    rule: Rule
    hook: str

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The steps of the rule."""
        return self.rule.statements

    @property
    def decision(self) -> Decision:
        """The rule as a decision names it."""
        return rule_decision(self.table, self.chain, self.rule, self.hook)


def rules_of_nat(namespace: Namespace, hook: str, address: str) -> Iterator[NatRule]:
    """All rules of the tables that have a nat chain at `hook` for this kind of address, chains that are
    jumped to included.
    """
    families = {4: ("ip", "inet"), 6: ("ip6", "inet")}[prefix.version(address)]
    for table in namespace.tables:
        translated = ("nat", hook) in [(chain.type, chain.hook) for chain in table.chains]
        if table.family not in families or not translated:
            continue
        others = {chain.name for chain in table.chains if chain.hook not in (None, hook)}
        for chain in (each for each in table.chains if each.name not in others):
            yield from (NatRule(table, chain, rule, hook) for rule in chain.rules)


def found(namespace: Namespace, thing: Object) -> Rule | None:
    """The rule that an object names."""
    match thing.words or ():
        case ("nft", family, table, chain, "handle", handle):
            of = [each for each in namespace.tables if each.key == ("nft", family, table)]
            return next((rule for rule in _rules_of(of, chain) if rule.handle == int(handle)), None)
        case (tool, table, chain, number) if number.isdigit():
            of = [each for each in namespace.tables if (naming.tool(each), each.name) == (tool, table)]
            return next((rule for rule in _rules_of(of, chain) if rule.number == int(number)), None)
    return None


def _rules_of(tables: Iterable[Table], name: str) -> Iterator[Rule]:
    """The rules of the chains of this name."""
    return (rule for table in tables for chain in table.chains if chain.name == name for rule in chain.rules)


def retargeted(namespace: Namespace, thing: Object, rule: Rule, old: str, new: str) -> fixes.Fix:
    """The rule with another target in its place, or its map with another element; nothing where its tool
    cannot replace one.
    """
    if (thing.words or ("",))[0] == "nft":
        return _retargeted_by_nft(namespace, thing.words or (), rule, old, new)
    tool, table, chain, *number = thing.words or ("", "", "")
    words = fixes.xt_words(chain, rule.text)
    changed = tuple(
        swapped(word, old, new) if before == "--to-destination" else word
        for before, word in pairwise(("", *words))
    )
    if not tool.startswith(("iptables", "ip6tables")) or not number or changed == words:
        return ()
    return (Command.of(tool, "-t", table, "-R", chain, number[0], *changed),)


def _retargeted_by_nft(
    namespace: Namespace, words: tuple[str, ...], rule: Rule, old: str, new: str
) -> fixes.Fix:
    family, table, chain = words[1:4]
    text = swapped(rule.text, old, new)
    if text != rule.text:
        return fixes.nft((table, chain), "replace", "rule", family, table, chain, "handle", words[5], text)
    name = next((_map_of(s) for s in rule.statements if s.kind == "dnat"), None)
    if name is None:
        return ()
    known = namespace.ruleset.table("nft", family, table) if namespace.ruleset is not None else None
    held = known.set(name) if known is not None else None
    if held is None:
        return ()
    for pair in held.elements or ():
        key, data = (written(term) for term in pair.args) if len(pair.args) == 2 else ("", "")
        changed = swapped(data, old, new)
        if changed != data:
            gone = fixes.nft((table, name), "delete", "element", family, table, name, f"{{ {key} }}")
            made = fixes.nft((table, name), "add", "element", family, table, name, f"{{ {key} : {changed} }}")
            return (*gone, *made)
    return ()


def swapped(text: str, old: str, new: str) -> str:
    """A text with one address in the place of another, where that stands for itself."""
    return re.sub(rf"(?<![\w.:]){re.escape(old)}(?![\w.]|:[0-9a-f]*:)", new, text)


def _map_of(statement: Statement) -> str | None:
    """The named map that says where a translation leads."""
    right = statement.right
    last = right.args[-1] if right is not None and right.kind == "map" else None
    return last.text if last is not None and last.kind == "ref" else None


def written(term: Term) -> str:
    """A key or a datum of a map, as nft writes it."""
    return " . ".join(map(written, term.args)) if term.kind == "concat" else term.text


def masquerading(namespace: Namespace, source: str, network: str | None, out: Link, first: bool) -> fixes.Fix:
    """The rule that translates `network`, to which `source` belongs, where it leaves by `out`, in the words
    of the tool in use there.

    `network` None: all that leaves. `first`: before all other rules.
    """
    chain = _nft_chain(namespace, source)
    if chain is None:
        return fixes.masquerade(source, network, out, "-I" if first else "-A")
    return (Command.of("nft", "insert" if first else "add", *_nft_match(*chain, network, out), "masquerade"),)


def masquerading_what_goes_to(namespace: Namespace, target: Flow, out: Link) -> fixes.Fix:
    """The rule that translates the source of what goes on to a target, in the words of the tool in use
    there.
    """
    chain = _nft_chain(namespace, target.dst)
    family = "ip6" if target.version == 6 else "ip"
    if chain is not None:
        table, base = chain
        where = ("rule", table.family, table.name, base.name, family, "daddr", target.dst)
        port = [str(target.protocol), "dport", str(target.dport)] if target.dport is not None else []
        return (Command.of("nft", "add", *where, *port, "oifname", out.name, "masquerade"),)
    ports = ["-p", str(target.protocol), "--dport", str(target.dport)] if target.dport is not None else []
    matches = ("-t", "nat", "-A", "POSTROUTING", "-d", target.dst)
    return (Command.of(fixes.iptables(target.dst), *matches, *ports, "-j", "MASQUERADE"),)


def translating(namespace: Namespace, network: str, out: Link, address: str) -> fixes.Fix:
    """The rule, before all others, that gives `network` the source `address` where it leaves by `out`."""
    chain = _nft_chain(namespace, network)
    if chain is not None:
        return (Command.of("nft", "insert", *_nft_match(*chain, network, out), "snat", "to", address),)
    matches = ("-s", network, "-o", out.name)
    goal = ("-j", "SNAT", "--to-source", address)
    return (Command.of(fixes.iptables(network), "-t", "nat", "-I", "POSTROUTING", *matches, *goal),)


def _nft_chain(namespace: Namespace, source: str) -> tuple[Table, Chain] | None:
    """The chain for source translation in a ruleset that nft made."""
    family = "ip6" if ":" in source else "ip"
    for table in namespace.tables:
        chain = next((c for c in table.chains if (c.type, c.hook) == ("nat", "postrouting")), None)
        fits = table.engine == "nft" and table.family in (family, "inet") and not table.dormant
        if fits and chain is not None:
            return table, chain
    return None


def _nft_match(table: Table, chain: Chain, network: str | None, out: Link) -> tuple[str, ...]:
    family = "ip6" if network is not None and ":" in network else "ip"
    source = (family, "saddr", network) if network is not None else ()
    return ("rule", table.family, table.name, chain.name, *source, "oifname", out.name)

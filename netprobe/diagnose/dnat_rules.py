"""Rules that change the destination, as a loss looks at them: what they publish, how one is written. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model import Command, Flow, Namespace, Snapshot, Statement
from netprobe.predict import fixes, prefix
from netprobe.rules import naming
from netprobe.rules.naming import rule_decision
from netprobe.rules.ruling import Decision

from .nat_rules import is_prefix, rules_of_nat, said

PUBLISHING = ("dnat", "redirect")
ENGINES = ("docker", "podman", "kubernetes")  # who publish ports of what they have started
_XTABLES = ("iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy")


def _speaks_of(statements: tuple[Statement, ...], port: int) -> bool:
    keys = ("tcp dport", "udp dport", "th dport")
    return any(
        s.left is not None and s.left.text in keys and s.right is not None and s.right.text == str(port)
        for s in statements
    )


def speaks_of_address(statements: tuple[Statement, ...], address: str) -> bool:
    """Whether a rule names a destination that this address is of."""
    networks = [each for each in said(statements, "ip daddr", "ip6 daddr") if is_prefix(each)]
    return any(prefix.contains(network, address) for network in networks)


def leads_to(namespace: Namespace, flow: Flow, port: int) -> bool:
    """Whether any rule leads to this port of the destination of a flow."""
    target = f"[{flow.dst}]:{port}" if flow.version == 6 else f"{flow.dst}:{port}"
    hooks = (rules_of_nat(namespace, hook, flow.dst) for hook in ("prerouting", "output"))
    return any(target in each.rule.text.split() for rules in hooks for each in rules)


def jumps(
    namespace: Namespace, where: tuple[str, str, str], but: str
) -> Iterator[tuple[Decision, tuple[str, ...]]]:
    """The rules of iptables from which a chain (tool, table, chain) is reached, with their words but for the
    interface, where none of the hook `but` leads there.
    """
    tool, name, chain = where
    for table in namespace.tables:
        if (naming.tool(table), table.name) != (tool, name):
            continue
        rules = ((base, rule) for base in table.chains for rule in base.rules)
        found = [(base, rule) for base, rule in rules if chain in {each.target for each in rule.statements}]
        hooks = {base.hook for base, _ in found}
        for base, rule in found if but not in hooks else ():
            if base.hook is not None:
                words = _anywhere(fixes.xt_words(base.name, rule.text))
                yield rule_decision(table, base, rule, base.hook), words


def _anywhere(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a rule without its interfaces, which the other hook does not have."""
    kept = list(words)
    while (at := next((n for n, word in enumerate(kept) if word in ("-i", "-o")), None)) is not None:
        first = at - (at > 0 and kept[at - 1] == "!")
        del kept[first : at + 2]
    return tuple(kept)


def publishing(namespace: Namespace, flow: Flow) -> Iterator[tuple[Decision, tuple[Statement, ...]]]:
    """The rules of a namespace that publish the destination port of a flow, each once."""
    seen: set[str] = set()
    for hook in ("prerouting", "output"):
        for each in rules_of_nat(namespace, hook, flow.dst):
            published = any(s.kind in PUBLISHING for s in each.statements) and _speaks_of(
                each.statements, flow.dport or 0
            )
            if published and (decision := each.decision).object.id not in seen:
                seen.add(decision.object.id)
                yield decision, each.statements


def published(
    decision: Decision,
    statements: tuple[Statement, ...],
    flow: Flow,
    *,
    made_here: bool,
    target: str | None = None,
) -> fixes.Fix:
    """The rule that publishes a port for this packet as another one does: to the same target, or to that
    one's address in the IP version of the packet.
    """
    translation = next(s for s in statements if s.kind in PUBLISHING)
    tool = (decision.object.words or ("",))[0]
    if tool not in _XTABLES or translation.right is None:
        return ()
    tool = fixes.iptables(flow.dst) + ("-legacy" if tool.endswith("-legacy") else "")
    to = target or translation.right.text
    port = f":{translation.port.text}" if translation.port is not None else ""
    to = f"[{to}]" if ":" in to and port else to
    chain = "OUTPUT" if made_here else "PREROUTING"
    matches = ("-p", str(flow.protocol), "-d", flow.dst, "--dport", str(flow.dport))
    goal = ("-j", "DNAT", "--to-destination", f"{to}{port}")
    return (Command.of(tool, "-t", "nat", "-A", chain, *matches, *goal),)


def listeners(snapshot: Snapshot, flow: Flow, but: str) -> Iterator[tuple[str, str]]:
    """(namespace, address) of those that listen on the port of a dead target."""
    for name, namespace in snapshot.namespaces.items():
        heard = [each.port for each in namespace.waiting(flow.protocol.value)]
        hears = name != but and flow.dport in heard
        for own in namespace.addresses if hears else ():
            if (own.scope, own.version) == ("global", flow.version):
                yield name, own.address

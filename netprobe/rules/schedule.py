"""Which base chains a packet passes at a hook, and in which order: all engines together, by priority."""

from __future__ import annotations

from msgspec import Struct

from netprobe.model import Chain, Ruleset, Table

# Source: include/uapi/linux/netfilter_ipv4.h (enum nf_ip_hook_priorities).
DEFRAG, CONNTRACK, NAT_DESTINATION, NAT_SOURCE = -400, -200, -100, 100
_NAT = {
    "prerouting": NAT_DESTINATION,
    "output": NAT_DESTINATION,
    "postrouting": NAT_SOURCE,
    "input": NAT_SOURCE,
}


class Step(Struct, frozen=True):
    """One thing at a hook: a base chain ("chain", "nat-chain"), or what the kernel itself does there.

    "defrag", "conntrack", "nat" (what the connection remembers), "nat-end" (no rule translates: so it stays).
    """

    priority: int
    kind: str
    table: Table | None = None
    chain: Chain | None = None


def steps(ruleset: Ruleset, family: str, hook: str, device: str | None = None) -> list[Step]:
    """The steps at a hook in order.

    `family`: ip, ip6, bridge, arp or netdev (then `device` is whose ingress or egress).

    A nat chain runs at the NAT hook's own priority, whatever its own is; its own orders it among the nat
    chains (net/netfilter/nf_nat_core.c, nf_nat_register_fn). Of equal priorities the one registered last runs
    first (net/netfilter/core.c, nf_hook_entries_grow); between the old engine and nf_tables that cannot be
    seen, and nf_tables comes first.
    """
    last_first = base_chains(ruleset, family, hook, device)[::-1]
    ordered = sorted(last_first, key=lambda each: (each[1].priority, each[0].engine.endswith("-legacy")))
    translated = family in ("ip", "ip6")
    plain = [
        Step(chain.priority, "chain", table, chain)
        for table, chain in ordered
        if not (translated and chain.type == "nat")
    ]
    if not translated:
        return plain
    nat = [Step(_NAT[hook], "nat-chain", table, chain) for table, chain in ordered if chain.type == "nat"]
    if hook in _NAT and translates(ruleset, family):
        nat = [Step(_NAT[hook], "nat"), *nat, Step(_NAT[hook], "nat-end")]
    own = [Step(CONNTRACK, "conntrack")] if hook in ("prerouting", "output") else []
    if own and tracks(ruleset, family):
        own.insert(0, Step(DEFRAG, "defrag"))
    return sorted([*own, *nat, *plain], key=lambda step: step.priority)


def base_chains(
    ruleset: Ruleset, family: str, hook: str, device: str | None = None
) -> list[tuple[Table, Chain]]:
    """The base chains of a hook, in the order of their tables. inet chains see ip and ip6; its ingress is
    netdev's.
    """
    return [
        (table, chain)
        for table in ruleset.tables
        if _concerns(table, family)
        for chain in table.chains
        if chain.hook == hook and (family != "netdev" or device in chain.devices)
    ]


def _concerns(table: Table, family: str) -> bool:
    """Whether a table sees packets of a family; a dormant one sees none (net/netfilter/nf_tables_api.c)."""
    return not table.dormant and _is_of(table, family)


def _is_of(table: Table, family: str) -> bool:
    return table.family == family or (table.family == "inet" and family in ("ip", "ip6", "netdev"))


def translates(ruleset: Ruleset, family: str) -> bool:
    """Whether the NAT hooks are in place: one nat chain at any hook registers them all."""
    return any(
        chain.type == "nat" and chain.hook
        for table in ruleset.tables
        if _concerns(table, family)
        for chain in table.chains
    )


def tracks(ruleset: Ruleset, family: str) -> bool:
    """Whether connection tracking is on for this family: a nat chain or a rule that looks at conntrack turns
    it on.
    """
    return translates(ruleset, family) or any(
        _looks(table) for table in ruleset.tables if _is_of(table, family)
    )


def _looks(table: Table) -> bool:
    return any(
        statement.kind in ("connlimit", "notrack")
        or (statement.left is not None and _reads_ct(statement.left.text, statement.left.args))
        for chain in table.chains
        for rule in chain.rules
        for statement in rule.statements
    )


def _reads_ct(text: str, args: object) -> bool:
    if text.startswith(("ct ", "xt ctstate")):
        return True
    return any(_reads_ct(each.text, each.args) for each in args)  # type: ignore[attr-defined]

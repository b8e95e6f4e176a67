"""Which base chains a packet passes at a hook, and in which order: all engines together, by priority."""

from __future__ import annotations

from itertools import chain as joined

from msgspec import Struct

from netprobe.model import Chain, Ruleset, Statement, Table, Term
from netprobe.model.lookup import column, where

# Source: include/uapi/linux/netfilter_ipv4.h (enum nf_ip_hook_priorities).
DEFRAG, CONNTRACK, NAT_DESTINATION, NAT_SOURCE = -400, -200, -100, 100
_NAT = {
    "prerouting": NAT_DESTINATION,
    "output": NAT_DESTINATION,
    "postrouting": NAT_SOURCE,
    "input": NAT_SOURCE,
}


# Which come first of those with one priority.
_AMONG_EQUALS = {"defrag": 0, "conntrack": 0, "nat": 1, "nat-chain": 2, "nat-end": 3, "chain": 4}


class Step(Struct, frozen=True, gc=False):
    """One thing at a hook: a base chain ("chain", "nat-chain"), or what the kernel itself does there.

    "defrag", "conntrack", "nat" (what the connection remembers), "nat-end" (no rule translates: so it stays).
    """

    priority: int
    kind: str
    table: Table | None = None
    chain: Chain | None = None

    @property
    def reroutes(self) -> bool:
        """Whether a packet that is sent is routed anew where this chain gives it another address or mark.

        Chains of type route do so, and iptables' table mangle; one of type filter does not, and the packet
        keeps the way it had (net/netfilter/nft_chain_route.c, net/ipv4/netfilter/iptable_mangle.c).
        """
        if self.chain is None or self.table is None or self.chain.hook != "output":
            return False
        mangled = self.table.name == "mangle" and self.table.engine.startswith("ip")
        return self.chain.type == "route" or mangled


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
    chains = [_step(hook, translated, table, chain) for table, chain in ordered]
    if not translated:
        return chains
    if hook in _NAT and translates(ruleset, family):
        chains = [Step(_NAT[hook], "nat"), *chains, Step(_NAT[hook], "nat-end")]
    own = [Step(CONNTRACK, "conntrack")] if hook in ("prerouting", "output") else []
    if own and tracks(ruleset, family):
        own.insert(0, Step(DEFRAG, "defrag"))
    return sorted([*own, *chains], key=lambda step: (step.priority, _AMONG_EQUALS[step.kind]))


def _step(hook: str, translated: bool, table: Table, chain: Chain) -> Step:
    if translated and chain.type == "nat":
        return Step(_NAT[hook], "nat-chain", table, chain)
    return Step(chain.priority, "chain", table, chain)


def base_chains(
    ruleset: Ruleset, family: str, hook: str, device: str | None = None
) -> list[tuple[Table, Chain]]:
    """The base chains of a hook, in the order of their tables. inet chains see ip and ip6; its ingress is
    netdev's.
    """
    return [
        (table, chain)
        for table in _concerned(ruleset, family)
        for chain in table.chains
        if chain.hook == hook and (family != "netdev" or device in chain.devices)
    ]


def _concerned(ruleset: Ruleset, family: str) -> list[Table]:
    return [table for table in ruleset.tables if _concerns(table, family)]


def _concerns(table: Table, family: str) -> bool:
    """Whether a table sees packets of a family; a dormant one sees none (net/netfilter/nf_tables_api.c)."""
    return not table.dormant and _is_of(table, family)


def _is_of(table: Table, family: str) -> bool:
    return table.family == family or (table.family == "inet" and family in ("ip", "ip6", "netdev"))


def translates(ruleset: Ruleset, family: str) -> bool:
    """Whether the NAT hooks are in place: one nat chain at any hook registers them all."""
    chains = joined.from_iterable(table.chains for table in _concerned(ruleset, family))
    return any(column(where(chains, type="nat"), "hook"))


def tracks(ruleset: Ruleset, family: str) -> bool:
    """Whether connection tracking is on for this family: a nat chain or a rule that looks at conntrack turns
    it on, which a table too large to be read whole has.
    """
    return translates(ruleset, family) or any(
        _looks(table) for table in ruleset.tables if _is_of(table, family)
    )


def _looks(table: Table) -> bool:
    statements = joined.from_iterable(rule.statements for rule in table.rules)
    return table.partial or any(map(_needs_tracking, statements))


def _needs_tracking(statement: Statement) -> bool:
    if statement.kind in ("connlimit", "notrack"):
        return True
    return statement.left is not None and _reads_ct(statement.left)


def _reads_ct(term: Term) -> bool:
    return term.text.startswith(("ct ", "xt ctstate")) or any(map(_reads_ct, term.args))

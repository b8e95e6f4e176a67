"""Which tool made a table of nf_tables: iptables, ebtables and arptables keep theirs there too, and print
them better.
"""

from __future__ import annotations

from collections import defaultdict

from msgspec import structs
from msgspec.structs import replace

from netprobe.model import Chain, Rule, Statement, Table
from netprobe.rules.read.iptables_save import TABLES
from netprobe.rules.read.nft_json import KernelChain

from .kernel import Inventory

Key = tuple[str, str]

STANDARD: dict[str, dict[str, tuple[str, ...]]] = {
    "ip": TABLES,
    "ip6": TABLES,
    "bridge": {
        "filter": ("INPUT", "FORWARD", "OUTPUT"),
        "nat": ("PREROUTING", "OUTPUT", "POSTROUTING"),
        "broute": ("BROUTING",),
    },
    "arp": {"filter": ("INPUT", "OUTPUT", "FORWARD")},
}


def managed(found: Inventory) -> frozenset[Key]:
    """The tables that an xtables tool made: standard name, only standard base chains, a counter in every rule
    as these tools set it.
    """
    chains: defaultdict[Key, list[KernelChain]] = defaultdict(list)
    foreign: set[Key] = set()
    for chain in found.chains:
        chains[chain.family, chain.table].append(chain)
    for rule in found.rules:
        if not rule.xtables:
            foreign.add((rule.family, rule.table))
    foreign.update((each.family, each.table) for each in found.sets)
    return frozenset(key for key in found.tables if key not in foreign and _standard(key, chains[key]))


def _standard(key: Key, chains: list[KernelChain]) -> bool:
    family, name = key
    names = STANDARD.get(family, {}).get(name)
    based = [chain for chain in chains if chain.hook is not None]
    return (
        names is not None
        and bool(chains)
        and all(chain.name in names and chain.name.lower() in (chain.hook, "brouting") for chain in based)
    )


def piecemeal(found: Inventory) -> frozenset[Key]:
    """The large tables that are read chain by chain: of IP, whoever made them."""
    return frozenset(key for key in found.large if key[0] in ("ip", "ip6", "inet"))


def settled(table: Table, found: Inventory) -> Table | None:
    """The printed table with the kernel's hooks, priorities and handles; None when the two do not fit
    together.
    """
    kernel = {
        chain.name: chain
        for chain in found.chains
        if (chain.family, chain.table) == (table.family, table.name)
    }
    handles: defaultdict[str, list[int]] = defaultdict(list)
    for rule in found.rules:
        if (rule.family, rule.table) == (table.family, table.name):
            handles[rule.chain].append(rule.handle)
    printed = {
        chain.name: _with_policy(chain, kernel[chain.name], len(handles[chain.name]))
        for chain in table.chains
        if chain.name in kernel
    }
    if set(printed) != set(kernel) or any(
        len(chain.rules) != len(handles[name]) for name, chain in printed.items()
    ):
        return None
    return replace(
        table, chains=tuple(_based(chain, kernel[name], handles[name]) for name, chain in printed.items())
    )


def _with_policy(chain: Chain, kernel: KernelChain, count: int) -> Chain:
    """A chain of one's own of ebtables, whose policy the kernel has as a last rule (iptables/nft.c,
    nft_cmd_chain_user_add) that ebtables prints with the chain's name.
    """
    last = len(chain.rules) + 1
    if kernel.family != "bridge" or kernel.hook is not None or count != last:
        return chain
    text = f"-P {chain.name} {chain.policy.upper()}"
    return replace(chain, rules=(*chain.rules, Rule(last, text, (Statement(chain.policy),))))


def _based(chain: Chain, kernel: KernelChain, handles: list[int]) -> Chain:
    rules = tuple(
        structs.replace(rule, handle=handle) for rule, handle in zip(chain.rules, handles, strict=True)
    )
    return replace(
        chain,
        rules=rules,
        hook=kernel.hook,
        priority=kernel.priority,
        policy=kernel.policy,
        type=kernel.type,
        handle=kernel.handle,
    )

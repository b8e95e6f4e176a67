"""Single chains of tables that are too large to be read whole, as a walk comes to them.

A host of 10,000 services has 40,000 rules, of which a packet passes ten. `iptables -S CHAIN` reads one chain
(2 ms) where `iptables-save` reads all (2 s). Source: iptables(8), iptables/nft-cache.c (flush of one chain).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from netprobe.linux import netns
from netprobe.model import Chain, ChainQuery, Table
from netprobe.rules.read.iptables_save import read_chain as read_printed
from netprobe.rules.read.nft_json import KernelChain

from .kernel import Inventory, KernelRule, Nfnetlink
from .owner import Key
from .tools import Printed, run

PROGRAMS = {"ip": "iptables", "ip6": "ip6tables"}
GONE = "it is not there any more"
FOREIGN = "its rules are not written by iptables"


def read_chain(fd: int, query: ChainQuery) -> Chain:
    """The chain of the open namespace `fd`; where its rules cannot be had, `unread` says why.

    Raises NotPermitted or CannotLook when the namespace cannot be entered.
    """
    command = _command(query)
    printed = run(fd, {query.chain: command})[query.chain]
    if query.engine == "iptables-legacy":
        return _chain(query, printed)
    with netns.inside(fd):
        try:
            with Nfnetlink() as netlink:
                rules = netlink.rules(query.family, query.table, query.chain)
        except OSError as error:
            why = GONE if isinstance(error, FileNotFoundError) else error.strerror or str(error)
            return Chain(query.chain, unread=why)
    return _fitting(_chain(query, printed), rules)


def base_commands(found: Inventory, key: Key) -> dict[str, tuple[str, ...]]:
    """The command lines for the base chains of a large table of xtables, by name."""
    family, table = key
    return {_label(key, each.name): _command(ChainQuery("iptables", family, table, each.name))
            for each in _base(found, key)}  # fmt: skip


def partial(found: Inventory, key: Key, printed: dict[str, Printed]) -> Table:
    """A large table of xtables with its base chains."""
    family, name = key
    chains = []
    for each in _base(found, key):
        chain = _chain(ChainQuery("iptables", family, name, each.name), printed[_label(key, each.name)])
        rules = [rule for rule in found.rules if (rule.family, rule.table, rule.chain) == (*key, each.name)]
        chains.append(
            replace(
                _fitting(chain, rules),
                hook=each.hook,
                priority=each.priority,
                policy=each.policy,
                type=each.type,
                handle=each.handle,
            )
        )
    return Table("iptables", family, name, tuple(chains), partial=True)


def _base(found: Inventory, key: Key) -> Iterable[KernelChain]:
    return (each for each in found.chains if (each.family, each.table) == key)


def _label(key: Key, chain: str) -> str:
    return " ".join((*key, chain))


def _command(query: ChainQuery) -> tuple[str, ...]:
    kind = "legacy" if query.engine == "iptables-legacy" else "nft"
    return (f"{PROGRAMS[query.family]}-{kind}", "-t", query.table, "-S", query.chain)


def _chain(query: ChainQuery, printed: Printed) -> Chain:
    if printed.error:
        return Chain(query.chain, unread=printed.error)
    return read_printed(printed.output.decode("utf-8", "surrogateescape"), query.chain, query.family)


def _fitting(chain: Chain, rules: list[KernelRule]) -> Chain:
    """The chain with the kernel's handles, if what was printed is what the kernel has."""
    if chain.unread:
        return chain
    if len(rules) != len(chain.rules) or not all(rule.counted or rule.compat for rule in rules):
        return Chain(chain.name, unread=FOREIGN)
    handled = (replace(rule, handle=kernel.handle) for rule, kernel in zip(chain.rules, rules, strict=True))
    return replace(chain, rules=tuple(handled))

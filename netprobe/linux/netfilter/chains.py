"""Single chains of tables that are too large to be read whole, as a walk comes to them.

A host of 10,000 services has 40,000 rules, of which a packet passes ten. `iptables -S CHAIN` reads one;
chains of nft are decoded here, and nft is asked for those that are not understood. Source: iptables(8),
nft(8), nftables src/cache.c, iptables/nft-cache.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from netprobe.kernel.elsewhere import Place
from netprobe.linux import netns
from netprobe.model import Chain, ChainQuery, Rule, Table
from netprobe.rules.read.iptables_save import read_chain as read_printed
from netprobe.rules.read.nft_json import NOT_UNDERSTOOD, KernelChain, listed, of_table
from netprobe.rules.read.nft_statement import statements

from . import remembered
from .anonymous import looked_into
from .decode import DecodedRule, decoded
from .kernel import Inventory, KernelRule, Nfnetlink, rules_of
from .nft_text import written
from .owner import Key, managed
from .tools import Printed, Tools, run
from .values import Undecoded

PROGRAMS = {"ip": "iptables", "ip6": "ip6tables"}
GONE = "it is not there any more"
FOREIGN = "its rules are not written by iptables"


def read_chain(fd: Place, query: ChainQuery) -> Chain:
    """The chain of the open namespace `fd`; where its rules cannot be had, `unread` says why.

    Raises NotPermitted or CannotLook when the namespace cannot be entered.
    """
    if query.engine == "iptables-legacy":
        return _read_chain(fd, query)
    with netns.inside(fd):
        generation = remembered.generation()
    found = remembered.chain(generation, query) or _read_chain(fd, query)
    remembered.keep_chain(generation, query, found)
    return found


def _read_chain(fd: Place, query: ChainQuery) -> Chain:
    if query.engine == "nft":
        return _of_nft(fd, query)
    with Tools(fd) as tools:
        tools.start({query.chain: _command(query)})
        # the tool is at work meanwhile: of ten thousand rules the two take nearly the same time
        rules = _of_kernel(fd, query) if query.engine == "iptables" else None
        chain = _chain(query, tools.printed()[query.chain])
    if isinstance(rules, OSError):
        return Chain(query.chain, unread=_why(rules))
    return chain if rules is None else _fitting(chain, rules)


def _of_kernel(fd: Place, query: ChainQuery) -> Sequence[KernelRule] | OSError:
    """The rules of a chain as the kernel lists them, or why it does not."""
    try:
        with netns.inside(fd), Nfnetlink() as netlink:
            return [*rules_of(netlink.rules(query.family, query.table, query.chain))]
    except OSError as error:
        return error


def base_commands(found: Inventory, key: Key) -> dict[str, tuple[str, ...]]:
    """The command lines for the base chains of a large table of xtables, by name."""
    family, table = key
    lines = (ChainQuery("iptables", family, table, each.name) for each in _base(found, key))
    return {_label(key, each.chain): _command(each) for each in lines} if key in managed(found) else {}


def partial(fd: Place, found: Inventory, key: Key, printed: Mapping[str, Printed]) -> Table:
    """A large table with its base chains, and with no sets."""
    engine = "iptables" if key in managed(found) else "nft"
    chains = []
    for each in _base(found, key):
        if engine == "nft":
            chain = _of_nft(fd, ChainQuery(engine, *key, each.name))
        else:
            chain = _chain(ChainQuery(engine, *key, each.name), printed[_label(key, each.name)])
            rules = [
                rule for rule in found.rules if (rule.family, rule.table, rule.chain) == (*key, each.name)
            ]
            chain = _fitting(chain, rules)
        chains.append(_based(chain, each))
    return Table(engine, *key, tuple(chains), partial=True)


def _based(chain: Chain, kernel: KernelChain) -> Chain:
    return replace(
        chain, hook=kernel.hook, priority=kernel.priority, policy=kernel.policy, type=kernel.type,
        devices=kernel.devices, handle=kernel.handle,
    )  # fmt: skip


def _base(found: Inventory, key: Key) -> Iterable[KernelChain]:
    return (each for each in found.chains if (each.family, each.table) == key)


def _label(key: Key, chain: str) -> str:
    return " ".join((*key, chain))


def _why(error: OSError) -> str:
    return GONE if isinstance(error, FileNotFoundError) else error.strerror or str(error)


# ---- of xtables


def _command(query: ChainQuery) -> tuple[str, ...]:
    kind = "legacy" if query.engine == "iptables-legacy" else "nft"
    return (f"{PROGRAMS[query.family]}-{kind}", "-t", query.table, "-S", query.chain)


def _chain(query: ChainQuery, printed: Printed) -> Chain:
    if printed.error:
        return Chain(query.chain, unread=printed.error)
    return read_printed(printed.output.decode("utf-8", "surrogateescape"), query.chain, query.family)


def _fitting(chain: Chain, rules: Sequence[KernelRule]) -> Chain:
    """The chain with the kernel's handles, if what was printed is what the kernel has."""
    if chain.unread:
        return chain
    if len(rules) != len(chain.rules) or not all(rule.xtables for rule in rules):
        return Chain(chain.name, unread=FOREIGN)
    handled = (replace(rule, handle=kernel.handle) for rule, kernel in zip(chain.rules, rules, strict=True))
    return replace(chain, rules=tuple(handled))


# ---- of nft


def _of_nft(fd: Place, query: ChainQuery) -> Chain:
    try:
        with netns.inside(fd), Nfnetlink() as netlink:
            place = (query.family, query.table)
            bodies = netlink.rules(*place, query.chain)
            found = [
                decoded(query.family, body, lambda name: looked_into(netlink, *place, name))
                for body in bodies
            ]
    except OSError as error:
        return Chain(query.chain, unread=_why(error))
    except (Undecoded, KeyError, ValueError, IndexError):
        return _printed_by_nft(fd, query)
    return Chain(query.chain, tuple(_rule(at, each) for at, each in enumerate(found, 1)))


def _rule(at: int, found: DecodedRule) -> Rule:
    counter: dict[str, int] = next((each["counter"] for each in found.expressions if "counter" in each), {})
    return Rule(
        at, written(found.expressions, found.comment), tuple(statements(found.expressions)), found.handle,
        counter.get("packets"), counter.get("bytes"), found.comment,
    )  # fmt: skip


def _printed_by_nft(fd: Place, query: ChainQuery) -> Chain:
    """The chain as nft lists it."""
    what = ("list", "chain", query.family, query.table, query.chain)
    printed = run(fd, {"values": ("nft", "-j", *what), "texts": ("nft", "-a", "-s", *what)})
    values, texts = printed["values"], printed["texts"]
    if values.error:
        return Chain(query.chain, unread=values.error)
    try:
        written_out = texts.output.decode("utf-8", "surrogateescape")
        table = of_table(listed(values.output), (query.family, query.table), written_out)
    except NOT_UNDERSTOOD as error:
        return Chain(query.chain, unread=f"nft printed something that is not understood: {error}")
    return table.chain(query.chain) or Chain(query.chain, unread=GONE)

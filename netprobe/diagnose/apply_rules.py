"""Fixes of firewall rules, NAT, tracked connections and IPsec policies, carried out on a snapshot:
iptables(8), nft(8), conntrack(8).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs
from msgspec.structs import replace

from netprobe.model import Chain, ConntrackEntry, Rule, Ruleset, Snapshot, Statement, Table, Term
from netprobe.predict import prefix

from .order import Order

TOOLS = {
    "iptables": ("iptables", "ip"), "ip6tables": ("iptables", "ip6"),
    "iptables-legacy": ("iptables-legacy", "ip"),
    "ip6tables-legacy": ("iptables-legacy", "ip6"), "ebtables": ("ebtables", "bridge"),
    "arptables": ("arptables", "arp"),
    "arptables-legacy": ("arptables-legacy", "arp"),
}  # fmt: skip


def iptables(order: Order) -> Snapshot:
    """`TOOL [-t TABLE] -D CHAIN NUMBER`, `-P CHAIN POLICY`, and `-A|-I POSTROUTING … -j MASQUERADE`, the rule
    that NAT lacks most.
    """
    engine, family = TOOLS[order.tool]
    words, table = list(order.words), "filter"
    if words[0] == "-t":
        table, words = words[1], words[2:]
    where = (engine, family, table)
    match words:
        case ["-D", chain, number]:
            return _edited(
                order, where, chain, lambda c: _without(c, [r for r in c.rules if r.number == int(number)])
            )
        case ["-P", chain, "ACCEPT" | "DROP" as policy]:
            return _edited(order, where, chain, lambda c: replace(c, policy=policy.lower()))
        case ["-A" | "-I" as how, "POSTROUTING", *matches, "-j", "MASQUERADE"] if table == "nat":
            return _masquerade(order, where, matches, first=how == "-I")
    raise KeyError(" ".join(words))


def nft(order: Order) -> Snapshot:
    """`nft delete rule FAMILY TABLE CHAIN handle N` and `nft chain FAMILY TABLE CHAIN '{ policy accept;
    }'`.
    """
    match order.words:
        case ["chain", family, table, chain, "{ policy accept; }"]:
            return _edited(order, ("nft", family, table), chain, lambda c: replace(c, policy="accept"))
        case ["delete", "rule", family, table, chain, "handle", handle]:
            return _edited(
                order,
                ("nft", family, table),
                chain,
                lambda c: _without(c, [r for r in c.rules if r.handle == int(handle)]),
            )
    raise KeyError(" ".join(order.words))


def _edited(order: Order, where: tuple[str, str, str], name: str, edit: Callable[[Chain], Chain]) -> Snapshot:
    """The snapshot with one chain edited; KeyError when it is not there."""
    ruleset = _ruleset(order)
    table = ruleset.table(*where)
    chain = table.chain(name) if table is not None else None
    if table is None or chain is None:
        raise KeyError(name)
    return _with_table(
        order, ruleset, replace(table, chains=tuple(edit(c) if c is chain else c for c in table.chains))
    )


def _ruleset(order: Order) -> Ruleset:
    """The namespace's ruleset; KeyError when it was not read."""
    if order.namespace.ruleset is None:
        raise KeyError(order.name)
    return order.namespace.ruleset


def _with_table(order: Order, ruleset: Ruleset, table: Table) -> Snapshot:
    tables = [
        t for t in ruleset.tables if (t.engine, t.family, t.name) != (table.engine, table.family, table.name)
    ]
    at = next(
        (
            i
            for i, t in enumerate(ruleset.tables)
            if (t.engine, t.family, t.name) == (table.engine, table.family, table.name)
        ),
        len(tables),
    )
    return order.with_fields(ruleset=replace(ruleset, tables=(*tables[:at], table, *tables[at:]))).snapshot


def _without(chain: Chain, gone: list[Rule]) -> Chain:
    """The chain without these rules; those behind move up, as their tools number them."""
    if not gone:
        raise KeyError(chain.name)
    return _numbered(chain, [rule for rule in chain.rules if rule not in gone])


def _numbered(chain: Chain, rules: list[Rule]) -> Chain:
    return replace(
        chain, rules=tuple(structs.replace(rule, number=number) for number, rule in enumerate(rules, 1))
    )


def _masquerade(order: Order, where: tuple[str, str, str], matches: list[str], first: bool) -> Snapshot:
    """The rule at the end or the beginning of the chain, in a nat table that is made where there is none
    yet.
    """
    ruleset = _ruleset(order)
    table = ruleset.table(*where) or Table(*where)
    chain = table.chain("POSTROUTING") or Chain("POSTROUTING", (), "postrouting", 100, "nat")
    statements = (
        *_matches(matches, "ip6" if where[1] == "ip6" else "ip"),
        Statement("masquerade", text="-j MASQUERADE"),
    )
    made = Rule(0, " ".join(["-A POSTROUTING", *matches, "-j MASQUERADE"]), statements)
    grown = _numbered(chain, [made, *chain.rules] if first else [*chain.rules, made])
    others = tuple(c for c in table.chains if c.name != "POSTROUTING")
    return _with_table(order, ruleset, replace(table, chains=(*others, grown)))


def _matches(words: list[str], family: str) -> tuple[Statement, ...]:
    """The matches of an iptables rule that a masquerading one needs: -s, -d and -o, each perhaps negated by a
    `!` before it.
    """
    keys = {"-s": f"{family} saddr", "-d": f"{family} daddr", "-o": "meta oifname"}
    made, op = [], "=="
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "!":
            op = "!="
            continue
        value = rest.pop(0)
        if word != "-o":
            prefix.number(value.partition("/")[0])
        made.append(Statement("match", Term("key", keys[word]), op, Term("value", value)))
        op = "=="
    return tuple(made)


def delete_connection(order: Order) -> Snapshot:
    """`conntrack -D [-p PROTOCOL] [-s SOURCE] [-d DESTINATION] [--dport PORT]`, of the original direction."""
    wanted = (
        order.option("-p"),
        order.option("-s", "--orig-src"),
        order.option("-d", "--orig-dst"),
        order.option("--sport"),
        order.option("--dport"),
    )
    if not any(wanted):
        raise KeyError("conntrack")
    kept = tuple(entry for entry in order.namespace.conntrack or () if not _is_meant(entry, wanted))
    return order.with_fields(conntrack=kept).snapshot


def _is_meant(entry: ConntrackEntry, wanted: tuple[str | None, ...]) -> bool:
    own = (entry.protocol, *(None if part is None else str(part) for part in entry.original))
    return all(want is None or want == have for want, have in zip(wanted, own, strict=True))


def delete_ipsec_policy(order: Order) -> Snapshot:
    """`ip xfrm policy delete src PREFIX dst PREFIX dir DIRECTION`."""
    wanted = (order.needed("src"), order.needed("dst"), order.needed("dir"))
    kept = tuple(p for p in order.namespace.xfrm or () if (p.src, p.dst, p.direction) != wanted)
    return order.with_fields(xfrm=kept).snapshot

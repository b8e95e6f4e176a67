"""What a packet has where a test looks, as an element of a set has it; and whether an element is that. Pure.

See: nft(8), SETS; ipset(8).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import starmap

from netprobe.diagnose import dnat_rules, nat_rules
from netprobe.model import Flow, Hop, Statement, Term
from netprobe.model.lookup import column, where
from netprobe.predict import prefix
from netprobe.rules import spread
from netprobe.rules.naming import PORT_KEYS

Seen = dict[str, str | None]


def holds(element: str, value: str) -> bool:
    """Whether an address, a network, a range or a port of a set is, or has in it, what the packet has."""
    if _AND in value:
        pairs = [*zip(element.split(_AND), value.split(_AND), strict=False)]
        return element.count(_AND) == value.count(_AND) and all(starmap(holds, pairs))
    if nat_rules.is_prefix(element) and nat_rules.is_prefix(value):
        return prefix.contains(element, value)
    first, dash, last = element.partition("-")
    if dash and all(map(nat_rules.is_prefix, (first, last, value))):
        return len({*map(prefix.version, (first, value))}) == 1 and spread.holds(first, last, value)
    if dash and value.isdigit():
        return int(value) in dnat_rules.numbers(element)
    return element == value.strip('"')


def value(statement: Statement, known: Seen) -> str | None:
    """What the packet has where the test looks, as an element; of several things at once, one after the
    other.
    """
    return element(statement.left, known) if statement.left is not None else None


def element(key: Term, known: Seen) -> str | None:
    """What the packet has where a key looks, as a set would hold it."""
    parts = [known.get(each.text) for each in key.args or (key,)]
    return _AND.join(filter(None, parts)) if all(parts) else None


_AND = " . "


def seen(flow: Flow, hops: Iterable[Hop] = ()) -> Seen:
    """What a test finds in a packet, by what it looks at; the interface by that of its last hop inwards."""
    family = nat_rules.family(flow.dst)
    port = None if flow.dport is None else str(flow.dport)
    came = [*where(hops, bound="in")][-1:]
    protocols = dict.fromkeys(("meta l4proto", f"{family} protocol"), flow.protocol.value)
    names = [f'"{each.interface}"' for each in came]
    inward = dict.fromkeys(("meta iifname", "iifname"), next(iter(names), None))
    frame = next(column(came, "flow"), flow)  # a router has taken it off when it forwards
    macs = {"ether saddr": frame.src_mac, "ether daddr": frame.dst_mac}
    asked = {"arp saddr ip": flow.src, "arp saddr ether": flow.src_mac}
    known = {
        **asked,
        f"{family} saddr": flow.src,
        f"{family} daddr": flow.dst,
        **dict.fromkeys(PORT_KEYS, port),
    }
    return {**known, **protocols, **inward, **macs}

"""Fixes of policy rules, neighbours and sysctls, carried out on a snapshot: ip-rule(8), ip-neighbour(8),
sysctl(8).

Kernel: net/core/fib_rules.c (fib_nl_newrule, fib_nl_delrule), net/ipv4/devinet.c (inet_forward_change),
net/ipv6/addrconf.c (addrconf_fixup_forwarding, addrconf_disable_ipv6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from netprobe.model import Neighbour, PolicyRule, Snapshot
from netprobe.predict import prefix

from .apply_addresses import made, with_made
from .apply_routes import as_prefix, as_table
from .apply_state import with_link_local, without_ipv6
from .order import Order

_ACTIONS = ("blackhole", "unreachable", "prohibit", "nop")
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58}


def change_policy_rule(order: Order) -> Snapshot:
    """`ip rule add|del [not] [pref N] [from PREFIX] [to PREFIX] [iif NAME] [oif NAME] [fwmark MARK[/MASK]] …
    lookup TABLE|ACTION`.
    """
    what, rules = order.words[0], order.namespace.rules
    wanted = _wanted(order)
    version = 6 if order.six or ":" in str(wanted.get("src", "")) + str(wanted.get("dst", "")) else 4
    meant = [r for r in rules if r.version == version and _agrees(r, wanted)]
    if what == "del":
        if not wanted or not meant:
            raise KeyError(" ".join(order.words))  # ENOENT
        gone = min(meant, key=lambda rule: rule.priority)
        return order.with_fields(rules=tuple(r for r in rules if r is not gone)).snapshot
    made_rule = PolicyRule(**{"priority": _first(rules, version), "version": version, **wanted})
    if what != "add" or made_rule in rules or (made_rule.action == "lookup" and made_rule.table is None):
        raise KeyError(" ".join(order.words))  # EEXIST
    # those of IPv4 are listed first
    before = [r for r in rules if (r.version, r.priority) <= (version, made_rule.priority)]
    kept = [r for r in rules if r not in before]
    return order.with_fields(rules=(*before, made_rule, *kept)).snapshot


def _first(rules: tuple[PolicyRule, ...], version: int) -> int:
    """The priority of a rule for which none is said: one before the first but that of the own addresses."""
    known = sorted(rule.priority for rule in rules if rule.version == version)
    return known[1] - 1 if len(known) > 1 and known[1] else 0


def _wanted(order: Order) -> dict[str, Any]:
    """The fields of a rule that the words say."""
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "pref": ("priority", int), "priority": ("priority", int), "from": ("src", str), "to": ("dst", str),
        "iif": ("iif", str), "oif": ("oif", str), "lookup": ("table", as_table), "table": ("table", as_table),
        "tos": ("tos", _number), "ipproto": ("protocol", _protocol), "sport": ("sports", _range),
        "dport": ("dports", _range), "uidrange": ("uids", _range),
        "suppress_prefixlength": ("suppress_prefixlen", int),
    }  # fmt: skip
    found: dict[str, Any] = {}
    for key, text in order.pairs:
        if key == "fwmark":
            mark, _, mask = text.partition("/")
            found |= {"mark": _number(mark), "mask": _number(mask) if mask else 0xFFFFFFFF}
        elif (key, text) not in (("from", "all"), ("to", "all")):
            field, read = readers[key]
            found[field] = as_prefix(text, order.six, checked=False) if key in ("from", "to") else read(text)
    for word in order.plain[1:]:
        found |= {"inverted": True} if word == "not" else {"action": word}
        if word != "not" and word not in _ACTIONS:
            raise KeyError(word)
    if "table" in found:
        found["action"] = "lookup"
    return found


def _number(text: str) -> int:
    return int(text, 0)


def _protocol(text: str) -> int:
    return _PROTOCOLS.get(text) or int(text)


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return int(low), int(high or low)


def _agrees(rule: PolicyRule, wanted: dict[str, Any]) -> bool:
    return all(_value(rule, field) == value for field, value in wanted.items())


def _value(rule: PolicyRule, field: str) -> Any:
    value = getattr(rule, field)
    return as_prefix(value, False, checked=False) if field in ("src", "dst") and value else value


def change_neighbour(order: Order) -> Snapshot:
    """`ip neigh del ADDRESS dev IFACE`, `ip neigh add|replace ADDRESS lladdr MAC dev IFACE [nud STATE]`, `ip
    neigh add proxy ADDRESS dev IFACE`.
    """
    if order.plain[:2] == ["add", "proxy"]:
        return _with_proxy(order)
    what, address = order.plain
    prefix.number(address)
    link = order.link(order.needed("dev"))
    known = [n for n in order.namespace.neighbours if (n.address, n.index) == (address, link.index)]
    others = tuple(n for n in order.namespace.neighbours if n not in known)
    if what == "del" and known:
        return order.with_fields(neighbours=others).snapshot
    if what not in ("add", "replace") or (what == "add" and known):
        raise KeyError(address)  # ENOENT, EEXIST
    state = order.option("nud") or "permanent"
    entry = Neighbour(link.index, address, order.needed("lladdr"), state)
    return order.with_fields(neighbours=(*others, entry)).snapshot


def _with_proxy(order: Order) -> Snapshot:
    _, _, address = order.plain
    prefix.number(address)
    entry = Neighbour(order.link(order.needed("dev")).index, address, None, "noarp", proxy=True)
    return order.with_fields(neighbours=(*order.namespace.neighbours, entry)).snapshot


def set_sysctl(order: Order) -> Snapshot:
    """`sysctl -w NAME=VALUE`, with the interfaces that a general switch sets along."""
    key, equals, value = order.words[0].partition("=")
    if not equals or not value.lstrip("-").isdigit():
        raise ValueError(order.words[0])
    if key.endswith("accept_ra"):
        raise KeyError(key)  # what the next advertisement will bring is not in the model
    along = {key: value}
    if key in ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"):
        along |= {"net.ipv4.ip_forward": value} | _each(order, "net.ipv4.conf.", ".forwarding", value)
    if key in ("net.ipv6.conf.all.forwarding", "net.ipv6.conf.all.disable_ipv6"):
        along |= _each(order, "net.ipv6.conf.", key[key.rindex(".") :], value)
    order = order.with_fields(sysctls={**order.namespace.sysctls, **along})
    return _ipv6_switched(order, along)


def _each(order: Order, start: str, end: str, value: str) -> dict[str, str]:
    return {key: value for key in order.namespace.sysctls if key.startswith(start) and key.endswith(end)}


def _ipv6_switched(order: Order, along: dict[str, str]) -> Snapshot:
    """Interfaces whose IPv6 is switched off lose its addresses, and get the one of their own back with it."""
    for link in order.namespace.links:
        value = along.get(f"net.ipv6.conf.{link.key}.disable_ipv6")
        if value == "0" and link.carrier:
            order = with_link_local(order, link)
            namespace = order.namespace
            order = order.with_fields(routes=with_made(namespace.routes, [], made(namespace, link)))
        elif value is not None and value != "0":
            order = without_ipv6(order, replace(link, up=True))
    return order.snapshot

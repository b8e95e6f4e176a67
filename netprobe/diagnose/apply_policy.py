"""Fixes of policy rules, neighbours and sysctls, carried out on a snapshot: ip-rule(8), ip-neighbour(8),
sysctl(8).

Kernel: net/core/fib_rules.c (fib_nl_newrule, fib_nl_delrule), net/ipv4/devinet.c (inet_forward_change),
net/ipv6/addrconf.c (addrconf_fixup_forwarding, addrconf_disable_ipv6).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from netprobe.model import ROUTED, Neighbour, PolicyRule, Snapshot
from netprobe.model.lookup import all_but, column, not_among, where, without
from netprobe.model.settings import joined
from netprobe.predict import prefix

from .apply_routes import as_prefix, as_table
from .apply_state import with_kernel_routes, with_link_local, without_ipv6
from .order import Order, must, refuse_if

_ACTIONS = ("blackhole", "unreachable", "prohibit", "nop")
_PROTOCOLS = {"ipv6-icmp": 58, **{str(each): number for number, each in ROUTED.items()}}


def change_policy_rule(order: Order) -> Snapshot:
    """`ip rule add|del [not] [pref N] [from PREFIX] [to PREFIX] [iif NAME] [oif NAME] [fwmark MARK[/MASK]] …
    lookup TABLE|ACTION`.
    """
    rules, wanted = order.namespace.rules, _wanted(order)
    version = 6 if order.six or ":" in f"{wanted.get('src')}{wanted.get('dst')}" else 4
    if order.words[0] == "del":
        refuse_if(not wanted, order.words)
        return order.with_fields(rules=_deleted(rules, {**wanted, "version": version})).snapshot
    new = PolicyRule(**{"priority": _first(rules, version), "version": version, **wanted})
    order.permit(new in rules, "add")
    refuse_if((new.action, new.table) == ("lookup", None), new.action)
    # those of IPv4 are listed first
    before = [r for r in rules if (r.version, r.priority) <= (version, new.priority)]
    return order.with_fields(rules=(*before, new, *rules[len(before) :])).snapshot


def _deleted(rules: tuple[PolicyRule, ...], wanted: dict[str, Any]) -> tuple[PolicyRule, ...]:
    """Without the first of the rules that have the wanted fields; KeyError where none has (ENOENT)."""
    meant = [rule for rule in rules if all(_value(rule, field) == wanted[field] for field in wanted)]
    return without(rules, must(min(meant, key=lambda rule: rule.priority, default=None), "rule"))


def _first(rules: tuple[PolicyRule, ...], version: int) -> int:
    """The priority of a rule for which none is said: one before the first but that of the own addresses."""
    known = sorted(column(where(rules, version=version), "priority"))
    return max(0, known[1] - 1) if len(known) > 1 else 0


def _number(text: str) -> int:
    return int(text, 0)


def _priority(text: str) -> int:
    """A priority, which ip(8) takes without a sign (lib/utils.c, get_u32): nothing comes before 0."""
    refuse_if(not 0 <= int(text) <= _LAST, text)
    return int(text)


_LAST = 0xFFFFFFFF


def _protocol(text: str) -> int:
    return _PROTOCOLS.get(text) or int(text)


def _range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return int(low), int(high or low)


_READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "pref": ("priority", _priority), "priority": ("priority", _priority), "from": ("src", str),
    "to": ("dst", str),
    "iif": ("iif", str), "oif": ("oif", str), "lookup": ("table", as_table), "table": ("table", as_table),
    "tos": ("tos", _number), "ipproto": ("protocol", _protocol), "sport": ("sports", _range),
    "dport": ("dports", _range), "uidrange": ("uids", _range), "goto": ("goto", int),
    "suppress_prefixlength": ("suppress_prefixlen", int),
}  # fmt: skip


_FLAGS = {"not": {"inverted": True}} | {action: {"action": action} for action in _ACTIONS}


def _wanted(order: Order) -> dict[str, Any]:
    """The fields of a rule that the words say."""
    found: dict[str, Any] = {}
    for key, text in order.pairs:
        found |= _field(key, text, order.six)
    for word in order.plain[1:]:
        found |= _FLAGS[word]
    return found | ({"action": "lookup"} if "table" in found else {})


def _field(key: str, text: str, six: bool) -> dict[str, Any]:
    """What a key and its word say; nothing: `from all`."""
    if key == "fwmark":
        mark, _, mask = text.partition("/")
        return {"mark": _number(mark), "mask": _number(mask or "0xffffffff")}
    field, read = _READERS[key]
    if key not in ("from", "to"):
        return {field: read(text)}
    if text == "all":
        return {}
    return {field: as_prefix(text, six, checked=False)}


def _value(rule: PolicyRule, field: str) -> Any:
    value = getattr(rule, field)
    if field in ("src", "dst") and value:
        return as_prefix(value, False, checked=False)
    return value


def change_neighbour(order: Order) -> Snapshot:
    """`ip neigh del ADDRESS dev IFACE`, `ip neigh add|replace ADDRESS lladdr MAC dev IFACE [nud STATE]`, `ip
    neigh add proxy ADDRESS dev IFACE`.
    """
    (verb, *how, address), link, table = order.plain, order.device, order.namespace.neighbours
    prefix.number(address)
    if (verb, *how) == ("add", "proxy"):
        proxy = Neighbour(link.index, address, None, "noarp", proxy=True)
        return order.with_fields(neighbours=(*table, proxy)).snapshot
    there = where(table, address=address, index=link.index)
    order.permit(how == [] and there, "add", "replace", "del")
    mac = None if verb == "del" else order.needed("lladdr")
    entry = Neighbour(link.index, address, mac, order.option("nud") or "permanent")
    return order.with_fields(neighbours=order.edited(table, there, entry)).snapshot


def flush_neighbour(order: Order) -> Snapshot:
    """`ip neigh flush to ADDRESS dev IFACE`: what was learned of it, if anything was (do_flush, NUD_PERMANENT
    and NUD_NOARP stay).
    """
    address, link, table = order.needed("to"), order.device, order.namespace.neighbours
    learned = not_among(where(table, address=address, index=link.index), state=("permanent", "noarp"))
    return order.with_fields(neighbours=all_but(table, learned)).snapshot


# Switches that set the same of all interfaces along: the names of those (ip-sysctl)
ALONG = {
    "net.ipv4.ip_forward": re.compile(r"net\.ipv4\.conf\..*\.forwarding"),
    "net.ipv4.conf.all.forwarding": re.compile(r"net\.ipv4\.conf\..*\.forwarding"),
    "net.ipv6.conf.all.forwarding": re.compile(r"net\.ipv6\.conf\..*\.forwarding"),
    "net.ipv6.conf.all.disable_ipv6": re.compile(r"net\.ipv6\.conf\..*\.disable_ipv6"),
}


_BOTH = {"net.ipv4.conf.all.forwarding": "net.ipv4.ip_forward"}


def set_sysctl(order: Order) -> Snapshot:
    """`sysctl -w NAME=VALUE`, with the interfaces that a general switch sets along."""
    key, _, value = order.words[0].partition("=")
    refuse_if(not value.lstrip("-").isdigit(), key)
    refuse_if(key.endswith("accept_ra"), key)  # what the next advertisement will bring is not in the model
    names = filter(ALONG[key].fullmatch, order.namespace.sysctls) if key in ALONG else ()
    along = dict.fromkeys((key, _BOTH.get(key, key), *names), value)
    order = order.with_fields(sysctls=joined(order.namespace.sysctls, along))
    return _ipv6_switched(order, along)


def _ipv6_switched(order: Order, along: dict[str, str]) -> Snapshot:
    """Interfaces whose IPv6 is switched off lose its addresses, and get the one of their own back with it."""
    for link in order.namespace.links:
        value = along.get(f"net.ipv6.conf.{link.key}.disable_ipv6")
        if value == "0" and link.carrier:
            order = with_kernel_routes(with_link_local(order, link), link)
        elif value not in ("0", None):
            order = without_ipv6(order, replace(link, up=True))
    return order.snapshot

"""Fixes of sets in the words of ipset(8), carried out on a snapshot. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import IpSet, IpSetEntry, Snapshot
from netprobe.model.lookup import exchanged

from .apply_tables import ruleset
from .order import Order

_OF_ADDRESSES = ("hash:ip", "hash:net")


def ipset(order: Order) -> Snapshot:
    """`ipset add|del SET ENTRY`, of a set of addresses or of networks alone."""
    how, name, entry = order.words
    rules = ruleset(order)
    named = rules.ipset(name)
    if named is None or named.entries is None or named.type not in _OF_ADDRESSES:
        raise KeyError(name)
    changed = replace(named, entries=_with_entry(named, how, entry))
    others = exchanged(rules.ipsets or (), named, changed)
    return order.with_fields(ruleset=replace(rules, ipsets=others)).snapshot


def _with_entry(named: IpSet, how: str, text: str) -> tuple[IpSetEntry, ...]:
    entries = named.entries or ()
    kept = tuple(each for each in entries if each.first != text)
    there = len(kept) < len(entries)
    if {"add": there, "del": not there}.get(how, True):
        raise KeyError(text)  # it is there already, or it is not
    return (*kept, IpSetEntry(first=text)) if how == "add" else kept

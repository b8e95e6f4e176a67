"""Fixes of sets in the words of ipset(8), carried out on a snapshot. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import IpSetEntry, Snapshot
from netprobe.model.lookup import exchanged, where

from .apply_tables import ruleset
from .order import Order, must, refuse_if

_OF_ADDRESSES = ("hash:ip", "hash:net")


def ipset(order: Order) -> Snapshot:
    """`ipset add|del SET ENTRY`, of a set of addresses or of networks alone."""
    _, name, text = order.words
    rules = ruleset(order)
    named = must(rules.ipset(name), name)
    refuse_if(named.type not in _OF_ADDRESSES, name)
    entries = must(named.entries, name)
    there = where(entries, first=text)
    order.permit(there, "add", "del")
    changed = replace(named, entries=order.edited(entries, there, IpSetEntry(first=text)))
    others = exchanged(rules.ipsets or (), named, changed)
    return order.with_fields(ruleset=replace(rules, ipsets=others)).snapshot

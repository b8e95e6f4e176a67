"""Tunnels and macvlan: the packet is fine, and what carries it is not."""

from __future__ import annotations

from .fault import Fault

TUNNELS: tuple[Fault, ...] = ()

"""Addresses: missing, wrong, somebody else's."""

from __future__ import annotations

from .fault import Fault

ADDRESSES: tuple[Fault, ...] = ()

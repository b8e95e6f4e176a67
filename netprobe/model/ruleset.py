"""The rulesets of one namespace, both engines, as values: tables, chains, rules, sets."""

from __future__ import annotations

from dataclasses import dataclass

from .place import Blind


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All firewall and NAT rules of one namespace; `blind` says which engine could not be read and why."""

    blind: tuple[Blind, ...] = ()

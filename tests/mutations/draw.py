"""Chance: which kind of object is changed, in which network, how, and in what state. A seed and an index give the same again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random

from mutations import addresses, bridges, connections, filters, links, neighbours, nft, programs, queues, routes, sysctls
from mutations.mutation import Mutation
from mutations.settings import ARPINGS, SETTINGS, Setting
from mutations.sight import Sight

Kind = Callable[[Sight, Random], Mutation | None]

FAMILIES: dict[str, tuple[int, tuple[Callable[..., Mutation | None], ...]]] = {
    "links": (14, links.KINDS),
    "addresses": (11, addresses.KINDS),
    "routes": (13, routes.KINDS),
    "policy rules": (7, routes.RULES),
    "neighbours": (8, neighbours.KINDS),
    "sysctls": (14, sysctls.KINDS),
    "bridges": (11, bridges.KINDS),
    "iptables and the like": (10, (*filters.KINDS, *filters.ABOUT_FLOWS * 3)),
    "nft": (10, (*nft.KINDS, *nft.ABOUT_FLOWS)),
    "sets": (3, (*nft.SETS, *nft.SETS_ABOUT_FLOWS)),
    "connections": (3, connections.ABOUT_FLOWS),
    "queues and programs": (7, queues.KINDS),
    "services": (6, programs.KINDS),
}
"""How often each family is drawn, and its kinds of change."""

OF_SEGMENTS = frozenset(FAMILIES) - {"policy rules", "connections", "services"}
"""The families that can break what is asked by ARP."""

_ABOUT_FLOWS = frozenset((*filters.ABOUT_FLOWS, *nft.ABOUT_FLOWS, *nft.SETS_ABOUT_FLOWS, *connections.ABOUT_FLOWS))
QUIET = 0.12
"""The share of trials in which nothing may be broken, so that a cry of wolf would be heard."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What one attempt of a trial is about: a change of this family (that breaks something, or, `quiet`, nothing) in this network."""

    seed: int
    index: int
    attempt: int
    setting: Setting
    family: str
    quiet: bool
    warm: bool
    which: int = 0

    @property
    def arp(self) -> bool:
        """Whether this is about questions by ARP."""
        return any(flow.protocol == "arp" for flow in self.setting.flows)

    def chance(self) -> Random:
        """The numbers that choose the object."""
        return Random(f"{self.seed}/{self.index}/{self.attempt}/{self.which}")

    def mutation(self, sight: Sight) -> Mutation | None:
        """The change, of what the namespaces have; None where they have nothing of the kind."""
        chance = self.chance()
        kind = chance.choice(FAMILIES[self.family][1])
        if kind in _ABOUT_FLOWS:
            kind = partial(kind, flows=self.setting.flows)
        with suppress(IndexError):  # nothing to choose from
            return kind(sight, chance)
        return None


_ATTEMPTS_OF_A_FAMILY = 8
_RARE = {"sets": ("nft gateway", "offices with sets"), "connections": ("tutorial", "published ports", "nft gateway", "three rulesets")}
"""Objects that few networks have, and which do."""


def draw(seed: int, index: int, attempt: int, which: int = 0, quiet: bool | None = None, arp: bool = False) -> Draw:
    """The draw of an attempt; `quiet` None: by chance; `arp`: about questions by ARP.

    The family stays for some attempts, so that those that often break nothing are not passed over.
    """
    family = Random(f"{seed}/{index}/family/{attempt // _ATTEMPTS_OF_A_FAMILY}/{which}")
    weights = [weight if not arp or name in OF_SEGMENTS else 0 for name, (weight, _) in FAMILIES.items()]
    if quiet is None:
        quiet = Random(f"{seed}/{index}/quiet").random() < QUIET
    chance = Random(f"{seed}/{index}/{attempt}/setting")
    chosen = family.choices(list(FAMILIES), weights)[0]
    fitting = [setting for setting in (ARPINGS if arp else SETTINGS) if setting.name in _RARE.get(chosen, (setting.name,))]
    setting, warm = chance.choice(fitting), chance.random() < 0.5
    return Draw(seed, index, attempt, setting, chosen, quiet, warm, which)

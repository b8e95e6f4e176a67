"""A chain in the words of nft(8): `{ type filter hook input priority filter; policy drop; }`."""

from __future__ import annotations

import re

from netprobe.model import Chain
from netprobe.model.pattern import pattern

# include/uapi/linux/netfilter_ipv4.h and netfilter_bridge.h, as nft(8) names them
PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_OF_BRIDGES = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}
_CHAIN = pattern(
    r"""(?:type\ (?P<type>filter|nat|route)\ hook\ (?P<hook>\w+)
           (?:\ devices\ =\ \{\ (?P<several>[^}]*)\ \}|\ device\ (?P<device>\S+))?
           \ priority\ (?P<named>[a-z]+)?(?:(?<=[a-z])\ )?(?P<number>[+-]?\ ?\d+)?;?\ ?)?
        (?:policy\ (?P<policy>accept|drop);?)?""",
    re.VERBOSE,
)


def chain_of(name: str, text: str, family: str) -> Chain:
    """The chain that is called so, without rules; `text` is what stands in the braces, which may be nothing.

    Raises ValueError for what is not understood.
    """
    found = _CHAIN.fullmatch(" ".join(text.strip("{} ").replace(" ;", ";").split()))
    if found is None:
        raise ValueError(text)
    said = found.groupdict("")
    policy = said["policy"] or "accept"
    if not said["hook"]:
        return Chain(name, policy=policy)
    devices = f"{said['several']}{said['device']}".replace('"', "").replace(",", " ").split()
    priority = _priority(said["named"], said["number"], family)
    return Chain(name, (), said["hook"], priority, said["type"], policy, tuple(devices))


def _priority(name: str, number: str, family: str) -> int:
    """A number, a name, or how far it is from that of a name."""
    named = _OF_BRIDGES if family == "bridge" else PRIORITIES
    return {"": 0, **named}[name] + int(number.replace(" ", "") or "0")

"""A chain in the words of nft(8): `{ type filter hook input priority filter; policy drop; }`."""

from __future__ import annotations

import re

from netprobe.model import Chain

# include/uapi/linux/netfilter_ipv4.h and netfilter_bridge.h, as nft(8) names them
PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_OF_BRIDGES = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}
_BASE = re.compile(
    r"type (?P<type>filter|nat|route) hook (?P<hook>\w+)"
    r"(?: devices? = \{ (?P<several>[^}]*) \}| device (?P<device>\S+))?"
    r" priority (?P<named>[a-z]+)?(?:(?<=[a-z]) )?(?P<number>[+-]? ?\d+)?"
)
_POLICY = re.compile(r"policy (accept|drop)")


def chain_of(name: str, text: str, family: str) -> Chain:
    """The chain that is called so, without rules; `text` is what stands in the braces, which may be nothing.

    Raises ValueError for what is not understood.
    """
    parts = [" ".join(part.split()) for part in text.strip("{} ").split(";")]
    said = [part for part in parts if part]
    base = next((found for part in said if (found := _BASE.fullmatch(part))), None)
    policy = next((found[1] for part in said if (found := _POLICY.fullmatch(part))), "accept")
    if len(said) > sum(map(bool, (base, "policy" in text))):
        raise ValueError(text)
    if base is None:
        return Chain(name, policy=policy)
    devices = (base["several"] or base["device"] or "").replace('"', "").replace(",", " ").split()
    return Chain(name, (), base["hook"], _priority(base, family), base["type"], policy, tuple(devices))


def _priority(base: re.Match[str], family: str) -> int:
    named = _OF_BRIDGES if family == "bridge" else PRIORITIES
    start = named[base["named"]] if base["named"] else 0
    return start + int((base["number"] or "0").replace(" ", ""))

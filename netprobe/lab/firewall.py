"""Translation and filter rules of a lab, by nft or, where that is missing, by iptables.

The rules of a topology are few and stand in places of their own: with nft the table `inet lab`, with iptables
the built-in chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from netprobe.errors import CannotLook

from . import commands
from .topology import Masquerade, Rules


class FirewallTool(StrEnum):
    """The tool that makes the rules."""

    NFT = "nft"
    IPTABLES = "iptables"


_LOOK = {FirewallTool.NFT: ("nft", "list", "ruleset"), FirewallTool.IPTABLES: ("iptables", "-t", "nat", "-S")}

_NFT_TABLE = """\
table inet lab {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
{rules}
    }}
}}
"""


def choose(namespace: str) -> FirewallTool:
    """The first engine that is installed and that this kernel lets us use.

    Raises CannotLook when there is none.
    """
    for engine, look in _LOOK.items():
        try:
            commands.run(namespace, look)
        except CannotLook:
            continue
        return engine
    raise CannotLook("the lab needs nft or iptables for its NAT; neither works here", "apt install nftables")


def translate(masquerades: Sequence[Masquerade], engine: FirewallTool | None = None) -> None:
    """Make the masquerading of a topology real, namespace by namespace."""
    for namespace in dict.fromkeys(masquerade.namespace for masquerade in masquerades):
        outs = tuple(masquerade.out for masquerade in masquerades if masquerade.namespace == namespace)
        if (engine or choose(namespace)) is FirewallTool.NFT:
            rules = "\n".join(f'        oifname "{out}" masquerade' for out in outs)
            commands.run(namespace, ("nft", "-f", "-"), _NFT_TABLE.format(rules=rules))
        else:
            lines = "".join(f"-A POSTROUTING -o {out} -j MASQUERADE\n" for out in outs)
            for tool in iptables():
                commands.run(namespace, (f"{tool}-restore", "--noflush"), f"*nat\n{lines}COMMIT\n")


def built_with(namespace: str) -> FirewallTool:
    """The engine that `translate` used in a namespace: with nft there is a table of our own."""
    try:
        commands.run(namespace, ("nft", "list", "table", "inet", "lab"))
    except CannotLook:
        return FirewallTool.IPTABLES
    return FirewallTool.NFT


def iptables() -> tuple[str, ...]:
    """The iptables programs that this kernel has a use for."""
    return ("iptables", "ip6tables") if Path("/proc/sys/net/ipv6").exists() else ("iptables",)


def load(rules: Rules) -> None:
    """Hand rules to their own tool, in addition to those that are there."""
    argv = ("nft", "-f", "-") if rules.tool == "nft" else (f"{rules.tool}-restore", "--noflush")
    commands.run(rules.namespace, argv, rules.text)

"""The tools that print rulesets, and what installs those that are not there."""

from __future__ import annotations

from msgspec import Struct

from netprobe.linux.netfilter import tools
from netprobe.linux.netfilter.listing import LEGACY, XTABLES
from netprobe.model.command import Command
from netprobe.model.examination import Finding, State


class Manager(Struct, frozen=True):
    """How a distribution installs: the words before the packages, and which package has which tools."""

    words: tuple[str, ...]
    nft: str = "nftables"
    xtables: tuple[str, ...] = ("iptables",)


MANAGERS = (
    Manager(("apt-get", "install")),
    Manager(("dnf", "install"), xtables=("iptables-nft", "iptables-legacy")),
    Manager(("zypper", "install")),
    Manager(("apk", "add"), xtables=("iptables", "iptables-legacy")),
    Manager(("pacman", "-S"), xtables=("iptables-nft",)),
)
NFT = "nft"
# the old engine's for ARP came with a package of its own, and prints where somebody has used it
OPTIONAL = ("arptables-legacy-save",)


def ruleset_tools() -> Finding:
    """Whether the tools are there that rulesets are read with."""
    printers = (printer.command[0] for printer in (*XTABLES.values(), *LEGACY.values()))
    wanted = [NFT, *dict.fromkeys(name for name in printers if name not in OPTIONAL)]
    lacking = [name for name in wanted if tools.place(name) is None]
    if not lacking:
        return Finding("tools", State.OK, "nft, iptables and its kin are installed")
    effect = "a table that only they print makes answers undetermined at its rules"
    return Finding("tools", State.LIMITED, f"not installed: {', '.join(lacking)}", effect, _install(lacking))


def _install(lacking: list[str]) -> Command:
    """What installs them here."""
    for manager in MANAGERS:
        if tools.place(manager.words[0]) is not None:
            packages = [manager.nft] if NFT in lacking else []
            packages += manager.xtables if set(lacking) - {NFT} else ()
            return Command.of(*manager.words, *packages)
    return Command.advice(
        "install nftables and iptables as this distribution does, or name their folder by --tool-path"
    )

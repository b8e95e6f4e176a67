"""The commands that mend a cause; none is made of a name that its tool would read as something else. Pure.

A word is quoted for the shell where it is shown; here it is about the second reader. ip(8), bridge(8) and
tc(8) take any name behind `dev`; sysctl(8) splits at `=` and expands patterns, iptables(8) reads a `+` at the
end of an interface as "and so on", nft(8) joins its words and parses them as its own language, which has no
quotes for names.
"""

from __future__ import annotations

import re

from netprobe.model import Blank, Command, InterfaceAddress, Link, Object

Fix = tuple[Command, ...]
BRIDGE, GATEWAY, INTERFACE = Blank("BRIDGE"), Blank("GATEWAY"), Blank("INTERFACE")
REMOTE, ADDRESS = Blank("REMOTE"), Blank("ADDRESS")
RIGHT_LENGTH = "RIGHT-LENGTH"

_NFT_NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9_./-]*")  # nftables, src/scanner.l: string
_XT_NAME = re.compile(r"[^\s!-]\S*")  # iptables, xshared.c: parse_chain
_SYSCTL_NAME = re.compile(r"[^=*?\[\]\\\s]+")  # procps, src/sysctl.c: the first = divides, glob(7) is applied

_NO_NFT_NAME = Command.advice(
    "change it with a program that speaks netlink: its table or chain has a name that cannot be written in"
    " nft's language"
)
_NO_XT_NAME = Command.advice(
    "change it with a program that speaks netlink: its chain has a name that iptables(8) does not accept"
)
_NO_SYSCTL_NAME = Command.advice(
    "write the value into its file below /proc/sys: the name has a character that sysctl(8) does not take as"
    " it is"
)
_NO_INTERFACE = Command.advice(
    "rename the interface first: iptables(8) takes a + at the end of a name for any characters"
)


def link_set(link: Link, *words: str | Blank) -> Command:
    """`ip link set dev IFACE …`."""
    return Command.of("ip", "link", "set", "dev", link.name, *words)


def bridge_port(link: Link, *words: str) -> Command:
    """`bridge link set dev PORT …`."""
    return Command.of("bridge", "link", "set", "dev", link.name, *words)


def ip(about: str, *words: str | Blank) -> Command:
    """`ip …`, or `ip -6 …` where `about` is an address or prefix of IPv6:

    "default" alone does not say which.
    """
    return Command.of("ip", *(["-6"] if ":" in about else []), *words)


def address(what: str, own: InterfaceAddress, link: Link) -> Command:
    """`ip address add|del ADDRESS/LENGTH dev IFACE`."""
    return Command.of("ip", "address", what, f"{own.address}/{own.prefixlen}", "dev", link.name)


def with_address(link: Link | None, wanted: str = "ADDRESS") -> Command:
    """`ip address add ADDRESS/LENGTH dev IFACE`: the length, and perhaps the address, is for the reader to
    say.
    """
    written = Blank("LENGTH", f"{wanted}/") if wanted != ADDRESS.name else Blank("ADDRESS/LENGTH")
    return Command.of("ip", "address", "add", written, "dev", link.name if link is not None else INTERFACE)


def with_right_length(own: InterfaceAddress, link: Link) -> Fix:
    """The address with another prefix length in the place of the one that it has."""
    right = Blank(RIGHT_LENGTH, f"{own.address}/")
    return (Command.of("ip", "address", "add", right, "dev", link.name), address("del", own, link))


def detected_again(own: InterfaceAddress, link: Link | None) -> Fix:
    """Take an IPv6 address away and add it again, which repeats the detection of duplicates."""
    return tuple(address(what, own, link) for what in ("del", "add")) if link is not None else ()


def forget_neighbour(address: str, link: Link) -> Command:
    """`ip neigh del ADDRESS dev IFACE`: it is asked anew."""
    return Command.of("ip", "neigh", "del", address, "dev", link.name)


def sysctl(key: str, value: int | str) -> Fix:
    """`sysctl -w KEY=VALUE`; a key has the name of an interface in it."""
    if not _SYSCTL_NAME.fullmatch(key):
        return (_NO_SYSCTL_NAME,)
    return (Command.of("sysctl", "-w", f"{key}={value}"),)


def masquerade(source: str, out: Link | None, how: str = "-A") -> Fix:
    """The rule that translates `source` where it leaves by `out`; `how` "-I": before all others."""
    if out is not None and out.name.endswith("+"):
        return (_NO_INTERFACE,)
    name = out.name if out is not None else INTERFACE
    where = ("-t", "nat", how, "POSTROUTING")
    return (Command.of(iptables(source), *where, "-s", source, "-o", name, "-j", "MASQUERADE"),)


def iptables(about: str) -> str:
    """The tool for rules about this address or network."""
    return "ip6tables" if ":" in about else "iptables"


def without(thing: Object | None) -> Fix:
    """What takes away a rule, or opens a policy, that its object names by `words`; nothing for other
    objects.
    """
    match thing.words or () if thing is not None else ():
        case ("nft", family, table, chain, "policy"):
            return _nft((table, chain), "chain", family, table, chain, "{ policy accept; }")
        case ("nft", family, table, chain, "handle", handle) if handle.isdigit():
            return _nft((table, chain), "delete", "rule", family, table, chain, "handle", handle)
        case (tool, table, chain, "policy"):
            return _xtables(tool, table, chain, "-P", chain, "ACCEPT")
        case (tool, table, chain, number) if number.isdigit():
            return _xtables(tool, table, chain, "-D", chain, number)
    return ()


def _nft(names: tuple[str, ...], *words: str) -> Fix:
    return (Command.of("nft", *words),) if all(map(_NFT_NAME.fullmatch, names)) else (_NO_NFT_NAME,)


def _xtables(tool: str, table: str, chain: str, *words: str) -> Fix:
    if not _XT_NAME.fullmatch(table) or not _XT_NAME.fullmatch(chain):
        return (_NO_XT_NAME,)
    return (Command.of(tool, *([] if table == "filter" else ["-t", table]), *words),)

"""Changes as a person types them, each with the listing that proves it; `read.KINDS` has their names in the
files.
"""

from __future__ import annotations

import re
import shlex
from typing import Literal

from netprobe.lab.changes import Tool


def tool(namespace: str, command: str, reads: str, pattern: str, *, absent: bool = False) -> Tool:
    """One command line, the one that reads back, and what must (or with `absent` must not) stand in its
    output.
    """
    return Tool(namespace, tuple(shlex.split(command)), tuple(shlex.split(reads)), pattern, absent)


def down(namespace: str, interface: str) -> Tool:
    """An interface is switched off."""
    return tool(
        namespace, f"ip link set {interface} down", f"ip link show {interface}", r"<.*\bUP\b.*>", absent=True
    )


def gone(namespace: str, interface: str) -> Tool:
    """An interface is deleted; of a veth pair both ends."""
    return tool(namespace, f"ip link del {interface}", f"ip link show {interface}", interface, absent=True)


def plugged(namespace: str, interface: str, bridge: str) -> Tool:
    """An interface becomes a port of (another) bridge."""
    return tool(
        namespace,
        f"ip link set {interface} master {bridge}",
        f"ip link show {interface}",
        rf"master {bridge}\b",
    )


def mtu(namespace: str, interface: str, size: int) -> Tool:
    """An interface gets another MTU."""
    return tool(
        namespace, f"ip link set {interface} mtu {size}", f"ip link show {interface}", rf"mtu {size}\b"
    )


def mac(namespace: str, interface: str, address: str) -> Tool:
    """An interface gets another MAC address."""
    return tool(
        namespace,
        f"ip link set {interface} address {address}",
        f"ip link show {interface}",
        rf"link/ether {address}",
    )


def port(namespace: str, interface: str, setting: str, proof: str = "") -> Tool:
    """A bridge port gets another setting; `proof` where `bridge -d link` prints it in other words."""
    return tool(
        namespace,
        f"bridge link set dev {interface} {setting}",
        f"bridge -d link show dev {interface}",
        proof or setting,
    )


def address(namespace: str, interface: str, text: str) -> Tool:
    """An interface gets one more address."""
    return tool(
        namespace,
        f"ip address add {text} dev {interface}",
        f"ip address show {interface}",
        rf"inet6? {re.escape(text)} ",
    )


def no_address(namespace: str, interface: str, text: str) -> Tool:
    """An address is taken away."""
    shown = rf"inet6? {re.escape(text)} "
    return tool(
        namespace,
        f"ip address del {text} dev {interface}",
        f"ip address show {interface}",
        shown,
        absent=True,
    )


def route(namespace: str, text: str, verb: str = "add") -> Tool:
    """A route more; `text` as `ip route` takes and prints it, IPv4 or IPv6 by its addresses."""
    family = "-6 " if ":" in text else ""
    return tool(
        namespace,
        f"ip {family}route {verb} {text}",
        f"ip {family}route show table all",
        "^" + re.escape(text),
    )


def no_route(namespace: str, text: str, version: Literal[4, 6] = 4) -> Tool:
    """A route is taken away."""
    return tool(
        namespace,
        f"ip -{version} route del {text}",
        f"ip -{version} route show table all",
        "^" + re.escape(text),
        absent=True,
    )


def rule(namespace: str, text: str, version: Literal[4, 6] = 4) -> Tool:
    """A policy rule more; `text` begins with its priority: "pref 100 from 10.0.0.0/16 lookup 7"."""
    priority, _, rest = text.removeprefix("pref ").partition(" ")
    return tool(
        namespace,
        f"ip -{version} rule add {text}",
        f"ip -{version} rule show",
        rf"^{priority}:.*{re.escape(rest)}",
    )


def no_rule(namespace: str, priority: int, version: Literal[4, 6] = 4) -> Tool:
    """A policy rule is taken away."""
    return tool(
        namespace,
        f"ip -{version} rule del pref {priority}",
        f"ip -{version} rule show",
        rf"^{priority}:",
        absent=True,
    )


def neighbour(namespace: str, interface: str, text: str, lladdr: str) -> Tool:
    """A permanent neighbour entry is made by hand."""
    command = f"ip neigh replace {text} lladdr {lladdr} dev {interface} nud permanent"
    return tool(namespace, command, f"ip neigh show {text} dev {interface}", f"{lladdr} PERMANENT")


def forgotten(ends: list[str], version: Literal[4, 6] = 4) -> tuple[Tool, ...]:
    """All `ends` ("c1/eth0") of a segment forget their learned neighbours, as after a while without traffic.

    All, because a station that still remembers asks from time to time whether the other is there, and so
    teaches it its address.
    """
    return tuple(_forgets(end, version) for end in ends)


def _forgets(end: str, version: int) -> Tool:
    namespace, _, interface = end.partition("/")
    if not interface:
        raise ValueError(f"{end!r} is not NAMESPACE/INTERFACE")
    flush, show = (f"ip -{version} neigh {verb} dev {interface}" for verb in ("flush", "show"))
    return tool(namespace, flush, show, "lladdr", absent=True)


def iptables(namespace: str, text: str, program: str = "iptables", listed: str | None = None) -> Tool:
    """A rule of iptables, ip6tables or their legacy:

    "-t nat -A POSTROUTING ..."; `listed` where -S prints it in other words.
    """
    table, words = _table(text)
    shown = listed or words.replace(" -I ", " -A ").replace("-I ", "-A ", 1)
    return tool(namespace, f"{program} {text}", f"{program} -t {table} -S", "^" + re.escape(shown))


def no_iptables(namespace: str, text: str, program: str = "iptables") -> Tool:
    """A rule of iptables is deleted; `text` as for -A."""
    table, words = _table(text)
    command = f"{program} -t {table} {words.replace('-A ', '-D ', 1)}"
    return tool(namespace, command, f"{program} -t {table} -S", "^" + re.escape(words), absent=True)


def _table(text: str) -> tuple[str, str]:
    found = re.match(r"-t (\S+) (.*)", text)
    return (found[1], found[2]) if found else ("filter", text)


def nft(namespace: str, text: str, proof: str) -> Tool:
    """Commands of nft in one transaction; `proof` is a piece of the ruleset that they leave."""
    return Tool(namespace, ("nft", text), ("nft", "list", "ruleset"), re.escape(proof))

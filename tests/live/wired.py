"""What `ip -d -j link`, `ip -j addr` and `ip netns list-id` say in each namespace, joined to the edges that a map has to have.

Nothing of netprobe is used: who is behind which number is iproute2's word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Run = Callable[[str, list[str]], str]
"""Runs a command in a namespace; what it prints."""

Edge = tuple[str, frozenset[str]]
"""The kind of an edge, and both of its ends as host/eth0."""

PAIRS = ("veth", "netkit")
STACKED = ("macvlan", "macvtap", "ipvlan", "ipvtap", "vlan", "vxlan")
_NUMBERED = re.compile(r"nsid (\d+) .*\(iproute2 netns name: (.+?)\)")


def looked_at(run: Run, names: list[str], home: str) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[int, str]]]:
    """The links of each namespace, and what it calls which other one; one without a name for iproute2 is `home`."""
    links = {name: json.loads(run(name, ["ip", "-d", "-j", "address"]) or "[]") for name in names}
    numbers = {}
    for name in names:
        told = {int(number): called for number, called in _NUMBERED.findall(run(name, ["ip", "netns", "list-id"]))}
        wanted = {link["link_netnsid"] for link in links[name] if "link_netnsid" in link}
        numbers[name] = dict.fromkeys(wanted, home) | told
    return links, numbers


def edges(links: dict[str, list[dict[str, Any]]], numbers: dict[str, dict[int, str]]) -> set[Edge]:
    """All edges but tunnels."""
    found: set[Edge] = set()
    for name, those in links.items():
        for link in those:
            kind = link.get("linkinfo", {}).get("info_kind", "")
            end = f"{name}/{link['ifname']}"
            if "master" in link:
                master = next(each for each in those if each["ifname"] == link["master"])
                word = "port" if master["linkinfo"]["info_kind"] == "bridge" else "member"
                found.add((word, frozenset((end, f"{name}/{master['ifname']}"))))
            other = far(link, name, links, numbers)
            if other is not None and kind in (*PAIRS, *STACKED):
                found.add(("cable" if kind in PAIRS else "on", frozenset((end, other))))
    return found


def far(link: dict[str, Any], name: str, links: dict[str, list[dict[str, Any]]], numbers: dict[str, dict[int, str]]) -> str | None:
    """The interface that another one names: by its index in the namespace with that number, or by its name in its own."""
    if "link_netnsid" in link:
        there = numbers[name][link["link_netnsid"]]
        return next((f"{there}/{each['ifname']}" for each in links[there] if each["ifindex"] == link["link_index"]), None)
    if link.get("link"):
        return f"{name}/{link['link']}"
    lower = link.get("linkinfo", {}).get("info_data", {}).get("link")
    return f"{name}/{lower}" if lower else None


def addresses(links: dict[str, list[dict[str, Any]]]) -> dict[str, set[str]]:
    """The addresses of each interface, but for link-local ones: the kernel gives those when it comes to it."""
    return {
        f"{name}/{link['ifname']}": {f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"] if each["scope"] != "link"}
        for name, those in links.items()
        for link in those
    }


def of_map(told: dict[str, Any], *kinds: str) -> set[Edge]:
    """The edges of a map's JSON, of these kinds or of all but tunnels."""
    wanted = kinds or ("cable", "port", "member", "on")
    return {(wire["kind"], frozenset(f"{e['namespace']}/{e['interface']}" for e in (wire["near"], wire["far"])))
            for wire in told["wires"] if wire["kind"] in wanted}  # fmt: skip


def addresses_of_map(told: dict[str, Any]) -> dict[str, set[str]]:
    """The addresses of each interface of a map's JSON, but for link-local ones."""
    return {
        f"{space['name']}/{each['name']}": {address for address in each["addresses"] if not address.startswith("fe80:")}
        for space in told["spaces"]
        for each in space["interfaces"]
    }

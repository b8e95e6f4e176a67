"""What a change took with it, given back: addresses, routes, entries and settings that stood in the text of before and do not now.

The change itself is undone by `Mutation.take_back`; a deleted link takes its addresses, an address its routes, and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from mutations.mutation import Step, shell
from mutations.sight import Sight

from netprobe.errors import NetprobeError
from netprobe.lab import namespaces

_ROUNDS = 3


def restore(sight: Sight, before: dict[str, str]) -> list[str]:
    """Give back until nothing is missing or nothing more can be given; what is still different."""
    left: list[str] = []
    for _ in range(_ROUNDS):
        after = sight.digest(before.keys())
        left = [f"{name}: {line}" for name in before for line in _missing(before[name], after[name])]
        if not left:
            break
        for name in before:
            _give_back(name, before[name], after[name])
    return left


def _missing(before: str, after: str) -> list[str]:
    """Lines that were there and are not, but for a link's own, whose number and order may differ."""
    there = set(after.splitlines())
    return [line for line in _sections(before, but=("LINKS", "PORTS", "SOCKETS")) if line not in there]


def _sections(text: str, but: tuple[str, ...] = (), only: str = "") -> Iterator[str]:
    section = ""
    for line in text.splitlines():
        if re.fullmatch(r"[A-Z]+", line):
            section = line
        elif section not in but and (not only or section == only):
            yield line


def _give_back(name: str, before: str, after: str) -> None:
    there = set(after.splitlines())
    for section, command in _COMMANDS.items():
        for line in _sections(before, only=section):
            if line not in there and (text := command(line)) is not None:
                with suppress(NetprobeError):
                    shell(name, text).run()
    for line in _sections(before, only="SYSCTLS"):
        if line not in there:
            setting, _, value = line.partition(" = ")
            with suppress(OSError):
                namespaces.write_sysctl(name, setting, value)


def _address(line: str) -> str | None:
    found = re.match(r"(\S+) +inet6? (\S+)", line)
    return f"ip addr add {found[2]} dev {found[1]}{' nodad' if ':' in found[2] else ''}" if found else None


def _route(line: str) -> str | None:
    if re.match(r"(?:multicast|anycast|broadcast) ", line):
        return None
    version = 6 if ":" in line else 4
    return f"ip -{version} route add {re.sub(r'error -?[0-9]+|pref medium|onlink (?=offload)', '', line)}"


def _neighbour(line: str) -> str | None:
    if "PERMANENT" in line:
        return f"ip neigh replace {line.replace('PERMANENT', 'nud permanent').replace(' router', '')}"
    found = re.match(r"(\S+) dev (\S+) +proxy", line)
    return f"ip neigh add proxy {found[1]} dev {found[2]}" if found else None


def _fdb(line: str) -> str | None:
    return f"bridge fdb append {line.replace(' permanent', '')}" if " dst " in line else None


_COMMANDS = {"ADDRESSES": _address, "ROUTES": _route, "NEIGHBOURS": _neighbour, "FDB": _fdb}


def remade(sight: Sight, name: str, link: dict[str, Any]) -> tuple[Step, ...]:
    """The steps that make a deleted link again: a veth with both its ends, a bridge with its ports, a macvlan, a VXLAN."""
    kind, data = link.get("linkinfo", {}).get("info_kind"), link.get("linkinfo", {}).get("info_data", {})
    device = f"{link['ifname']} address {link['address']} mtu {link['mtu']}"
    if kind == "veth":
        where, far = far_end(sight, name, link) or (name, link)
        target = "" if where == name else f" netns {handle(where)}"
        made = shell(name, f"ip link add {device} type veth peer name {far['ifname']} address {far['address']} mtu {far['mtu']}{target}")
        return (made, *_set_up(name, link), *_set_up(where, far))
    if kind == "bridge":
        ports = [port["ifname"] for where, port in sight.ports if where == name and port["master"] == link["ifname"]]
        made = shell(name, f"ip link add {link['ifname']} address {link['address']} type bridge forward_delay 0")
        return (made, *_set_up(name, link), *(shell(name, f"ip link set {port} master {link['ifname']}") for port in ports))
    if kind == "vxlan":
        words = [f"id {data['id']}", f"dstport {data['port']}", "" if data.get("learning") else "nolearning"]
        words += [f"{word} {data[word]}" for word in ("local", "remote") if word in data]
        words += [f"dev {data['link']}"] if "link" in data else []
        return (shell(name, f"ip link add {device} type vxlan {' '.join(words)}"), *_set_up(name, link))
    if kind == "macvlan":
        # ip names the one below by its name in the same namespace, and else by its index
        key, below = ("ifname", link["link"]) if "link" in link else ("ifindex", link["link_index"])
        parent = next(each for where, each in sight.links if where == "host" and each[key] == below)
        made = shell("host", f"ip link add link {parent['ifname']} name {device} netns {handle(name)} type macvlan mode {data['mode']}")
        return (made, *_set_up(name, link))
    return ()


def far_end(sight: Sight, name: str, link: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The other end of a veth. ip names its namespace, but for the host's, which has no name in /run/netns."""
    if "link" in link:
        return next(((where, other) for where, other in sight.links if where == name and other["ifname"] == link["link"]), None)
    known = {each.get("nsid"): each.get("name") for each in sight.objects(name, "ip -j netns list-id")}
    there = known.get(link.get("link_netnsid")) or namespaces.HOST
    return next(((where, other) for where, other in sight.links if where == there and other["ifindex"] == link.get("link_index")), None)


def handle(name: str) -> str:
    """How `ip link ... netns` is told a namespace; `host` has no name in /run/netns."""
    return namespaces.path(name) if name == namespaces.HOST else name


def _set_up(name: str, link: dict[str, Any]) -> tuple[Step, ...]:
    master = f" master {link['master']}" if "master" in link else ""
    return (shell(name, f"ip link set {link['ifname']}{master} up"),)

"""What the namespaces of a lab have, read from their tools: the objects that can be changed, and a text in which every change shows."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from netprobe.lab import commands, namespaces
from netprobe.lab.namespaces import HOST, entered

from .settings_of_kernel import names as sysctl_names

_DIGEST = """
echo LINKS; ip -d -o link show
echo ADDRESSES; ip -o addr show | sed "s/^[0-9]*: //"
echo ROUTES; ip -o -4 route show table all; ip -o -6 route show table all
echo RULES; ip -4 rule show; ip -6 rule show
echo NEIGHBOURS; ip -o neigh show nud permanent; ip -o -6 neigh show nud permanent; ip -o neigh show proxy; ip -o -6 neigh show proxy
echo PORTS; bridge -d -o link show
echo FDB; bridge fdb show | grep -E 'permanent|static|dst'
echo VLANS; bridge vlan show
echo QUEUES; tc qdisc show
for d in $(ip -o link show | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/'); do
  tc filter show dev $d ingress; tc filter show dev $d egress; tc filter show dev $d root; done
echo NFT; nft -s list ruleset
echo LEGACY; iptables-legacy-save | grep -v "^#"; ip6tables-legacy-save | grep -v "^#"
echo XFRM; ip xfrm policy show; ip xfrm state show
echo SOCKETS; ss -Hnlutp
echo CONNECTIONS; conntrack -L -p udp 2>/dev/null | grep -E 'sport=40[0-9]{2} ' | sed 's/^udp *17 [0-9]* //'
"""

_MOVES = re.compile(
    r"NO-CARRIER,|,LOWER_UP|M-DOWN,| state (?:UP|DOWN|UNKNOWN|LOWERLAYERDOWN)| qdisc \S+(?= |$)| tentative| linkdown| dead| stale"
    r"| valid_lft \S+ preferred_lft \S+| expires \S+| used \d+ sec| age \S+|(?:hello|tcn|topology_change|gc)_timer +\S+"
    r"|topology_change(?:_detected)? \S+|\[\d+:\d+\]| packets \d+ bytes \d+| refcnt \d+|pid=\d+,fd=\d+|pref \d+(?= .*bpf)| id \d+(?= jited)"
)
"""What differs between two looks though nobody changed anything."""
_OTHERS = re.compile(r"^.*(?:fe80::|\bff0\d::|33:33:|01:00:5e|01:80:c2|anycast |multicast ff).*\n", re.MULTILINE)
"""What comes by itself a moment after a link: link-local addresses and the groups of the kernel."""


@dataclass(frozen=True)
class Sight:
    """All namespaces of a lab, looked at when asked; what was read stays, so a new look needs a new sight."""

    spaces: tuple[str, ...]
    _kept: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def everywhere(self, command: str) -> list[tuple[str, dict[str, Any]]]:
        """(namespace, object) of all that a command prints as JSON, in the order of the namespaces."""
        return [(name, each) for name in self.spaces for each in self.objects(name, command)]

    def objects(self, namespace: str, command: str) -> list[dict[str, Any]]:
        """What `ip -j ...` and the like print; nothing where the tool or the family is missing."""
        key = (namespace, command)
        if key not in self._kept:
            self._kept[key] = _json(self.said(namespace, command))
        return [dict(each) for each in self._kept[key] if each]

    def said(self, namespace: str, command: str) -> str:
        """What a program prints."""
        argv = command.split()
        program = commands.find(argv[0])
        if program is None:
            return ""
        with entered(namespace):
            return subprocess.run([program, *argv[1:]], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout

    @cached_property
    def links(self) -> list[tuple[str, dict[str, Any]]]:
        """Every interface but those that a kernel makes by itself (tunl0 and the like)."""
        return [(name, link) for name, link in self.everywhere("ip -j -d link show") if link.get("link_type") in ("ether", "loopback")]

    @cached_property
    def wires(self) -> list[tuple[str, dict[str, Any]]]:
        """Every interface but the loopback."""
        return [(name, link) for name, link in self.links if link["link_type"] == "ether"]

    @cached_property
    def addresses(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(namespace, interface, address) of every address that a person gave."""
        return [
            (name, link["ifname"], address)
            for name, link in self.everywhere("ip -j addr show")
            for address in link.get("addr_info", [])
            if address.get("scope") == "global"
        ]

    @cached_property
    def ports(self) -> list[tuple[str, dict[str, Any]]]:
        """Every port of a bridge."""
        return [(name, link) for name, link in self.links if link.get("linkinfo", {}).get("info_slave_kind") == "bridge"]

    @cached_property
    def bridges(self) -> list[tuple[str, dict[str, Any]]]:
        """Every bridge."""
        return [(name, link) for name, link in self.links if link.get("linkinfo", {}).get("info_kind") == "bridge"]

    def routes(self, version: int) -> list[tuple[str, str]]:
        """(namespace, line) of every route of the main and of added tables, as `ip route` prints and takes them."""
        return [
            (name, route)
            for name in self.spaces
            for route in self.said(name, f"ip -{version} -o route show table all").splitlines()
            if "table local" not in route and not re.match(r"(?:multicast|local|anycast|broadcast) |.*(?:fe80::|ff00::)", route)
        ]

    def source(self, name: str, address: str) -> str | None:
        """The address that a namespace asks an address with."""
        return next((found["prefsrc"] for found in self.objects(name, f"ip -j route get {address}") if "prefsrc" in found), None)

    @cached_property
    def macs(self) -> list[str]:
        """The Ethernet addresses of the lab."""
        return sorted({link["address"] for _, link in self.wires})

    def digest(self, names: Collection[str] | None = None) -> dict[str, str]:
        """Of each namespace (of these) a text of all that can be changed, without what moves by itself."""
        return {name: _digest(name) for name in self.spaces if names is None or name in names}


def look(topology_namespaces: Sequence[str]) -> Sight:
    """A fresh sight of a lab."""
    return Sight((HOST, *topology_namespaces))


def _json(text: str) -> list[dict[str, Any]]:
    with suppress(ValueError):
        found = json.loads(text)
        return found if isinstance(found, list) else []
    return []


def _digest(namespace: str) -> str:
    with entered(namespace):
        done = subprocess.run(["sh", "-c", _DIGEST], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        sysctls = "\n".join(f"{name} = {_value(name)}" for name in sysctl_names())
    return _OTHERS.sub("", _MOVES.sub("", done.stdout)) + "SYSCTLS\n" + sysctls + "\n"


def _value(name: str) -> str:
    with suppress(OSError):
        return " ".join(Path(namespaces.sysctl_file(name)).read_text().split())
    return ""


def differences(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """The lines that came and went, each with its namespace."""
    for name in before:
        old, new = before[name].splitlines(), after[name].splitlines()
        yield from (f"{name}: - {line}" for line in old if line not in new)
        yield from (f"{name}: + {line}" for line in new if line not in old)

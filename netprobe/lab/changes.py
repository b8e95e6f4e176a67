"""Single changes to a lab, each of which can tell by reading back whether it is really in place.

Some settings return success and do nothing (`bridge link set ... state 4` without STP), so nothing is taken
for done because it raised no error. `command` is what a person would type at the lab's prompt for the same
effect.
"""

from __future__ import annotations

import re
import shlex
import socket
from dataclasses import dataclass
from typing import Protocol

from netprobe.errors import CannotLook

from . import build, commands, firewall, namespaces
from .firewall import FirewallTool
from .namespaces import HOST


class LabChange(Protocol):
    """One change of a lab."""

    @property
    def namespace(self) -> str:
        """Where it is made."""

    @property
    def command(self) -> str:
        """What a person would type for it."""

    def apply(self) -> None:
        """Make the change. Only inside the lab."""

    def holds(self) -> bool:
        """Read back whether it is in place."""


def typed(namespace: str, command: str) -> str:
    """A command as it is typed at the lab's prompt, which is in `host`."""
    return command if namespace == HOST else f"ip netns exec {namespace} {command}"


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """A kernel setting gets another value."""

    namespace: str
    name: str
    value: str

    @property
    def command(self) -> str:
        """`sysctl -w`."""
        return typed(self.namespace, f"sysctl -w {self.name}={self.value}")

    def apply(self) -> None:
        """Write it."""
        namespaces.write_sysctl(self.namespace, self.name, self.value)

    def holds(self) -> bool:
        """Read it."""
        return namespaces.read_sysctl(self.namespace, self.name) == self.value


@dataclass(frozen=True, slots=True)
class Unplug:
    """An interface is taken out of its bridge."""

    namespace: str
    interface: str

    @property
    def command(self) -> str:
        """`ip link set ... nomaster`."""
        return typed(self.namespace, f"ip link set {self.interface} nomaster")

    def apply(self) -> None:
        """Take it out."""
        with build.talk(self.namespace) as talk:
            talk.link("set", index=build.index(talk, self.interface), master=0)

    def holds(self) -> bool:
        """Whether it has no master now."""
        with build.talk(self.namespace) as talk:
            (link,) = talk.get_links(build.index(talk, self.interface))
            return not link.get_attr("IFLA_MASTER")


@dataclass(frozen=True, slots=True)
class RemoveDefaultRoute:
    """The IPv4 default route disappears."""

    namespace: str

    @property
    def command(self) -> str:
        """`ip route del default`."""
        return typed(self.namespace, "ip route del default")

    def apply(self) -> None:
        """Delete it."""
        with build.talk(self.namespace) as talk:
            talk.route("del", family=socket.AF_INET, dst="default")

    def holds(self) -> bool:
        """Whether no IPv4 route of the main table has an empty destination."""
        with build.talk(self.namespace) as talk:
            return not any(
                route["dst_len"] == 0 for route in talk.get_routes(family=socket.AF_INET, table=254)
            )


@dataclass(frozen=True, slots=True)
class StopMasquerading:
    """The translation rules disappear, for IPv4 and IPv6."""

    namespace: str

    @property
    def command(self) -> str:
        """With nft one chain holds them; iptables keeps one for each family."""
        if firewall.built_with(self.namespace) is FirewallTool.NFT:
            return typed(self.namespace, "nft flush chain inet lab postrouting")
        return " && ".join(
            typed(self.namespace, f"{tool} -t nat -F POSTROUTING") for tool in firewall.iptables()
        )

    def apply(self) -> None:
        """Flush them."""
        if firewall.built_with(self.namespace) is FirewallTool.NFT:
            commands.run(self.namespace, ("nft", "flush", "chain", "inet", "lab", "postrouting"))
        else:
            for tool in firewall.iptables():
                commands.run(self.namespace, (tool, "-t", "nat", "-F", "POSTROUTING"))

    def holds(self) -> bool:
        """Whether the word is gone from the rules."""
        if firewall.built_with(self.namespace) is FirewallTool.NFT:
            return "masquerade" not in commands.run(
                self.namespace, ("nft", "list", "chain", "inet", "lab", "postrouting")
            )
        return "MASQUERADE" not in commands.run(
            self.namespace, ("iptables", "-t", "nat", "-S", "POSTROUTING")
        )


@dataclass(frozen=True, slots=True)
class DropForwarded:
    """A rule drops what is forwarded from one interface to another."""

    namespace: str
    incoming: str
    out: str

    @property
    def command(self) -> str:
        """nft takes it as one text."""
        return typed(self.namespace, shlex.join(self._argv()))

    def apply(self) -> None:
        """Add the rule, with nft also its chain."""
        commands.run(self.namespace, self._argv())

    def holds(self) -> bool:
        """Whether the rule is listed."""
        if firewall.built_with(self.namespace) is FirewallTool.NFT:
            listed = commands.run(self.namespace, ("nft", "list", "table", "inet", "lab"))
            return (
                re.search(rf'iifname "{self.incoming}" oifname "{self.out}" counter .*drop', listed)
                is not None
            )
        return f"-A FORWARD -i {self.incoming} -o {self.out} -j DROP" in commands.run(
            self.namespace, ("iptables", "-S", "FORWARD")
        )

    def _argv(self) -> tuple[str, ...]:
        if firewall.built_with(self.namespace) is FirewallTool.IPTABLES:
            return ("iptables", "-A", "FORWARD", "-i", self.incoming, "-o", self.out, "-j", "DROP")
        chain = "add chain inet lab forward { type filter hook forward priority filter; }"
        return (
            "nft",
            f'{chain}; add rule inet lab forward iifname "{self.incoming}" oifname "{self.out}" counter drop',
        )


@dataclass(frozen=True, slots=True)
class Tool:
    """Any change that a program makes; it holds when what `reads` prints matches `pattern` (or, with
    `absent`, does not).
    """

    namespace: str
    argv: tuple[str, ...]
    reads: tuple[str, ...]
    pattern: str
    absent: bool = False

    @property
    def command(self) -> str:
        """The program's own command line."""
        return typed(self.namespace, shlex.join(self.argv))

    def apply(self) -> None:
        """Run it."""
        commands.run(self.namespace, self.argv)

    def holds(self) -> bool:
        """Run the reading program and look. One that fails proves nothing but absence."""
        try:
            printed = commands.run(self.namespace, self.reads)
        except CannotLook:
            return self.absent
        return (re.search(self.pattern, printed, re.MULTILINE) is None) is self.absent

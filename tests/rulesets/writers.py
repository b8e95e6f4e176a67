"""Programs that write rulesets, at work on the tutorial's host: what each is, and what is asked of what it wrote."""

from __future__ import annotations

from dataclasses import dataclass

from questions import Probe

OUTSIDE, INSIDE, BRIDGE = "203.0.113.2", "10.0.0.1", "172.17.0.1"

BASE = (
    "bash", "coreutils", "dash", "debianutils", "diffutils", "findutils", "gawk", "grep", "gzip", "hostname", "libc-bin", "perl-base",
    "sed", "util-linux", "iptables", "nftables", "ipset", "ebtables", "iproute2", "procps", "kmod", "netbase",
)  # fmt: skip


@dataclass(frozen=True)
class Writer:
    """A program at work: a shell script, and what to ask afterwards beside the usual; `legacy`: its iptables is the old engine's."""

    name: str
    script: str
    probes: tuple[Probe, ...] = ()
    legacy: bool = False


def published(port: int = 8080) -> tuple[Probe, ...]:
    """A port of the host that leads to a station, asked from all sides."""
    return tuple(Probe(who, OUTSIDE, "tcp", port) for who in ("internet", "red", "c1", "c2", "host"))


def server(port: int, protocol: str = "tcp") -> tuple[Probe, ...]:
    """A port of the host itself."""
    return tuple(Probe(who, where, protocol, port) for who, where in (("red", INSIDE), ("c1", BRIDGE), ("internet", OUTSIDE)))


SERVE_DBUS = "mkdir -p /run/dbus\ndbus-daemon --system --fork --nopidfile\n"
AWAIT = 'n=0\nuntil {0}; do n=$((n + 1)); [ "$n" -lt 200 ] || exit 9; sleep 0.1; done\n'

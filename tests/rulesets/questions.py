"""What is asked of each ruleset, in the tutorial's network."""

from __future__ import annotations

from dataclasses import dataclass

C1, C2, RED, FAR = "172.17.0.2", "172.17.0.3", "10.0.0.2", "8.8.8.8"
P1, P2 = "veth4f1d2a6", "veth9b03c7e"


@dataclass(frozen=True)
class Probe:
    """One question: from a namespace, to an address, by a protocol and its port."""

    source: str
    target: str
    protocol: str = "icmp"
    port: int | None = None


USUAL = (
    Probe("red", FAR),
    Probe("red", FAR, "tcp", 80),
    Probe("c1", C2),
    Probe("c1", C2, "tcp", 80),
    Probe("c1", FAR, "udp", 53),
    Probe("red", C2, "tcp", 80),
    Probe("internet", "203.0.113.2"),
    Probe("host", C2, "tcp", 80),
    Probe("c2", "10.0.0.1"),
)
"""Asked of every ruleset."""

"""nft's hooks at a device: of family netdev, which sees every frame, and of inet, which sees IP alone."""

from __future__ import annotations

import pytest
from asking import once, trace

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]


def ended(lab: Lab, family: str, rule: str, policy: str = "accept", devices: str = '"eth0"') -> tuple[str, str, str | None, list[str]]:
    text = f"""
        table {family} t {{
            chain i {{ type filter hook ingress devices = {{ {devices} }} priority 0; policy {policy};
                {rule}
            }}
        }}"""
    lab.run(["nft", "-f", "-"], text=text, check=True)
    lab.run(["ip", "neigh", "flush", "all"], check=True)
    report = trace(lab, "red", "8.8.8.8")
    lab.run(["nft", "delete", "table", family, "t"], check=True)
    return report["verdict"], report["agreement"], report["direction"], [cause["code"] for cause in report["causes"][:1]]


@pytest.mark.parametrize("family", ["inet", "netdev"])
def test_a_rule_at_ingress(fresh_lab: Lab, family: str) -> None:
    fine = ("reachable", "confirmed", None, [])
    assert ended(fresh_lab, family, "icmp type echo-reply drop") == ("unreachable", "confirmed", "reply", ["filtered-by-rule"])
    both = '"veth0", "eth0"'
    assert ended(fresh_lab, family, "icmp type echo-request drop", devices=both)[2:] == ("request", ["filtered-by-rule"])
    assert ended(fresh_lab, family, "icmp type echo-request drop") == fine  # requests leave by eth0
    assert ended(fresh_lab, family, "udp dport 53 drop") == fine


@pytest.mark.parametrize(("family", "passes"), [("inet", True), ("netdev", False)])
def test_arp_at_ingress(fresh_lab: Lab, family: str, passes: bool) -> None:
    """A policy that lets nothing but ICMP in."""
    found = ended(fresh_lab, family, "icmp type echo-reply accept", "drop")
    assert found == (("reachable", "confirmed", None, []) if passes else ("unreachable", "confirmed", "request", ["policy-drop"]))

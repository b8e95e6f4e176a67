"""Policy rules that look at ports: what netprobe sends is routed as a program's packets are."""

from __future__ import annotations

from typing import Any

import pytest
from asking import once, trace

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once, pytest.mark.thorough]


def ended(lab: Lab, target: str) -> tuple[str, str, list[str]]:
    report: dict[str, Any] = trace(lab, "red", target, "-c", "3")
    return report["verdict"], report["agreement"], [cause["code"] for cause in report["causes"][:1]]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_rule_for_a_port(fresh_lab: Lab, protocol: str) -> None:
    target, rule = f"8.8.8.8:53/{protocol}", f"ipproto {protocol} dport 53 lookup 100"
    before = ended(fresh_lab, target)
    fresh_lab.run(f"ip -n red rule add {rule}".split(), check=True)
    fresh_lab.run(["ip", "-n", "red", "route", "add", "default", "via", "10.0.0.1", "dev", "eth0", "onlink", "table", "100"], check=True)
    assert ended(fresh_lab, target) == before
    fresh_lab.run(["ip", "-n", "red", "route", "replace", "unreachable", "default", "table", "100"], check=True)
    verdict, agreement, [code] = ended(fresh_lab, target)
    assert (verdict, agreement) == ("unreachable", "confirmed")
    assert code in ("rule-wrong-table", "route-unreachable")
    fresh_lab.run(f"ip -n red rule del {rule}".split(), check=True)
    assert ended(fresh_lab, target) == before

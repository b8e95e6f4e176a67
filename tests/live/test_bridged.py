"""Packets that br_netfilter hands from a bridge to the IP rules: translated there, they change their way.

Kernel: net/bridge/br_netfilter_hooks.c."""

from __future__ import annotations

from typing import Any

import pytest
from asking import ask, once, trace

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

CALLS = ("sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1",)
HAIRPIN = "bridge link set dev veth9b03c7e hairpin on"
SERVICE, SERVICE6 = "10.96.0.1", "fd00:96::1"


def nat(*rules: str) -> tuple[str, ...]:
    return (
        "nft add table inet svc",
        "nft add chain inet svc pre { type nat hook prerouting priority dstnat; }",
        "nft add chain inet svc post { type nat hook postrouting priority srcnat; }",
        *(f"nft add rule inet svc {rule}" for rule in rules),
    )


TO_C2 = (f"pre ip daddr {SERVICE} dnat to 172.17.0.3", f"pre ip6 daddr {SERVICE6} dnat to fd00:172:17::3")
TO_ITSELF = (
    *TO_C2,
    "post ip saddr 172.17.0.3 ip daddr 172.17.0.3 masquerade",
    "post ip6 saddr fd00:172:17::3 ip6 daddr fd00:172:17::3 masquerade",
)


def seen(lab: Lab, lines: tuple[str, ...], source: str, target: str) -> dict[str, Any]:
    """What `trace` reports, and that `why` says the same without a packet."""
    for line in lines:
        lab.run(line.split(), check=True)
    unsent = ask(lab, "why", "-o", "json", source, target).report
    report = trace(lab, source, target)
    assert unsent["verdict"] == report["verdict"], (unsent["summary"], report["summary"])
    return report


def changes(report: dict[str, Any], leg: str) -> list[tuple[str, str]]:
    return [(change["to"], change["by"]) for hop in report["path"][leg] for change in hop["changes"]]


def stations(report: dict[str, Any], leg: str) -> list[str | None]:
    return [hop["interface"] for hop in report["path"][leg] if hop["namespace"] == "host" and hop["bound"]]


@pytest.mark.parametrize("service", [SERVICE, SERVICE6])
def test_a_target_on_the_same_bridge_is_bridged_on(fresh_lab: Lab, service: str) -> None:
    """The frame gets the MAC of the next hop and stays on the bridge: no TTL is spent, the bridge itself takes nothing up."""
    report = seen(fresh_lab, (*CALLS, *nat(*TO_C2)), "c1", service)
    assert (report["verdict"], report["agreement"]) == ("reachable", "confirmed")
    assert stations(report, "request") == ["veth4f1d2a6", "veth9b03c7e"]
    assert changes(report, "reply") == [(service, "DNAT undone")]


def test_its_forward_rules_see_both_ports_and_its_postrouting_rules_no_way_in(fresh_lab: Lab) -> None:
    guard = (
        "pre ip daddr 10.9.9.9 accept",
        f"post iifname docker0 ip saddr {SERVICE} drop",
    )
    report = seen(fresh_lab, (*CALLS, *nat(*TO_C2, *guard)), "c1", SERVICE)
    assert report["verdict"] == "reachable"
    physical = "iptables -I FORWARD -i docker0 -o docker0 -m physdev --physdev-in veth4f1d2a6 --physdev-out veth9b03c7e -j DROP"
    report = seen(fresh_lab, (physical,), "c1", SERVICE)
    assert report["verdict"] == "unreachable"
    assert report["causes"][0]["object"]["id"] == "iptables filter FORWARD 1"


@pytest.mark.parametrize("service", [SERVICE, SERVICE6])
def test_a_target_behind_another_interface_goes_to_the_host(fresh_lab: Lab, service: str) -> None:
    rules = (f"pre ip daddr {SERVICE} dnat to 8.8.8.8", f"pre ip6 daddr {SERVICE6} dnat to 2001:4860:4860::8888",
             "post oifname eth0 masquerade")  # fmt: skip
    report = seen(fresh_lab, (*CALLS, *nat(*rules)), "c1", service)
    assert (report["verdict"], report["agreement"]) == ("reachable", "confirmed")
    assert stations(report, "request") == ["veth4f1d2a6", "docker0", "eth0"]


def test_a_redirect_goes_to_the_host(fresh_lab: Lab) -> None:
    """Even where the frame was for another station."""
    report = seen(fresh_lab, (*CALLS, *nat("pre ip daddr 172.17.0.3 redirect")), "c1", "172.17.0.3")
    assert (report["verdict"], report["agreement"]) == ("reachable", "confirmed")
    assert stations(report, "request") == ["veth4f1d2a6", "docker0"]


@pytest.mark.parametrize("service", [SERVICE, SERVICE6])
def test_a_station_reaches_itself_where_its_port_is_a_hairpin(fresh_lab: Lab, service: str) -> None:
    report = seen(fresh_lab, (*CALLS, *nat(*TO_ITSELF), HAIRPIN), "c2", service)
    assert (report["verdict"], report["agreement"]) == ("reachable", "confirmed")
    assert [by for _, by in changes(report, "reply")] == ["SNAT undone", "DNAT undone"]


@pytest.mark.parametrize("service", [SERVICE, SERVICE6])
def test_and_does_not_where_it_is_none(fresh_lab: Lab, service: str) -> None:
    report = seen(fresh_lab, (*CALLS, *nat(*TO_ITSELF)), "c2", service)
    assert report["verdict"] == "unreachable"
    cause = report["causes"][0]
    assert (cause["code"], cause["object"]["id"]) == ("port-not-forwarding", "veth9b03c7e")
    assert "bridge link set dev veth9b03c7e hairpin on" in str(cause["fix"])


@pytest.mark.parametrize(("service", "code"), [(SERVICE, "forwarding-off"), (SERVICE6, None)])
def test_without_forwarding_ipv6_stays_on_the_bridge_and_ipv4_goes_to_the_host(fresh_lab: Lab, service: str, code: str | None) -> None:
    off = "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0"
    report = seen(fresh_lab, (*CALLS, *nat(*TO_C2), off), "c1", service)
    assert report["agreement"] == "confirmed"
    assert [cause["code"] for cause in report["causes"]] == ([code] if code else [])


def test_a_bridge_may_call_them_by_itself(fresh_lab: Lab) -> None:
    report = seen(fresh_lab, ("ip link set docker0 type bridge nf_call_iptables 1", *nat(*TO_C2)), "c1", SERVICE)
    assert (report["verdict"], report["agreement"]) == ("reachable", "confirmed")
    assert stations(report, "request") == ["veth4f1d2a6", "veth9b03c7e"]


def test_without_it_the_host_routes_the_packet(fresh_lab: Lab) -> None:
    report = seen(fresh_lab, nat(*TO_C2, "post ip daddr 172.17.0.3 masquerade"), "c1", SERVICE)
    assert (report["verdict"], report["agreement"]) == ("reachable", "confirmed")
    assert stations(report, "request") == ["veth4f1d2a6", "docker0", "docker0", "veth9b03c7e"]


def test_what_the_host_sends_by_a_bridge_is_postrouted_once(fresh_lab: Lab) -> None:
    """br_nf_post_routing leaves alone what no bridge has forwarded."""
    rule = "iptables -t mangle -A POSTROUTING -o docker0 -m physdev --physdev-is-out -j DROP"
    report = seen(fresh_lab, (*CALLS, rule), "host", "172.17.0.3")
    assert (report["verdict"], report["agreement"]) == ("reachable", "confirmed")


def test_ebtables_output_sees_the_port(fresh_lab: Lab) -> None:
    """The host's own frames meet OUTPUT at each port that they leave by (__br_forward)."""
    report = seen(fresh_lab, ("ebtables -A OUTPUT -p IPv4 -o veth9b03c7e -j DROP",), "host", "172.17.0.3")
    assert report["verdict"] == "unreachable"
    assert report["causes"][0]["object"]["id"] == "ebtables filter OUTPUT 1"

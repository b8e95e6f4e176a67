"""Other topologies than the tutorial's: every kind of link and entry that a topology can declare carries packets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netprobe.errors import CannotLook
from netprobe.lab import commands, firewall, namespaces
from netprobe.lab.firewall import FirewallTool
from netprobe.lab.lab import Lab
from netprobe.lab.topology import (
    Dummy,
    Interface,
    LabBridge,
    LabFdbEntry,
    LabMacvlan,
    LabNeighbour,
    LabPolicyRule,
    LabRoute,
    LabVxlan,
    Rules,
    Service,
    Sysctl,
    Topology,
    Veth,
)
from netprobe.lab.tutorial import TUTORIAL

MakeLab = Callable[..., Lab]


def ping(lab: Lab, source: str, destination: str, *options: str) -> bool:
    return lab.run(["ping", "-c1", "-W3", *options, destination], namespace=source).returncode == 0


def vxlan_side(number: int) -> tuple[LabBridge | LabVxlan | Veth, ...]:
    node, other = f"n{number}", 3 - number
    return (
        LabBridge(Interface(node, "br0")),
        LabVxlan(Interface(node, "vx0", master="br0"), 42, f"192.168.50.{number}", f"192.168.50.{other}", underlay="u0"),
        Veth(Interface(node, "vc", master="br0", mtu=1450), Interface(f"c{number}", "eth0", (f"10.42.0.{number}/24",), mtu=1450)),
    )


UNDERLAY = Veth(Interface("n1", "u0", ("192.168.50.1/24",)), Interface("n2", "u0", ("192.168.50.2/24",)))


@pytest.mark.lab
def test_vxlan_pair(make_lab: MakeLab) -> None:
    lab = make_lab(Topology(("n1", "n2", "c1", "c2"), (UNDERLAY, *vxlan_side(1), *vxlan_side(2))))
    assert ping(lab, "c1", "10.42.0.2")
    assert ping(lab, "c1", "10.42.0.2", "-s", "1422", "-Mdo"), "as big as the tunnel's MTU allows"


@pytest.mark.lab
def test_vxlan_by_entries_only(make_lab: MakeLab) -> None:
    """As flannel does it: routes, permanent neighbours and FDB entries instead of learning."""
    macs = {1: "02:00:00:00:01:01", 2: "02:00:00:00:02:02"}
    links = tuple(
        LabVxlan(
            Interface(f"n{n}", "vx0", (f"10.244.{n}.0/32",), mac=macs[n]), 1, f"192.168.50.{n}", port=8472, learning=False, underlay="u0"
        )
        for n in (1, 2)
    )
    lab = make_lab(
        Topology(
            ("n1", "n2"), (UNDERLAY, *links),
            routes=tuple(LabRoute(f"n{n}", f"10.244.{3 - n}.0/24", f"10.244.{3 - n}.0", "vx0", onlink=True) for n in (1, 2)),
            neighbours=tuple(LabNeighbour(f"n{n}", "vx0", f"10.244.{3 - n}.0", macs[3 - n]) for n in (1, 2)),
            fdb=tuple(LabFdbEntry(f"n{n}", "vx0", macs[3 - n], f"192.168.50.{3 - n}") for n in (1, 2)),
        )
    )  # fmt: skip
    assert ping(lab, "n1", "10.244.2.0")


@pytest.mark.lab
def test_macvlan(make_lab: MakeLab) -> None:
    lab = make_lab(
        Topology(
            ("out", "m1", "m2"),
            (
                Veth(Interface("host", "eth0", ("203.0.113.2/24",)), Interface("out", "eth0", ("203.0.113.1/24",))),
                LabMacvlan(Interface("m1", "eth0", ("203.0.113.51/24",)), "eth0"),
                LabMacvlan(Interface("m2", "eth0", ("203.0.113.52/24",)), "eth0"),
            ),
        )
    )
    assert ping(lab, "m1", "203.0.113.1")
    assert ping(lab, "m1", "203.0.113.52"), "mode bridge: they reach each other"
    assert not ping(lab, "m1", "203.0.113.2"), "but never the parent's own address"


@pytest.mark.lab
def test_dummy(make_lab: MakeLab) -> None:
    """Skipped on kernels without dummy interfaces."""
    cable = Veth(Interface("host", "eth0", ("10.9.0.1/24",)), Interface("out", "eth0", ("10.9.0.2/24",)))
    routes = (LabRoute("host", "198.51.100.7/32", via="10.9.0.2"),)
    lab = make_lab(Topology(("out",), (cable, Dummy(Interface("out", "srv", ("198.51.100.7/32",)))), routes=routes))
    assert ping(lab, "host", "198.51.100.7")


@pytest.mark.lab
def test_second_uplink_by_policy_rule(make_lab: MakeLab) -> None:
    lab = make_lab(
        Topology(
            ("out",),
            (
                Veth(Interface("host", "eth0", ("203.0.113.2/24",)), Interface("out", "eth0", ("203.0.113.1/24",))),
                Veth(Interface("host", "eth1", ("198.51.100.2/24",)), Interface("out", "eth1", ("198.51.100.1/24",))),
            ),
            loopback=(Interface("out", "lo", ("8.8.8.8/32",)),),
            routes=(
                LabRoute("host", via="203.0.113.1"),
                LabRoute("host", via="198.51.100.1", table=100),
                LabRoute("host", "192.0.2.0/24", kind="blackhole"),
                LabRoute("host", "192.0.3.0/24", device="eth1"),
            ),
            policy=(LabPolicyRule("host", 1000, table=100, source="198.51.100.2"), LabPolicyRule("host", 1001, table=100, mark=7)),
        )
    )
    assert " dev eth0 " in lab.run(["ip", "route", "get", "8.8.8.8"], check=True).stdout
    assert " dev eth1 " in lab.run(["ip", "route", "get", "8.8.8.8", "from", "198.51.100.2"], check=True).stdout
    assert " dev eth1 " in lab.run(["ip", "route", "get", "8.8.8.8", "mark", "7"], check=True).stdout
    assert ping(lab, "host", "8.8.8.8", "-I", "198.51.100.2")
    assert lab.run(["ip", "route", "get", "192.0.2.1"]).returncode != 0
    assert "192.0.3.0/24 dev eth1 scope link" in lab.run(["ip", "route"], check=True).stdout


@pytest.mark.lab
def test_rules_sysctls_and_states(make_lab: MakeLab) -> None:
    drop = "table inet t {\n chain f {\n type filter hook input priority 0;\n ip saddr 10.9.0.2 icmp type echo-request drop\n }\n}\n"
    lab = make_lab(
        Topology(
            ("a", "b"),
            (
                Veth(Interface("host", "eth0", ("10.9.0.1/24",)), Interface("a", "eth0", ("10.9.0.2/24",), mtu=1400)),
                Veth(Interface("host", "off0", up=False), Interface("b", "eth0", ("10.8.0.2/24",))),
            ),
            sysctls=(
                Sysctl("host", "net.ipv4.conf.eth0.rp_filter", "1"),
                Sysctl("a", "net.ipv4.conf.default.forwarding", "1"),
            ),
            rules=(
                Rules("host", "nft", drop),
                Rules("a", "iptables", "*filter\n-A OUTPUT -d 10.9.0.9 -j REJECT\nCOMMIT\n"),
            ),
            services=(Service("a", "udp", 99, "10.9.0.2"),),
        )
    )
    assert ping(lab, "host", "10.9.0.2")
    assert not ping(lab, "a", "10.9.0.1")
    assert lab.call(namespaces.read_sysctl, "host", "net.ipv4.conf.eth0.rp_filter") == "1"
    assert lab.call(namespaces.read_sysctl, "a", "net.ipv4.conf.eth0.forwarding") == "1", "from default: set before the link was made"
    assert "state DOWN" in lab.run(["ip", "link", "show", "off0"], check=True).stdout
    assert "mtu 1400" in lab.run(["ip", "link", "show", "eth0"], namespace="a", check=True).stdout
    assert "-d 10.9.0.9/32 -j REJECT" in lab.run(["iptables", "-S"], namespace="a", check=True).stdout
    listening = lab.run(["python3", "-c", "print(open('/proc/net/udp').read())"], namespace="a", check=True).stdout
    assert "0200090A:0063" in listening


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Interface("red", "sixteen-bytes-xx"), "1 to 15 bytes"),
        (lambda: Interface("red", ""), "1 to 15 bytes"),
        (lambda: Topology(("red",), (LabBridge(Interface("blue", "br0")),)), "does not make"),
        (lambda: Topology(("red",), routes=(LabRoute("typo", via="10.0.0.1"),)), "does not make"),
        (lambda: Topology(("red",), (Dummy(Interface("red", "d0", master="br0")),)), "does not have"),
        (lambda: Topology(("red",), (LabBridge(Interface("red", "br0")), Dummy(Interface("host", "d0", master="br0")))), "does not have"),
        (lambda: Topology(("host",)), "host"),
        (lambda: Topology(("red", "red")), "twice"),
        (lambda: Topology(("a/b",)), "name"),
        (lambda: Topology(("..",)), "name"),
    ],
)
def test_a_topology_that_cannot_be_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_lab_without_ipv6_has_none_of_it() -> None:
    spoken = TUTORIAL.without_ipv6()
    assert not [address for interface in spoken.interfaces() for address in interface.addresses if ":" in address]
    assert {route.version for route in spoken.routes} == {4}
    assert {sysctl.name for sysctl in spoken.sysctls} == {"net.ipv4.ip_forward"}
    assert len(list(spoken.interfaces())) == len(list(TUTORIAL.interfaces()))
    assert spoken.addresses("red") == ("10.0.0.2",)


@pytest.mark.lab
def test_a_lab_without_ipv6_works(make_lab: MakeLab) -> None:
    lab = make_lab(TUTORIAL.without_ipv6(), engine=FirewallTool.IPTABLES)
    assert ping(lab, "red", "8.8.8.8")
    assert not ping(lab, "red", "2001:4860:4860::8888")


@pytest.mark.parametrize(("working", "chosen"), [({"nft", "iptables"}, FirewallTool.NFT), ({"iptables"}, FirewallTool.IPTABLES)])
def test_nft_is_preferred_and_iptables_will_do(monkeypatch: pytest.MonkeyPatch, working: set[str], chosen: FirewallTool) -> None:
    monkeypatch.setattr(commands, "run", only(working))
    assert firewall.choose("host") is chosen


def test_a_machine_without_either_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "run", only(set()))
    with pytest.raises(CannotLook, match="nft or iptables"):
        firewall.choose("host")


def only(working: set[str]) -> Callable[..., str]:
    def run(namespace: str, argv: tuple[str, ...]) -> str:
        if argv[0] not in working:
            raise CannotLook(f"no {argv[0]}")
        return ""

    return run


def test_addresses_of_a_namespace() -> None:
    topology = Topology(("a",), (Dummy(Interface("a", "d0", ("10.0.0.1/24", "fd00::1/64"))),), (Interface("a", "lo", ("8.8.8.8/32",)),))
    assert topology.addresses("a") == ("8.8.8.8", "10.0.0.1", "fd00::1")
    assert topology.addresses("host") == ()


def test_a_route_knows_its_version() -> None:
    assert LabRoute("a", via="10.0.0.1").version == 4
    assert LabRoute("a", via="fd00::1").version == 6
    assert LabRoute("a", "2001:db8::/32", device="eth0").version == 6

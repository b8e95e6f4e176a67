"""The networks that are changed, each with what it is for. All flows work before; the MAC addresses are fixed, so that trials repeat."""

from __future__ import annotations

from dataclasses import dataclass, replace

from faults.healthy import ANYCAST, HEALTHY, NESTED
from mutations.flows import Flow, flow
from mutations.segments import questions
from mutations.topologies import GATEWAY, LEGACY_RULES, POD_SERVICES, PODS_OF_IPV6, SWITCH

from netprobe.lab.changes import LabChange
from netprobe.lab.faults.networks import HOME_LAN, OFFICES, OVERLAY, PUBLISHED, ROUTED_OVERLAY, ROUTED_PODS, SQUARE, TWO_UPLINKS
from netprobe.lab.faults.steps import tool
from netprobe.lab.topology import Interface, Rules, Service, Topology, Veth
from netprobe.lab.tutorial import TUTORIAL


@dataclass(frozen=True)
class Setting:
    """A network that works, and what it is for. `given` is done to it before anything is measured."""

    name: str
    topology: Topology
    flows: tuple[Flow, ...]
    given: tuple[LabChange, ...] = ()

    @property
    def spaces(self) -> tuple[str, ...]:
        """Its namespaces besides the host's."""
        return self.topology.namespaces


def _numbered(topology: Topology) -> Topology:
    """The topology with a MAC address for each cable's end that has none."""
    links = []
    for number, link in enumerate(topology.links, 1):
        if isinstance(link, Veth):
            near, far = (_with_mac(end, number, side) for side, end in ((1, link.near), (2, link.far)))
            links.append(replace(link, near=near, far=far))
        else:
            links.append(replace(link, near=_with_mac(link.near, number, 3)))
    return replace(topology, links=tuple(links))


def _with_mac(end: Interface, number: int, side: int) -> Interface:
    return end if end.mac else replace(end, mac=f"02:00:00:{side:02x}:00:{number:02x}")


def _setting(name: str, topology: Topology, flows: str, given: tuple[LabChange, ...] = ()) -> Setting:
    return Setting(name, _numbered(topology), tuple(flow(line.strip()) for line in flows.strip().splitlines()), given)


def _given(name: str) -> tuple[LabChange, ...]:
    return next(case.given for case in HEALTHY if case.name == name)


_IN_THE_TUTORIAL = """
    red 10.0.0.1
    red 8.8.8.8
    red 8.8.8.8+80
    red 172.17.0.3+80
    red 2001:4860:4860::8888
    c1 172.17.0.1
    c1 172.17.0.3
    c1 172.17.0.3+53/udp
    c1 8.8.8.8
    c1 8.8.8.8+53/udp
    c1 8.8.8.8+53/udp from 4001
    c1 fd00:172:17::3
    c1 2001:4860:4860::8888+80
    c2 172.17.0.2
    c2 8.8.8.8 1400 bytes
    host 10.0.0.2
    host 8.8.8.8+80
"""

_BETWEEN_OFFICES = """
    pc 10.1.0.1
    pc 10.2.0.10
    pc 10.2.0.10+80
    pc 10.2.0.10+53/udp
    pc 10.2.0.10 1472 bytes
    pc fd00:2::10
    pc fd00:2::10+80
    pc fd00:2::10 1400 bytes
    server 10.1.0.10
    server 10.2.0.1
    server fd00:1::10
    r1 10.2.0.10
    r2 10.1.0.10
"""

_BY_TWO_UPLINKS = """
    pc 10.0.0.1
    pc 10.0.0.1+22
    pc 8.8.8.8
    pc 8.8.8.8+80
    host 8.8.8.8
    host 10.0.0.2
    internet 203.0.113.2+22
    internet 198.51.100.2
    internet 198.51.100.2+22
"""

_WITH_PUBLISHED_PORTS = """
    internet 203.0.113.2+8080
    internet 203.0.113.2+5353/udp
    internet 203.0.113.2+5353/udp from 4000
    internet 203.0.113.2
    red 203.0.113.2+8080
    red 8.8.8.8
    c1 203.0.113.2+8080
    c1 172.17.0.3
    c1 172.17.0.3+80
    c1 8.8.8.8+80
    c2 203.0.113.2+8080
    c2 8.8.8.8
    host 203.0.113.2+8080
    host 172.17.0.3+53/udp
"""

SETTINGS = (
    _setting("tutorial", TUTORIAL, _IN_THE_TUTORIAL),
    _setting("offices", OFFICES.topology, _BETWEEN_OFFICES),
    _setting("two uplinks", TWO_UPLINKS.topology, _BY_TWO_UPLINKS),
    _setting(
        "square",
        SQUARE.topology,
        """
        pc 192.0.2.80
        pc 192.0.2.80+80
        pc 10.1.1.1
        r1 192.0.2.80
        server 172.16.2.1
        """,
    ),
    _setting(
        "routed pods",
        replace(ROUTED_PODS.topology, services=POD_SERVICES),
        """
        pod1 10.65.0.3
        pod1 10.65.0.3+80
        pod2 10.65.0.2
        pod1 192.0.2.10
        host 10.65.0.2+80
        host 192.0.2.1
        """,
    ),
    _setting("published ports", PUBLISHED.topology, _WITH_PUBLISHED_PORTS),
    _setting(
        "overlay",
        replace(OVERLAY.topology, services=POD_SERVICES),
        """
        pod1 10.42.0.2
        pod1 10.42.0.2+80
        pod1 10.42.0.2 1400 bytes
        pod2 10.42.0.1
        pod2 10.42.0.1+80
        node1 192.168.50.2
        """,
    ),
    _setting(
        "routed overlay",
        replace(ROUTED_OVERLAY.topology, services=POD_SERVICES),
        """
        pod1 10.244.1.1
        pod1 10.244.2.2
        pod1 10.244.2.2+80
        pod1 10.244.2.2 1400 bytes
        pod2 10.244.1.2
        node1 10.244.2.2
        node1 192.168.50.2
        """,
    ),
    _setting(
        "macvlan",
        replace(HOME_LAN.topology, services=(Service("nas", "tcp", 80),)),
        """
        nas 192.168.1.1
        nas 192.168.1.52
        tv 192.168.1.51+80
        router 192.168.1.52
        router 192.168.1.51+80
        host 192.168.1.51
        host 192.168.1.51+80
        host 192.168.1.1
        """,
    ),
    _setting(
        "nested",
        NESTED.topology,
        """
        inner 172.18.0.1
        inner 172.17.0.3
        inner 172.17.0.3+80
        inner 8.8.8.8
        inner 8.8.8.8+53/udp
        c1 172.18.0.2
        c1 8.8.8.8
        red 8.8.8.8
        """,
    ),
    _setting(
        "anycast",
        ANYCAST.topology,
        """
        pc 192.0.2.53
        pc 192.0.2.53+53/udp
        pc 10.1.0.2
        pc 10.2.0.2
        east 10.0.0.2
        west 10.0.0.2
        """,
    ),
    _setting(
        "switch",
        SWITCH,
        """
        a 10.7.0.2
        a 10.7.0.2+80
        a 10.7.0.3+53/udp
        b 10.7.0.3
        b fd00:7::3
        c 10.7.0.1
        c fd00:7::2+80
        c 10.7.0.2 1472 bytes
        """,
    ),
    _setting(
        "nft gateway",
        GATEWAY,
        """
        pc 8.8.8.8
        pc 8.8.8.8+80
        pc 8.8.8.8+53/udp
        pc 8.8.8.8+53/udp from 4002
        pc 10.6.0.10
        pc 10.6.0.10+80
        pc 10.5.0.1+22
        pc fd00:6::10
        pc fd00:6::10+80
        srv 8.8.8.8
        srv 8.8.8.8+53/udp
        net 203.0.113.2
        net 203.0.113.2+8080
        net 203.0.113.2+22
        """,
    ),
    _setting(
        "legacy offices",
        replace(OFFICES.topology, rules=(Rules("r1", "iptables-legacy", LEGACY_RULES),)),
        _BETWEEN_OFFICES,
    ),
    _setting(
        "switch with VLANs",
        SWITCH,
        """
        a 10.7.0.2
        a 10.7.0.2+80
        b 10.7.0.1
        b fd00:7::1
        a fd00:7::2+80
        """,
        (
            tool("sw", "ip link set br0 type bridge vlan_filtering 1", "ip -d link show br0", "vlan_filtering 1"),
            *(
                tool("sw", f"bridge vlan add dev p-{name} vid {vid} pvid untagged", f"bridge vlan show dev p-{name}", f"{vid} PVID")
                for name, vid in (("a", 10), ("b", 10), ("c", 20))
            ),
            *(
                tool("sw", f"bridge vlan del dev p-{name} vid 1", f"bridge vlan show dev p-{name}", " 1( |$)", absent=True)
                for name in "abc"
            ),
        ),
    ),
    _setting(
        "routed pods of IPv6",
        PODS_OF_IPV6,
        """
        pod1 fd00:65::2
        pod1 fd00:65::2+80
        pod2 fd00:65::1
        pod1 fd00:10::1
        rack fd00:65::1+80
        host fd00:65::2
        """,
        tuple(
            tool("host", f"ip -6 neigh add proxy fd00:65::ff dev cali{n}", "ip -6 neigh show proxy", f"fd00:65::ff dev cali{n}")
            for n in (1, 2)
        ),
    ),
    _setting("uplinks by marks", TWO_UPLINKS.topology, _BY_TWO_UPLINKS, _given("loose-rp-filter-and-marks")),
    _setting("three rulesets", TUTORIAL, _IN_THE_TUTORIAL, _given("three-rulesets-at-once")),
    _setting("offices without tracking", OFFICES.topology, _BETWEEN_OFFICES, _given("untracked-and-stateless")),
    _setting(
        "offices with sets",
        OFFICES.topology,
        _BETWEEN_OFFICES.replace("    pc 10.2.0.10+53/udp\n", ""),
        _given("rules-and-sets-for-others"),
    ),
    _setting("strict offices", OFFICES.topology, _BETWEEN_OFFICES, _given("strict-rp-filter-on-symmetric-ways")),
)

ARPINGS = tuple(replace(setting, flows=asked) for setting in SETTINGS if (asked := questions(setting.topology)))
"""The same networks, for whoever asks by ARP alone."""

BY_NAME = {setting.name: setting for setting in SETTINGS}

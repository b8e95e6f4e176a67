"""Roots in addresses, stations and routing that the tutorial's plain faults do not show."""

from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace
from networks import MAC, edited, probe, relinked, tutorial
from test_repair_whole import after, ask, chosen, healthy, lost, said
from test_roots import MASQUERADE, asked, natted, ruled

from netprobe.model import FdbEntry, InterfaceAddress, Leg, LinkRef, Neighbour, Nexthop, PolicyRule, Protocol, Route, Snapshot, Socket
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

OTHER_SUBNET = edited(
    edited(natted(), "red", addresses=(InterfaceAddress(1, "127.0.0.1", 8, scope="host"), InterfaceAddress(2, "10.9.0.2", 16)),
           routes=(*networks.local("10.9.0.2"), networks.via("10.0.0.1/32", None, 2), networks.via("0.0.0.0/0", "10.0.0.1", 2))),
    "host", addresses=networks.host().addresses,
)  # fmt: skip


def gateway_nobody_is(gateway: str) -> Snapshot:
    """red sends everything to an address that nobody has; host could answer for it by proxy ARP."""
    return edited(
        ruled(MASQUERADE),
        "red",
        routes=(*networks.local("10.0.0.2"), Route("0.0.0.0/0", nexthops=(Nexthop(2, gateway, flags=("onlink",)),))),
    )


def without_local_rule(name: str) -> Snapshot:
    return edited(ruled(MASQUERADE), name, rules=tuple(r for r in networks.RULES if r.table != 255))


def same_mac(port: int = 6) -> Snapshot:
    """c1 and c2 have one MAC; the bridge has learned it on c1's port, or on another one."""
    from netprobe.model import FdbEntry

    snapshot = relinked(tutorial(), "c2", "eth0", mac=MAC.format(4, 1))
    snapshot = edited(
        snapshot,
        "host",
        fdb=(FdbEntry(port, MAC.format(4, 1), 5),),
        neighbours=(Neighbour(5, "172.17.0.3", MAC.format(4, 1), "reachable"),),
    )
    return ruled(base=snapshot)


def test_who_took_the_mac_of_another_gets_the_one_that_is_missed() -> None:
    """An entry that somebody made still tells of it."""
    [own] = [link.mac for link in tutorial()["c2"].links if link.name == "eth0"]
    network = same_mac()
    network = edited(network, "host", fdb=(*network["host"].fdb, FdbEntry(7, own, 5, state="static")))
    cause = asked(network, networks.probe("c2", "172.17.0.2", Protocol.ICMP)).causes[0]
    assert (cause.code, [" ".join(each.words) for each in cause.commands]) == ("mac-duplicate", [f"ip link set dev eth0 address {own}"])


@pytest.mark.parametrize(("address", "odd"), [("10.0.0.1", False), ("10.0.0.9", True)])
def test_a_gateway_that_is_at_every_node_has_one_mac(address: str, odd: bool) -> None:
    """Each node of an overlay is the gateway of the stations beside it."""
    from netprobe.diagnose.repair.candidates import links
    from netprobe.diagnose.repair.repair import Loss

    host = tutorial()["host"]
    own = tuple(replace(each, address=address) for each in host.addresses if each.address == "10.0.0.1")
    node = replace(host, name="node", addresses=own, links=tuple(each for each in host.links if each.name in ("lo", "br0")), routes=())
    network = edited(tutorial().with_namespace(node), "internet", routes=(Route("10.0.0.0/16", "blackhole"),))
    codes = {each.code for each in links.candidates(Loss.of(network, *lost(network, ask("red", "8.8.8.8"))))}
    assert ("mac-duplicate" in codes) is odd


def bridge_without_ports() -> Snapshot:
    """veth0 is no port of br0, which has no other: its MAC is zero, as those of loopbacks are."""
    snapshot = relinked(relinked(tutorial(), "host", "veth0", master=None, port=None), "host", "br0", mac="00:00:00:00:00:00")
    for name in snapshot.namespaces:
        snapshot = relinked(snapshot, name, "lo", mac="00:00:00:00:00:00")
    return ruled(base=snapshot)


def without_default_route(name: str) -> Snapshot:
    """With a rule that translates 10.0.0.0/16 towards eth0."""
    snapshot = ruled(MASQUERADE)
    return edited(snapshot, name, routes=tuple(r for r in snapshot[name].routes if r.dst != "0.0.0.0/0"))


def looping() -> Snapshot:
    """host sends 192.0.2.0/24 to internet, and internet sends it back."""
    snapshot = edited(tutorial(), "internet", sysctls={"net.ipv4.ip_forward": "1"},
                      routes=(*tutorial()["internet"].routes, networks.via("192.0.2.0/24", "203.0.113.2", 2)))  # fmt: skip
    return ruled(base=snapshot)


def two_gateways() -> Snapshot:
    """host's default route has two legs, and the kernel's choice fell on the dead one."""
    legs = (Nexthop(4, "203.0.113.9"), Nexthop(4, "203.0.113.1"))
    routes = tuple(r for r in networks.host().routes if r.dst != "0.0.0.0/0")
    return edited(ruled(MASQUERADE), "host", routes=(*routes, Route("0.0.0.0/0", nexthops=legs)))


def ipv6_off() -> Snapshot:
    return edited(tutorial(), "red", sysctls={"net.ipv6.conf.eth0.disable_ipv6": "1"})


def duplicate_detected() -> Snapshot:
    """red's IPv6 address was refused by duplicate address detection, and so it has nothing to send from."""
    own = InterfaceAddress(2, "fd00:10::2", 64, flags=("dadfailed", "tentative"))
    rules = (*networks.RULES, PolicyRule(0, 6, table=255), PolicyRule(32766, 6, table=254))
    return edited(
        tutorial(), "red", addresses=(*networks.red().addresses, own), rules=rules, routes=(networks.via("::/0", "fd00:10::1", 2),)
    )


def macvlan_and_its_parent() -> Snapshot:
    """c1's eth0 is a macvlan on docker0's uplink: on host/eth0 itself."""
    snapshot = relinked(tutorial(), "c1", "eth0", kind="macvlan", macvlan_mode="bridge", link=LinkRef(4, 0))
    routes = (*networks.local("203.0.113.50"), networks.via("203.0.113.0/24", None, 2))
    return edited(snapshot, "c1", addresses=(InterfaceAddress(2, "203.0.113.50", 24),), routes=routes)


@pytest.mark.parametrize("mode", ["bridge", "private", "vepa"])
@pytest.mark.parametrize(("source", "dst"), [("c1", "203.0.113.2"), ("host", "203.0.113.50")])
def test_a_macvlan_and_its_parent_talk_by_another_macvlan(mode: str, source: str, dst: str) -> None:
    """Each of the lines is needed, and with all of them it passes: the last puts it in the mode that hears siblings."""
    network = relinked(macvlan_and_its_parent(), "c1", "eth0", macvlan_mode=mode)
    lines = said(chosen(network, ask(source, dst)))
    assert lines[0] == "host: ip link add shim link eth0 type macvlan mode bridge"
    assert (lines[-1] == "c1: ip link set dev eth0 type macvlan mode bridge") is (mode != "bridge")
    assert predict(after(network, *lines), ask(source, dst), ask=False).stop is None
    for n in range(1, len(lines)):
        assert lost(after(network, *lines[:n]), ask(source, dst))


def port_with_the_mac_of_its_station(*others: str) -> Snapshot:
    """c2's port has the MAC of c2's own end, whose frames the bridge keeps; the bridge may be named by that port."""
    mac = tutorial()["c2"].links[1].mac
    snapshot = edited(tutorial(), "host", sysctls={"net.ipv4.ip_forward": "0"})
    for name in ("vethc2", *others):
        snapshot = relinked(snapshot, "host", name, mac=mac)
    host = snapshot["host"]
    port, bridge = host.link_named("vethc2"), host.link_named("docker0")
    assert port is not None
    assert bridge is not None
    return edited(snapshot, "host", fdb=(*host.fdb, FdbEntry(port.index, mac, bridge.index, local=True, state="permanent")))


@pytest.mark.parametrize(
    ("snapshot", "source", "dst", "code", "where", "direction"),
    [
        (ruled(MASQUERADE, base=OTHER_SUBNET), "red", "8.8.8.8", "addr-wrong-subnet", "red/eth0", Leg.REPLY),
        (gateway_nobody_is("10.0.0.254"), "red", "8.8.8.8", "route-wrong-nexthop", "red", Leg.REQUEST),
        (gateway_nobody_is("169.254.1.1"), "red", "8.8.8.8", "proxy-arp-off", "host/br0", Leg.REQUEST),
        (without_local_rule("internet"), "red", "8.8.8.8", "rule-local-missing", "internet", Leg.REQUEST),
        (ruled(base=port_with_the_mac_of_its_station()), "c1", "172.17.0.3", "mac-duplicate", "host/vethc2", Leg.REQUEST),
        (ruled(base=port_with_the_mac_of_its_station("docker0")), "c1", "172.17.0.3", "mac-duplicate", "host/vethc2", Leg.REQUEST),
        (ruled(base=port_with_the_mac_of_its_station()), "c2", "172.17.0.2", "mac-duplicate", "host/vethc2", Leg.REQUEST),
        (same_mac(), "host", "172.17.0.3", "mac-duplicate", "c1/eth0", Leg.REQUEST),
        (same_mac(7), "c1", "172.17.0.3", "mac-duplicate", "c1/eth0", Leg.REQUEST),  # c2's answer would have to go back to its own port
        (bridge_without_ports(), "host", "10.0.0.2", "port-not-in-bridge", "host/veth0", Leg.REQUEST),
        (without_default_route("c1"), "red", "172.17.0.2", "no-route", "c1", Leg.REPLY),  # between bridges nothing is translated
        (looping(), "red", "192.0.2.1", "route-loop", "internet/eth0", Leg.REQUEST),
        (two_gateways(), "red", "8.8.8.8", "ecmp-dead-nexthop", "host", Leg.REQUEST),
        (ipv6_off(), "red", "2001:4860:4860::8888", "ipv6-disabled", "red/eth0", Leg.REQUEST),
        (duplicate_detected(), "red", "2001:4860:4860::8888", "addr-dad-failed", "red/eth0", Leg.REQUEST),
        (ruled(base=macvlan_and_its_parent()), "c1", "203.0.113.2", "macvlan-parent-isolated", "c1/eth0", Leg.REQUEST),
    ],
)  # fmt: skip
def test_the_root_is_named(snapshot, source, dst, code, where, direction):
    probe = networks.probe(source, dst, Protocol.ICMPV6 if ":" in dst else Protocol.ICMP)
    report = asked(snapshot, probe)
    cause = report.causes[0]
    place = f"{cause.place.namespace}/{cause.place.interface}" if cause.place.interface else cause.place.namespace
    assert (cause.code, place, report.direction) == (code, where, direction), cause.summary


def test_untracked_packets_pass_by_the_translation():
    notrack = "*raw\n:PREROUTING ACCEPT [0:0]\n[0:0] -A PREROUTING -s 10.0.0.2/32 -j NOTRACK\nCOMMIT"
    cause = asked(ruled(MASQUERADE, notrack)).causes[0]
    assert (cause.code, cause.object.id if cause.object else None) == ("nat-bypassed", "iptables raw PREROUTING 1")


def test_a_healthy_network_of_two_gateways_is_left_alone():
    healthy = edited(two_gateways(), "internet", addresses=(*networks.internet().addresses, InterfaceAddress(2, "203.0.113.9", 24)),
                     routes=(*networks.local("8.8.8.8", "203.0.113.1", "203.0.113.9"), networks.via("203.0.113.0/24", None, 2)))  # fmt: skip
    assert not asked(healthy).causes


def test_a_stale_entry_of_the_right_station_is_no_cause():
    snapshot = edited(ruled(MASQUERADE), "red", neighbours=(Neighbour(2, "10.0.0.1", MAC.format(2, 2), "stale"),))
    assert not asked(snapshot).causes
    assert replace(snapshot) == snapshot


def test_who_is_asked_for_on_a_cable_of_two_is_given_that_address() -> None:
    """RFC 3021: a prefix of two addresses tells of the neighbour as any other does."""
    snapshot = after(
        tutorial(),
        "internet: ip address add 203.0.113.3/31 dev eth0",
        "internet: ip address del 203.0.113.1/24 dev eth0",
        "internet: ip route replace 10.0.0.0/16 via 203.0.113.2 dev eth0 src 203.0.113.3",
        "host: ip address del 203.0.113.2/24 dev eth0",
    )
    found = chosen(snapshot, ask("internet", "10.0.0.2"))
    assert (found.stop.code, said(found)) == ("addr-missing", ["host: ip address add 203.0.113.2/31 dev eth0"])


def test_a_router_that_has_its_own_next_hop() -> None:
    """Its kernel took no such route while it had the address: that belongs to the station beside, which has none."""
    network = after(healthy("far-office-no-way-back"), "r2: ip address del 10.9.0.2/30 dev wan", "r1: ip address add 10.9.0.2/30 dev wan")
    asked = ask("pc", "10.2.0.10")
    found = chosen(network, asked)
    assert said(found)[:2] == ["r1: ip address del 10.9.0.2/30 dev wan", "r2: ip address add 10.9.0.2/30 dev wan"]
    done = predict(after(network, *said(found)), asked, ask=False)
    assert isinstance(done, Prediction)
    assert done.stop is None


def test_a_route_of_a_rules_table_lacks_the_gateway_that_the_namespace_uses_itself() -> None:
    """Nobody has the whole world for neighbours: not the rule is off that chose the table."""
    lines = ("red: ip route add default dev eth0 table 77", "red: ip rule add pref 500 from 10.0.0.2 lookup 77")
    found = chosen(after(tutorial(), *lines), ask("red", "8.8.8.8"))
    assert said(found) == ["red: ip route replace default via 10.0.0.1 dev eth0 table 77 onlink"]


def test_two_stations_that_have_each_others_addresses() -> None:
    """c1's default route leads by way of what is its own: host has what c1 should have, and what was asked for is not there."""
    host, c1 = tutorial()["host"], tutorial()["c1"]
    of_host, of_c1 = InterfaceAddress(5, "172.17.0.1", 16), InterfaceAddress(2, "172.17.0.2", 16)
    assert of_host in host.addresses
    assert of_c1 in c1.addresses
    routes = tuple(replace(each, dst="172.17.0.2/32") if each.dst == "172.17.0.1/32" else each for each in host.routes)
    taken = tuple(replace(each, dst="172.17.0.1/32") if each.dst == "172.17.0.2/32" else each for each in c1.routes)
    network = edited(
        tutorial(), "host", addresses=tuple(replace(a, address="172.17.0.2") if a == of_host else a for a in host.addresses), routes=routes
    )
    network = edited(
        network, "c1", addresses=tuple(replace(a, address="172.17.0.1") if a == of_c1 else a for a in c1.addresses), routes=taken
    )
    network = edited(network, "c1", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    network = edited(network, "host", sockets=())
    asked = probe("red", "172.17.0.2", Protocol.TCP, source_port=40000)
    found = chosen(network, replace(asked, destination=replace(asked.destination, port=80)))
    assert said(found)[:4] == [
        "host: ip address del 172.17.0.2/16 dev docker0",
        "host: ip address add 172.17.0.1/16 dev docker0",
        "c1: ip address del 172.17.0.1/16 dev eth0",
        "c1: ip address add 172.17.0.2/16 dev eth0",
    ]


@pytest.mark.parametrize("asked", [True, False])
def test_a_gateway_that_a_route_makes_everybody_of(asked: bool) -> None:
    """The kernel makes the entry of such a neighbour itself, so to take it away helps nothing."""
    c1 = tutorial()["c1"]
    taken = replace(networks.via("172.17.0.1/32", None, 2), type="broadcast", table=255)
    entry = Neighbour(2, "172.17.0.1", "ff:ff:ff:ff:ff:ff", "noarp")
    network = edited(tutorial(), "c1", routes=(*c1.routes, taken), neighbours=(entry,) if asked else ())
    found = chosen(network, ask("c1", "8.8.8.8"))
    gone = ["c1: ip route del broadcast 172.17.0.1/32 dev eth0", "c1: ip neigh del 172.17.0.1 dev eth0"]
    assert said(found) == gone[: 1 + asked]


@pytest.mark.parametrize("entered", [True, False])
def test_a_destination_that_a_route_makes_everybody_of(entered: bool) -> None:
    """The kernel's entry stays behind the route, and no TCP is taken from a frame for everybody (tcp_v4_rcv)."""
    taken = replace(networks.via("172.17.0.3/32", None, 2), type="broadcast", table=255)
    entry = Neighbour(2, "172.17.0.3", "ff:ff:ff:ff:ff:ff", "noarp")
    network = edited(tutorial(), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    network = edited(network, "c1", routes=(*tutorial()["c1"].routes, taken), neighbours=(entry,) if entered else ())
    asked = probe("c1", "172.17.0.3", Protocol.TCP, source_port=40000)
    found = chosen(network, replace(asked, destination=replace(asked.destination, port=80)))
    gone = ["c1: ip route del broadcast 172.17.0.3/32 dev eth0", "c1: ip neigh del 172.17.0.3 dev eth0"]
    assert (found.stop.code, said(found)) == ("route-overlap", gone[: 1 + entered])


def test_an_address_that_has_a_station_s_as_its_broadcast_address_is_given_anew() -> None:
    c1 = tutorial()["c1"]
    given = Route("172.17.0.3/32", "broadcast", 255, (Nexthop(2),), "172.17.0.2", scope="link", protocol="kernel")
    found = chosen(edited(tutorial(), "c1", routes=(*c1.routes, given)), ask("c1", "172.17.0.3"))
    assert (found.stop.code, said(found)[:2]) == (
        "addr-is-broadcast",
        ["c1: ip address del 172.17.0.2/16 dev eth0", "c1: ip address add 172.17.0.2/16 dev eth0"],
    )


@pytest.mark.parametrize("scope", ["link", "host"])
def test_an_address_that_was_given_for_its_link_alone_is_no_source_of_a_translation(scope: str) -> None:
    network = ruled(MASQUERADE)
    given = tuple(replace(each, scope=scope) if each.index == 4 else each for each in network["host"].addresses)
    internet = tuple(each for each in network["internet"].routes if not each.dst.startswith("10."))
    found = chosen(edited(edited(network, "host", addresses=given), "internet", routes=internet), ask("red", "8.8.8.8"))
    assert said(found)[:2] == ["host: ip address del 203.0.113.2/24 dev eth0", "host: ip address add 203.0.113.2/24 dev eth0"]


def test_the_address_of_an_interface_without_any_is_at_a_station_beside() -> None:
    """As what that station's own routes lead by way of."""
    lines = ("host: ip address del 172.17.0.1/16 dev docker0", "c1: ip address add 172.17.0.1/16 dev eth0")
    found = chosen(after(tutorial(), *lines), ask("red", "172.17.0.2"))
    assert said(found)[:2] == ["c1: ip address del 172.17.0.1/16 dev eth0", "host: ip address add 172.17.0.1/16 dev docker0"]


def test_a_second_address_of_a_station_beside_may_be_its_own() -> None:
    lines = ("c1: ip address del 172.17.0.2/16 dev eth0", "c2: ip address add 172.17.0.9/16 dev eth0")
    network = after(tutorial(), *lines)
    second = {each: replace(each, flags=("secondary",)) for each in network["c2"].addresses if each.address == "172.17.0.9"}
    network = edited(network, "c2", addresses=tuple(second.get(each, each) for each in network["c2"].addresses))
    assert not [line for line in said(chosen(network, ask("c1", "8.8.8.8"))) if line.startswith("c2:")]


def test_no_proxy_is_expected_where_a_policy_rule_takes_who_is_far_for_a_neighbour() -> None:
    """The main table has the way: the rule is odd, or the table that it leads to."""
    lines = ("red: ip route add 172.17.0.2/32 dev eth0 table 77", "red: ip rule add pref 46 from all iif lo lookup 77")
    found = chosen(after(tutorial(), *lines), ask("red", "172.17.0.2"))
    assert said(found) == ["red: ip rule del pref 46 from all iif lo lookup 77"]


@pytest.mark.parametrize(("made", "kind", "fix"), [
    (True, "link", f"c1: ip link set dev eth0 address {MAC.format(4, 1)}"),
    (False, "neighbour", "host: ip neigh del 172.17.0.2 dev docker0"),
])  # fmt: skip
@pytest.mark.parametrize("state", ["stale", "permanent"])
def test_a_station_made_its_own_address_of_the_mac_that_it_had(made: bool, kind: str, fix: str, state: str) -> None:
    """One that was made anew would have made it of the MAC that it has."""
    network = networks.with_link_locals(tutorial()) if made else tutorial()
    network = relinked(network, "c1", "eth0", mac=MAC.format(4, 9))
    network = edited(network, "host", neighbours=(Neighbour(5, "172.17.0.2", MAC.format(4, 1), state),))
    found = chosen(network, ask("red", "172.17.0.2"))
    assert (found.stop.code, found.stop.thing.kind, said(found)) == ("neigh-wrong-entry", kind, [fix])

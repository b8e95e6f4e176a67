"""Networks that worked, changed: what went with an object comes back with it, and who tells of what is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial, via, with_link_locals

from netprobe.diagnose.apply import mend
from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.choice import Choice
from netprobe.model import (
    Cause,
    Command,
    FdbEntry,
    InterfaceAddress,
    Link,
    Neighbour,
    Place,
    Probe,
    Protocol,
    ReadNamespace,
    Snapshot,
    Socket,
    Stage,
    Stop,
)
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.saved import load

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"


def after(snapshot: Snapshot, *lines: str) -> Snapshot:
    """The snapshot after these commands, each `NAMESPACE: WORDS`."""
    commands = tuple(Command(tuple(words.split()), name) for name, _, words in (line.partition(": ") for line in lines))
    done = mend(snapshot, Cause("", Place(None, None, Stage.ROUTE), "", commands=commands))
    assert done is not None, lines
    return done


def healthy(name: str) -> Snapshot:
    """The network of a recorded fault, whose fix has been carried out."""
    record = load(str(RECORDINGS / f"{name}.pcapng"))[0]
    run = load(str(RECORDINGS / f"{name}.pcapng"))[1]
    done = mend(run.snapshot, record.causes[0])
    assert done is not None
    return done


def ask(source: str, address: str) -> Probe:
    return probe(source, address, Protocol.ICMPV6 if ":" in address else Protocol.ICMP)


def lost(snapshot: Snapshot, asked: Probe) -> tuple[Prediction, Stop]:
    found = predict(snapshot, asked, ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None, "it passes"
    return found, found.stop


def chosen(snapshot: Snapshot, asked: Probe) -> Choice:
    return choice.choose(snapshot, *lost(snapshot, asked))


def said(found: Choice) -> list[str]:
    """The commands, each with its namespace."""
    return [f"{each.namespace or found.stop.place.namespace}: {' '.join(map(str, each.words))}" for each in found.stop.commands]


def test_a_pod_switched_off_gets_the_routes_that_its_sibling_has() -> None:
    network = after(healthy("proxy-arp-off"), "pod2: ip link set dev eth0 down")
    found = chosen(network, ask("pod2", "10.65.0.2"))
    assert found.stop.code == "link-admin-down"
    assert said(found) == [
        "pod2: ip link set dev eth0 up",
        "pod2: ip route add 169.254.1.1/32 dev eth0",
        "pod2: ip route add default via 169.254.1.1 dev eth0",
    ]


def test_the_address_to_which_a_route_leads_straight_belongs_there() -> None:
    network = after(healthy("proxy-arp-off"), "pod2: ip address del 10.65.0.3/32 dev eth0", "pod2: ip address add 10.65.0.3/32 dev lo")
    found = chosen(network, ask("pod1", "10.65.0.3"))
    assert (found.stop.code, found.stop.place.namespace) == ("addr-missing", "pod2")
    assert said(found)[:2] == ["pod2: ip address del 10.65.0.3/32 dev lo", "pod2: ip address add 10.65.0.3/32 dev eth0"]


def test_the_address_to_which_a_route_leads_straight_is_at_a_station_elsewhere() -> None:
    network = after(healthy("proxy-arp-off"), "pod2: ip address del 10.65.0.3/32 dev eth0", "pod1: ip address add 10.65.0.3/32 dev lo")
    assert said(chosen(network, ask("pod2", "10.65.0.2")))[:2] == [
        "pod1: ip address del 10.65.0.3/32 dev lo",
        "pod2: ip address add 10.65.0.3/32 dev eth0",
    ]


def test_who_leads_straight_to_the_sender_tells_which_address_it_lost() -> None:
    """The packet never left, and the router at the other end of the cable is not on its way."""
    network = after(healthy("proxy-arp-off"), "pod1: ip address del 10.65.0.2/32 dev eth0")
    assert said(chosen(network, ask("pod1", "10.65.0.3")))[0] == "pod1: ip address add 10.65.0.2/32 dev eth0"


def test_an_address_on_which_a_program_listens_is_given_back() -> None:
    network = after(tutorial(), "internet: ip address del 8.8.8.8/32 dev lo")
    network = edited(network, "internet", sockets=(Socket("tcp", "8.8.8.8", 80, "listen"),))
    assert said(chosen(network, ask("red", "8.8.8.8"))) == ["internet: ip address add 8.8.8.8/32 dev lo"]


def test_a_program_on_the_way_makes_no_detour_of_the_loopback() -> None:
    """host has lost an address; that one of its programs names it is no reason to put it on lo."""
    network = after(tutorial(), "host: ip address del 203.0.113.2/24 dev eth0")
    network = edited(network, "host", sockets=(Socket("tcp", "203.0.113.2", 80, "listen"),))
    assert not any("dev lo" in line for line in said(chosen(network, ask("red", "8.8.8.8"))))


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("c1: sysctl -w net.ipv6.conf.eth0.disable_ipv6=1", "c1: sysctl -w net.ipv6.conf.eth0.disable_ipv6=0"),
        ("c1: ip link set dev eth0 down", "c1: ip link set dev eth0 up"),
        ("c1: ip link set dev eth0 mtu 576", "c1: ip link set dev eth0 mtu 1500"),
    ],
)
def test_ipv6_comes_back_with_the_address_that_a_neighbour_remembers(line: str, fix: str) -> None:
    network = after(tutorial(), "c1: ip address add fd00:172:17::2/64 dev eth0", "c2: ip address add fd00:172:17::3/64 dev eth0")
    mac = network["c1"].link_named("eth0")
    assert mac is not None
    known = Neighbour(2, "fd00:172:17::2", mac.mac, "stale")
    network = after(edited(network, "c2", neighbours=(*network["c2"].neighbours, known)), line)
    found = chosen(network, ask("c1", "fd00:172:17::3"))
    assert said(found) == [fix, "c1: ip address add fd00:172:17::2/64 dev eth0"]


def test_a_surplus_address_is_what_its_route_comes_from() -> None:
    network = after(healthy("far-office-no-way-back"), "r1: ip address add 10.2.0.99/25 dev lan")
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert said(found) == ["r1: ip address del 10.2.0.99/25 dev lan"]
    assert found.stop.object is not None
    assert found.stop.object.kind == "address"


def test_a_surplus_address_is_told_by_who_is_behind_another_interface() -> None:
    """Those beside it are of no network, as pods are."""
    host = tutorial()["host"]
    own = InterfaceAddress(2, "10.0.0.2", 32)
    pod = edited(tutorial(), "red", addresses=(*tutorial()["red"].addresses[:1], own))
    pod = edited(pod, "host", routes=(*host.routes, via("10.0.0.2/32", None, 2, scope="link")))
    network = after(pod, "host: ip address add 203.0.113.77/25 dev br0")
    assert said(chosen(network, ask("red", "203.0.113.1")))[0] == "host: ip address del 203.0.113.77/25 dev br0"


def test_a_port_alone_in_a_bridge_is_not_at_home_there() -> None:
    """The only station on the wrong bridge is the port's own."""
    network = tutorial()
    port = network["host"].link_named("veth0")
    assert port is not None
    other = Link(99, "br9", "bridge", "02:00:00:00:99:99")
    network = edited(network, "host", links=(*network["host"].links, other))
    network = after(network, "host: ip link set dev veth0 master br9")
    found = chosen(network, ask("red", "8.8.8.8"))
    assert said(found) == ["host: ip link set dev veth0 master br0"]


def test_who_hears_no_router_has_no_route() -> None:
    """A station that forwards ignores routers that announce themselves; where nobody on the segment is one, that is no reason."""
    network = after(tutorial(), "c1: ip address add fd00:172:17::2/64 dev eth0")
    deaf = {"net.ipv6.conf.eth0.accept_ra": "1", "net.ipv6.conf.eth0.forwarding": "1"}
    network = edited(network, "c1", sysctls={**network["c1"].sysctls, **deaf})
    assert lost(network, ask("c1", "2001:db8::1"))[1].code == "ra-not-accepted"
    assert chosen(network, ask("c1", "2001:db8::1")).stop.code == "no-route"
    network = edited(network, "host", sysctls={**network["host"].sysctls, "net.ipv6.conf.all.forwarding": "1"})
    assert chosen(network, ask("c1", "2001:db8::1")).stop.code == "ra-not-accepted"


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00:10::2"])
def test_an_interface_switched_on_gets_the_routes_of_both_ip_versions_again(address: str) -> None:
    """Its neighbours remember the IPv6 address that it lost; IPv4 addresses stay."""
    lines = (
        "host: sysctl -w net.ipv6.conf.all.forwarding=1",
        "host: ip address add fd00:10::1/64 dev br0",
        "host: ip address add fd00:203::2/64 dev eth0",
        "internet: ip address add fd00:203::1/64 dev eth0",
        "internet: ip -6 route add fd00:10::/64 via fd00:203::2 dev eth0",
        "red: ip address add fd00:10::2/64 dev eth0",
        "red: ip -6 route add default via fd00:10::1 dev eth0",
    )
    both = after(with_link_locals(tutorial()), *lines)
    station = both["red"].link_named("eth0")
    bridge = both["host"].link_named("br0")
    assert station is not None
    assert bridge is not None
    known = (*both["host"].neighbours, Neighbour(bridge.index, "fd00:10::2", station.mac, "stale"))
    off = after(edited(both, "host", neighbours=known), "red: ip link set dev eth0 down")
    assert set(said(chosen(off, ask("internet", address)))) == {
        "red: ip link set dev eth0 up",
        "red: ip route add default via 10.0.0.1 dev eth0 onlink",
        "red: ip address add fd00:10::2/64 dev eth0",
        "red: ip -6 route add default via fd00:10::1",
    }


def test_what_a_far_end_lost_comes_back_though_another_station_misses_it() -> None:
    """Its router finds no station first, and then the station no way back: two namespaces, of which the repaired one is the second."""
    network = after(healthy("far-office-no-way-back"), "server: ip link set dev eth0 down")
    assert said(chosen(network, ask("pc", "fd00:2::10")))[:3] == [
        "server: ip link set dev eth0 up",
        "server: ip address add fd00:2::10/64 dev eth0",
        "server: ip -6 route add default via fd00:2::1",
    ]


def test_an_interface_whose_routes_lead_to_a_gateway_that_it_cannot_reach_has_lost_its_address() -> None:
    """IPv6 keeps the routes by a gateway when the address goes that made it a neighbour."""
    network = after(healthy("far-office-no-way-back"), "r2: ip address del fd00:9::2/64 dev wan")
    assert any(None not in route.gateways for route in network["r2"].routes if route.version == 6)
    found = chosen(network, ask("pc", "fd00:2::10"))
    assert found.stop.code == "addr-missing"
    assert said(found) == ["r2: ip address add fd00:9::2/64 dev wan"]


def test_an_entry_for_a_station_behind_another_node_leads_to_that_node() -> None:
    """A tunnel learns where stations are; somebody has written another place down for one of them."""
    network = healthy("pod-out-of-the-far-bridge")
    station, device = (network[name].link_named(link) for name, link in (("pod2", "eth0"), ("node1", "vx0")))
    assert station is not None
    assert device is not None
    astray = FdbEntry(device.index, station.mac, state="permanent", remote="192.168.50.99")
    kept = [entry for entry in network["node1"].fdb if (entry.index, entry.mac) != (device.index, station.mac)]
    found = chosen(edited(network, "node1", fdb=(*kept, astray)), ask("pod1", "10.42.0.2"))
    assert found.stop.code == "vxlan-remote-wrong"
    assert said(found) == [f"node1: bridge fdb replace {station.mac} dev vx0 dst 192.168.50.2"]


def test_the_end_of_a_cable_that_lies_idle_is_moved_to_who_has_none() -> None:
    """A veth pair whose second end nobody has moved into the namespace: its address is for the reader to know."""
    network = after(
        tutorial(),
        "red: ip link set dev eth0 down",
        "red: ip link set dev eth0 name veth9",
        "red: ip link set dev veth9 netns host",
    )
    found = chosen(network, ask("red", "8.8.8.8"))
    assert (found.stop.code, said(found)) == (
        "link-missing",
        ["host: ip link set dev veth9 netns red", "red: ip link set dev veth9 up"],
    )


def test_where_netprobe_was_started_is_looked_at_for_the_end_of_a_cable() -> None:
    bare = edited(tutorial(), "red", links=tutorial()["red"].links[:1], addresses=tutorial()["red"].addresses[:1], routes=())
    alone = replace(bare, namespaces={"red": bare["red"]}, peers=())
    outcome, _ = lost(alone, ask("red", "8.8.8.8"))
    assert choice.lacking(alone, outcome) == (ReadNamespace("host"),)


def test_where_netprobe_was_started_is_looked_at_for_what_a_router_lacks_too() -> None:
    """Its other interfaces are there; the way to the far office went with this one, and who is at its other end is in sight then."""
    network = healthy("far-office-no-way-back")
    network = network.with_namespace(replace(tutorial()["red"], name="host", links=tutorial()["red"].links[:1], addresses=(), routes=()))
    network = after(network, "r1: ip link set dev wan down", "r1: ip link set dev wan netns host")
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "r1")
    assert said(found)[:2] == ["host: ip link set dev wan netns r1", "r1: ip link set dev wan up"]
    away = replace(network, namespaces={name: each for name, each in network.namespaces.items() if name in ("pc", "r1")})
    assert ReadNamespace("host") in choice.lacking(away, lost(away, ask("pc", "10.2.0.10"))[0])


def test_no_route_comes_back_to_who_is_to_be_translated() -> None:
    """The router gives its other networks another source: the address alone went there, and a rule here."""
    network = load(str(RECORDINGS / "no-masquerade-for-red.pcapng"))[1].snapshot
    network = after(network, "internet: ip address del 203.0.113.1/24 dev eth0")
    found = chosen(network, ask("red", "8.8.8.8"))
    assert said(found) == ["internet: ip address add 203.0.113.1/24 dev eth0"]
    behind = chosen(after(network, *said(found)), ask("red", "8.8.8.8"))
    assert (behind.stop.code, behind.stop.place.namespace) == ("nat-missing", "host")


def test_who_is_on_a_private_network_of_the_routers_is_no_part_of_the_world() -> None:
    """A public address of a server's own, to which the router has a route: the answer went by an interface without an address now."""
    network = after(healthy("strict-rp-filter-of-the-server"), "server: ip address del 172.16.2.10/24 dev eth1")
    found = chosen(network, ask("pc", "192.0.2.80"))
    assert (found.stop.code, found.stop.place.namespace) == ("addr-missing", "server")

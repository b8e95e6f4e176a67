"""An interface that was moved away to where the way does not lead, while something else is wrong as well: who may have lost it is asked
for, and gets it back.
"""

from __future__ import annotations

import msgspec
import pytest
from diagnose.test_repair_whole import after, ask, chosen, healthy, lost, said
from diagnose.test_two_at_once import named
from diagnose.test_two_by_two import square
from msgspec.structs import replace
from predict.networks import edited, tutorial

from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.candidates import moved
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import FindOthers, Link, LinkRef, Namespace, ReadNamespace, Snapshot
from netprobe.model.engines import ContainerEngines


def without(network: Snapshot, *names: str) -> Snapshot:
    """The network as far as it was read, when these were not."""
    return replace(network, namespaces={name: each for name, each in network.namespaces.items() if name not in names})


def port_of(network: Snapshot, bridge: str) -> str:
    """The first cable that is a port of a bridge of `host`."""
    host = network["host"]
    known = host.link_named(bridge)
    assert known is not None
    return host.ports(known)[0].name


def test_both_ends_of_a_cable_in_one_namespace() -> None:
    """The port of a bridge is where its station is, and the bridge's namespace was not come to by any cable."""
    network = tutorial()
    port = port_of(network, "docker0")
    network = after(network, f"host: ip link set dev {port} netns c1")
    asked = ask("c1", "8.8.8.8")
    near = without(network, "host", "red", "internet", "c2")
    assert ReadNamespace("host") in choice.lacking(near, lost(near, asked)[0])
    assert said(chosen(network, asked)) == [
        f"c1: ip link set dev {port} netns host",
        f"host: ip link set dev {port} master docker0",
        f"host: ip link set dev {port} up",
    ]


def test_the_end_of_a_router_that_nobody_came_to() -> None:
    """Its interface is at the asker's, as far from it as can be: it comes back with its address, and the asker does not become a router."""
    network = after(healthy("far-office-no-way-back"), "r2: ip link set dev wan netns pc")
    asked = ask("pc", "10.2.0.10")
    near = without(network, "r2", "server")
    near = replace(near, namespaces={**near.namespaces, "host": Namespace("host")})
    assert FindOthers("r1") in choice.lacking(near, lost(near, asked)[0])
    assert said(chosen(network, asked))[:3] == [
        "pc: ip link set dev wan netns r2",
        "r2: ip link set dev wan up",
        "r2: ip address add 10.9.0.2/30 dev wan",
    ]


def test_with_a_bridge_in_the_way_of_the_router() -> None:
    """What comes back seems to lack a bridge that somebody has made: it lacks its address."""
    network = after(
        healthy("far-office-no-way-back"),
        "r1: ip link set dev lan netns server",
        "r1: ip link add br9 type bridge",
        "r1: ip link set dev br9 up",
    )
    assert said(chosen(network, ask("pc", "10.2.0.10")))[:3] == [
        "server: ip link set dev lan netns r1",
        "r1: ip link set dev lan up",
        "r1: ip address add 10.1.0.1/24 dev lan",
    ]


def test_who_has_nothing_left() -> None:
    """An asker without any interface, which lies with a router that nobody has come to."""
    network = after(healthy("far-office-no-way-back"), "pc: ip link set dev eth0 netns r2")
    asked = ask("pc", "10.2.0.10")
    near = replace(network, namespaces={"pc": network["pc"], "host": Namespace("host")})
    assert FindOthers("pc") in choice.lacking(near, lost(near, asked)[0])
    assert said(chosen(network, asked))[:2] == ["r2: ip link set dev eth0 netns pc", "pc: ip link set dev eth0 up"]


def test_behind_a_route_that_refuses() -> None:
    """The end of the walk is mended as far as that goes, though nobody knows yet what is behind it."""
    network = tutorial()
    port = port_of(network, "br0")
    network = after(
        network,
        f"host: ip link set dev {port} netns internet",
        "c1: ip route del default via 172.17.0.1 dev eth0",
        "c1: ip route add unreachable default",
    )
    near = without(network, "red")
    assert said(chosen(near, ask("c1", "10.0.0.2"))) == ["c1: ip route del unreachable default", "c1: ip route add default via 172.17.0.1"]
    assert [each[0] for each in named(network, "c1", "10.0.0.2")][1:] == [f"internet: ip link set dev {port} netns host"]


def test_an_end_where_cables_are_made_is_nobody_elses_without_a_sign() -> None:
    """It waits to be set up: a router of which nobody has heard before did not lose it; one that others send to for its station's network
    may have.
    """
    network = after(
        healthy("far-office-no-way-back"), "r1: ip link set dev lan netns pc", "r2: ip route add 10.1.0.0/24 via 10.9.0.1 dev wan"
    )
    ends = {**network.namespaces, "host": replace(network["pc"], name="host"), "pc": healthy("far-office-no-way-back")["pc"]}
    idle = replace(network, namespaces=ends)
    idle = after(idle, "pc: ip link set dev eth0 down")
    loss = Loss.of(idle, *lost(idle, ask("pc", "10.2.0.10")))
    far = "pc", idle["pc"].links[1]
    assert moved._may_have_been_in(loss, idle["r1"], "host", far)
    assert moved._may_have_been_in(loss, idle["pc"], "host", far)
    assert not moved._may_have_been_in(loss, idle["r2"], "host", far)
    assert moved._may_have_been_in(loss, idle["r2"], "server", far)


@pytest.mark.parametrize(
    ("home", "name", "given"), [("r1", "lan", "10.1.1.1/24"), ("server", "eth0", "172.16.1.10/24")], ids=["a router", "the destination"]
)
def test_an_end_where_cables_are_made_is_of_who_leads_to_the_destination(home: str, name: str, given: str) -> None:
    """By no other way to its station; what is there has no name for it."""
    loopback = Link(1, "lo", "loopback")
    network = square()
    network = replace(network, namespaces={**network.namespaces, "host": Namespace("host", links=(loopback,))})
    network = after(network, f"{home}: ip link set dev {name} netns host")
    assert said(chosen(network, ask("pc", "192.0.2.80")))[:3] == [
        f"host: ip link set dev {name} netns {home}",
        f"{home}: ip link set dev {name} up",
        f"{home}: ip address add {given} dev {name}",
    ]


def test_the_asker_does_not_get_the_address_that_it_asks_for() -> None:
    """An interface that lies idle belongs to who has none; with the asker it would let the question pass as well, and mend nothing."""
    network = after(
        healthy("far-office-no-way-back"),
        "pc: ip link set dev eth0 netns r1",
        "r1: ip route del 10.9.0.0/30 dev wan",
        "r1: ip route add blackhole 10.9.0.0/30",
    )
    found = named(network, "r2", "10.1.0.10")
    assert [each[0].partition(" proto")[0] for each in found] == [
        "r1: ip link set dev eth0 netns pc",
        "r1: ip route replace 10.9.0.0/30 dev wan",
    ]


def test_a_namespace_gets_a_number_that_no_cable_of_it_has_for_another() -> None:
    """Who is at the other end of internet's cable was not asked yet: what it calls that one is taken all the same."""
    network = tutorial()
    port = port_of(network, "docker0")
    alone = replace(network, peers=tuple(each for each in network.peers if "internet" not in (each.namespace, each.peer)))
    own = alone["internet"].link_named("eth0")
    assert own is not None
    assert own.far_end is not None
    moved_there = after(alone, f"host: ip link set dev {port} netns internet")
    new = [each.nsid for each in moved_there.peers if each.namespace == "internet"]
    assert new
    assert own.far_end[0] not in new


def test_who_started_netprobe_needs_no_interface() -> None:
    """Two have none: the station that lost it, and the namespace in which cables are made."""
    network = healthy("far-office-no-way-back")
    pc = network["pc"]
    host = replace(
        pc, name="host", addresses=(), routes=(), neighbours=(), sockets=(), links=tuple(link for link in pc.links if not link.index > 1)
    )
    network = after(replace(network, namespaces={"host": host, **network.namespaces}), "pc: ip link set dev eth0 netns r1")
    assert said(chosen(network, ask("r2", "10.1.0.10")))[0] == "r1: ip link set dev eth0 netns pc"


def test_a_station_to_which_a_default_route_led_did_not_lose_the_end() -> None:
    """Whoever has the destination is then asked for by a router that lost it."""
    network = square()
    network = replace(network, namespaces={**network.namespaces, "host": Namespace("host", links=(Link(1, "lo", "loopback"),))})
    network = after(network, "r1: ip link set dev lan netns host")
    loss = Loss.of(network, *lost(network, ask("pc", "192.0.2.80")))
    assert [moved._leads(loss, name) for name in ("r1", "server")] == [True, False]


def test_the_end_of_a_switch_s_cable_may_lie_where_cables_are_made() -> None:
    """Nobody in sight has the address, and the switch is in a namespace that is not where netprobe was started."""
    network = msgspec.json.decode(msgspec.json.encode(tutorial()).replace(b'"host"', b'"switch"'), type=Snapshot)
    network = replace(network, engines=ContainerEngines())
    switched = ask("c1", "172.17.0.77")
    assert ReadNamespace("host") in choice.lacking(network, lost(network, switched)[0])
    assert ReadNamespace("host") not in choice.lacking(tutorial(), lost(tutorial(), switched)[0])


def test_a_second_cable_of_a_station_is_not_for_the_bridge_on_which_it_is_already() -> None:
    """Both ends of it lie in c2, and a route there by it takes the answers."""
    network = tutorial()
    ends = Link(8, "d0", "veth", "02:00:00:00:08:08", up=True, link=LinkRef(9)), Link(9, "d1", "veth", "02:00:00:00:08:09", link=LinkRef(8))
    network = edited(network, "c2", links=(*network["c2"].links, *ends))
    lines = ("ip address add 172.17.0.99/32 dev d0", "ip route add 172.17.0.0/28 dev d0", "sysctl -w net.ipv4.conf.all.rp_filter=1")
    found = chosen(after(network, *(f"c2: {line}" for line in lines)), ask("c1", "172.17.0.3"))
    named = [found.stop.code, *(other.stop.code for other in found.others)]
    assert set(named) <= {"rp-filter", "route-overlap"}, named

"""From host to host: who is at the network between them is asked, and nobody is asked on one machine."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import MAC, RULES, edited, lo, local, port, probe, relinked, veth, via

from netprobe.model import (
    Bridge,
    BridgePort,
    End,
    FindPeer,
    FindWire,
    FoundPeer,
    FoundWire,
    InterfaceAddress,
    Link,
    Namespace,
    Need,
    Neighbour,
    ReadNamespace,
    Route,
    Ruleset,
    Snapshot,
)
from netprobe.model.uplinks import Uplinks, is_mac
from netprobe.predict.predict import Prediction, predict

NEAR, FAR = "192.168.77.11", "192.168.77.12"


def home(number: int, *routes: Route, kind: str = "", network: str = "192.168.77", length: int = 24) -> Namespace:
    """The namespace that a host stands in: its one interface leads to the others."""
    loopback, own = lo()
    mac, address = MAC.format(7, number), f"{network}.{10 + number}"
    eth0 = Link(2, "eth0", "", mac) if not kind else veth(2, "eth0", mac, 9, 5)
    on_link = via(f"{network}.0/{length}", None, 2)
    return Namespace(f"h{number}:host", links=(loopback, eth0), addresses=(*own, InterfaceAddress(2, address, length)), rules=RULES,
                     routes=(*local(address), on_link, *routes), ruleset=Ruleset())  # fmt: skip


def hosts(*homes: Namespace) -> Snapshot:
    """Hosts of which all was read."""
    peers = tuple(FoundPeer(each.name, 5, None) for each in homes)
    return Snapshot({each.name: each for each in homes}, peers, homes=tuple(each.name for each in homes))


def two(kind: str = "") -> Snapshot:
    return hosts(home(1, kind=kind), home(2, kind=kind))


def walked(snapshot: Snapshot, destination: str = FAR, **more: object) -> Prediction:
    found = predict(snapshot, probe("h1:host", destination, **more), ask=False)  # type: ignore[arg-type]
    assert isinstance(found, Prediction), found
    return found


def way(prediction: Prediction) -> list[str]:
    return [f"{hop.namespace}/{hop.interface}" for hop in prediction.request.hops]


def entry(mac: str, state: str) -> tuple[Neighbour, ...]:
    return (Neighbour(2, FAR, mac, state),)


@pytest.mark.parametrize("kind", ["", "veth"])
@pytest.mark.parametrize("known", [(), entry(MAC.format(7, 2), "reachable")], ids=["cold", "warm"])
def test_it_goes_on_at_the_host_that_has_it(kind: str, known: tuple[Neighbour, ...]) -> None:
    found = walked(edited(two(kind), "h1:host", neighbours=known))
    assert way(found) == ["h1:host/eth0", "h2:host/eth0", "h2:host/eth0"]
    assert (found.request.end, found.passes) == (End.DELIVER, True)
    assert found.request.hops[1].note == "over the network between the hosts"
    assert [f"{hop.namespace}/{hop.interface}" for hop in found.reply.hops] == ["h2:host/eth0", "h1:host/eth0", "h1:host/eth0"]  # type: ignore[union-attr]


def test_one_machine_is_asked_nothing() -> None:
    """The same way as long as there are no other hosts: out of sight."""
    found = predict(replace(two(), homes=()), probe("h1:host", FAR))
    assert not isinstance(found, Prediction)
    assert not [need for need in found if isinstance(need, FindWire)]
    assert walked(replace(two(), homes=())).request.end is End.EXIT


def needs(snapshot: Snapshot) -> tuple[Need, ...]:
    found = predict(snapshot, probe("h1:host", FAR), ask=False)
    assert not isinstance(found, Prediction), found
    return found


def test_what_is_asked() -> None:
    """The others for the address, cold, or for the MAC, warm; then for the host that has it, and for no other."""
    alone = replace(hosts(home(1)), homes=("h1:host", "h2:host", "h3:host"))
    assert needs(alone) == (FindWire(FAR),)
    warm = edited(alone, "h1:host", neighbours=entry(MAC.format(7, 2), "stale"))
    assert needs(warm) == (FindWire(MAC.format(7, 2)),)
    told = replace(alone, wires=(FoundWire(FAR, (("h2:host", 2),)),))
    assert needs(told) == (ReadNamespace("h2:host"),)
    read = replace(told.with_namespace(home(2)))
    assert walked(read).passes, "the third was not read, nor asked for"


def test_a_host_that_could_not_be_asked_is_no_no() -> None:
    """Where another has the address, it does not matter; where none has, nobody knows."""
    alone = replace(hosts(home(1)), homes=("h1:host",), wires=(FoundWire(FAR, why="h2: timed out"),))
    found = walked(alone)
    assert found.request.end is End.UNDETERMINED
    assert "h2: timed out" in found.request.stop.text  # type: ignore[union-attr]
    known = replace(two(), wires=(FoundWire(FAR, (("h2:host", 2),), why="h3: timed out"),))
    assert walked(known).passes


def test_nobody_of_the_hosts_has_it() -> None:
    """It may be somebody else's: out of sight, as from one machine. Where a question got no answer, it is not."""
    assert walked(two(), "192.168.77.99").request.end is End.EXIT
    silent = replace(two(), wires=(FoundWire("192.168.77.99", silent=True),))
    stop = walked(silent, "192.168.77.99").stop
    assert (stop.code, stop.place.namespace, stop.thing.id) == ("neigh-no-answer", "h1:host", "192.168.77.99 dev eth0")  # type: ignore[union-attr]


def test_an_entry_with_a_mac_that_no_host_has() -> None:
    """By hand it is wrong; what was learned may be the work of a network that answers for its stations, as clouds do."""
    wrong = walked(edited(two(), "h1:host", neighbours=entry("02:00:00:00:00:99", "permanent")))
    assert wrong.stop is not None
    assert (wrong.stop.code, wrong.stop.place.namespace) == ("neigh-wrong-entry", "h1:host")
    learned = walked(edited(two(), "h1:host", neighbours=entry("02:00:00:00:00:99", "reachable")))
    assert learned.passes
    assert [stop.code for hop in learned.request.hops for stop in hop.suspects] == ["neigh-wrong-entry"]


def routed(*known: Neighbour) -> Snapshot:
    """In different networks, behind a router that nobody sees."""
    near, far = (home(n, via("0.0.0.0/0", f"10.{n}.0.1", 2), network=f"10.{n}.0") for n in (1, 2))
    return hosts(replace(near, neighbours=known), far)


@pytest.mark.parametrize("known", [(), (Neighbour(2, "10.1.0.1", "02:00:00:00:00:01", "reachable"),)], ids=["cold", "warm"])
def test_behind_a_router_that_nobody_sees(known: tuple[Neighbour, ...]) -> None:
    found = walked(routed(*known), "10.2.0.12")
    assert way(found) == ["h1:host/eth0", "h2:host/eth0", "h2:host/eth0"]
    assert found.passes
    assert found.request.hops[1].note == "over the network between the hosts, through routers that nobody sees"
    assert [hop.flow.ttl for hop in found.request.hops] == [64, None, None], "how many there are nobody knows"


@pytest.mark.parametrize(("kind", "code"), [("veth", "mtu-l2-mismatch"), ("", None)])
def test_an_interface_that_takes_no_frame_so_long(kind: str, code: str | None) -> None:
    """A veth drops it; of hardware nobody can tell, so that it is suspected where the packet is lost there."""
    found = walked(relinked(two(kind), "h2:host", "eth0", mtu=1400), size=1400)
    assert (found.stop and found.stop.code) == code
    suspects = [stop.code for hop in found.request.hops for stop in hop.suspects]
    assert suspects == ([] if code else ["mtu-l2-mismatch"])


def test_an_interface_that_is_off() -> None:
    stop = walked(relinked(two(), "h2:host", "eth0", up=False)).stop
    assert stop is not None
    assert (stop.code, stop.place.namespace) == ("link-admin-down", "h2:host")


def uplinks(links: tuple[Link, ...], address_at: int, sought: str = "10.0.0.2") -> list[str]:
    space = Namespace("h", links=links, addresses=(InterfaceAddress(address_at, "10.0.0.2", 24),))
    return [link.name for link in Uplinks(space, lambda link: link.name.startswith("eth")).of(sought)]


ETH0, MAC0 = Link(2, "eth0", "", "02:00:00:00:00:02"), "02:00:00:00:00:02"
BRIDGE = Link(5, "br0", "bridge", MAC0)
BOND = Link(6, "bond0", "bond", MAC0)


def test_by_which_interface_a_host_takes_up_what_is_for_it() -> None:
    inner = veth(7, "v-red", "02:00:00:00:00:07", 2, 1, master=5)
    assert uplinks((ETH0,), 2) == ["eth0"]
    assert uplinks((replace(ETH0, master=5), inner, BRIDGE), 5) == ["eth0"], "a port of the bridge that has it"
    assert uplinks((replace(ETH0, master=6), BOND), 6) == ["bond0"]
    assert uplinks((replace(ETH0, master=6), BOND), 6, MAC0) == ["bond0"], "not each of its cables as well"
    assert uplinks((ETH0, Link(1, "lo", "loopback")), 1) == ["eth0"], "of an address on no interface towards others the first"
    assert uplinks((ETH0, inner, replace(BRIDGE, mac="")), 2, "02:00:00:00:00:07") == [], "a container's cable"
    assert uplinks((ETH0,), 2, "10.0.0.3") == []


def test_a_container_on_the_segment_of_another_host() -> None:
    """Nobody of the hosts has its address; the destination is read, and its host hears the question by its bridge."""
    bridge = Link(5, "br0", "bridge", MAC.format(7, 9), bridge=Bridge())
    far = replace(home(2), links=(*home(2).links[:1], replace(home(2).links[1], master=5, port=BridgePort()), bridge,
                                  port(6, "v-red", 2, 1, 5)))  # fmt: skip
    loopback, own = lo()
    address = InterfaceAddress(2, "192.168.77.22", 24)
    red = Namespace("h2:red", links=(loopback, veth(2, "eth0", MAC.format(8, 2), 6, 0)), addresses=(*own, address), rules=RULES,
                    routes=(*local("192.168.77.22"), via("192.168.77.0/24", None, 2)), ruleset=Ruleset())  # fmt: skip
    snapshot = hosts(home(1), far).with_namespace(red)
    snapshot = replace(snapshot, peers=(*snapshot.peers, FoundPeer("h2:host", 1, "h2:red"), FoundPeer("h2:red", 0, "h2:host")))
    found = walked(snapshot, "192.168.77.22")
    assert way(found) == ["h1:host/eth0", "h2:host/eth0", "h2:host/v-red", "h2:red/eth0", "h2:red/eth0"]
    assert found.passes
    assert found.request.hops[1].note.startswith("over the network between the hosts; port of br0")


def test_a_veth_is_one_where_nobody_sees_its_other_end() -> None:
    asked = predict(replace(two("veth"), peers=()), probe("h1:host", FAR), ask=False)
    assert asked == (FindPeer("h1:host", 5),)


@pytest.mark.parametrize(
    ("text", "mac"), [("02:00:00:00:00:01", True), ("fe80::1", False), ("10.0.0.1", False), ("fd00::1:2:3:44:55", False)]
)
def test_a_mac_is_no_address(text: str, mac: bool) -> None:
    assert is_mac(text) is mac


def test_who_stands_where() -> None:
    snapshot = replace(two(), homes=("h1:host", "h2:host", "host"))
    assert [snapshot.host_of(name) for name in ("h1:red", "h2:docker:c1", "red", "docker:c1")] == ["h1:host", "h2:host", "host", "host"]
    assert two().host_of("red") is None

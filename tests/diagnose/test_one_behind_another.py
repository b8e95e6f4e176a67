"""Several things at once: each is named in its turn, and what is missing behind a fault, or is remembered of before, hides none."""

from __future__ import annotations

from msgspec.structs import replace
from predict.networks import edited, probe, tutorial
from test_repair_whole import RECORDINGS, after, ask, chosen, healthy, said

from netprobe.diagnose.apply import mend
from netprobe.model import Leg, Protocol, Ruleset, Socket
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save
from netprobe.saved import load


def test_two_things_at_once_are_named_one_after_the_other() -> None:
    """An office's router has the address of its network, and the server is switched off and has lost its routes."""
    network = after(
        healthy("far-office-no-way-back"),
        "r1: ip neigh del 10.9.0.2 dev wan",
        "r2: ip address del 10.9.0.2/30 dev wan",
        "r2: ip address add 10.9.0.0/30 dev wan",
        "server: ip link set dev eth0 down",
    )
    asked = ask("pc", "10.2.0.10")
    names = []
    for _ in range(3):
        found = chosen(network, asked)
        names.append((found.stop.code, found.stop.place.namespace))
        done = mend(network, found.stop)
        assert done is not None
        network = done
        again = predict(network, asked, ask=False)
        if isinstance(again, Prediction) and again.passes:
            break
    assert {("addr-missing", "r2"), ("link-admin-down", "server")} <= set(names)


def test_a_gateway_that_is_there_is_not_gone_around() -> None:
    """The other uplink would do; the gateway that was taken is in sight, and only does not answer."""
    network = healthy("strict-rp-filter-and-marks")
    found = predict(network, ask("host", "8.8.8.8"), ask=False)
    assert isinstance(found, Prediction)
    taken = next(r.decision.leg for r in found.routed if r.namespace == "host")
    assert taken is not None
    router = next(name for name, each in network.namespaces.items() if each.owner_of(taken.via or "") is not None)
    link = network[router].owner_of(taken.via or "")
    assert link is not None
    network = after(network, f"{router}: ip link set dev {link.name} arp off")
    assert chosen(network, ask("host", "8.8.8.8")).stop.code == "arp-disabled"


def test_the_answer_goes_back_by_the_router_that_brought_the_question() -> None:
    """Its own route to the asker is gone as well; it is the gateway all the same."""
    network = after(
        healthy("far-office-no-way-back"),
        "server: ip route del default via 10.2.0.1 dev eth0",
        "r2: ip route del default via 10.9.0.1 dev wan",
    )
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert found.leg in (None, Leg.REPLY)
    assert said(found) == ["server: ip route add default via 10.2.0.1"]


def test_two_things_of_which_neither_alone_changes_anything() -> None:
    """A node's underlay is switched off, and its address is on the loopback, so that its tunnel sends to itself."""
    network = after(
        healthy("pod-out-of-the-far-bridge"),
        "node2: ip address del 192.168.50.2/24 dev u0",
        "node2: ip address add 192.168.50.2/24 dev lo",
        "node2: ip link set dev u0 down",
    )
    asked = ask("pod2", "10.42.0.1")
    first = chosen(network, asked)
    assert said(first) == ["node2: ip link set dev u0 up"]
    network = after(network, *said(first))
    assert said(chosen(network, asked)) == [
        "node2: ip address del 192.168.50.2/24 dev lo",
        "node2: ip address add 192.168.50.2/24 dev u0",
    ]


def test_an_address_that_is_doubled_and_a_route_that_refuses() -> None:
    """A sender bears the address that it asks for; without it, its own route would refuse."""
    network = after(
        healthy("far-office-no-way-back"),
        "pc: ip address add fd00:2::10/128 dev eth0",
        "pc: ip -6 route add prohibit fd00:2::/64",
    )
    network = edited(network, "server", sockets=(Socket("tcp", "::", 80, "listen"),))
    asked = replace(ask("pc", "fd00:2::10"), protocol=Protocol.TCP)
    asked = replace(asked, destination=replace(asked.destination, port=80), source=replace(asked.source, port=4001))
    first = chosen(edited(network, "pc", sockets=()), asked)
    assert (first.stop.code, said(first)) == ("addr-duplicate", ["pc: ip address del fd00:2::10/128 dev eth0"])
    assert chosen(after(network, *said(first)), asked).stop.code == "route-prohibit"


def test_a_program_that_is_missing_behind_another_fault_hides_it_not() -> None:
    """No repair starts the program: what brings the packet there is the cause all the same."""
    network = after(tutorial(), "red: ip route replace default via 10.0.0.77 dev eth0 onlink")
    network = edited(network, "internet", sockets=())
    asked = probe("red", "8.8.8.8", Protocol.TCP, source_port=40000)
    found = chosen(network, replace(asked, destination=replace(asked.destination, port=80)))
    assert (found.stop.code, found.stop.place.namespace) == ("route-wrong-nexthop", "red")


def test_the_router_that_others_use_is_one_though_it_lacks_the_way_itself() -> None:
    """A station has lost its default route, and the router the interface's address that it rests on."""
    network = after(
        tutorial(),
        "c2: ip route del default via 172.17.0.1 dev eth0",
        "host: ip address del 203.0.113.2/24 dev eth0",
    )
    assert said(chosen(network, ask("c2", "8.8.8.8"))) == ["c2: ip route add default via 172.17.0.1"]


def test_the_only_router_in_sight_is_one_though_it_refuses() -> None:
    network = healthy("far-office-no-way-back")
    network = after(network, "r1: ip route del 10.2.0.0/24 via 10.9.0.2 dev wan", "r2: ip route add blackhole 10.2.0.10/32")
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert (found.stop.code, found.stop.place.namespace) == ("no-route", "r1")
    assert said(found) == ["r1: ip route add default via 10.9.0.2"]


def test_who_took_an_address_of_another_lacks_the_route_to_it() -> None:
    """Taken away, the address brings the packet no hop further; nobody else could be meant."""
    network = after(
        tutorial(),
        "host: ip address add 172.17.0.3/32 dev lo",
        "host: ip route del 172.17.0.0/16 dev docker0",
        "host: ip route del default via 203.0.113.1 dev eth0",
    )
    network = edited(edited(network, "host", sockets=()), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    asked = probe("red", "172.17.0.3", Protocol.TCP, source_port=40000)
    found = chosen(network, replace(asked, destination=replace(asked.destination, port=80)))
    assert said(found) == ["host: ip address del 172.17.0.3/32 dev lo"]


def test_a_tracked_connection_hides_no_fault_behind_it() -> None:
    """Forgotten, the packet is led to its container again, which may not answer."""
    report, run = load(str(RECORDINGS / "old-connection-remembered.pcapng"))
    network = after(run.snapshot, "c2: ip route add blackhole 203.0.113.0/24")
    assert chosen(network, report.probe).stop.code == "stale-conntrack"
    behind = mend(network, chosen(network, report.probe).stop)
    assert behind is not None
    assert chosen(behind, report.probe).stop.code == "route-blackhole"


def test_an_address_is_not_taken_away_to_be_given_back() -> None:
    """Its owner drops the packet, and refuses the answer: what would go with the address would let that pass."""
    drops = read_save("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p icmp -j DROP\nCOMMIT\n", "iptables", "ip")
    network = after(
        edited(healthy("proxy-arp-off"), "pod2", ruleset=Ruleset(tables=drops)),
        "pod2: ip route del default via 169.254.1.1 dev eth0",
        "pod2: ip route add unreachable default",
    )
    found = chosen(network, ask("pod1", "10.65.0.3"))
    assert (found.stop.code, found.stop.place.namespace) == ("filtered-by-rule", "pod2")

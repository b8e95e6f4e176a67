"""Two objects at once where nobody in sight knows all that is lacking: what is plainly wrong is said before what only the reader knows."""

from __future__ import annotations

from diagnose.test_repair_whole import after, ask, chosen, healthy, lost, said
from diagnose.test_two_at_once import named
from diagnose.test_two_by_two import offices
from msgspec.structs import replace
from predict.networks import edited

from netprobe.diagnose.repair import several
from netprobe.diagnose.repair.candidates import told
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.search import search
from netprobe.model import Blank, Command, FindOthers, Neighbour, Place, Stage, Stop
from netprobe.model.lookup import where


def test_an_interface_that_is_off_took_a_route_that_nobody_knows() -> None:
    """The router that it led to has its address elsewhere."""
    network = after(
        offices(),
        "r1: ip -6 address del fd00:9::1/64 dev wan",
        "r1: ip -6 address add fd00:9::1/64 dev lan",
        "r2: ip link set dev wan down",
    )
    for name, there in network.namespaces.items():
        network = edited(network, name, neighbours=where(there.neighbours, state="permanent"))
    assert said(chosen(network, ask("server", "fd00:1::10")))[0] == "r2: ip link set dev wan up"


def test_the_other_end_of_a_cable_lies_where_it_does_not_belong() -> None:
    """What led by it went on this side with an address, and its station's routes with the end."""
    network = after(
        offices(), "r2: ip link set dev wan netns pc", "r1: ip address del 10.9.0.1/30 dev wan", "r1: ip address add 10.9.0.1/30 dev lan"
    )
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert said(found) == ["r1: ip address del 10.9.0.1/30 dev lan", "r1: ip address add 10.9.0.1/30 dev wan"]
    found = chosen(after(network, *said(found)), ask("pc", "10.2.0.10"))
    assert said(found)[:2] == ["pc: ip link set dev wan netns r2", "r2: ip link set dev wan up"]


def test_the_gateway_of_a_station_whose_neighbour_answers_for_all() -> None:
    """The other pod, which would tell its gateway, has lost its way as well."""
    network = after(
        healthy("proxy-arp-off"),
        "pod1: ip address del 10.65.0.2/32 dev eth0",
        "pod2: ip address del 10.65.0.3/32 dev eth0",
        "pod2: ip address add 8.65.0.3/32 dev eth0",
    )
    for name, there in network.namespaces.items():
        network = edited(network, name, neighbours=where(there.neighbours, state="permanent"))
    assert named(network, "pod1", "10.65.0.3") == [
        ["pod1: ip address add 10.65.0.2/32 dev eth0", "pod1: ip route add default dev eth0"],
        [
            "pod2: ip address add 10.65.0.3/32 dev eth0",
            "pod2: ip address del 8.65.0.3/32 dev eth0",
            "pod2: ip route add default dev eth0",
        ],
    ]


def test_what_only_the_reader_knows_costs_as_much_as_what_is_added() -> None:
    """Else an address of nobody knows what would stand before a port that is plainly in the wrong bridge."""
    place, network = Place("host", "br0", Stage.ROUTE), offices()
    words = ("ip", "address", "add")
    known, blank = (Stop("addr-missing", place, "", commands=(Command.of(*words, word),)) for word in ("10.0.0.1/16", Blank("ADDRESS/16")))
    costs = [several._cost(Repair(*each, network)) for each in ((known, Merit.RESTORES), (blank, Merit.RESTORES), (known, Merit.ADDS))]
    assert costs[0] < costs[1] == costs[2]


def test_who_answers_as_a_proxy_need_not_have_the_address() -> None:
    """That a pod found its gateway there tells nothing of an address that is missing."""
    network = after(healthy("proxy-arp-off"), "host: ip route del 10.65.0.2/32 dev cali1", "host: ip link set dev cali1 netns pod1")
    cable = network["host"].link_named("cali2")
    assert cable is not None
    entry = Neighbour(2, "10.65.0.254", cable.mac, "reachable")
    network = edited(network, "pod2", neighbours=(entry,))
    told_of = told.candidates(Loss.of(network, *lost(network, ask("pod2", "10.65.0.2"))))
    assert not [each.stop.text for each in told_of if "10.65.0.254" in each.stop.text]


def test_a_station_to_which_nobody_leads_any_more() -> None:
    """Both ends of its cable are where it is: only who asks for the others finds it."""
    network = healthy("proxy-arp-off")
    network = edited(network, "host", routes=where(network["host"].routes, is_default=False))
    network = after(network, "host: ip link set dev cali1 netns pod1")
    seen = replace(network, namespaces={name: each for name, each in network.namespaces.items() if name != "pod1"})
    for address, wanted in (("10.65.0.2", (FindOthers("host"),)), ("192.0.9.2", ())):
        needs = search(seen, *lost(seen, ask("pod2", address))).needs
        assert tuple(each for each in needs if isinstance(each, FindOthers)) == wanted

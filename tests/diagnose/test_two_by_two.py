"""Two objects at once where one of them has hidden the other, or led to a repair of something that was right."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import RECORDINGS, after, ask, chosen, healthy, lost, said
from diagnose.test_two_at_once import named
from msgspec.structs import replace
from predict.networks import edited

from netprobe.diagnose import source_nat
from netprobe.diagnose.repair.candidates import proxies
from netprobe.diagnose.repair.repair import Loss, Merit
from netprobe.engine.line import replay
from netprobe.model import Chain, Leg, Neighbour, Ruleset, Snapshot, Socket, Table, Verdict
from netprobe.rules.read.iptables_save import read_save
from netprobe.saved import load


def offices() -> Snapshot:
    return healthy("far-office-no-way-back")


def square() -> Snapshot:
    """Two routers between a pc and a server, which answers by the other one than it was asked by."""
    return edited(healthy("strict-rp-filter-of-the-server"), "server", sockets=())


def test_an_address_to_which_routers_lead_by_who_forwards_nothing() -> None:
    """No program tells of it, for it has ended as well."""
    network = after(square(), "server: ip address del 192.0.2.80/32 dev lo")
    assert said(chosen(network, ask("pc", "192.0.2.80"))) == ["server: ip address add 192.0.2.80/32 dev lo"]


def test_a_router_leads_by_who_forwards() -> None:
    """Then the address may be anybody's behind it."""
    network = after(square(), "server: ip address del 192.0.2.80/32 dev lo", "server: sysctl -w net.ipv4.ip_forward=1")
    assert said(chosen(network, ask("pc", "192.0.2.80"))) != ["server: ip address add 192.0.2.80/32 dev lo"]


def test_the_router_that_holds_an_answer_up_is_meant_though_another_knows_the_way() -> None:
    network = after(square(), "r2: sysctl -w net.ipv4.ip_forward=0")
    assert said(chosen(network, ask("pc", "192.0.2.80"))) == ["r2: sysctl -w net.ipv4.ip_forward=1"]


def test_a_network_is_on_one_interface_of_its_router() -> None:
    """A gateway that is the router's address on its other side: on this side it would have its network twice."""
    network = after(
        offices(),
        "r1: ip -6 route replace fd00:2::/64 via fd00:2::1 dev wan onlink",
        "server: ip address del fd00:2::10/64 dev eth0",
        "server: ip address add fd00:2::10/64 dev lo",
    )
    assert [each[0].partition(" metric")[0] for each in named(network, "pc", "fd00:2::10")][:2] == [
        "r1: ip -6 route replace fd00:2::/64 via fd00:9::2 dev wan",
        "server: ip address del fd00:2::10/64 dev lo",
    ]


def test_a_table_that_refuses_everything_needs_no_other_before_it() -> None:
    network = after(offices(), "r1: ip route add blackhole default table 78", "r1: ip rule add pref 1 from all lookup 78")
    assert said(chosen(network, ask("pc", "10.2.0.10"))) == ["r1: ip rule del pref 1 from all lookup 78"]


def test_a_route_by_a_station_to_its_own_neighbours() -> None:
    """To forward is no task of the station's, and nobody is where the route would lead to: that is wrong as well."""
    network = after(
        healthy("macvlan-private"),
        "router: ip route add 192.168.1.0/25 via 192.168.1.51 dev eth0",
        "tv: ip address add 192.168.1.54/24 dev eth0",
        "tv: ip address del 192.168.1.52/24 dev eth0",
    )
    assert said(chosen(network, ask("router", "192.168.1.52"))) == ["router: ip route del 192.168.1.0/25 via 192.168.1.51 dev eth0"]


def test_a_proxy_has_an_entry_on_its_other_interface() -> None:
    """A gateway that nobody has, as routed pods are given one."""
    network = after(offices(), "pc: ip route replace default via 169.254.1.1 dev eth0 onlink")
    wan = network["r1"].link_named("wan")
    assert wan is not None
    entry = Neighbour(wan.index, "169.254.1.1", None, "", proxy=True)
    network = edited(edited(network, "r1", neighbours=(entry,)), "pc", neighbours=())
    found = proxies.candidates(Loss.of(network, *lost(network, ask("pc", "10.2.0.10"))))
    merits = {" ".join(map(str, each.stop.commands[-1].words)): (each.merit, each.agreeing) for each in found}
    assert merits["ip neigh add proxy 169.254.1.1 dev lan"] == (Merit.RESTORES, 2)


def test_who_takes_an_answer_for_its_own_lacks_the_way_to_whom_it_is_meant_for() -> None:
    """The router of a pod has the pod's address as well, in the place of the route there; the rest of its block leads nowhere."""
    network = after(
        healthy("proxy-arp-off"),
        "host: ip route add blackhole 10.65.0.0/24",
        "host: ip route del 10.65.0.2/32 dev cali1",
        "host: ip address add 10.65.0.2/32 dev lo",
        "host: sysctl -w net.ipv4.conf.cali1.accept_local=1",
    )
    assert lost(network, ask("pod1", "10.65.0.3"))[1].code == "nat-not-reversed"
    assert named(network, "pod1", "10.65.0.3") == [
        ["host: ip address del 10.65.0.2/32 dev lo"],
        ["host: ip route replace 10.65.0.2/32 dev cali1"],
    ]


def test_a_policy_that_refuses_at_either_side_of_a_router_is_opened_at_both() -> None:
    """Its neighbours ask for it on one side, and answer it on the other; behind it another router has no way."""
    refusing = "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    network = after(offices(), "r2: ip address del fd00:2::1/64 dev lan")
    network = edited(network, "r1", ruleset=Ruleset(tables=tuple(read_save(refusing, "iptables", "ip6"))))
    for name in ("pc", "r1", "r2"):
        network = edited(network, name, neighbours=())
    first, second = named(network, "pc", "fd00:2::10")
    assert first == [f"r1: ip6tables -I INPUT -i {side} -p ipv6-icmp -j ACCEPT" for side in ("lan", "wan")]
    assert second[0].startswith("r2: ip address add fd00:2::1/")


def test_who_asks_for_an_address_of_its_own_is_given_nothing_by_what_is_switched_on() -> None:
    """A published port leads to a container: its bridge and its cable are off."""
    network = healthy("published-port-not-for-the-host-itself")
    network = after(network, "host: ip link set dev docker0 down", "host: ip link set dev veth9b03c7e down")
    first, second = named(network, "host", "203.0.113.2", 8080)
    assert first[0] == "host: ip link set dev docker0 up"
    assert second == ["host: ip link set dev veth9b03c7e up"]


def test_another_one_who_has_the_address_is_a_detour_though_nobody_has_the_gateway() -> None:
    """It was the one at the other end of the cable, which is off as well."""
    both = ("r1: ip address add 192.0.2.99/32 dev lo", "r2: ip address add 192.0.2.99/32 dev lo")
    ways = ("pc: ip route add 192.0.2.99/32 via 10.1.1.1 metric 5", "pc: ip route add 192.0.2.99/32 via 10.1.2.1 metric 10")
    network = after(square(), *both, *ways, "r1: ip link set dev lan down", "r1: ip address del 10.1.1.1/24 dev lan")
    assert named(network, "pc", "192.0.2.99") == [["r1: ip link set dev lan up"], ["r1: ip address add 10.1.1.1/24 dev lan"]]


def test_a_chain_that_translates_sources_and_has_no_rule() -> None:
    chains = (Chain("post", hook="postrouting", type="nat"), Chain("out", hook="postrouting", type="filter"))
    network = edited(offices(), "r1", ruleset=Ruleset(tables=(Table("nft", "ip", "lab", chains), Table("nft", "ip6", "lab", chains))))
    assert source_nat.emptied(network["r1"], "10.1.0.10") == 1
    assert source_nat.emptied(network["r2"], "10.1.0.10") == 0


@pytest.mark.parametrize(("lying", "codes"), [(2304, ["rcvbuf-full"]), (0, [])])
def test_a_program_that_leaves_datagrams_lying_is_told_where_no_answer_came(lying: int, codes: list[str]) -> None:
    """There is room for more, so that nothing is foretold."""
    run = load(str(RECORDINGS / "name-server-stopped.pcapng"))[1]
    assert run is not None
    seen = tuple(each for each in run.observations if each.kind in ("sent", "seen") and each.leg is Leg.REQUEST and each.error is None)
    program = Socket("udp", "10.2.0.10", 53, "unconnected", queue=(lying, 212992))
    report = replay(replace(run, snapshot=edited(run.snapshot, "server", sockets=(program,)), observations=seen)).report
    assert report.verdict is Verdict.UNDETERMINED
    assert [each.code for each in report.causes] == codes


def test_a_program_of_one_interface_answers_by_that_alone() -> None:
    """The default route leads out of another one, by which its answers never go."""
    own = square()["server"].link_named("eth0")
    assert own is not None
    network = edited(square(), "server", sockets=(Socket("tcp", "192.0.2.80", 80, "listen", interface=own.index),))
    assert named(network, "pc", "192.0.2.80", 80) == [["server: ip route add 10.1.1.0/24 via 172.16.1.1 dev eth0"]]
    network = edited(network, "server", sockets=(Socket("tcp", "192.0.2.80", 80, "listen"),))
    assert named(network, "pc", "192.0.2.80", 80) == []


def test_a_gateway_that_nobody_is_belongs_to_who_has_no_address_there_whatever_network_the_asker_is_of() -> None:
    """IPv6 has lost it with the interface; the asker's own address is mistyped."""
    network = after(
        offices(),
        "r1: ip address del fd00:9::1/64 dev wan",
        "r1: ip address add fd00:9:1::1/64 dev wan",
        "r2: ip link set dev wan down",
        "r2: ip link set dev wan up",
    )
    assert said(chosen(network, ask("r1", "fd00:2::10"))) == ["r2: ip address add fd00:9::2/64 dev wan"]


def test_of_two_policy_rules_that_refuse_one_behind_the_other_both_are_told() -> None:
    """A way in the table of the first one would lead past the second one, too."""
    network = after(
        offices(),
        "pc: ip route add prohibit default table 78",
        "pc: ip rule add pref 100 iif lo lookup 78",
        "pc: ip rule add pref 101 prohibit",
    )
    assert named(network, "pc", "10.2.0.10") == [
        ["pc: ip rule del pref 100 from all iif lo lookup 78"],
        ["pc: ip rule del pref 101 from all prohibit"],
    ]


def test_a_way_in_a_table_that_refuses_is_missing_where_nothing_refuses_behind_it() -> None:
    """Without the rule the packet is lost elsewhere: main has no way."""
    network = after(
        offices(),
        "pc: ip route del default via 10.1.0.1 dev eth0",
        "pc: ip route add prohibit default table 78",
        "pc: ip rule add pref 100 iif lo lookup 78",
    )
    assert named(network, "pc", "10.2.0.10") == [["pc: ip route replace default via 10.1.0.1 dev eth0 table 78"]]


MADE_UP = "*nat\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10.1.0.0/24 -j SNAT --to-source 10.99.0.9\nCOMMIT\n"


def test_no_route_is_for_an_address_that_a_rule_made_up() -> None:
    """A way to all the world would be one to the asker as well, which the answerer lacks by itself."""
    network = after(offices(), "server: ip route del default via 10.2.0.1 dev eth0")
    network = edited(network, "server", ruleset=Ruleset(tables=tuple(read_save(MADE_UP, "iptables", "ip"))))
    first, second = named(network, "pc", "10.2.0.10")
    assert first == ["server: iptables -t nat -D INPUT -s 10.1.0.0/24 -j SNAT --to-source 10.99.0.9"]
    assert second[0].startswith("server: ip route add ")

"""One object of a working network is changed; the repair that stands first lets the probe pass, and names that object."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from predict.networks import edited, local, probe, relinked, tutorial, via, with_link_locals

from netprobe.diagnose.apply import mend
from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.repair import Loss, Merit
from netprobe.diagnose.repair.search import search
from netprobe.model import (
    Bridge,
    Cause,
    Command,
    FindPeer,
    InterfaceAddress,
    Leg,
    Link,
    Need,
    Neighbour,
    Place,
    Protocol,
    ReadNamespace,
    Ruleset,
    Snapshot,
    Socket,
    Stage,
)
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def changed(*lines: str) -> Snapshot:
    """The tutorial's network after these commands, each `NAMESPACE: WORDS`."""
    commands = tuple(Command(tuple(words.split()), name) for name, _, words in (line.partition(": ") for line in lines))
    after = mend(with_link_locals(tutorial()), Cause("", Place(None, None, Stage.ROUTE), "", commands=commands))
    assert after is not None, lines
    return after


def lost_in(snapshot: Snapshot, source: str, dst: str) -> Prediction:
    found = predict(snapshot, probe(source, dst), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    return found


CHANGES = [
    (("host: ip link set dev veth0 nomaster",), "red", "8.8.8.8", "port-not-in-bridge", "host"),
    (("host: ip link set dev veth0 down",), "red", "8.8.8.8", "link-admin-down", "host"),
    (("internet: ip link set dev eth0 down",), "red", "8.8.8.8", "link-admin-down", "internet"),
    (("host: bridge link set dev veth0 state 0",), "red", "8.8.8.8", "port-not-forwarding", "host"),
    (("host: sysctl -w net.ipv4.ip_forward=0",), "red", "8.8.8.8", "forwarding-off", "host"),
    (("red: ip route replace default via 10.0.0.77 dev eth0 onlink",), "red", "8.8.8.8", "route-wrong-nexthop", "red"),
    (("red: ip route del default via 10.0.0.1 dev eth0",), "red", "8.8.8.8", "no-route", "red"),
    (("host: ip route add blackhole 8.8.8.8/32",), "red", "8.8.8.8", "route-blackhole", "host"),
    (("host: ip route add 8.8.8.8/32 dev docker0",), "red", "8.8.8.8", "route-overlap", "host"),
    (("host: ip route del 10.0.0.0/16 dev br0", "host: ip route add 10.0.0.0/16 dev docker0"), "red", "8.8.8.8", "no-route", "host"),
    (("host: ip route del 10.0.0.0/16 dev br0", "host: ip route add blackhole 10.0.0.0/16"), "red", "8.8.8.8", "no-route", "host"),
    (("internet: ip address add 10.0.9.9/16 dev lo",), "red", "8.8.8.8", "martian-source", "internet"),
    (("red: ip address del 10.0.0.2/32 dev eth0", "red: ip address add 10.0.0.2/32 dev lo"), "red", "8.8.8.8", None, "red"),
    (("host: ip route add 10.0.0.2/32 dev eth0",), "red", "8.8.8.8", "route-overlap", "host"),
    (("host: ip rule add pref 20000 prohibit",), "red", "8.8.8.8", "rule-prohibit", "host"),
    (("host: ip link del docker0",), "c1", "172.17.0.1", "link-missing", "host"),
    (("host: ip address del 203.0.113.2/24 dev eth0",), "red", "8.8.8.8", "addr-missing", "host"),
    (("host: ip rule del pref 32766 from all lookup main",), "red", "8.8.8.8", "rule-wrong-table", "host"),
    (("host: ip rule add pref 100 from all lookup 100", "host: ip route add unreachable 8.8.8.8/32 table 100"),
     "red", "8.8.8.8", "rule-wrong-table", "host"),
    (("host: ip address del 10.0.0.1/16 dev br0",), "red", "8.8.8.8", "addr-missing", "host"),
    (("c1: ip route replace default via 172.17.0.99 dev eth0",), "c1", "10.0.0.1", "route-wrong-nexthop", "c1"),
    (("c2: ip address add 192.168.9.9/24 dev eth0", "c2: ip address del 172.17.0.3/16 dev eth0"), "c2", "10.0.0.1",
     "addr-wrong-subnet", "c2"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "source", "dst", "code", "name"), CHANGES, ids=[change[0][-1] for change in CHANGES])
def test_the_changed_object_is_named_and_its_repair_passes(
    lines: tuple[str, ...], source: str, dst: str, code: str | None, name: str
) -> None:
    snapshot = changed(*lines)
    lost = lost_in(snapshot, source, dst)
    assert lost.stop is not None
    chosen = choice.choose(snapshot, lost, lost.stop).stop
    assert chosen.place.namespace == name, chosen.text
    assert code in (chosen.code, None), chosen.text
    assert search(snapshot, lost, lost.stop).repairs


def test_what_does_not_help_is_no_repair() -> None:
    """Each repair is walked: of those that stand in the list, every one lets the probe pass."""
    snapshot = changed("host: ip link set dev veth0 nomaster", "host: sysctl -w net.ipv4.conf.br0.arp_ignore=8")
    lost = lost_in(snapshot, "red", "8.8.8.8")
    assert lost.stop is not None
    for repair in search(snapshot, lost, lost.stop).repairs:
        again = predict(repair.mended, probe("red", "8.8.8.8"), ask=False)
        assert isinstance(again, Prediction)
        assert again.passes


def test_a_detour_is_never_the_cause() -> None:
    """Nobody has 172.17.0.9: to give it to the bridge would let the probe pass, and would be no repair."""
    lost = lost_in(tutorial(), "c1", "172.17.0.9")
    assert lost.stop is not None
    found = search(tutorial(), lost, lost.stop)
    assert [repair.merit for repair in found.repairs] == [Merit.GOES_AROUND] * len(found.repairs)
    chosen = choice.choose(tutorial(), lost, lost.stop)
    assert (chosen.stop.code, chosen.others) == ("neigh-no-answer", ())


def test_two_faults_show_one_after_the_other() -> None:
    """No single change helps: the end of the walk comes first, and what stands behind it then."""
    snapshot = changed("host: ip route add blackhole 8.8.8.8/32", "host: sysctl -w net.ipv4.ip_forward=0")
    lost = lost_in(snapshot, "red", "8.8.8.8")
    assert lost.stop is not None
    found = search(snapshot, lost, lost.stop)
    assert found.repairs == ()
    first = choice.choose(snapshot, lost, lost.stop).stop
    assert first.code == "route-blackhole"
    mended = mend(snapshot, first)
    assert mended is not None
    then = lost_in(mended, "red", "8.8.8.8")
    assert then.stop is not None
    assert choice.choose(mended, then, then.stop).stop.code == "forwarding-off"


def test_other_repairs_say_why_they_come_second() -> None:
    snapshot = changed("host: ip rule add pref 100 from all lookup 100", "host: ip route add unreachable 8.8.8.8/32 table 100")
    lost = lost_in(snapshot, "red", "8.8.8.8")
    assert lost.stop is not None
    others = choice.choose(snapshot, lost, lost.stop).others
    assert others
    assert all(other.reason for other in others)


def test_the_needs_of_candidates_are_collected() -> None:
    """A namespace that nobody has read could hold the answer: it is asked for."""
    whole = changed("host: ip route add 8.8.8.8/32 dev docker0")
    known = Snapshot({name: whole[name] for name in ("red", "host", "internet", "c1")}, whole.peers)
    lost = predict(whole, probe("red", "8.8.8.8"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    loss = Loss.of(known, lost, lost.stop)
    bridge = known["host"].link_named("docker0")
    assert bridge is not None
    assert loss.stations("host", bridge) == ()
    assert loss.needs


def read(whole: Snapshot, known: Snapshot, need: Need) -> Snapshot:
    """What a reader of the whole network would add."""
    match need:
        case ReadNamespace(name):
            return known.with_namespace(whole[name])
        case FindPeer(name, nsid):
            found = [peer for peer in whole.peers if (peer.namespace, peer.nsid) == (name, nsid)]
            return replace(known, peers=(*known.peers, *found))
    raise AssertionError(need)


def test_what_a_route_beside_a_repair_would_need_is_read() -> None:
    """The route went with the interface; where it led shows when the interface is up, beyond namespaces nobody has read yet."""
    whole = changed("red: ip link set dev eth0 down")
    known = Snapshot({"red": whole["red"]})
    while needs := choice.lacking(known, lost_in(known, "red", "8.8.8.8")):
        for need in needs:
            known = read(whole, known, need)
    lost = lost_in(known, "red", "8.8.8.8")
    assert lost.stop is not None
    first, *_ = search(known, lost, lost.stop).repairs
    assert [" ".join(command.words) for command in first.stop.commands] == [
        "ip link set dev eth0 up",
        "ip route add default via 10.0.0.1 dev eth0 onlink",
    ]


def said(snapshot: Snapshot, source: str, dst: str) -> list[str]:
    lost = lost_in(snapshot, source, dst)
    assert lost.stop is not None
    return [" ".join(command.words) for command in choice.choose(snapshot, lost, lost.stop).stop.commands]


def test_a_gateway_that_nobody_knows_is_said_to_be_there_where_no_network_is_on_the_wire() -> None:
    """10.0.0.2/32 is a network of one: without `onlink` the kernel takes no gateway."""
    alone = relinked(changed("red: ip route del default via 10.0.0.1 dev eth0"), "red", "eth0", link=None)
    assert said(alone, "red", "8.8.8.8") == ["ip route add default via GATEWAY dev eth0 onlink"]
    wide = relinked(changed("c1: ip route del default via 172.17.0.1 dev eth0"), "c1", "eth0", link=None)
    wide = replace(wide, namespaces={"c1": wide["c1"]}, peers=())
    assert said(wide, "c1", "8.8.8.8") == ["ip route add default via GATEWAY"]


def test_an_address_to_fill_in_has_the_length_of_its_neighbours() -> None:
    """Without one it would be a /32, to which no gateway is on the wire."""
    address, _ = said(changed("red: ip address del 10.0.0.2/32 dev eth0"), "red", "8.8.8.8")
    assert address == "ip address add ADDRESS/16 dev eth0"


def test_a_repair_is_offered_once() -> None:
    """Both ends of a cable tell of the one that is down; the line to paste is one."""
    snapshot = changed("host: ip link set dev veth0 down")
    lost = lost_in(snapshot, "red", "8.8.8.8")
    assert lost.stop is not None
    lines = [repair.stop.commands for repair in search(snapshot, lost, lost.stop).repairs]
    assert sum(any(command.words[-3:] == ("dev", "veth0", "up") for command in each) for each in lines) == 1


def test_a_bridge_lost_its_address_and_red_remembers_its_mac() -> None:
    """The probe arrives, and its answer goes astray behind the bridge: far from the address that is missing."""
    snapshot = changed("host: ip address del 10.0.0.1/16 dev br0")
    bridge = snapshot["host"].link_named("br0")
    assert bridge is not None
    warm = edited(snapshot, "red", neighbours=(Neighbour(2, "10.0.0.1", bridge.mac, "reachable"),))
    assert lost_in(warm, "red", "8.8.8.8").leg is Leg.REPLY
    assert said(warm, "red", "8.8.8.8") == ["ip address add 10.0.0.1/LENGTH dev br0"]


@pytest.mark.parametrize(("dst", "code"), [("192.168.5.1", "nat-missing"), ("192.168.5.9", None)])
def test_a_gateway_out_of_sight_knows_no_way_back_to_what_is_behind_a_bridge(dst: str, code: str | None) -> None:
    """Of other stations out there nobody can say what they know."""
    lines = "host: ip address add 192.168.5.2/24 dev eth0", "host: ip route add 192.0.2.0/24 via 192.168.5.1 dev eth0"
    whole = edited(changed(*lines), "host", ruleset=Ruleset())
    peers = tuple(replace(peer, peer=None) if peer.peer == "internet" else peer for peer in whole.peers)
    known = Snapshot({name: whole[name] for name in ("red", "host")}, peers)
    prediction = predict(known, probe("red", dst), ask=False)
    assert isinstance(prediction, Prediction)
    found = choice.outside(known, prediction)
    assert (found.stop.code if isinstance(found, choice.Choice) else found or None) == code


def test_a_bridge_without_a_mac_gets_its_first_ports() -> None:
    """Who remembers the bridge's old MAC, which was this port's, finds it again once the port is plugged in."""
    bare = relinked(changed("host: ip link set dev veth0 nomaster"), "host", "br0", mac="00:00:00:00:00:00")
    port = bare["host"].link_named("veth0")
    assert port is not None
    known = Neighbour(2, "10.0.0.1", port.mac, "reachable")
    snapshot = edited(bare, "red", neighbours=(known,))
    assert said(snapshot, "red", "10.0.0.1") == ["ip link set dev veth0 master br0"]


def test_a_port_published_to_an_address_that_nobody_has_is_led_to_who_listens() -> None:
    rule = "iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.99:80"
    command = Command(tuple(rule.split()), "host")
    ready = edited(tutorial(), "host", ruleset=Ruleset())
    snapshot = mend(ready, Cause("", Place(None, None, Stage.ROUTE), "", commands=(command,)))
    assert snapshot is not None
    snapshot = edited(snapshot, "c1", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    asked = probe("internet", "203.0.113.2", Protocol.TCP, source_port=40000)
    asked = replace(asked, destination=replace(asked.destination, port=8080))
    lost = predict(snapshot, asked, ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    first = choice.choose(snapshot, lost, lost.stop)
    assert [" ".join(command.words) for command in first.stop.commands] == [
        "iptables -t nat -R PREROUTING 1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    ]


def test_a_translation_to_an_address_without_a_way_back_is_led_to_another_of_the_same_interface() -> None:
    """MASQUERADE takes the first of two /32 addresses; the far end knows the way to the second alone."""
    ready = edited(tutorial(), "host", ruleset=Ruleset())
    lines = (
        "ip address del 203.0.113.2/24 dev eth0",
        "ip address add 198.51.100.77/32 dev eth0",
        "ip address add 203.0.113.2/32 dev eth0",
        "ip route add default via 203.0.113.1 dev eth0 onlink",
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE",
    )
    commands = tuple(Command(tuple(words.split()), "host") for words in lines)
    snapshot = mend(ready, Cause("", Place(None, None, Stage.ROUTE), "", commands=commands))
    assert snapshot is not None
    assert said(snapshot, "red", "8.8.8.8") == ["iptables -t nat -I POSTROUTING -s 10.0.0.0/16 -o eth0 -j SNAT --to-source 203.0.113.2"]


def test_a_port_of_a_bridge_that_spans_a_tree_forwards_after_a_while() -> None:
    """A port that is plugged in listens first: what lets it be a port lets the probe pass all the same."""
    bare = changed("host: ip link set dev veth0 nomaster")
    spanning = relinked(bare, "host", "br0", bridge=Bridge(stp=True))
    assert said(spanning, "red", "8.8.8.8") == ["ip link set dev veth0 master br0"]


def test_a_program_that_is_bound_to_a_loopback_address_of_its_own_is_led_to() -> None:
    """127.0.0.11, Docker's name server: the rules of the container that lead port 53 to it are gone."""
    server = Socket("udp", "127.0.0.11", 43458, "unconnected")
    snapshot = edited(tutorial(), "red", sockets=(server,), ruleset=Ruleset())
    asked = probe("red", "127.0.0.11", Protocol.UDP, source_port=40000)
    asked = replace(asked, destination=replace(asked.destination, port=53))
    lost = predict(snapshot, asked, ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    first = choice.choose(snapshot, lost, lost.stop).stop
    assert first.code == "dnat-missing"
    assert [" ".join(command.words) for command in first.commands] == [
        "iptables -t nat -A OUTPUT -d 127.0.0.11/32 -p udp --dport 53 -j DNAT --to-destination 127.0.0.11:43458"
    ]


def test_a_rule_that_puts_one_way_into_a_zone_of_its_own_is_taken_away() -> None:
    ready = edited(tutorial(), "host", ruleset=Ruleset())
    rules = (
        "iptables -t nat -A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE",
        "iptables -t raw -A PREROUTING -i br0 -j CT --zone 5",
    )
    commands = tuple(Command(tuple(words.split()), "host") for words in rules)
    snapshot = mend(ready, Cause("", Place(None, None, Stage.ROUTE), "", commands=commands))
    assert snapshot is not None
    assert said(snapshot, "red", "8.8.8.8") == ["iptables -t raw -D PREROUTING -i br0 -j CT --zone 5"]


NATS = [  # the rules that are there; the one that is missing
    ((), "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE"),
    (("-A POSTROUTING -o br0 -j MASQUERADE",), "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE"),
    (("-A POSTROUTING -s 172.17.0.0/16 -o eth0 -j MASQUERADE",), "iptables -t nat -A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE"),
    (("-A POSTROUTING -o eth0 -j ACCEPT",), "iptables -t nat -I POSTROUTING -o eth0 -j MASQUERADE"),
]


@pytest.mark.parametrize(("rules", "missing"), NATS)
def test_a_translation_that_is_missing_is_for_all_networks_that_lack_it(rules: tuple[str, ...], missing: str) -> None:
    """Behind one that ends the search for this packet it would never be asked."""
    ready = edited(tutorial(), "host", ruleset=Ruleset())
    commands = [Command(("iptables", "-t", "nat", *rule.split()), "host") for rule in rules]
    commands.append(Command(("ip", "route", "del", "10.0.0.0/16", "via", "203.0.113.2", "dev", "eth0"), "internet"))
    snapshot = mend(ready, Cause("", Place(None, None, Stage.ROUTE), "", commands=tuple(commands)))
    assert snapshot is not None
    assert said(snapshot, "red", "8.8.8.8") == [missing]


@pytest.mark.parametrize(("source", "dst"), [("red", "8.8.8.8"), ("c1", "172.17.0.1")])
def test_a_rule_that_keeps_questions_from_a_bridges_own_stack_is_named(source: str, dst: str) -> None:
    ready = edited(tutorial(), "host", ruleset=Ruleset())
    rule = Command(("ebtables", "-t", "filter", "-A", "INPUT", "-j", "DROP"), "host")
    snapshot = mend(ready, Cause("", Place(None, None, Stage.ROUTE), "", commands=(rule,)))
    assert snapshot is not None
    assert said(snapshot, source, dst) == ["ebtables -D INPUT -j DROP"]


def test_a_bridge_that_was_deleted_is_made_again_with_its_ports_and_the_address_that_is_looked_for() -> None:
    snapshot = changed("host: ip link del docker0")
    assert said(snapshot, "c1", "172.17.0.1") == [
        "ip link add br1 type bridge",
        "ip link set dev vethc1 master br1",
        "ip link set dev vethc2 master br1",
        "ip link set dev br1 up",
        "ip address add 172.17.0.1/16 dev br1",
    ]


@pytest.mark.parametrize(
    ("others", "first"),
    [("02:00:00:00:09:06", "ip link add br1 type bridge"), ("02:00:00:00:09:07", "ip address add 172.17.0.1/16 dev vethc1")],
)
def test_a_bridge_had_the_mac_of_a_port_where_all_its_stations_remember_that(others: str, first: str) -> None:
    """c1 found its gateway at the MAC of the very cable that it is on; so did c2, or it found it at that of its own."""
    snapshot = changed("host: ip link del docker0")
    for name, mac in (("c1", "02:00:00:00:09:06"), ("c2", others)):
        snapshot = edited(snapshot, name, neighbours=(Neighbour(2, "172.17.0.1", mac, "stale"),))
    assert said(snapshot, "c1", "10.0.0.2")[0] == first


def unfiltered(*lines: str) -> Snapshot:
    """The tutorial's network with no rules but those of these commands."""
    snapshot = edited(tutorial(), "host", ruleset=Ruleset())
    for name, _, words in (line.partition(": ") for line in lines):
        after = mend(snapshot, Cause("", Place(None, None, Stage.ROUTE), "", commands=(Command(tuple(words.split()), name),)))
        assert after is not None, words
        snapshot = after
    return snapshot


def test_a_policy_that_drops_on_a_way_that_is_wrong_itself_comes_second() -> None:
    """A rule for eth0 to eth0 would lead the answer to where nobody is; the address alone is lost at the policy as well."""
    snapshot = unfiltered(
        "host: iptables -A FORWARD -i br0 -j ACCEPT",
        "host: iptables -P FORWARD DROP",
        "host: ip address del 10.0.0.1/16 dev br0",
        "host: ip address add 10.0.0.1/16 dev eth0",
    )
    assert said(snapshot, "red", "8.8.8.8") == ["ip address del 10.0.0.1/16 dev eth0"]


def test_a_loop_that_ends_at_something_else_is_ended_first() -> None:
    """Behind it there are fewer hops than it has rounds."""
    snapshot = unfiltered("host: ip link set docker0 address 02:00:00:00:04:02", "host: ebtables -A FORWARD -j DROP")
    for name, index in (("c1", 2), ("host", 5)):
        snapshot = edited(snapshot, name, neighbours=(Neighbour(index, "172.17.0.3", "02:00:00:00:04:02", "reachable"),))
    assert lost_in(snapshot, "c1", "172.17.0.3").stop.code == "route-loop"  # type: ignore[union-attr]
    assert said(snapshot, "c1", "172.17.0.3") == ["ip link set dev docker0 address 02:00:00:00:09:06"]


def test_an_address_of_ipv6_to_fill_in_has_the_length_of_its_neighbours_though_the_routes_are_there() -> None:
    """IPv6 keeps its routes when an address goes; what stands behind is told as well."""
    snapshot = tutorial()
    for name, index, address in (("host", 5, "fd00:17::1"), ("c2", 2, "fd00:17::33")):
        known = snapshot[name]
        own = InterfaceAddress(index, address, 64)
        routes = (local(address)[-1], via("fd00:17::/64", None, index))
        snapshot = edited(snapshot, name, addresses=(*known.addresses, own), routes=(*known.routes, *routes))
    snapshot = edited(snapshot, "c1", routes=(*snapshot["c1"].routes, via("::/0", "fd00:17::1", 2)))
    assert said(snapshot, "c1", "fd00:17::33") == ["ip address add ADDRESS/64 dev eth0"]


@pytest.mark.parametrize("back", ["128.0.0.0/1", "203.0.0.0/8"])
def test_a_route_by_which_the_answer_leaves_for_the_unseen_is_the_cause(back: str) -> None:
    """A VPN that redirects the gateway (def1): who is asked answers into the tunnel; who asks is in sight, and so is the way to him."""
    known = tutorial()
    tunnel = Link(60, "tun0", "tun", carrier=True)
    known = edited(known, "red", links=(*known["red"].links, tunnel), routes=(*known["red"].routes, via(back, None, 60)))
    prediction = predict(known, probe("internet", "10.0.0.2"), ask=False)
    assert isinstance(prediction, Prediction)
    assert prediction.stop is None
    found = choice.outside(known, prediction)
    assert found is not None
    assert (found.leg, found.stop.code) == (Leg.REPLY, "route-via-dead-device")
    assert found.stop.commands[0].words == ("ip", "route", "del", back, "dev", "tun0")

"""Further proof out of the snapshot, and fixes with the names of the machine in them."""

from __future__ import annotations

import pytest
from commands import typed
from msgspec.structs import replace
from predict.networks import edited, probe, relinked, tutorial

from netprobe.causes.catalogue import explain
from netprobe.diagnose.evidence import Case
from netprobe.model import (
    Blank,
    Cause,
    Chain,
    Command,
    ConntrackEntry,
    Endpoint,
    Evidence,
    Flow,
    FoundConnection,
    Hop,
    Leg,
    Link,
    LinkRef,
    Neighbour,
    Object,
    Place,
    Protocol,
    Ruleset,
    Snapshot,
    Socket,
    Source,
    Stage,
    Stop,
    Table,
)
from netprobe.predict.predict import Prediction, predict


def explained(snapshot: Snapshot, code: str, place: Place, thing: Object | None = None, fix: tuple[str, ...] = (), **more: object) -> Cause:
    stop = Stop(code, place, "it ends here", thing, tuple(map(typed, fix)))
    case = Case(snapshot, probe(), None, (), (), (), False, stop, Leg.REQUEST)
    found = explain(replace(case, **more))  # type: ignore[arg-type]
    assert found is not None
    return found


def texts(cause: Cause, source: Source) -> list[str]:
    return [evidence.text for evidence in cause.evidence if evidence.source is source]


@pytest.mark.parametrize(
    ("code", "counter"),
    [
        ("accept-queue-full", "TcpExtListenOverflows"),
        ("rcvbuf-full", "UdpRcvbufErrors"),
        ("rp-filter", "TcpExtIPReversePathFilter"),
        ("conntrack-full", "conntrack.drop"),
        ("conntrack-invalid", "conntrack.invalid"),
        ("nat-port-exhausted", "conntrack.insert_failed"),
        ("frag-reassembly", "IpReasmFails"),
        ("xfrm-policy-block", "XfrmOutNoStates"),
    ],
)
def test_the_counters_that_tell_are_quoted(code: str, counter: str) -> None:
    place = Place("host", "eth0", Stage.INPUT)
    counted = explained(edited(tutorial(), "host", counters={counter: 7, "IpInReceives": 900}), code, place)
    assert texts(counted, Source.COUNTER) == [f"{counter} stands at 7"]
    assert texts(explained(edited(tutorial(), "host", counters={counter: 0}), code, place), Source.COUNTER) == []


def test_old_counters_do_not_make_a_prediction_an_observation() -> None:
    place = Place("host", "eth0", Stage.INPUT)
    without = explained(tutorial(), "rp-filter", place)
    counted = explained(edited(tutorial(), "host", counters={"TcpExtIPReversePathFilter": 7}), "rp-filter", place)
    assert counted.confidence is without.confidence


@pytest.mark.parametrize(("state", "quoted"), [("failed", True), ("incomplete", True), ("reachable", False)])
def test_the_neighbour_entry_of_an_unanswered_question_is_quoted(state: str, quoted: bool) -> None:
    entries = (Neighbour(2, "10.0.0.9", None, "failed"), Neighbour(2, "10.0.0.1", None, state))
    place, thing = Place("red", "eth0", Stage.NEIGHBOUR), Object("neighbour", "10.0.0.1 dev eth0")
    found = texts(explained(edited(tutorial(), "red", neighbours=entries), "neigh-no-answer", place, thing), Source.NEIGHBOUR)
    assert found == ([f"10.0.0.1 dev eth0 is {state.upper()} in the neighbour table"] if quoted else [])


def test_the_stale_connection_is_quoted() -> None:
    outcome = predict(tutorial(), probe(), ask=False)
    assert isinstance(outcome, Prediction)
    entry = ConntrackEntry("udp", ("10.0.0.2", "8.8.8.8", 4000, 53), ("8.8.8.8", "203.0.113.9", 53, 4000))
    other = replace(entry, original=("10.0.0.7", "8.8.8.8", 4000, 53))
    flow = Flow("10.0.0.2", "8.8.8.8", Protocol.UDP, 4000, 53)
    elsewhere = FoundConnection("red", flow, (replace(entry, protocol="tcp"),))
    snapshot = replace(tutorial(), connections=(elsewhere, FoundConnection("host", flow, (other, entry))))
    found = explained(snapshot, "stale-conntrack", Place("host", None, Stage.PREROUTING), request=outcome.request.hops)
    assert texts(found, Source.CONNTRACK) == [
        "udp src=10.0.0.2 dst=8.8.8.8 sport=4000 dport=53 src=8.8.8.8 dst=203.0.113.9 sport=53 dport=4000"
    ]


def test_beside_a_closed_port_stands_what_is_open() -> None:
    sockets = (
        Socket("tcp", "0.0.0.0", 8080, "listen"),
        Socket("tcp", "0.0.0.0", 22, "listen"),
        Socket("udp", "0.0.0.0", 53, "unconnected"),
    )
    asked = replace(probe(protocol=Protocol.TCP), destination=Endpoint("internet", "internet", address="8.8.8.8", port=80))
    place = Place("internet", "eth0", Stage.SOCKET)
    found = explained(edited(tutorial(), "internet", sockets=sockets), "port-closed", place, probe=asked)
    assert texts(found, Source.SOCKET) == ["what listens there: tcp/22, tcp/8080"]
    assert found.fix == ("# look: ss -lntp   # what listens there, and where",)
    unread = explained(tutorial(), "port-closed", place, probe=asked)
    assert texts(unread, Source.SOCKET) == []


def full(entries: int, limit: str, refused: int) -> Cause:
    counters = {"arp_cache.entries": entries, "arp_cache.table_fulls": refused}
    snapshot = edited(edited(tutorial(), "red", counters=counters), "host", sysctls={"net.ipv4.neigh.default.gc_thresh3": limit})
    place = Place("red", "eth0", Stage.NEIGHBOUR)
    return explained(snapshot, "neigh-no-answer", place, Object("neighbour", "10.0.0.1 dev eth0"), watched=True)


@pytest.mark.parametrize(
    ("entries", "refused", "code"), [(1024, 3, "neigh-table-full"), (900, 3, "neigh-no-answer"), (1024, 0, "neigh-no-answer")]
)
def test_a_full_neighbour_table_is_the_root_of_the_silence(entries: int, refused: int, code: str) -> None:
    assert full(entries, "1024", refused).code == code


def test_its_fix_gives_the_table_room() -> None:
    assert full(1024, "1024", 1).fix == ("sysctl -w net.ipv4.neigh.default.gc_thresh3=8192   # in host",)
    assert full(65536, "65536", 1).fix == ("sysctl -w net.ipv4.neigh.default.gc_thresh3=131072   # in host",)


def test_the_gateway_in_sight_is_written_into_the_fix() -> None:
    thing, fix = Object("route", "8.8.8.8"), ("ip route add default via GATEWAY",)
    assert explained(tutorial(), "no-route", Place("c1", None, Stage.ROUTE), thing, fix).fix == ("ip route add default via 172.17.0.1",)
    assert explained(tutorial(), "no-route", Place("red", None, Stage.ROUTE), thing, fix).fix == (f"# fill in GATEWAY: {fix[0]}",)


@pytest.mark.parametrize(("port", "bridge"), [("veth0", "br0"), ("vethc1", "docker0")])
def test_the_bridge_whose_network_lies_behind_the_port_is_written_into_the_fix(port: str, bridge: str) -> None:
    loose = relinked(tutorial(), "host", port, master=None, port=None)
    found = explained(loose, "port-not-in-bridge", Place("host", port, Stage.BRIDGE), None, (f"ip link set {port} master BRIDGE",))
    assert found.fix == (f"ip link set {port} master {bridge}",)


def test_every_macvlan_on_the_parent_is_to_be_in_bridge_mode() -> None:
    def macvlan(index: int, mode: str) -> Link:
        return Link(index, f"mv{index}", "macvlan", f"02:00:00:00:09:{index:02d}", link=LinkRef(4, 0), macvlan_mode=mode)

    snapshot = edited(tutorial(), "red", links=(*tutorial()["red"].links, macvlan(8, "private")))
    snapshot = edited(snapshot, "c1", links=(*tutorial()["c1"].links, macvlan(8, "vepa"), macvlan(9, "bridge")))
    found = explained(snapshot, "macvlan-mode-isolated", Place("red", "mv8", Stage.TRANSMIT))
    command = "ip link set dev mv8 type macvlan mode bridge"
    assert found.fix == (command, f"{command}   # in c1")


def test_where_several_bridges_would_do_none_is_chosen() -> None:
    loose = edited(relinked(tutorial(), "host", "veth0", master=None, port=None, link=None), "host")
    found = explained(loose, "port-not-in-bridge", Place("host", "veth0", Stage.BRIDGE), None, ("ip link set veth0 master BRIDGE",))
    assert found.fix == ("# fill in BRIDGE: ip link set veth0 master BRIDGE",)


@pytest.mark.parametrize(
    ("value", "fix"),
    [("2", "sysctl -w net.ipv4.ip_default_ttl=64   # in red"), ("64", "# look: iptables -t mangle -S   # does a rule set the TTL?")],
)
def test_a_short_life_is_the_senders_setting_or_a_rules(value: str, fix: str) -> None:
    snapshot = edited(tutorial(), "red", sysctls={"net.ipv4.ip_default_ttl": value})
    place = Place("host", "br0", Stage.FORWARD)
    assert explained(snapshot, "ttl-expired", place).fix == (fix,)
    rule = rule_called("iptables", "mangle", "PREROUTING", "1")
    assert explained(snapshot, "ttl-expired", place, rule).fix == ("iptables -t mangle -D PREROUTING 1",)


@pytest.mark.parametrize(
    ("asked", "value", "leg", "fix"),
    [
        (1, "64", Leg.REQUEST, "# ask with a larger --ttl, or with none: each router on the way takes one off"),
        (1, "2", Leg.REQUEST, "# ask with a larger --ttl, or with none: each router on the way takes one off"),
        (64, "2", Leg.REQUEST, "# look: iptables -t mangle -S   # does a rule set the TTL?"),
        (9, "2", Leg.REPLY, "sysctl -w net.ipv4.ip_default_ttl=64   # in red"),
    ],
)
def test_a_short_life_that_was_asked_for_is_no_rules(asked: int, value: str, leg: Leg, fix: str) -> None:
    """The answer has the life that its own sender gives it, whatever was asked for."""
    snapshot = edited(tutorial(), "red", sysctls={"net.ipv4.ip_default_ttl": value})
    place = Place("host", "br0", Stage.FORWARD)
    assert explained(snapshot, "ttl-expired", place, probe=probe(ttl=asked), leg=leg).fix == (fix,)


def test_a_fix_takes_the_length_from_the_others_on_the_network() -> None:
    fix = ("ip address add 10.0.0.2/RIGHT-LENGTH dev eth0", "ip address del 10.0.0.2/32 dev eth0")
    thing = Object("address", "10.0.0.2/32 dev eth0")
    found = explained(tutorial(), "addr-wrong-prefix", Place("red", "eth0", Stage.ROUTE), thing, fix)
    assert found.fix == ("ip address add 10.0.0.2/16 dev eth0", "ip address del 10.0.0.2/32 dev eth0")


def rule_called(*words: str) -> Object:
    return Object("nat-rule", " ".join(words), words=words)


@pytest.mark.parametrize(
    ("thing", "fix"),
    [
        (rule_called("iptables", "nat", "PREROUTING", "3"), "iptables -t nat -D PREROUTING 3"),
        (rule_called("nft", "ip", "nat", "prerouting", "handle", "7"), "nft delete rule ip nat prerouting handle 7"),
        (rule_called("iptables", "nat", "$(id)", "3"), "iptables -t nat -D '$(id)' 3"),
        (rule_called("iptables-legacy", "filter", "e;id>pwn", "3"), "iptables-legacy -D 'e;id>pwn' 3"),
    ],
)
def test_a_rule_that_leads_nowhere_can_be_deleted(thing: Object, fix: str) -> None:
    assert explained(tutorial(), "dnat-dead-target", Place("host", None, Stage.PREROUTING), thing).fix == (fix,)


@pytest.mark.parametrize(
    "words",
    [
        ("nft", "ip", "nat; flush ruleset", "prerouting", "handle", "7"),
        ("nft", "ip", "nat", "$(id)", "handle", "7"),
        ("nft", "ip", "nat", "a b", "handle", "7"),
        ("nft", "ip", "nat", "{ policy drop; }", "handle", "3"),
        ("iptables", "nat", "-F", "3"),
        ("iptables", "nat", "a b", "3"),
        ("iptables", "nat", "", "3"),
    ],
)
def test_a_rule_that_its_tool_cannot_name_is_not_put_into_a_command(words: tuple[str, ...]) -> None:
    found = explained(tutorial(), "dnat-dead-target", Place("host", None, Stage.PREROUTING), rule_called(*words))
    assert found.commands == ()
    assert "netlink" in found.advice
    assert found.fix == (f"# {found.advice}",)


@pytest.mark.parametrize("thing", [Object("socket", "udp 10.0.0.2"), Object("rule", "nft ip nat prerouting handle 7"),
                                   rule_called("iptables", "nat", "PREROUTING"),
                                   rule_called("nft", "ip", "nat", "prerouting", "handle", "None")])  # fmt: skip
def test_what_names_no_rule_by_its_words_has_no_command(thing: Object) -> None:
    assert explained(tutorial(), "dnat-dead-target", Place("host", None, Stage.PREROUTING), thing).fix == ()


@pytest.mark.parametrize("name", ["BRIDGE", "e;id>pwn", "-x"])
def test_a_port_that_is_called_like_a_blank_keeps_its_name(name: str) -> None:
    links = tuple(replace(link, name=name, master=None, port=None) if link.name == "veth0" else link for link in tutorial()["host"].links)
    loose = edited(tutorial(), "host", links=links)
    fix = (Command.of("ip", "link", "set", "dev", name, "master", Blank("BRIDGE")),)
    stop = Stop("port-not-in-bridge", Place("host", name, Stage.BRIDGE), "it ends here", None, fix)
    found = explain(Case(loose, probe(), None, (), (), (), False, stop, Leg.REQUEST))
    assert found is not None
    assert found.commands == (Command.of("ip", "link", "set", "dev", name, "master", "br0"),)


def test_a_port_that_is_not_published_gets_the_rule_that_would() -> None:
    asked = replace(probe(protocol=Protocol.TCP), destination=Endpoint("10.0.0.1", address="10.0.0.1", port=80))
    [fix] = explained(tutorial(), "dnat-missing", Place("host", None, Stage.PREROUTING), probe=asked).fix
    assert (
        fix
        == "# fill in CONTAINER:PORT: iptables -t nat -A PREROUTING -p tcp -d 10.0.0.1 --dport 80 -j DNAT --to-destination CONTAINER:PORT"
    )


def test_by_nft_where_nft_publishes_for_others() -> None:
    base = Chain("pre", hook="prerouting", priority=-100, type="nat")
    host = edited(tutorial(), "host", ruleset=Ruleset(tables=(Table("nft", "inet", "fw", (base,)),), queues=()))
    asked = replace(probe(protocol=Protocol.TCP), destination=Endpoint("10.0.0.1", address="10.0.0.1", port=80))
    thing = rule_called("nft", "inet", "fw", "pre", "handle", "7")
    [fix] = explained(host, "dnat-missing", Place("host", None, Stage.PREROUTING), thing, probe=asked).fix
    words = "nft insert rule inet fw pre ip daddr 10.0.0.1 tcp dport 80 dnat ip to CONTAINER:PORT"
    assert fix == f"# fill in CONTAINER:PORT: {words}"


def test_evidence_has_a_source_each() -> None:
    found = explained(tutorial(), "no-route", Place("red", None, Stage.ROUTE))
    assert found.evidence == (Evidence(Source.MODEL, "it ends here"),)


@pytest.mark.parametrize(
    ("bridge", "enter", "fix"),
    [
        (
            "br-0123456789ab",
            ("nsenter", "-t", "7", "-n"),
            "docker network connect 0123456789ab c1   # isolated by design: networks are kept apart",
        ),
        ("docker0", ("nsenter", "-t", "7", "-n"), "docker network connect bridge c1   # isolated by design: networks are kept apart"),
        (
            "br-0123456789ab",
            ("ip", "netns", "exec", "c1"),
            "# fill in CONTAINER: docker network connect 0123456789ab CONTAINER   # isolated",
        ),
        ("br0", None, "# fill in NETWORK and CONTAINER: docker network connect NETWORK CONTAINER   # isolated by design"),
    ],
)
def test_what_docker_keeps_apart_is_joined_by_docker(bridge: str, enter: tuple[str, ...] | None, fix: str) -> None:
    thing = rule_called("iptables", "filter", "DOCKER-ISOLATION-STAGE-2", "3")
    snapshot = edited(tutorial(), "c1", enter=enter)
    sent = Hop(1, "c1", "eth0", Stage.TRANSMIT, Flow("172.17.0.2", "172.18.0.2", Protocol.ICMP))
    [line] = explained(snapshot, "filtered-by-rule", Place("host", bridge, Stage.FORWARD), thing, request=(sent,)).fix
    assert line.startswith(fix)


def test_who_is_on_the_network_already_joins_nothing() -> None:
    thing, taken_away = rule_called("iptables", "filter", "DOCKER-ISOLATION-STAGE-1", "1"), ("iptables -D DOCKER-ISOLATION-STAGE-1 1",)
    sent = Hop(1, "c1", "eth0", Stage.TRANSMIT, Flow("10.7.0.2", "172.17.0.3", Protocol.ICMP))
    place = Place("host", "docker0", Stage.FORWARD)
    found = explained(tutorial(), "filtered-by-rule", place, thing, taken_away, request=(sent,))
    assert found.fix == taken_away


def test_a_rule_of_somebody_else_beside_it_is_taken_away() -> None:
    thing = rule_called("iptables", "filter", "DOCKER-USER", "3")
    found = explained(tutorial(), "filtered-by-rule", Place("host", "docker0", Stage.FORWARD), thing, ("iptables -D DOCKER-USER 3",))
    assert found.fix == ("iptables -D DOCKER-USER 3",)


@pytest.mark.parametrize(("dst", "told"), [("172.17.0.9", ["172.17.0.1 (host/docker0), 172.17.0.3 (c2/eth0)"]), ("fd00::9", [])])
def test_who_is_on_the_segment_is_told_where_nobody_answers(dst: str, told: list[str]) -> None:
    """Nobody is, by the other IP version."""
    outcome = predict(tutorial(), probe("c1", "172.17.0.9"), ask=False)
    place, entry = Place("c1", "eth0", Stage.NEIGHBOUR), Object("neighbour", f"{dst} dev eth0")
    cause = explained(tutorial(), "neigh-no-answer", place, entry, prediction=outcome)
    assert texts(cause, Source.MODEL)[1:] == [f"this segment has {each}" for each in told]


def test_of_a_crowd_nobody_is_told() -> None:
    crowd = {f"other{n}": replace(tutorial()["internet"], name=f"other{n}") for n in range(64)}
    known = replace(tutorial(), namespaces={**tutorial().namespaces, **crowd})
    outcome = predict(known, probe("c1", "172.17.0.9"), ask=False)
    place = Place("c1", "eth0", Stage.NEIGHBOUR)
    cause = explained(known, "neigh-no-answer", place, Object("neighbour", "172.17.0.9 dev eth0"), prediction=outcome)
    assert not [text for text in texts(cause, Source.MODEL) if text.startswith("this segment")]

"""What the search for the cause costs: walks, counted. They grow with the candidates, never with their product."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from predict.networks import MAC, container, edited, port, probe, tutorial, veth, via

from netprobe.diagnose import dnat_rules, nat_rules
from netprobe.diagnose.repair import choice, harm, search, several, tried
from netprobe.diagnose.repair.candidates import candidates, shadowed, values
from netprobe.diagnose.repair.patience import Patience
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import (
    Chain,
    Endpoint,
    FindPeer,
    FoundPeer,
    InterfaceAddress,
    LinkRef,
    Namespace,
    Place,
    Probe,
    Protocol,
    Ruleset,
    Snapshot,
    Stage,
    Stop,
    Table,
    lookup,
)
from netprobe.predict import prefix
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.saved import load

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"
HARM = harm._MOST * (harm._WEIGHED + 1) * 2  # flows beside and of who is changed, as they are and with each of the first few repairs


def with_stations(count: int) -> Snapshot:
    """Red's end is plugged nowhere, and `count` more containers are plugged into the bridge where it should be."""
    snapshot = tutorial()
    host = snapshot["host"]
    links = tuple(link if link.name != "veth0" else port(3, "veth0", 2, 1, 2) for link in host.links)
    bare = tuple(edit if edit.name != "veth0" else port(3, "veth0", 2, 1, 5) for edit in links)
    more = tuple(port(20 + n, f"more{n}", 2, 20 + n, 2) for n in range(count))
    spaces = {f"s{n}": container(f"s{n}", 20 + n) for n in range(count)}
    peers = [*snapshot.peers]
    for n in range(count):
        peers += [FoundPeer("host", 20 + n, f"s{n}"), FoundPeer(f"s{n}", 0, "host")]
    grown = Snapshot({**snapshot.namespaces, **spaces}, tuple(peers))
    return edited(grown, "host", links=(*bare, *more))


def with_interfaces_down(count: int) -> Snapshot:
    """Host lacks its default route, `count` of its cables are down, and `count` stations beside it know a way."""
    snapshot = with_stations(count)
    host = snapshot["host"]
    routes = tuple(route for route in host.routes if route.dst != "0.0.0.0/0")
    links = tuple(replace(link, up=not link.name.startswith("more")) for link in host.links)
    links = tuple(replace(link, master=2) if link.name == "veth0" else link for link in links)
    beside = tuple(port(60 + n, f"beside{n}", 2, 60 + n, 5) for n in range(count))
    peers = [*snapshot.peers]
    spaces = dict(snapshot.namespaces)
    for n in range(count):
        peers += [FoundPeer("host", 60 + n, f"r{n}"), FoundPeer(f"r{n}", 0, "host")]
        router = container(f"r{n}", 100 + n)
        out = veth(3, "out", MAC.format(7, n), 3, 9)
        ways = (*(r for r in router.routes if r.dst != "0.0.0.0/0"), via(f"8.0.0.0/{8 + n}", "192.0.2.9", 3))
        eth0 = replace(router.links[1], link=LinkRef(60 + n, 0))
        spaces[f"r{n}"] = replace(router, links=(router.links[0], eth0, out), routes=ways, sysctls={"net.ipv4.ip_forward": "1"})
    grown = Snapshot(spaces, tuple(peers))
    return edited(grown, "host", links=(*links, *beside), routes=routes)


def with_interfaces_and_routes_gone(count: int) -> tuple[Snapshot, Snapshot]:
    """Besides, each of them took a route to somewhere else along, as an earlier run tells: `now` and `before`."""
    now = with_interfaces_down(count)
    host = now["host"]
    gone = tuple(via(f"10.{100 + n}.0.0/16", f"10.0.{n}.9", 2) for n in range(count))
    up = tuple(replace(link, up=True) for link in host.links)
    return now, edited(now, "host", links=up, routes=(*host.routes, *gone))


def counted(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, before: Snapshot | None = None) -> tuple[int, int]:
    """(candidates, walks) of one search."""
    lost = predict(snapshot, probe("red", "8.8.8.8"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    walks = []

    def walk(*args: object, **more: object) -> object:
        walks.append(1)
        return predict(*args, **more)  # type: ignore[arg-type]

    for room in (tried, harm):
        monkeypatch.setattr(room, "predict", walk)
    search.search(snapshot, lost, lost.stop, before)
    return sum(1 for _ in candidates(Loss.of(snapshot, lost, lost.stop, before))), len(walks)


def stations(count: int) -> tuple[Snapshot, Snapshot | None]:
    return with_stations(count), None


def interfaces_down(count: int) -> tuple[Snapshot, Snapshot | None]:
    return with_interfaces_down(count), None


@pytest.mark.parametrize("network", [stations, interfaces_down, with_interfaces_and_routes_gone])
def test_walks_grow_with_the_candidates(network, monkeypatch) -> None:
    """Twice as much of everything: twice the candidates, twice the walks; a candidate takes no more of them than before."""
    few, more, many = (counted(now, monkeypatch, before) for now, before in map(network, (4, 8, 16)))
    assert few[0] < more[0] < many[0], "nothing grows here"
    by_one = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in ((few, more), (more, many))]
    assert by_one[1] <= 1.1 * by_one[0]
    assert by_one[1] <= 3
    assert many[1] <= 3 * many[0] + HARM


def test_what_one_repair_does_and_the_next_undoes_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that a bridge gets and loses again leads to where it began."""
    run = load(str(RECORDINGS / "published-container-got-another-address.pcapng"))[1]
    snapshot, asked = run.snapshot, run.report.probe
    lost = predict(snapshot, asked, ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    searched = [Loss.of(snapshot, lost, lost.stop).snapshot.namespaces]

    def look(then: Snapshot, *args: object, **patience: object) -> object:
        assert then.namespaces not in searched
        searched.append(then.namespaces)
        return search.search(then, *args, **patience)  # type: ignore[arg-type]

    monkeypatch.setattr(several, "search", look)
    assert choice.choose(snapshot, lost, lost.stop).stop.code == "dnat-dead-target"
    assert len(searched) > 2


@pytest.mark.parametrize("far", [None, 0, 77], ids=["with their other ends", "of a station", "of whom nobody knows"])
def test_very_many_interfaces_that_are_down_keep_nothing_else_from_being_tried(far: int | None) -> None:
    """They lie idle, and the router's own default route refuses."""
    host = tutorial()["host"]
    idle = tuple(veth(100 + n, f"idle{n}", MAC.format(8, n % 256), 100 + (n ^ 1), far, up=False) for n in range(600))
    refusing = tuple(replace(route, type="prohibit", nexthops=()) if route.is_default else route for route in host.routes)
    snapshot = edited(tutorial(), "host", links=(*host.links, *idle), routes=refusing)
    lost = predict(snapshot, probe("red", "8.8.8.8"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    found = [each for _, each in islice(candidates(Loss.of(snapshot, lost, lost.stop)), search._MOST)]
    assert "route-prohibit" in {each.stop.code for each in found}
    assert len([each for each in found if "idle" in each.stop.text]) < 100


def test_of_very_many_rules_on_the_way_few_are_compared_with_all_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of a thousand chains is called for every packet: one rule a network policy."""
    known: list[int] = []
    find = nat_rules.from_on
    monkeypatch.setattr(nat_rules, "from_on", lambda *args: known.append(1) or find(*args))
    chains = "\n".join(f":P{n} - [0:0]" for n in range(200))
    calls = "\n".join(f"-A FORWARD -j P{n}\n-A P{n} -p tcp -j ACCEPT" for n in range(200))
    rules = f"*filter\n:FORWARD DROP [0:0]\n{chains}\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n{calls}\nCOMMIT\n"
    snapshot = edited(tutorial(), "host", ruleset=iptables(rules))
    lost = predict(snapshot, probe("red", "172.17.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert [*shadowed.candidates(Loss.of(snapshot, lost, lost.stop))] == []
    assert 0 < len(known) < 50


def with_pods(pods: int) -> Snapshot:
    """A host with so many routed pods, which forwards nothing."""
    host = tutorial()["host"]
    cables = tuple(veth(100 + n, f"cali{n}", MAC.format(8, n % 256), 2, 77 + n) for n in range(pods))
    ways = tuple(via(f"10.9.{n // 250}.{n % 250 + 1}/32", None, 100 + n) for n in range(pods))
    off = {f"net.ipv4.conf.{each}.forwarding": "0" for each in ("all", "br0", "eth0", *(cable.name for cable in cables))}
    sysctls = {**host.sysctls, **off, "net.ipv4.ip_forward": "0"}
    return edited(tutorial(), "host", links=(*host.links, *cables), routes=(*host.routes, *ways), sysctls=sysctls)


def with_addresses(count: int) -> Snapshot:
    """A sender that was given so many addresses, behind a router whose way out refuses."""
    host, red = tutorial()["host"], tutorial()["red"]
    more = tuple(InterfaceAddress(2, f"10.{100 + n // 250}.1.{n % 250 + 1}", 32) for n in range(count))
    own = tuple(
        replace(via(f"{each.address}/32", None, 2), type="local", table=255, source=each.address, protocol="kernel") for each in more
    )
    refusing = tuple(replace(route, type="prohibit", nexthops=()) if route.is_default else route for route in host.routes)
    snapshot = edited(tutorial(), "host", routes=refusing)
    return edited(snapshot, "red", addresses=(*red.addresses, *more), routes=(*red.routes, *own))


def with_cables_to_itself(count: int) -> Snapshot:
    """A sender with so many cables, both ends of which it has kept; one end of each has an address."""
    snapshot = with_addresses(0)
    red = snapshot["red"]
    ends = tuple(veth(10 + n, f"end{n}", MAC.format(8, n % 256), 10 + (n ^ 1), None) for n in range(2 * count))
    own = tuple(InterfaceAddress(10 + 2 * n, f"10.50.{n >> 7}.{n % 128 + 1}", 24) for n in range(count))
    return edited(snapshot, "red", links=(*red.links, *ends), addresses=(*red.addresses, *own))


def test_no_address_is_tried_at_the_other_end_of_a_cable_to_oneself() -> None:
    """Nobody else says there which network that is: it would be each address at each end."""
    snapshot = with_cables_to_itself(8)
    lost = predict(snapshot, probe("red", "8.8.8.8"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    lines = [" ".join(each.words) for _, found in candidates(Loss.of(snapshot, lost, lost.stop)) for each in found.stop.commands]
    assert not [line for line in lines if line.startswith("ip address add 10.50.0.")]


def read_by_a_search(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, asked: Probe | None = None) -> tuple[int, int]:
    """(how often tables are gone through entry by entry, or an address is asked for its network; repairs that were found)."""
    lost = predict(snapshot, asked or probe("red", "8.8.8.8"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    compared = 0

    def such(values: Iterable[Any], fields: dict[str, object]) -> Iterator[Any]:
        nonlocal compared
        every = tuple(values)
        compared += len(every)
        return looked(every, fields)

    def counted(question: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*about: object) -> Any:
            nonlocal compared
            compared += 1
            return question(*about)

        return asked

    looked = lookup._such
    monkeypatch.setattr(lookup, "_such", such)
    for name in ("connected", "network_of", "contains"):
        monkeypatch.setattr(prefix, name, counted(getattr(prefix, name)))
    monkeypatch.setattr(dnat_rules, "_goals", counted(dnat_rules._goals))
    found = search.search(snapshot, lost, lost.stop)
    monkeypatch.undo()
    return compared, len(found.repairs)


def with_a_far_end_of_many_networks(count: int) -> Snapshot:
    """Nothing is translated, internet knows no way back, and has `count` networks of its own besides."""
    there = tutorial()["internet"]
    more = tuple(InterfaceAddress(1, f"10.9.{n >> 6}.{4 * (n & 63) + 1}", 30) for n in range(count))
    untranslated, ways = edited(tutorial(), "host", ruleset=Ruleset()), lookup.but(there.routes, dst="10.0.0.0/16")
    return edited(untranslated, "internet", addresses=(*there.addresses, *more), routes=ways)


@pytest.mark.parametrize("grown", [with_pods, with_addresses, with_a_far_end_of_many_networks])
def test_what_a_search_looks_at_grows_with_what_a_host_has_and_not_with_its_square(
    grown: Callable[[int], Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (read_by_a_search(grown(count), monkeypatch) for count in (100, 400))
    assert many[0] <= 5 * few[0]
    assert many[1] == few[1]


def with_published_ports(count: int) -> Snapshot:
    """A host that publishes so many ports as Docker does; the first of them leads to an address that nobody has."""
    homes = ["172.17.200.1", *(f"172.17.{1 + n // 250}.{n % 250 + 1}" for n in range(1, count))]
    led = (f"-A DOCKER -p tcp -m tcp --dport {10000 + n} -j DNAT --to-destination {home}:80" for n, home in enumerate(homes))
    let = (f"-A DOCKER -d {home}/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT" for home in homes[1:])
    nat = ("*nat", ":PREROUTING ACCEPT [0:0]", ":DOCKER - [0:0]", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", *led)
    base = ("*filter", ":FORWARD DROP [0:0]", ":DOCKER - [0:0]", "-A FORWARD -o docker0 -j DOCKER")
    lines = (*nat, "COMMIT", *base, *let, "-A DOCKER ! -i docker0 -o docker0 -j DROP", "COMMIT", "")
    return edited(tutorial(), "host", ruleset=iptables("\n".join(lines)))


BY_TCP = probe("red", protocol=Protocol.TCP)
TO_A_PORT = replace(BY_TCP, destination=Endpoint("203.0.113.2:10000/tcp", address="203.0.113.2", port=10000))


@pytest.mark.parametrize("asked", [TO_A_PORT, probe("red", "172.17.0.2")])
def test_each_rule_of_many_services_is_looked_at_as_often_as_with_few(asked: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that leads to nobody, and a container that is not published: neither is for the rules of the others."""
    few, many = (read_by_a_search(with_published_ports(count), monkeypatch, asked) for count in (50, 200))
    assert many[0] <= 5 * few[0]
    assert many[1] == few[1]


def test_a_rule_that_is_for_another_in_every_respect_is_not_reworded() -> None:
    """What red sends out into the world is refused: the rules of the published ports are for none such."""
    snapshot = with_published_ports(8)
    lost = predict(snapshot, probe("red", "8.8.8.8"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert lost.stop.code == "policy-drop"
    assert not [each for each in values.candidates(Loss.of(snapshot, lost, lost.stop)) if "DOCKER" in each.stop.thing.id]


def test_nobody_asks_who_is_behind_each_of_many_cables_for_a_gateway() -> None:
    """What has no address of the host's is the way to no router of its: pods have such, and ports of a bridge."""
    host = tutorial()["host"]
    cables = tuple(veth(100 + n, f"pod{n}", MAC.format(8, n), 2, 77 + n) for n in range(200))
    snapshot = edited(tutorial(), "host", links=(*host.links, *cables), routes=lookup.but(host.routes, dst="0.0.0.0/0"))
    lost = predict(snapshot, probe("red", "8.8.8.8"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert lost.stop.code == "no-route"
    asked = [need for need in search.search(snapshot, lost, lost.stop).needs if isinstance(need, FindPeer)]
    assert len(asked) <= 32


def test_a_look_ahead_shares_what_one_question_may_take_of_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rounds would each take as much, where nothing mends."""
    made: list[object] = []
    monkeypatch.setattr(several, "search", lambda *asked, **patience: made.append(asked) or search.search(*asked, **patience))
    drop = Ruleset(tables=(Table("iptables", "ip", "filter", (Chain("FORWARD", hook="forward", policy="drop"),)),))
    snapshot = edited(tutorial(), "host", sysctls={"net.ipv4.ip_forward": "0"}, ruleset=drop)
    found = predict(snapshot, probe(), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    loss, alone = Loss.of(snapshot, found, found.stop), search.search(snapshot, found, found.stop)
    plain, spare = several.Searches(), several.Searches().sparing()
    assert plain.together(loss, alone)[0] is not None
    each = len(made)
    counts = []
    for looks in (plain, spare):
        made.clear()
        counts.append([looks.together(loss, alone)[0] is not None for _ in range(17)] and len(made))
    assert counts == [17 * each, several._SEARCHES]


def test_of_cables_to_oneself_few_are_looked_at_for_each_that_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the first is switched on for a trial; what may have gone with it asks for all others no more than once."""
    looks = 0
    at = Namespace.addresses_at

    def counted(namespace: Namespace, index: int | None) -> tuple[InterfaceAddress, ...]:
        nonlocal looks
        looks += 1
        return at(namespace, index)

    monkeypatch.setattr(Namespace, "addresses_at", counted)
    asked = []
    for count in (100, 400):
        network = with_cables_to_itself(count)
        down = tuple(replace(each, up=False) if each.name.startswith("end") else each for each in network["red"].links)
        bare = edited(network, "red", links=down, routes=lookup.but(network["red"].routes, is_default=True))
        lost = predict(bare, probe("red", "8.8.8.8"), ask=False)
        assert isinstance(lost, Prediction)
        assert lost.stop is not None
        looks = 0
        search.search(bare, lost, lost.stop)
        asked.append(looks)
    assert asked[1] - asked[0] < 300 * 60


def test_who_is_beside_is_not_asked_by_a_search_that_is_over() -> None:
    """A container may have a bridge with a thousand ports, of each of which that is asked."""
    snapshot = tutorial()
    lost = predict(snapshot, probe("red", "8.8.8.8"), ask=False)
    assert isinstance(lost, Prediction)
    red = snapshot["red"]
    eth0 = red.link_named("eth0")
    assert eth0 is not None
    stop = Stop("no-route", Place("red", None, Stage.ROUTE), "")
    assert Loss.of(snapshot, lost, stop).stations("red", eth0)
    assert Loss.of(snapshot, lost, stop, patience=Patience(lambda: 0.0)).stations("red", eth0) == ()

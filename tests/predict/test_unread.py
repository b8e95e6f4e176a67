"""What could not be read is not "none": a walk that comes to it ends there, undetermined; one that does not, does not mind."""

from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace
from networks import edited, probe

from netprobe.causes.catalogue import explain
from netprobe.diagnose.evidence import Case
from netprobe.diagnose.report import diagnose
from netprobe.model import (
    AskedRoute,
    Blind,
    Cause,
    End,
    FoundPeer,
    Leg,
    Namespace,
    Observation,
    Protocol,
    Report,
    RouteAnswer,
    RouteQuery,
    Ruleset,
    Snapshot,
    Socket,
    Source,
    Stage,
    Verdict,
)
from netprobe.predict.drop import lost
from netprobe.predict.predict import Prediction, predict
from netprobe.predict.unread import PARTS, Unread, guarded

WHY = "Too many open files"
EMPTY: dict[str, object] = dict.fromkeys(PARTS, ()) | {"sysctls": {}, "sockets": None, "xfrm": None}


def tutorial() -> Snapshot:
    """The tutorial's network, whose rules were read: there are none."""
    snapshot = networks.tutorial()
    for name in snapshot.namespaces:
        snapshot = edited(snapshot, name, ruleset=Ruleset(queues=()))
    return snapshot


def without(name: str, *parts: str) -> Snapshot:
    """The tutorial's network, of which these parts of a namespace could not be read."""
    return edited(tutorial(), name, **{part: EMPTY[part] for part in parts}, unread=dict.fromkeys(parts, WHY))


def predicted(snapshot: Snapshot, *, ask: bool = False, **asked: object) -> Prediction:
    outcome = predict(snapshot, probe(**asked), ask=ask)  # type: ignore[arg-type]
    assert isinstance(outcome, Prediction)
    return outcome


def report(snapshot: Snapshot, seen: tuple[Observation, ...] | None = None, **asked: object) -> Report:
    prediction = predicted(snapshot, **asked)
    return diagnose("why" if seen is None else "trace", prediction.probe, snapshot, prediction, seen, frozenset(), explain)


@pytest.mark.parametrize("part", ["links", "addresses", "routes", "rules", "neighbours", "sysctls"])
@pytest.mark.parametrize("name", ["red", "host", "internet"])
def test_a_part_that_was_not_read_ends_the_walk(name: str, part: str) -> None:
    found = report(without(name, part))
    assert found.verdict is Verdict.UNDETERMINED
    assert not found.causes
    assert f"could not read the {PARTS[part][0]} of {name} ({WHY})" in found.summary


def test_the_forwarding_entries_of_a_bridge() -> None:
    assert report(without("host", "fdb"), source="c1", dst="172.17.0.3").verdict is Verdict.UNDETERMINED


@pytest.mark.parametrize(("name", "part"), [("c1", "links"), ("host", "sockets"), ("red", "fdb"), ("internet", "sockets")])
def test_a_part_that_the_walk_does_not_need_is_no_matter(name: str, part: str) -> None:
    assert report(without(name, part)).verdict is Verdict.REACHABLE


def test_the_sockets_of_the_one_that_is_asked() -> None:
    snapshot = without("c2", "sockets")
    target = replace(probe("c1", "172.17.0.3", Protocol.TCP), source_port=40000)
    target = replace(target, destination=replace(target.destination, port=80))
    outcome = predict(snapshot, target, ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.request.end is End.DELIVER
    assert outcome.reply is not None
    assert outcome.reply.end is End.UNDETERMINED
    listening = edited(snapshot, "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),), unread={})
    again = predict(listening, target, ask=False)
    assert isinstance(again, Prediction)
    assert again.passes


def test_the_way_up_to_there_is_kept() -> None:
    walk = predicted(without("internet", "routes")).request
    last = walk.hops[-1]
    assert (walk.end, last.namespace, last.interface) == (End.UNDETERMINED, "host", "eth0")
    assert last.note.endswith("not known who answers")


def test_a_namespace_of_which_nothing_was_read() -> None:
    snapshot = without("red", *PARTS)
    assert report(snapshot).verdict is Verdict.UNDETERMINED
    assert report(snapshot, dst="10.0.0.1", protocol=Protocol.ARP).verdict is Verdict.UNDETERMINED


@pytest.mark.parametrize("protocol", [Protocol.ICMP, Protocol.ARP])
def test_a_neighbour_that_answers_is_enough(protocol: Protocol) -> None:
    """c2 answers for its address, whatever could not be read of another station; nobody answers for one that the other may have."""
    snapshot = tutorial()
    third = replace(
        networks.container("c3", 2), name="c3", addresses=(), links=(), ruleset=Ruleset(queues=()), unread=dict.fromkeys(PARTS, WHY)
    )
    port = networks.port(8, "vethc3", 2, 5, 5)
    snapshot = edited(snapshot, "host", links=(*snapshot["host"].links, port)).with_namespace(third)
    snapshot = replace(snapshot, peers=(*snapshot.peers, FoundPeer("host", 5, "c3")))
    assert report(snapshot, source="c1", dst="172.17.0.3", protocol=protocol).verdict is Verdict.REACHABLE
    found = report(snapshot, source="c1", dst="172.17.0.9", protocol=protocol)
    assert found.verdict is Verdict.UNDETERMINED
    assert "of c3" in found.summary


def test_a_peer_that_was_not_found_for_want_of_descriptors_is_not_out_of_sight() -> None:
    snapshot = tutorial()
    peers = tuple(p for p in snapshot.peers if p.namespace != "red")
    unseen = predicted(replace(snapshot, peers=(*peers, FoundPeer("red", 0, None))))
    unread = predicted(replace(snapshot, peers=(*peers, FoundPeer("red", 0, None, WHY))))
    assert (unseen.request.end, unread.request.end) == (End.EXIT, End.UNDETERMINED)


def test_a_route_that_could_not_be_asked_for() -> None:
    query = RouteQuery(None, "8.8.8.8", uid=probe().uid)
    snapshot = replace(tutorial(), answers=(AskedRoute("red", query, RouteAnswer(), WHY),))
    assert predicted(snapshot, ask=False).request.end is End.UNDETERMINED
    refused = replace(tutorial(), answers=(AskedRoute("red", query, RouteAnswer(error="ENETUNREACH")),))
    contradicted = predicted(refused).request
    assert contradicted.end is End.UNDETERMINED  # the tables that were read have a route
    assert contradicted.stop is not None
    assert "the kernel of red does not route to 8.8.8.8 (ENETUNREACH), but its tables have" in contradicted.stop.text


def test_queueing_disciplines_that_were_not_read_are_a_suspicion() -> None:
    snapshot = edited(tutorial(), "red", unread={"qdiscs": WHY})
    found = report(snapshot)
    assert found.verdict is Verdict.UNDETERMINED
    assert found.summary == f"could not read the queueing disciplines of red ({WHY})"
    assert predicted(snapshot).passes


def test_what_is_known_of_a_partly_read_namespace() -> None:
    read = Namespace("red", sysctls={"net.ipv4.conf.eth0.forwarding": "1"}, routes=networks.red().routes, unread={"sysctls": WHY})
    partly = guarded(Snapshot({"red": read}))["red"]
    assert partly.routes == read.routes
    assert partly.sysctl("net.ipv4.conf.eth0.forwarding") == "1"
    with pytest.raises(Unread, match="sysctls"):
        partly.sysctl("net.ipv4.ip_forward", "0")
    with pytest.raises(Unread):
        _ = replace(partly, routes=()).sysctls


def refused(code: str) -> Observation:
    return Observation(Source.SOCKET, "refused", "red", 0, None, None, Leg.REQUEST, 0, text=code)


def test_a_probe_that_netprobe_could_not_send_is_not_lost() -> None:
    for code in ("EMFILE", "ENFILE", "ENOMEM", "EAGAIN"):
        found = report(tutorial(), (refused(code),))
        assert found.verdict is Verdict.UNDETERMINED
        assert not found.causes
        assert [spot.what for spot in found.blind] == ["the probe from red"]
    assert report(tutorial(), (refused("ENETUNREACH"),)).verdict is Verdict.UNREACHABLE


def test_a_cause_that_rests_on_what_was_not_read_is_none() -> None:
    """The loss is sure: red has no route. Who needs more of red to say why cannot say it; of the others, it may be nothing."""
    snapshot = edited(without("host", *PARTS), "red", routes=networks.local("10.0.0.2"), unread={"neighbours": WHY})
    prediction = predicted(snapshot)

    def curious(case: Case) -> Cause | None:
        return case.cause(lost("no-route", "red", None, Stage.ROUTE, f"{len(case.snapshot['red'].neighbours)} neighbours"))

    found = diagnose("why", prediction.probe, snapshot, prediction, None, frozenset(), curious)
    assert (found.verdict, found.causes[0].code) == (Verdict.UNREACHABLE, "unknown")
    assert "could not read the neighbours of red" in found.summary
    assert report(snapshot).causes[0].code == "no-route"


NAT_UNREAD = Ruleset((Blind("the ruleset of host", "nft could not be started"),))
WAY = [("red", "eth0", "out"), ("host", "veth0", "in"), ("host", "br0", "in"), ("host", "eth0", "out"), ("internet", "eth0", "in")]


@pytest.mark.parametrize(
    ("places", "code"), [(0, "unknown"), (3, "unknown"), (5, "no-route")], ids=["seen nowhere", "lost on the way", "seen where it ends"]
)
def test_a_stop_behind_rules_that_were_not_read_is_none_until_the_probe_was_seen_there(places: int, code: str) -> None:
    """The answer has no route back, unless the rules of the host translate: nobody knows, but for one who saw the request arrive."""
    routes = tuple(route for route in networks.internet().routes if route.dst != "10.0.0.0/16")
    snapshot = edited(edited(tutorial(), "host", ruleset=NAT_UNREAD), "internet", routes=routes)
    prediction = predicted(snapshot)
    assert prediction.stop is not None
    assert (prediction.stop.code, prediction.stop.place.namespace) == ("no-route", "internet")
    seen = tuple(
        Observation(Source.TAP, "seen", name, n, interface, bound, Leg.REQUEST, flow=prediction.probe.flow())
        for n, (name, interface, bound) in enumerate(WAY[:places])
    )
    found = diagnose("trace", prediction.probe, snapshot, prediction, seen, frozenset(snapshot.namespaces), explain)
    assert [cause.code for cause in found.causes] == [code]
    if code == "unknown":
        assert found.causes[0].summary == "could not read the ruleset of host (nft could not be started)"


@pytest.mark.parametrize(("namespace", "verdict"), [("c1", Verdict.UNDETERMINED), ("host", Verdict.UNREACHABLE)])
def test_without_a_tap_at_home_nobody_hears_the_answers_of_neighbours(namespace: str, verdict: Verdict) -> None:
    asked = probe("c1", "172.17.0.3", Protocol.ARP)
    snapshot = tutorial()
    prediction = predict(snapshot, asked, ask=False)
    assert isinstance(prediction, Prediction)
    blind = Observation(Source.TAP, "blind", namespace, 0, text="no tap: Cannot allocate memory")
    found = diagnose("arping", prediction.probe, snapshot, prediction, (blind,), frozenset(snapshot.namespaces), explain)
    assert found.verdict is verdict
    assert found.blind[-1].what == blind.text

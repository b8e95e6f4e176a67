"""Answers from a source that was not asked: what the taps must have seen for them to count."""

from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace
from networks import tutorial

from netprobe.causes.catalogue import explain
from netprobe.diagnose.report import diagnose
from netprobe.diagnose.stop_rule import settled
from netprobe.diagnose.strangers import NOISE, heeded
from netprobe.model import Endpoint, Flow, IcmpError, Leg, Observation, Probe, Protocol, Report, Source, Verdict
from netprobe.predict.predict import Prediction, predict

ASKED = Flow("10.0.0.2", "8.8.8.8", Protocol.UDP, 40000, 53)
OUTSIDE = replace(ASKED, src="203.0.113.2")
RIGHT = ASKED.reversed()
WRONG, FORGED = replace(RIGHT, src="8.8.4.4"), replace(RIGHT, src="10.0.0.9")
THERE = [
    ("red", "eth0", "out", ASKED), ("host", "veth0", "in", ASKED), ("host", "br0", "in", ASKED), ("host", "eth0", "out", OUTSIDE),
    ("internet", "eth0", "in", OUTSIDE),
]  # fmt: skip
Place = tuple[str, str, str, Flow]


def probe() -> Probe:
    made = networks.probe("red", "8.8.8.8", Protocol.UDP, source_port=40000)
    return replace(made, destination=Endpoint("8.8.8.8", address="8.8.8.8", port=53), icmp_id=None)


def seen(places: list[Place], leg: Leg, since: int) -> list[Observation]:
    return [
        Observation(Source.TAP, "seen", name, since + n, interface, bound, leg, flow=flow)
        for n, (name, interface, bound, flow) in enumerate(places)
    ]


def report(back: list[Place], answered: Flow | None = None, there: list[Place] = THERE) -> Report:
    """The report of a run in which the answer, or what may be one, was seen at these places."""
    heard = [Observation(Source.SOCKET, "answered", "red", 500, leg=Leg.REPLY, flow=answered)] if answered else []
    snapshot = tutorial()
    outcome = predict(snapshot, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    observations = (*seen(there, Leg.REQUEST, 0), *seen(back, Leg.REPLY, 100), *heard)
    return diagnose("trace", outcome.probe, snapshot, outcome, observations, frozenset(snapshot.namespaces), explain)


def translated(flow: Flow) -> Flow:
    return replace(flow, dst="203.0.113.2")


def test_an_answer_that_leaves_the_far_end_with_another_source_is_one() -> None:
    back = [("internet", "eth0", "out", translated(WRONG)), ("host", "eth0", "in", translated(WRONG))]
    found = report(back)
    assert (found.verdict, [cause.code for cause in found.causes], found.notes) == (Verdict.UNREACHABLE, ["reply-wrong-source"], ())


def test_one_that_comes_back_by_a_translation_still_is() -> None:
    back = [
        ("internet", "eth0", "out", translated(WRONG)), ("host", "eth0", "in", translated(WRONG)), ("host", "br0", "out", WRONG),
        ("host", "veth0", "out", WRONG), ("red", "eth0", "in", WRONG),
    ]  # fmt: skip
    found = report(back, WRONG)
    assert (found.verdict, [cause.code for cause in found.causes], found.notes) == (Verdict.UNREACHABLE, ["reply-wrong-source"], ())
    assert [sighting.leg for sighting in found.sightings[-5:]] == [Leg.REPLY] * 5


NEIGHBOURS = [("host", "veth9", "in", FORGED), ("host", "veth0", "out", FORGED), ("red", "eth0", "in", FORGED)]


@pytest.mark.parametrize("first", [[], [("c9", "eth0", "out", FORGED)]])
def test_one_that_a_neighbour_put_in_is_none(first: list[Place]) -> None:
    found = report([*first, *NEIGHBOURS], FORGED)
    assert found.verdict is not Verdict.REACHABLE
    assert "reply-wrong-source" not in [cause.code for cause in found.causes]
    assert found.notes == ("10.0.0.9 sent datagrams to the probe's port that did not come from the destination",)
    assert {(sighting.leg, sighting.text) for sighting in found.sightings[5:]} == {(None, NOISE)}
    assert not any(hop.observed for hop in found.path.reply), "nothing of it is the reply's way"


def test_nor_is_one_of_which_the_taps_saw_nothing() -> None:
    found = report([], FORGED)
    assert "reply-wrong-source" not in [cause.code for cause in found.causes]
    assert found.received == 0


def test_the_right_answer_counts_beside_it() -> None:
    back = [
        *NEIGHBOURS, ("internet", "eth0", "out", translated(RIGHT)), ("host", "eth0", "in", translated(RIGHT)),
        ("host", "br0", "out", RIGHT), ("host", "veth0", "out", RIGHT), ("red", "eth0", "in", RIGHT),
    ]  # fmt: skip
    found = report(back, RIGHT)
    assert (found.verdict, found.rtt_ns) == (Verdict.REACHABLE, (500,))
    assert all(hop.observed for hop in found.path.reply if hop.bound)


def test_an_answer_before_the_request_arrived_is_none() -> None:
    late = [replace(o, time_ns=o.time_ns + 1000) for o in seen(THERE, Leg.REQUEST, 0)]
    snapshot = tutorial()
    outcome = predict(snapshot, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    early = seen([("internet", "eth0", "out", translated(WRONG))], Leg.REPLY, 100)
    found = diagnose("trace", outcome.probe, snapshot, outcome, (*late, *early), frozenset(snapshot.namespaces), explain)
    assert "reply-wrong-source" not in [cause.code for cause in found.causes]


def test_somebody_elses_answer_does_not_end_the_wait() -> None:
    stop = settled(probe(), None)
    forged = Observation(Source.SOCKET, "answered", "red", 5, leg=Leg.REPLY, flow=FORGED)
    assert not stop([forged], 900_000_000)
    assert stop([forged, replace(forged, flow=RIGHT)], 0)


def test_an_error_that_quotes_the_request_is_no_sighting_of_it() -> None:
    """Or an error that came back early, or was forged, would be taken for the moment of the send."""
    snapshot = tutorial()
    outcome = predict(snapshot, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    error = Observation(Source.TAP, "seen", "host", -900, "veth0", "out", Leg.REQUEST, flow=ASKED, error=IcmpError("10.0.0.1", 3, 1))
    answered = Observation(Source.SOCKET, "answered", "red", 500, leg=Leg.REPLY, flow=RIGHT)
    observations = (error, *seen(THERE, Leg.REQUEST, 0), answered)
    found = diagnose("trace", outcome.probe, snapshot, outcome, observations, frozenset(snapshot.namespaces), explain)
    assert found.rtt_ns == (500,)


@pytest.mark.parametrize("kind", ["starved", "blind"])
def test_where_a_tap_lost_frames_nothing_is_called_missed(kind: str) -> None:
    snapshot = tutorial()
    outcome = predict(snapshot, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    lost = Observation(Source.TAP, kind, "host", 0, text="the tap was flooded and took no more frames")
    observations = (lost, *seen(THERE[:1], Leg.REQUEST, 0))
    found = diagnose("trace", outcome.probe, snapshot, outcome, observations, frozenset(snapshot.namespaces), explain)
    assert {hop.observed for hop in found.path.request if hop.namespace == "host"} == {None}
    assert {hop.observed for hop in found.path.request if hop.namespace == "internet" and hop.bound} == {False}
    if kind == "starved":
        assert (found.verdict, [cause.code for cause in found.causes]) == (Verdict.UNDETERMINED, ["tap-starved"])


def test_lost_frames_beside_the_probe_are_told_and_change_nothing() -> None:
    snapshot = tutorial()
    outcome = predict(snapshot, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    lost = Observation(Source.TAP, "unkept", "host", 0, text="the tap of neighbours and fragments lost 3 frames")
    answered = Observation(Source.SOCKET, "answered", "red", 500, leg=Leg.REPLY, flow=RIGHT)
    found = diagnose("trace", outcome.probe, snapshot, outcome, (lost, answered), frozenset(snapshot.namespaces), explain)
    assert (found.verdict, [blind.why for blind in found.blind]) == (Verdict.REACHABLE, ["in host"])


def test_copies_of_the_probe_are_one_sighting_of_the_way() -> None:
    """Whoever sees the probe can send it again and again, also with other headers."""
    elsewhere = [("host", "veth9", "in", ASKED)] * 3000
    changing = [("host", "veth9", "in", replace(ASKED, ttl=n % 256, src_mac=f"02:00:00:00:00:{n // 256:02x}")) for n in range(3000)]
    predicted = len(report([], None, THERE[:2]).path.request)
    assert len(report([], None, THERE[:2] + elsewhere).path.request) == predicted + 1
    assert predicted < len(report([], None, THERE[:2] + changing).path.request) <= predicted + 1000


def test_answers_that_the_socket_lost_are_not_lost_on_the_way() -> None:
    snapshot = tutorial()
    outcome = predict(snapshot, replace(probe(), count=2), ask=False)
    assert isinstance(outcome, Prediction)
    answered = Observation(Source.SOCKET, "answered", "red", 500, leg=Leg.REPLY, flow=RIGHT)
    unheard = Observation(Source.SOCKET, "unheard", "red", 0, text="the socket of the probe lost 9 answers")
    for seen, verdict in (((answered,), Verdict.INTERMITTENT), ((answered, unheard), Verdict.UNDETERMINED)):
        found = diagnose("ping", outcome.probe, snapshot, outcome, seen, frozenset(snapshot.namespaces), explain)
        assert found.verdict is verdict
        assert [(spot.what, spot.why) for spot in found.blind] == [(o.text, "in red") for o in seen if o.kind == "unheard"]


UP = [("host", "docker0", "out"), ("host", "veth1", "out"), ("c1", "eth0", "in")]


@pytest.mark.parametrize(("port", "notes"), [(None, ()), ("veth9", ("172.17.0.2 sent",))])
def test_a_bridge_may_translate_what_it_takes_up(port: str | None, notes: tuple[str, ...]) -> None:
    """iptables on bridges: the answer is for the host's other address, and is not yet from the one that was asked."""
    asked = Flow("172.17.0.1", "172.17.0.2", Protocol.UDP, 50000, 53)
    outcome = predict(tutorial(), networks.probe("host", "172.17.0.2", Protocol.UDP), ask=False)
    assert isinstance(outcome, Prediction)
    back, up = asked.reversed(), replace(asked.reversed(), dst="203.0.113.2", dport=40000)
    there = seen([(*each, asked) for each in UP], Leg.REQUEST, 0)
    odd = seen([("host", port, "in", up)], Leg.REPLY, 99) if port else []
    came = seen([("c1", "eth0", "out", back), ("host", "veth1", "in", back), ("host", "docker0", "in", up)], Leg.REPLY, 100)
    found = heeded(outcome.probe, outcome, (*there, *odd, *came))
    assert [note[:15] for note in found.notes] == [*notes]
    assert (found.observations[-1].leg is Leg.REPLY) is (port is None)

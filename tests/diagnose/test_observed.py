"""What observations prove by their kind: gaps in what was looked at, doubt about silence, evidence of a cause."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from netprobe.engine import replay
from netprobe.model import IcmpError, Leg, Observation, Report, Source, Verdict
from netprobe.model.report import KINDS
from netprobe.saved import load

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"


def with_one_more(seen: Observation) -> Report:
    """The report on a probe that a rule of `host` drops, with one more observation."""
    _, run = load(str(RECORDINGS / "forward-drop.pcapng"))
    assert run is not None
    return replay(replace(run, observations=(*run.observations, seen))).report


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_looked_at_is_listed(kind: str) -> None:
    report = with_one_more(Observation(Source.TAP, kind, "elsewhere", 1, text="said so"))
    is_listed = ("said so", "in elsewhere") in [(each.what, each.why) for each in report.blind]
    assert is_listed is (kind in ("starved", "unkept", "unheard", "blind"))


@pytest.mark.parametrize("kind", KINDS)
def test_silence_is_doubted_where_a_tap_lost_frames(kind: str) -> None:
    report = with_one_more(Observation(Source.TAP, kind, "elsewhere", 1, sequence=9, text="said so"))
    assert (report.verdict is Verdict.UNDETERMINED) is (kind == "starved")


@pytest.mark.parametrize(("namespace", "is_proof"), [("host", True), ("elsewhere", False)])
def test_what_another_sensor_tells_is_evidence_where_it_was_found(namespace: str, is_proof: bool) -> None:
    report = with_one_more(Observation(Source.COUNTER, "told", namespace, 1, text="IpOutNoRoutes grew by 1"))
    [cause, *_] = report.causes
    assert cause.place.namespace == "host"
    said = [(each.source, each.text) for each in cause.evidence]
    assert ((Source.COUNTER, "IpOutNoRoutes grew by 1") in said) is is_proof


def test_a_port_that_refuses_some_is_no_open_port() -> None:
    """Behind one address stand several servers, of which one does not run."""
    _, run = load(str(RECORDINGS / "web-server-stopped.pcapng"))
    assert run is not None
    [refusal] = [each for each in run.observations if each.kind == "answered"]
    accepted = replace(refusal, sequence=1, text="", time_ns=refusal.time_ns + 1)
    asked = replace(run.report, probe=replace(run.report.probe, count=2))
    report = replay(replace(run, report=asked, observations=(*run.observations, accepted))).report
    assert (report.verdict, report.received, report.sent) == (Verdict.INTERMITTENT, 1, 2)


@pytest.mark.parametrize(("mac", "verdict"), [("02:00:00:00:00:01", Verdict.REACHABLE), ("ff:ff:ff:ff:ff:ff", Verdict.UNREACHABLE)])
def test_no_answer_of_tcp_is_taken_from_a_frame_for_everybody(mac: str, verdict: Verdict) -> None:
    """A socket that hears all IP packets takes it, the connection's does not (tcp_v4_rcv)."""
    _, run = load(str(RECORDINGS / "web-server-stopped.pcapng"))
    assert run is not None
    replies = [each for each in run.observations if each.kind == "seen" and each.leg is Leg.REPLY and each.flow is not None]
    framed = [replace(each, flow=replace(each.flow, dst_mac=mac)) for each in replies]
    accepted = [replace(each, text="") for each in run.observations if each.kind == "answered"]
    others = [each for each in run.observations if each not in replies and each.kind != "answered"]
    assert replay(replace(run, observations=(*others, *framed, *accepted))).report.verdict is verdict


TOO_LONG = IcmpError("10.1.0.1", 3, 4, 1400)


@pytest.mark.parametrize(
    ("there", "code", "said"),
    [
        ("", "mtu-blackhole", "did not reach the sender; iptables filter OUTPUT 1 of r1 drops it"),
        ("r1", "mtu-blackhole", "did not reach the sender: it was last seen at r1/lan"),
        ("pc", "mtu-exceeded", "does not fit the MTU 1400 of wan"),
    ],
)
def test_an_error_that_somebody_else_saw_told_the_sender_nothing(there: str, code: str, said: str) -> None:
    """A firewall on its way back drops it (RFC 2923, 2.1), where it was made or further on."""
    _, run = load(str(RECORDINGS / "mtu-black-hole.pcapng"))
    assert run is not None
    errors = [Observation(Source.TAP, "seen", there, 9, "lan", "out", Leg.REQUEST, error=TOO_LONG)] if there else []
    [cause, *_] = replay(replace(run, observations=(*run.observations, *errors))).report.causes
    assert (cause.code, cause.place.namespace) == (code, "r1")
    assert cause.summary.endswith(said)


@pytest.mark.parametrize("recording", ["tunnel-port-filtered", "tunnel-out-of-bridge", "other-vni"])
def test_a_copy_for_another_end_of_the_tunnel_got_no_further(recording: str) -> None:
    """Who does not know where a station is sends to each end (vxlan_xmit)."""
    _, run = load(str(RECORDINGS / f"{recording}.pcapng"))
    assert run is not None
    came = [each for each in run.observations if each.bound == "in" and each.flow is not None and each.flow.outer is not None][-1]
    assert came.flow is not None
    assert came.flow.outer is not None
    copy = replace(came, namespace="elsewhere", flow=replace(came.flow, outer=replace(came.flow.outer, dst="192.0.2.9")))
    report = replay(replace(run, observations=(*run.observations, copy))).report
    assert [each.code for each in report.causes] == [each.code for each in run.report.causes]

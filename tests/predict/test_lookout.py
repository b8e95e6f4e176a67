"""What a trace looks for beside its probe: whose ARP, and between whom the fragments, from the predicted way."""

from __future__ import annotations

import networks
from msgspec.structs import replace
from networks import edited, tutorial

from netprobe.model import End, Place, Probe, Snapshot, Stage, Stop, Watch
from netprobe.predict.lookout import MOST_ADDRESSES, MOST_PAIRS, watch
from netprobe.predict.predict import Prediction, predict


def watched(snapshot: Snapshot, probe: Probe) -> Watch:
    outcome = predict(snapshot, probe, ask=False)
    assert isinstance(outcome, Prediction)
    return watch(outcome.probe, snapshot, outcome)


def test_the_neighbours_of_every_segment_on_the_way() -> None:
    found = watched(tutorial(), networks.probe())
    assert found.addresses is not None
    assert {"10.0.0.2", "10.0.0.1", "8.8.8.8", "203.0.113.2", "203.0.113.1"} <= {*found.addresses}
    assert not {"172.17.0.1", "172.17.0.2", "127.0.0.1"} & {*found.addresses}, "docker0 is not on the way"


def test_the_packet_and_its_answer_before_and_behind_a_translation() -> None:
    snapshot = tutorial()
    outcome = predict(snapshot, networks.probe(), ask=False)
    assert isinstance(outcome, Prediction)
    hops = tuple(replace(hop, flow=replace(hop.flow, src="203.0.113.2")) if hop.n > 4 else hop for hop in outcome.request.hops)
    found = watch(outcome.probe, snapshot, replace(outcome, request=replace(outcome.request, hops=hops)))
    ends = [("10.0.0.2", "8.8.8.8"), ("203.0.113.2", "8.8.8.8")]
    assert found.pairs is not None
    assert {*found.pairs} == {*ends, *((dst, src) for src, dst in ends)}


def test_a_tunnel_has_ends_and_next_hops_of_its_own() -> None:
    snapshot = tutorial()
    outcome = predict(snapshot, networks.probe(), ask=False)
    assert isinstance(outcome, Prediction)
    outer = replace(outcome.probe.flow(), src="203.0.113.2", dst="198.51.100.7")
    hops = tuple(replace(hop, flow=replace(hop.flow, outer=outer)) if hop.namespace == "host" else hop for hop in outcome.request.hops)
    found = watch(outcome.probe, snapshot, replace(outcome, request=replace(outcome.request, hops=hops)))
    assert found.addresses is not None
    assert found.pairs is not None
    assert {"198.51.100.7", "203.0.113.2", "203.0.113.1"} <= {*found.addresses}
    assert ("198.51.100.7", "203.0.113.2") in found.pairs


def test_where_the_way_is_not_known_everybody_is_looked_at() -> None:
    snapshot = tutorial()
    outcome = predict(snapshot, networks.probe(), ask=False)
    assert isinstance(outcome, Prediction)
    stop = Stop("unknown", Place("host", None, Stage.FORWARD), "nobody knows")
    unsure = replace(outcome, request=replace(outcome.request, end=End.UNDETERMINED, stop=stop))
    for prediction in (None, unsure):
        found = watch(outcome.probe, snapshot, prediction)
        assert (found.addresses, found.pairs) == (None, None)
        assert found.namespaces == tuple(snapshot.namespaces)


def test_behind_a_predicted_loss_nobody_knows_the_addresses_of_fragments() -> None:
    without = edited(tutorial(), "red", routes=())
    found = watched(without, networks.probe())
    assert found.pairs is None


def test_a_crowd_of_addresses_is_bounded() -> None:
    snapshot = tutorial()
    host = snapshot["host"]
    outside = next(address for address in host.addresses if address.address == "203.0.113.2")
    crowd = tuple(replace(outside, address=f"203.0.{n}.9") for n in range(200))
    found = watched(edited(snapshot, "host", addresses=(*host.addresses, *crowd)), networks.probe())
    assert found.addresses is not None
    assert len(found.addresses) == MOST_ADDRESSES
    assert {"10.0.0.2", "10.0.0.1", "8.8.8.8", "203.0.113.1"} <= {*found.addresses}, "the next hops come first"


def test_too_many_pairs_are_none() -> None:
    snapshot = tutorial()
    outcome = predict(snapshot, networks.probe(), ask=False)
    assert isinstance(outcome, Prediction)
    hop = outcome.request.hops[0]
    hops = tuple(replace(hop, flow=replace(hop.flow, dst=f"10.1.0.{n}")) for n in range(MOST_PAIRS))
    assert watch(outcome.probe, snapshot, replace(outcome, request=replace(outcome.request, hops=hops))).pairs is None


def test_how_far_a_frame_to_everybody_spreads() -> None:
    assert watched(tutorial(), networks.probe()).interfaces == {"red": 2, "host": 7, "internet": 2, "c1": 2, "c2": 2}

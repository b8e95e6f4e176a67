"""Who is asked by ARP learns who asks (net/ipv4/arp.c, arp_process), and answers without asking back."""

from __future__ import annotations

import pytest
from networks import edited, probe, relinked, tutorial

from netprobe.model import BridgePort, Neighbour, Snapshot
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


@pytest.mark.parametrize(("state", "passes"), [("reachable", True), ("stale", True), ("permanent", False)])
def test_what_was_known_of_the_asker_is_no_more(state: str, passes: bool) -> None:
    """But for an entry that somebody made (neigh_update: NUD_PERMANENT is for NEIGH_UPDATE_F_ADMIN alone)."""
    old = Neighbour(2, "172.17.0.2", "02:00:00:00:00:99", state)
    found = predict(edited(tutorial(), "c2", neighbours=(old,)), probe("c1", "172.17.0.3"), ask=False)
    assert isinstance(found, Prediction)
    assert found.passes is passes


def without_broadcasts() -> Snapshot:
    """The bridge floods no broadcast to c1: a question for c1 does not come to it."""
    return relinked(tutorial(), "host", "vethc1", port=BridgePort(broadcast_flood=False))


def walked(source: str, dst: str) -> Prediction:
    found = predict(without_broadcasts(), probe(source, dst), ask=False)
    assert isinstance(found, Prediction)
    return found


def test_the_answer_goes_to_who_has_asked() -> None:
    found = walked("c1", "172.17.0.3")
    assert found.passes, found.stop
    assert found.reply is not None
    assert any("which has asked before" in hop.note for hop in found.reply.hops)


def test_who_has_not_asked_is_asked_for() -> None:
    found = walked("c2", "172.17.0.2")
    assert not found.passes
    assert found.stop is not None
    assert found.stop.place.namespace in ("host", "c2")

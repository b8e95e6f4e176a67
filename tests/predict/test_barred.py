"""A question for a neighbour that ends on its way: that is why nobody answers, where the owner is behind that end or nobody heard any."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, host, probe, relinked, tutorial

from netprobe.model import BridgePort, Link, Snapshot
from netprobe.predict.predict import Prediction, predict

NOBODY, C2 = "172.17.0.99", "172.17.0.3"


def isolated() -> Snapshot:
    ports = tuple(replace(link, port=BridgePort(isolated=True)) if link.master == 5 else link for link in host().links)
    return edited(tutorial(), "host", links=ports)


def with_a_dummy_port() -> Snapshot:
    dummy = Link(9, "dummy0", "dummy", "02:00:00:00:09:09", master=5, port=BridgePort())
    return edited(tutorial(), "host", links=(*host().links, dummy))


def closed_at_the_entry() -> Snapshot:
    return relinked(tutorial(), "host", "vethc1", port=BridgePort(state="blocking"))


def down(*names: str) -> Snapshot:
    snapshot = tutorial()
    for name in names:
        snapshot = relinked(snapshot, name, "eth0", up=False)
    return snapshot


@pytest.mark.parametrize(
    ("snapshot", "asked", "code"),
    [
        (isolated(), C2, "port-isolated"),
        (isolated(), NOBODY, "neigh-no-answer"),
        (closed_at_the_entry(), C2, "port-not-forwarding"),
        (closed_at_the_entry(), NOBODY, "port-not-forwarding"),
        (down("c2"), C2, "link-admin-down"),
        (down("c2"), NOBODY, "link-admin-down"),  # which may have had the address
        (down("c1", "c2"), C2, "link-admin-down"),
        (down("c1", "c2"), NOBODY, "neigh-no-answer"),
        (with_a_dummy_port(), NOBODY, "neigh-no-answer"),  # the others on the bridge have heard it
    ],
)
def test_what_keeps_a_question_from_its_owner(snapshot: Snapshot, asked: str, code: str) -> None:
    outcome = predict(snapshot, probe("c1" if snapshot["c1"].links[1].up else "host", asked), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.stop is not None
    assert outcome.stop.code == code

"""IPsec policies are asked about neighbour discovery as about any packet; Linux 6.18 answered so in a lab of two namespaces."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, probe, tutorial, via, with_link_locals

from netprobe.model import InterfaceAddress, Protocol, XfrmPolicy
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

HERE, THERE = "fd00::2", "fd00::3"


@pytest.mark.parametrize(
    ("policy", "blocked"),
    [
        (XfrmPolicy("in", "::/0", "::/0", "block"), True),
        (XfrmPolicy("out", "::/0", "::/0", "block"), True),
        (XfrmPolicy("in", f"{HERE}/128", f"{THERE}/128", "block", protocol=58, sport=(135, 0xFFFF)), False),  # it is asked by a group
        (XfrmPolicy("out", f"{THERE}/128", f"{HERE}/128", "block", protocol=58, sport=(136, 0xFFFF)), True),
        (XfrmPolicy("in", "::/0", "::/0", "block", protocol=6), False),
        (XfrmPolicy("in", "::/0", "::/0", "allow", ("esp tunnel",)), True),
    ],
)
def test_what_blocks_a_question_or_its_answer(policy: XfrmPolicy, blocked: bool) -> None:
    snapshot = tutorial()
    for name, address in (("c1", HERE), ("c2", THERE)):
        own = replace(via(f"{address}/128", None, 2), type="local", table=255)
        routes = (*snapshot[name].routes, via("fd00::/64", None, 2), own)
        snapshot = edited(snapshot, name, addresses=(*snapshot[name].addresses, InterfaceAddress(2, address, 64)), routes=routes)
    found = predict(edited(with_link_locals(snapshot), "c2", xfrm=(policy,)), probe("c1", THERE, Protocol.ND), ask=False)
    assert isinstance(found, Prediction)
    assert (found.stop.code if found.stop else None) == ("xfrm-policy-block" if blocked else None)

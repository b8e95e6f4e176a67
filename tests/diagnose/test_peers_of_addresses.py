"""An address that has a peer is known by it: the length is the peer's, and without it the kernel does not find it."""

from __future__ import annotations

import pytest
from networks import edited, tutorial

from netprobe.diagnose.apply import mend
from netprobe.model import Cause, Command, InterfaceAddress, Place, Stage
from netprobe.predict import fixes

POINT = InterfaceAddress(2, "172.17.0.2", 32, peer="10.99.9.9")
C1 = tutorial()["c1"]
WITH_PEER = edited(tutorial(), "c1", addresses=(*C1.addresses[:-1], POINT))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ip address del 172.17.0.2 peer 10.99.9.9/32 dev eth0", True),
        ("ip address del 172.17.0.2/32 dev eth0", False),
        ("ip address del 172.17.0.2 peer 10.99.9.8/32 dev eth0", False),
    ],
)
def test_it_is_taken_away_by_its_peer(line: str, found: bool) -> None:
    done = mend(WITH_PEER, Cause("", Place("c1", None, Stage.ROUTE), "", commands=(Command(tuple(line.split())),)))
    assert (done is not None and POINT not in done["c1"].addresses) is found


def test_what_is_printed_names_the_peer() -> None:

    link = C1.link_named("eth0")
    assert link is not None
    assert " ".join(fixes.address("del", POINT, link).words) == "ip address del 172.17.0.2 peer 10.99.9.9/32 dev eth0"

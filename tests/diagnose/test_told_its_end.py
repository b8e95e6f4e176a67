"""A tunnel whose ends the packets bring along: nobody can tell that a route into it is wrong."""

from __future__ import annotations

from msgspec.structs import replace
from networks import edited, local, probe, relinked
from tunnelled import pair

from netprobe.diagnose.repair import choice
from netprobe.model import InterfaceAddress, Nexthop, Route, Snapshot
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def routed_into() -> Snapshot:
    """a's route for an address of b leads into the tunnel; the network below would lead there as well."""
    snapshot = pair()
    for name in ("a", "b"):
        fields = snapshot[name].link_named("vx0").vxlan
        snapshot = relinked(snapshot, name, "vx0", vxlan=replace(fields, collect_metadata=True))
    a, b = snapshot["a"], snapshot["b"]
    index, eth0 = (a.link_named(each).index for each in ("vx0", "eth0"))
    below = next(each.address for each in b.addresses if each.index == b.link_named("eth0").index)
    into = Route("10.42.2.1/32", nexthops=(Nexthop(index, None),), scope="link")
    beside = Route("10.42.2.0/24", nexthops=(Nexthop(eth0, below),))
    own = (*b.addresses, InterfaceAddress(3, "10.42.2.1", 32))
    snapshot = edited(snapshot, "b", addresses=own, routes=(*b.routes, *local("10.42.2.1")))
    return edited(snapshot, "a", routes=(*a.routes, into, beside))


def test_a_route_into_a_tunnel_that_is_told_its_end_is_no_cause_of_what_is_lost_beyond() -> None:
    snapshot = routed_into()
    found = predict(snapshot, probe("a", "10.42.2.1"), ask=False)
    assert isinstance(found, Prediction)
    told = choice.outside(snapshot, found)
    assert told == ""

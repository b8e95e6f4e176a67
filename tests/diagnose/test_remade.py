"""A VXLAN device whose number or port cannot be set is made again as the other end is, with all that was on it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from predict.networks import edited, probe, relinked
from predict.test_tunnels import pair as bare_pair
from predict.test_tunnels import side

from netprobe.diagnose.repair import choice
from netprobe.model import BridgePort, FdbEntry, Neighbour, Nexthop, Route, Snapshot, Vxlan
from netprobe.predict import fib
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def pair() -> Snapshot:
    """Two nodes, a VXLAN device on each, and the routes as the kernel makes them."""
    snapshot = bare_pair()
    for name in ("a", "b"):
        routes = (replace(r, protocol="kernel", scope="link") if r.table == fib.MAIN else r for r in snapshot[name].routes)
        snapshot = edited(snapshot, name, routes=tuple(routes))
    return snapshot


def said(snapshot: Snapshot) -> tuple[str, list[str]]:
    lost = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    stop = choice.choose(snapshot, lost, lost.stop).stop
    return stop.code, [f"{command.namespace}: {' '.join(command.words)}" for command in stop.commands]


def with_tunnel(snapshot: Snapshot, name: str, **fields: object) -> Snapshot:
    tunnel = snapshot[name].link(3)
    assert tunnel is not None
    assert tunnel.vxlan is not None
    return relinked(snapshot, name, "vx0", vxlan=replace(tunnel.vxlan, **fields))


@pytest.mark.parametrize(("field", "value", "code"), [("vni", 8, "vxlan-vni-mismatch"), ("port", 8472, "vxlan-port-mismatch")])
def test_one_end_is_made_as_the_other_is(field: str, value: int, code: str) -> None:
    named, fix = said(with_tunnel(pair(), "a", **{field: value}))
    assert named == code
    assert fix[:3] == [
        "a: ip link del vx0",
        "a: ip link add vx0 address 02:00:00:00:08:01 type vxlan id 7 remote 192.168.0.2 dstport 4789",
        "a: ip link set dev vx0 mtu 1450",
    ]
    assert fix[3:] == ["a: ip link set dev vx0 up", "a: ip address add 10.9.0.1/24 dev vx0"]


def test_the_end_that_differs_from_the_others_is_made_again() -> None:
    """Others of the same node are of b's port: a is the odd one."""
    snapshot = with_tunnel(pair(), "a", port=8472)
    other = replace(snapshot["b"].link(3), index=9, name="vx9", vxlan=Vxlan(9, port=4789))  # type: ignore[type-var]
    for name, more in (("b", ()), ("a", (other,))):
        snapshot = edited(snapshot, name, links=(*snapshot[name].links, *more))
    assert said(snapshot)[1][0].startswith("a: ")
    turned = with_tunnel(with_tunnel(pair(), "a", port=8472), "b", port=4789)
    busy = replace(turned["b"].link(3), index=9, name="vx9", vxlan=Vxlan(7, port=8472))  # type: ignore[type-var]
    turned = edited(turned, "a", links=(*turned["a"].links, busy))
    assert said(turned)[1][0].startswith("b: ")


@pytest.mark.parametrize("odd", ["a", "b"])
def test_of_three_ends_the_one_that_is_like_no_other_is_called_wrong(odd: str) -> None:
    """Whichever of them the packet was sent by."""
    snapshot = with_tunnel(pair().with_namespace(side("c", 3)), odd, vni=8)
    lost = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    stop = choice.choose(snapshot, lost, lost.stop).stop
    assert (stop.code, stop.place.namespace, stop.thing.kind) == ("vxlan-vni-mismatch", odd, "tunnel")


def test_what_was_on_it_comes_back() -> None:
    snapshot = with_tunnel(pair(), "a", port=8472, learning=False, lower=2, ttl=9, flags=("proxy",))
    a = snapshot["a"]
    route = Route("10.77.0.0/16", nexthops=(Nexthop(3, "10.9.0.2"),), protocol="static")
    entry = FdbEntry(3, "02:00:00:00:08:02", state="permanent", remote="192.168.0.2")
    known = Neighbour(3, "10.9.0.2", "02:00:00:00:08:02", "permanent")
    learned = Neighbour(3, "10.9.0.3", "02:00:00:00:08:03", "reachable")
    snapshot = edited(snapshot, "a", routes=(*a.routes, route), fdb=(entry,), neighbours=(known, learned))
    _, fix = said(snapshot.with_namespace(side("c", 3)))  # which agrees with b
    assert fix[1].endswith("remote 192.168.0.2 dstport 4789 dev eth0 ttl 9 nolearning proxy")
    assert fix[-3:] == [
        "a: ip route add 10.77.0.0/16 via 10.9.0.2 dev vx0",
        "a: bridge fdb append 02:00:00:00:08:02 dev vx0 dst 192.168.0.2",
        "a: ip neigh replace 10.9.0.2 lladdr 02:00:00:00:08:02 dev vx0 nud permanent",
    ]


def test_a_port_with_settings_that_these_words_do_not_tell_is_left_to_the_reader() -> None:
    port = BridgePort(isolated=True)
    snapshot = relinked(with_tunnel(pair(), "a", port=8472), "a", "vx0", port=port)
    assert all(line.startswith("b: ") for line in said(snapshot)[1])


def test_a_device_that_is_missing_at_the_other_end_is_made_with_the_address_that_is_asked_for() -> None:
    snapshot = pair()
    b = snapshot["b"]
    snapshot = edited(
        snapshot, "b", links=b.links[:2], addresses=b.addresses[:-1], routes=tuple(r for r in b.routes if not r.dst.startswith("10.9"))
    )
    assert said(snapshot) == (
        "link-missing",
        [
            "b: ip link add vx0 type vxlan id 7 local 192.168.0.2 remote 192.168.0.1 dstport 4789",
            "b: ip link set dev vx0 mtu 1450",
            "b: ip link set dev vx0 up",
            "b: ip address add 10.9.0.2/24 dev vx0",
        ],
    )

"""Two cables between two bridges, of which one is a reserve: it stands in, once its ports forward."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from predict.networks import edited, tutorial
from test_repair_whole import after, ask, chosen, said

from netprobe.model import Namespace, Snapshot


def two_cables() -> Snapshot:
    """c1 is behind docker0, c2 behind br7."""
    return after(
        tutorial(),
        "host: ip link add br7 type bridge",
        "host: ip link set dev br7 up",
        *(f"host: ip link add l{n}a type veth peer name l{n}b netns host" for n in (1, 2)),
        *(f"host: ip link set dev l{n}{end} master {bridge}" for n in (1, 2) for end, bridge in (("a", "docker0"), ("b", "br7"))),
        *(f"host: ip link set dev l{n}{end} up" for n in (1, 2) for end in "ab"),
        "host: ip link set dev vethc2 master br7",
    )


def waiting(snapshot: Snapshot, *ports: str, stp: bool = True) -> Snapshot:
    """These ports listen, as STP has them do for a while; or somebody closed them, without STP."""
    host: Namespace = snapshot["host"]
    links = []
    for link in host.links:
        if link.port is not None and link.name in ports:
            link = replace(link, port=replace(link.port, state="listening" if stp else "blocking"))
        if link.bridge is not None and stp:
            link = replace(link, bridge=replace(link.bridge, stp=True))
        links.append(link)
    return edited(snapshot, "host", links=tuple(links))


def mac_of(snapshot: Snapshot, name: str) -> str:
    return next(link.mac for link in snapshot[name].links if link.name == "eth0")


@pytest.mark.parametrize("port", ["l2a", "l2b"])
@pytest.mark.parametrize("stp", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_the_reserve_that_does_not_forward_yet(port: str, stp: bool, known: bool) -> None:
    """Whoever asks for its neighbour, or knows it, and then the frame is flooded to both ports."""
    broken = after(waiting(two_cables(), port, stp=stp), "host: ip link set dev l1a down", "host: ip link set dev l1b down")
    if known:
        broken = after(broken, f"c1: ip neigh replace 172.17.0.3 lladdr {mac_of(broken, 'c2')} dev eth0 nud permanent")
    found = chosen(broken, ask("c1", "172.17.0.3"))
    assert (found.stop.code, found.stop.object and found.stop.object.id) == ("port-not-forwarding", port)
    assert said(found)[-1] == f"host: bridge link set dev {port} state 3"


def test_one_that_was_switched_off_is_switched_on_where_there_is_no_reserve() -> None:
    broken = after(two_cables(), "host: ip link del l2a", "host: ip link set dev l1a down")
    assert said(chosen(broken, ask("c1", "172.17.0.3"))) == ["host: ip link set dev l1a up"]

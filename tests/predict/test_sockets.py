"""Which socket gets a packet: by address, family, and the device that a socket is bound to."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import tutorial

from netprobe.model import Flow, Leg, Link, Protocol, Socket, Stop
from netprobe.predict import fixes
from netprobe.predict.sockets import at, suspects
from netprobe.predict.view import Packet

ETH0, LO = 2, 1
V4, V6 = ("172.17.0.2", "172.17.0.3"), ("fd00::2", "fd00::3")


def answered(socket: Socket, ends: tuple[str, str] = V4, device: str = "eth0") -> str | None:
    """The code of why c2 does not answer at this socket; None when it does."""
    c2 = replace(tutorial()["c2"], sockets=(socket,))
    packet = Packet(Flow(*ends, Protocol.TCP, 40000, 80), Leg.REQUEST)
    stop = at(c2, c2.link_named(device), packet)
    return stop.code if stop is not None else None


def listener(address: str, **more: object) -> Socket:
    return Socket("tcp", address, 80, "listen", queue=(0, 5), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("socket", "ends", "answers"),
    [
        (listener("0.0.0.0"), V4, True),
        (listener("0.0.0.0"), V6, False),
        (listener("::"), V4, True),
        (listener("::"), V6, True),
        (listener("::", v6only=True), V4, False),
        (listener("::", v6only=True), V6, True),
        (listener("172.17.0.3"), V4, True),
        (listener("172.17.0.9"), V4, False),
        (listener("fd00::3"), V6, True),
        (listener("0.0.0.0", interface=ETH0), V4, True),
        (listener("0.0.0.0", interface=LO), V4, False),
        (listener("172.17.0.3", interface=LO), V4, False),
        (listener("::", interface=LO), V6, False),
    ],
)
def test_a_socket_takes_what_the_kernel_gives_it(socket: Socket, ends: tuple[str, str], answers: bool) -> None:
    assert answered(socket, ends) == (None if answers else "listener-wrong-address")


def test_what_a_device_holds_back_is_said() -> None:
    c2 = replace(tutorial()["c2"], sockets=(listener("0.0.0.0", interface=LO),))
    stop = at(c2, c2.link_named("eth0"), Packet(Flow(*V4, Protocol.TCP, 40000, 80), Leg.REQUEST))
    assert stop is not None
    assert stop.text == "c2 listens on tcp/80 only at 0.0.0.0%lo:80, not at 172.17.0.3 on eth0"


def ending(*sockets: Socket, ends: tuple[str, str] = V4, protocol: Protocol = Protocol.TCP, sport: int = 40000) -> Stop | None:
    """Why c2 does not answer with these sockets; None when it does."""
    c2 = replace(tutorial()["c2"], sockets=sockets)
    return at(c2, c2.link_named("eth0"), Packet(Flow(*ends, protocol, sport, 80), Leg.REQUEST))


def full(socket: Socket) -> Socket:
    """The same with no room; only the one that is chosen matters."""
    return replace(socket, queue=(6, 5) if socket.protocol == "tcp" else (9216, 2304))


def datagrams(address: str, **more: object) -> Socket:
    return Socket("udp", address, 80, "unconnected", queue=(0, 9216), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("better", "worse", "ends"),
    [
        (listener("172.17.0.3"), listener("0.0.0.0"), V4),
        (listener("172.17.0.3"), listener("0.0.0.0", interface=ETH0), V4),
        (listener("0.0.0.0", interface=ETH0), listener("0.0.0.0"), V4),
        (listener("0.0.0.0"), listener("::"), V4),
        (listener("::", interface=ETH0), listener("0.0.0.0"), V4),
        (listener("fd00::3"), listener("::", interface=ETH0), V6),
        (datagrams("172.17.0.3"), datagrams("0.0.0.0", interface=ETH0), V4),
        (replace(datagrams("172.17.0.3"), state="established", peer=("172.17.0.2", 40000)), datagrams("172.17.0.3"), V4),
    ],
)
def test_of_several_sockets_the_closest_one_gets_the_packet(better: Socket, worse: Socket, ends: tuple[str, str]) -> None:
    """compute_score of net/ipv4/{inet_hashtables,udp}.c: whichever was opened first."""
    protocol = Protocol(better.protocol)
    for pair in ((better, full(worse)), (full(worse), better)):
        assert ending(*pair, ends=ends, protocol=protocol) is None
    for pair in ((full(better), worse), (worse, full(better))):
        stop = ending(*pair, ends=ends, protocol=protocol)
        assert stop is not None
        assert stop.code in ("accept-queue-full", "rcvbuf-full")


def test_a_connected_datagram_socket_hears_its_peer_alone() -> None:
    connected = replace(datagrams("172.17.0.3"), state="established", peer=("172.17.0.2", 40000))
    assert ending(connected, protocol=Protocol.UDP) is None
    stop = ending(connected, protocol=Protocol.UDP, sport=40001)
    assert stop is not None
    assert stop.code == "port-closed"


def test_of_sockets_that_share_a_port_one_may_be_full() -> None:
    """SO_REUSEPORT: the kernel draws lots, so the full one is a suspect, and the cause where all are full."""
    one = listener("0.0.0.0")
    assert ending(one, full(one)) is None
    c2 = replace(tutorial()["c2"], sockets=(one, full(one)))
    packet = Packet(Flow(*V4, Protocol.TCP, 40000, 80), Leg.REQUEST)
    assert [s.code for s in suspects(c2, c2.link_named("eth0"), packet)] == ["accept-queue-full"]
    stop = ending(full(one), full(one))
    assert stop is not None
    assert stop.code == "accept-queue-full"


def in_a_vrf(*sockets: Socket, **sysctls: str) -> Stop | None:
    """Why c2 does not answer where its eth0 is a port of the VRF `blue`."""
    c2 = tutorial()["c2"]
    links = [replace(link, master=7) if link.name == "eth0" else link for link in c2.links]
    c2 = replace(c2, links=(*links, Link(7, "blue", "vrf")), sockets=sockets, sysctls={**c2.sysctls, **sysctls})
    return at(c2, c2.link_named("eth0"), Packet(Flow(*V4, Protocol.TCP, 40000, 80), Leg.REQUEST))


def test_a_vrf_has_sockets_of_its_own() -> None:
    """inet_bound_dev_eq: one that is bound to no device hears what comes in by a VRF only if a sysctl says so."""
    stop = in_a_vrf(listener("0.0.0.0"))
    assert stop is not None
    assert (stop.code, stop.object.id if stop.object else None) == ("listener-wrong-address", "net.ipv4.tcp_l3mdev_accept")
    assert stop.commands == fixes.sysctl("net.ipv4.tcp_l3mdev_accept", 1)
    assert in_a_vrf(listener("0.0.0.0"), **{"net.ipv4.tcp_l3mdev_accept": "1"}) is None
    assert in_a_vrf(listener("0.0.0.0", interface=7)) is None
    assert in_a_vrf(listener("0.0.0.0", interface=ETH0)) is None
    stop = in_a_vrf(listener("0.0.0.0", interface=LO))
    assert stop is not None
    assert (stop.code, stop.object.kind if stop.object else None) == ("listener-wrong-address", "socket")


def test_a_bridge_is_no_vrf() -> None:
    c2 = tutorial()["c2"]
    links = [replace(link, master=7) if link.name == "eth0" else link for link in c2.links]
    c2 = replace(c2, links=(*links, Link(7, "bond0", "bond")), sockets=(listener("0.0.0.0"),))
    assert at(c2, c2.link_named("eth0"), Packet(Flow(*V4, Protocol.TCP, 40000, 80), Leg.REQUEST)) is None


@pytest.mark.parametrize(("ends", "own", "peer", "said"), [
    (V4, "172.17.0.3", ("10.0.0.1", 40000), "10.0.0.1:40000"),
    (V6, "fd00::3", ("fd00::9", 40000), "[fd00::9]:40000"),
    (V4, "172.17.0.9", ("10.0.0.1", 40000), None),  # of another address
    (V4, "172.17.0.3", ("172.17.0.2", 40001), "172.17.0.2:40001"),  # of the sender, and another port of it
])  # fmt: skip
def test_a_datagram_socket_that_is_connected_to_somebody_else_is_said_to_be_that(
    ends: tuple[str, str], own: str, peer: tuple[str, int], said: str | None
) -> None:
    """`nc -u -l` connects its socket to the first who sends, and hears nobody else."""
    c2 = replace(tutorial()["c2"], sockets=(Socket("udp", own, 5000, "established", peer=peer),))
    stop = at(c2, c2.link_named("eth0"), Packet(Flow(*ends, Protocol.UDP, 40000, 5000), Leg.REQUEST))
    assert stop is not None
    assert stop.code == "port-closed"
    told = f"the socket of udp/5000 in c2 takes what {said} sends, and nothing else"
    assert stop.text == (told if said else "nothing in c2 listens on udp/5000")

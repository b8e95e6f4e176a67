"""Which socket gets a packet: by address, family, and the device that a socket is bound to."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import tutorial

from netprobe.model import Flow, Leg, Protocol, Socket
from netprobe.predict.sockets import at
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

"""The far end: the packet arrives, and nobody is there for it."""

from __future__ import annotations

from netprobe.lab.changes import SetSysctl
from netprobe.lab.outages import HangService, MoveService, StopService
from netprobe.lab.topology import Service

from .fault import Expected, Fault
from .networks import OFFICES
from .steps import address, route

_WEB = ("trace", "pc", "10.2.0.10:80")
_NAMES = ("trace", "pc", "10.2.0.10:53", "-p", "udp")

FAR_END: tuple[Fault, ...] = (
    Fault(
        "ping-ignored",
        "the server answers no ping: icmp_echo_ignore_all",
        ("trace", "pc", "10.2.0.10"),
        (SetSysctl("server", "net.ipv4.icmp_echo_ignore_all", "1"),),
        Expected("icmp-echo-ignored", "server", None, "reply", "net.ipv4.icmp_echo_ignore_all"),
        OFFICES,
    ),
    Fault(
        "ping-ignored-ipv6",
        "the server answers no IPv6 ping",
        ("trace", "pc", "fd00:2::10"),
        (SetSysctl("server", "net.ipv6.icmp.echo_ignore_all", "1"),),
        Expected("icmp-echo-ignored", "server", None, "reply", "net.ipv6.icmp.echo_ignore_all"),
        OFFICES,
    ),
    Fault(
        "web-server-stopped",
        "the web server does not run",
        _WEB,
        (StopService("server", "tcp", 80),),
        Expected("port-closed", "server", None, "request", "tcp 10.2.0.10:80"),
        OFFICES,
    ),
    Fault(
        "name-server-stopped",
        "the name server does not run",
        _NAMES,
        (StopService("server", "udp", 53),),
        Expected("port-closed", "server", None, "request", "udp 10.2.0.10:53"),
        OFFICES,
    ),
    Fault(
        "web-server-on-localhost",
        "the web server was restarted, and listens on 127.0.0.1 only",
        _WEB,
        (MoveService(Service("server", "tcp", 80, "127.0.0.1")),),
        Expected("listener-wrong-address", "server", None, "request", "tcp 127.0.0.1:80"),
        OFFICES,
    ),
    Fault(
        "web-server-hangs",
        "the web server hangs, and eight connections wait to be accepted: no more fit",
        _WEB,
        (HangService("server", "tcp", 80, "10.2.0.10"),),
        Expected("accept-queue-full", "server", None, "request", "tcp 10.2.0.10:80"),
        OFFICES,
    ),
    Fault(
        "name-server-hangs",
        "the name server hangs, and its receive buffer is full",
        _NAMES,
        (HangService("server", "udp", 53, "10.2.0.10"),),
        Expected("rcvbuf-full", "server", None, "request", "udp 10.2.0.10:53"),
        OFFICES,
    ),
    Fault(
        "answers-from-another-address",
        "the name server's second address is asked; it listens on 0.0.0.0 and answers from its first",
        ("trace", "pc", "10.2.0.53:53", "-p", "udp"),
        (MoveService(Service("server", "udp", 53, "0.0.0.0")),),
        Expected("reply-wrong-source", "server", None, "reply", "udp 10.2.0.53:53"),
        OFFICES,
        given=(
            address("server", "lo", "10.2.0.53/32"),
            route("r2", "10.2.0.53 via 10.2.0.10 dev lan"),
            route("r1", "10.2.0.53 via 10.9.0.2 dev wan"),
            MoveService(Service("server", "udp", 53, "10.2.0.53")),
        ),
        foreseen=False,
    ),
    Fault(
        "answers-from-another-address-through-nat",
        "the name server on 8.8.8.8 answers from its first address, and the host knows no such connection",
        ("trace", "red", "8.8.8.8:53", "-p", "udp"),
        (MoveService(Service("internet", "udp", 53, "0.0.0.0")),),
        Expected("reply-wrong-source", "internet", None, "reply", "udp 8.8.8.8:53"),
        foreseen=False,
    ),
)

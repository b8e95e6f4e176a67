"""The far end: the packet has arrived, and the host or its program does not answer."""

from __future__ import annotations

from netprobe.diagnose.evidence import Case
from netprobe.model import Blank, Cause, Command, Confidence, Evidence, Protocol, Source, Stage
from netprobe.predict.fixes import ADDRESS, GATEWAY
from netprobe.predict.sockets import connected

from . import proof


def icmp_echo_ignored(case: Case) -> Cause | None:
    """The destination gets the ping and is told not to answer pings.

    What: With `icmp_echo_ignore_all` the kernel drops echo requests silently, which some hardening guides
    recommend. Everything else on that host may work well: test it with the port that you need.

    How we know: The request was seen (or walked) up to the destination, and its sysctl says so.

    Fix: Answer pings again, or test with TCP.
        sysctl -w net.ipv4.icmp_echo_ignore_all=0
        netprobe trace SRC DST:PORT

    See: ip-sysctl (kernel documentation), icmp_echo_ignore_all; net/ipv4/icmp.c (icmp_echo)
    """
    return case.by_stop("icmp-echo-ignored")


def port_closed(case: Case) -> Cause | None:
    """The network is fine: the packet arrived, and no program listens on that port.

    What: The destination itself answers with a TCP reset ("Connection refused") or an ICMP "port
    unreachable". The program has not started yet, crashed, listens on another port, or runs in another
    container than you think. A program that connects its UDP socket to the first who asks, as `nc -u -l`
    does, is deaf to all others.

    How we know: The list of sockets in the destination's namespace has none for this port, and the refusal
    comes from the destination itself.

    Fix: Start the program, or use the port on which it listens.
        ss -lntup
        docker ps   # is the container running? docker logs CONTAINER says why it ended

    See: ss(8); RFC 9293, 3.5.2 (reset generation); RFC 1122, 4.1.3.1; connect(2), SOCK_DGRAM
    """
    if _is_connected(case):
        peers = Command.look(
            "ss",
            "-anup",
            note="its program has connected the socket to one peer: start it anew",
        )
        return case.by_stop("port-closed", peers)
    flag = {Protocol.TCP: "t", Protocol.UDP: "u"}.get(case.probe.protocol, "tu")
    look = Command.look("ss", f"-ln{flag}p", note="what listens there, and where")
    return proof.proven(case.by_stop("port-closed", look), *_open_ports(case))


def _is_connected(case: Case) -> bool:
    """Whether the packet came where a program has connected the socket of its port to somebody else."""
    namespace = proof.place_of(case)
    arrived = case.prediction.arriving if case.prediction is not None else ()
    return namespace is not None and any(connected(namespace, flow) for flow in arrived)


def _open_ports(case: Case) -> tuple[Evidence, ...]:
    """What does listen where the packet arrived, for the reader who mistyped the port."""
    namespace = proof.place_of(case)
    sockets = (namespace.sockets or ()) if namespace is not None else ()
    found = sorted(
        {
            s.port
            for s in sockets
            if s.protocol == case.probe.protocol and s.state in ("listen", "unconnected")
        }
    )
    # the sockets of the last namespace in sight are not meant
    beyond = case.stop is not None and case.stop.place.stage is Stage.EXIT
    if namespace is None or namespace.sockets is None or beyond:
        return ()
    said = ", ".join(f"{case.probe.protocol}/{port}" for port in found[:8]) or "nothing"
    return (Evidence(Source.SOCKET, f"what listens there: {said}", Confidence.OBSERVED),)


def listener_wrong_address(case: Case) -> Cause | None:
    """A program listens on that port, but only on another address.

    What: A program that binds to 127.0.0.1 is reachable only from its own namespace; in a container that
    means from nowhere. Development servers and databases do so by default. One that binds to one address of
    several, or to `::` with v6only, is deaf on the others.

    How we know: The list of sockets shows the port with another address than the one asked for.

    Fix: Let the program listen on all addresses, or on the one that is asked for.
        ss -lntup
        PROGRAM --host 0.0.0.0   # or its setting for listen or bind address

    See: ss(8); ip(7), INADDR_ANY; ipv6(7), IPV6_V6ONLY
    """
    look = Command.look(
        "ss", "-lntup", note="the program must listen on 0.0.0.0, or on the address asked for"
    )
    return case.by_stop("listener-wrong-address", look)


def accept_queue_full(case: Case) -> Cause | None:
    """The program listens but does not accept connections: its queue of waiting ones is full.

    What: The kernel finishes the TCP handshake and queues the connection until the program calls accept. A
    program that hangs, or has too few workers, lets the queue fill up, and then the kernel drops further
    SYNs. Connecting "hangs" although the port is open.

    How we know: The socket's queue is at its limit (Recv-Q above Send-Q in `ss -l`); the counter
    TcpExtListenOverflows grows.

    Fix: Look at the program: is it hanging? Then give it a longer queue if it is only slow.
        ss -lnt
        sysctl -w net.core.somaxconn=4096

    See: listen(2); ss(8); net/ipv4/tcp_input.c (tcp_conn_request)
    """
    made = case.by_stop(
        "accept-queue-full",
        Command.look("ss", "-lntp", note="the program behind this socket does not accept"),
    )
    return proof.proven(made, *proof.counters(case, "TcpExtListenOverflows", "TcpExtListenDrops"))


def rcvbuf_full(case: Case) -> Cause | None:
    """The packet arrived at a socket whose buffer is full: the program does not read fast enough.

    What: UDP packets wait in the socket's receive buffer. If the program hangs or is slow, the buffer fills
    and the kernel drops what comes further, silently for the sender.

    How we know: The socket's queue is at its limit; its drop counter and UdpRcvbufErrors grow.

    Fix: Look at the program: is it hanging? Then give it a larger buffer.
        ss -lnu -m
        sysctl -w net.core.rmem_max=8388608

    See: udp(7); ss(8), -m; net/ipv4/udp.c (__udp_enqueue_schedule_skb)
    """
    made = case.by_stop(
        "rcvbuf-full", Command.look("ss", "-lnup", "-m", note="the program behind this socket does not read")
    )
    return proof.proven(made, *proof.counters(case, "UdpRcvbufErrors", "Udp6RcvbufErrors"))


def reply_wrong_source(case: Case) -> Cause | None:
    """The answer comes from another address than the one that was asked, so the asker does not take it.

    What: A UDP program that listens on all addresses answers with the address of the interface by which the
    answer leaves. If that is another one than was asked, the asker's kernel throws the answer away. It hits
    DNS and VPN servers with several addresses, and answers that are translated on the way back.

    How we know: An answer to the probe was seen with another source address than the probe's destination.

    Fix: Let the program listen on the address itself, or make the route name the right source.
        ip route replace NETWORK/LENGTH via GATEWAY src ADDRESS

    See: ip(7), IP_PKTINFO; RFC 1122, 4.1.3.5
    """
    preferred = Command.of("ip", "route", "replace", Blank("NETWORK/LENGTH"), "via", GATEWAY, "src", ADDRESS)
    return case.by_stop("reply-wrong-source", preferred)


CAUSES = (
    icmp_echo_ignored,
    port_closed,
    listener_wrong_address,
    accept_queue_full,
    rcvbuf_full,
    reply_wrong_source,
)

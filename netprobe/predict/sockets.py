"""What the far end does with a packet that has arrived: answer it, refuse it, or keep silent - and why.

Kernel: net/ipv4/icmp.c (icmp_echo), net/ipv4/{udp,tcp_ipv4,inet_hashtables}.c (socket lookup); ip-sysctl.
"""

from __future__ import annotations

from netprobe.model import Leg, Link, Namespace, Object, Place, Protocol, Socket, Stage, Stop

from . import fixes
from .view import Packet

_DATAGRAM = 768  # bytes that the smallest datagram takes of a receive buffer (its skb's truesize)
_SILENT = {"icmp-echo-ignored", "accept-queue-full", "rcvbuf-full"}


def silent(ending: Stop) -> bool:
    """Whether this ending leaves the sender without any answer (a closed port does answer:

    RST or port-unreachable).
    """
    return ending.code in _SILENT


def leg_of(ending: Stop) -> Leg:
    """The leg an ending counts to: an echo that was heard and not answered is a missing reply, a refusal ends
    the request.
    """
    return Leg.REPLY if ending.code in ("icmp-echo-ignored", "reply-wrong-source") else Leg.REQUEST


def at(namespace: Namespace, link: Link | None, packet: Packet) -> Stop | None:
    """Why the stack of `namespace` gives no (good) answer to the delivered packet; None when it should."""
    flow = packet.flow
    if flow.protocol in (Protocol.ICMP, Protocol.ICMPV6):
        return _echo(namespace, link, flow.version)
    if flow.protocol in (Protocol.TCP, Protocol.UDP) and namespace.sockets is not None:
        return _socket(namespace, link, packet)
    return None


def suspects(namespace: Namespace, link: Link | None, packet: Packet) -> tuple[Stop, ...]:
    """BPF programs on the receiving socket's cgroup: each sees the packet, and may drop it before the socket
    does.
    """
    flow = packet.flow
    if flow.protocol not in (Protocol.TCP, Protocol.UDP):
        return ()
    sockets = [s for s in _at_port(namespace, packet) if _takes(s, link, packet)]
    said = "a BPF program on the cgroup of {} may drop the packet: {}"
    return tuple(
        _stop(
            "filtered-by-cgroup",
            namespace,
            link,
            said.format(f"{s.protocol} {s.address}:{s.port}", text),
            Object("cgroup", text, text),
        )
        for s in sockets
        for text in s.programs
    )


def _echo(namespace: Namespace, link: Link | None, version: int) -> Stop | None:
    key = "net.ipv4.icmp_echo_ignore_all" if version == 4 else "net.ipv6.icmp.echo_ignore_all"
    if namespace.sysctl(key, "0") != "1":
        return None
    return _stop("icmp-echo-ignored", namespace, link, f"{namespace.name} ignores echo requests: {key} = 1",
                 Object("sysctl", key, f"{key} = 1"), fixes.sysctl(key, 0))  # fmt: skip


def _stop(
    code: str, namespace: Namespace, link: Link | None, text: str, object: Object, fix: fixes.Fix = ()
) -> Stop:
    place = Place(namespace.name, link.name if link else None, Stage.SOCKET)
    return Stop(code, place, text, object, fix)


def _at_port(namespace: Namespace, packet: Packet) -> list[Socket]:
    """The sockets of the packet's protocol and port."""
    flow = packet.flow
    return [s for s in namespace.sockets or () if (s.protocol, s.port) == (flow.protocol, flow.dport)]


def _socket(namespace: Namespace, link: Link | None, packet: Packet) -> Stop | None:
    """The socket that the kernel would give the packet to, and whether it can take it."""
    flow = packet.flow
    sockets = [s for s in _at_port(namespace, packet) if s.state in ("listen", "unconnected")]
    name = f"{flow.protocol}/{flow.dport}"
    if not sockets:
        text = f"nothing in {namespace.name} listens on {name}"
        return _stop(
            "port-closed",
            namespace,
            link,
            text,
            Object("socket", f"{flow.protocol} {flow.dst}:{flow.dport}", text),
        )
    fitting = [s for s in sockets if _takes(s, link, packet)]
    if not fitting:
        where = ", ".join(_bound(namespace, s) for s in sockets)
        arrived = f" on {link.name}" if link is not None and any(s.interface for s in sockets) else ""
        text = f"{namespace.name} listens on {name} only at {where}, not at {flow.dst}{arrived}"
        return _stop(
            "listener-wrong-address",
            namespace,
            link,
            text,
            Object("socket", f"{flow.protocol} {where}", where),
        )
    return _full(namespace, link, fitting[0])


def _bound(namespace: Namespace, socket: Socket) -> str:
    """Where a socket listens, as ss(8) prints it: `0.0.0.0%eth1:80`, and whether it is one for IPv6 alone."""
    device = namespace.link(socket.interface) if socket.interface else None
    only = " (v6only)" if socket.v6only else ""
    return f"{socket.address}{f'%{device.name}' if device is not None else ''}:{socket.port}{only}"


def _takes(socket: Socket, link: Link | None, packet: Packet) -> bool:
    """Whether the kernel may give the packet to this socket (compute_score, net/ipv4/inet_hashtables.c,
    udp.c).
    """
    return _takes_from(socket, link) and _takes_at(socket, packet.flow.dst, packet.flow.version)


def _takes_from(socket: Socket, link: Link | None) -> bool:
    """A socket bound to a device hears what comes in there, or by an interface of it where it is a VRF."""
    return not socket.interface or link is None or socket.interface in (link.index, link.master)


def _takes_at(socket: Socket, address: str, version: int) -> bool:
    match socket.address:
        case "0.0.0.0":
            return version == 4
        case "::":
            return version == 6 or not socket.v6only
        case "*":
            return True
    return socket.address in (address, f"::ffff:{address}")


def _full(namespace: Namespace, link: Link | None, socket: Socket) -> Stop | None:
    """A listener whose backlog, or a datagram socket whose buffer, has no room."""
    used, limit = socket.queue
    name = f"{socket.protocol} {socket.address}:{socket.port}"
    if socket.protocol == "tcp" and used <= limit:
        return None
    if socket.protocol == "udp" and (not limit or used < limit - _DATAGRAM):
        return None
    if socket.protocol == "tcp":
        text = (
            f"the listener {name} in {namespace.name} has its backlog full ({used} of {limit}): it does not"
            " accept"
        )
        return _stop("accept-queue-full", namespace, link, text, Object("socket", name, text))
    text = (
        f"the receive buffer of {name} in {namespace.name} is full ({used} of {limit} bytes): its program"
        " does not read"
    )
    return _stop("rcvbuf-full", namespace, link, text, Object("socket", name, text))

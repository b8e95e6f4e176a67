"""What the far end does with a packet that has arrived: answer it, refuse it, or keep silent - and why.

Kernel: net/ipv4/icmp.c (icmp_echo), net/ipv4/{udp,tcp_ipv4,inet_hashtables}.c (socket lookup); ip-sysctl.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Flow, Leg, Link, Namespace, Object, Socket, Stage, Stop
from netprobe.model.link import kind_of
from netprobe.model.lookup import but, grouped, where
from netprobe.rules.packet import HookPacket, Listening

from . import fib, fixes
from .drop import lost
from .view import Packet

_DATAGRAM = 768  # bytes that the smallest datagram takes of a receive buffer (its skb's truesize)
# The ends for which a program is to be started, or looked at.
PROGRAMS = {"port-closed", "listener-wrong-address", "accept-queue-full", "rcvbuf-full"}
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
    if flow.protocol.is_echo:
        return _echo(namespace, link, flow.version)
    if flow.protocol.has_ports and _are_known(namespace, flow):
        return _socket(namespace, link, _as_looked_up(namespace, link, packet))
    return None


def _are_known(namespace: Namespace, flow: Flow) -> bool:
    """Whether the sockets that could take a packet were read: those of its protocol."""
    return namespace.sockets is not None and flow.protocol.is_listed


def suspects(namespace: Namespace, link: Link | None, packet: Packet) -> tuple[Stop, ...]:
    """What may keep the packet from the program: BPF programs on the receiving socket's cgroup, each of which
    sees it before the socket does, and of several sockets that share the port one that is full.
    """
    flow = packet.flow
    if not flow.protocol.has_ports:
        return ()
    chosen = _chosen(namespace, link, _as_looked_up(namespace, link, packet))
    said = "a BPF program on the cgroup of {} may drop the packet: {}"
    filtered = tuple(
        _lost(
            "filtered-by-cgroup",
            namespace,
            link,
            said.format(f"{s.protocol} {s.address}:{s.port}", text),
            Object("cgroup", text, text),
        )
        for s in chosen
        for text in s.programs
    )
    full = tuple(filter(None, (_full(namespace, link, s) for s in chosen)))
    return filtered + (full if len(full) < len(chosen) else ())


def proxy_of(name: str, packet: Packet) -> tuple[str | None, int | None] | None:
    """Where a rule of namespace `name` has given the packet to by TPROXY."""
    return packet.tracked.proxy if packet.tracked is not None and packet.tracked_in == name else None


def is_proxied(namespace: Namespace, link: Link | None, subject: HookPacket) -> bool | None:
    """Whether TPROXY finds a socket for this packet (nf_tproxy_get_sock_v4: listeners, or datagram sockets
    that are not connected, with IP_TRANSPARENT); None where that is not known.
    """
    if not _are_known(namespace, subject.flow) or subject.proxy is None:
        return None
    packet = Packet(_aimed(namespace, link, subject.flow, subject.proxy), Leg.REQUEST)
    chosen = but(_chosen(namespace, link, packet), state="established")
    return any(s.transparent is not False for s in chosen)


def listening(namespace: Namespace, packet: Packet, subject: HookPacket) -> tuple[Listening, ...] | None:
    """The socket that rules find for a packet, wherever it goes to (nf_sk_lookup_slow_v4: an echo has none);
    None where that is not known: who has asked has a socket for the answer, and so has an older connection.
    """
    flow, connection = subject.flow, subject.connection
    if not flow.protocol.has_ports:
        return ()
    if packet.leg is Leg.REPLY and connection is not None:  # as it was before its source was translated
        flow = replace(flow, dst=connection.original[0], dport=connection.original[2])
    answers = packet.leg is Leg.REPLY and fib.is_local(namespace, flow.dst)
    known = _are_known(namespace, flow)
    if not known or answers or packet.reused or subject.uid is not None:
        return None
    chosen = _chosen(namespace, subject.iif, Packet(flow, Leg.REQUEST))
    return tuple(Listening(s.address in ("0.0.0.0", "::"), s.transparent) for s in chosen)


def _as_looked_up(namespace: Namespace, link: Link | None, packet: Packet) -> Packet:
    """The packet with the address and port for which its socket was looked up."""
    proxy = proxy_of(namespace.name, packet)
    return packet if proxy is None else replace(packet, flow=_aimed(namespace, link, packet.flow, proxy))


def _aimed(namespace: Namespace, link: Link | None, flow: Flow, proxy: tuple[str | None, int | None]) -> Flow:
    """A flow to the proxy: without an address of its own that of the interface (nf_tproxy_laddr4)."""
    address, port = proxy
    own = namespace.addresses_of(link, flow.version) if link is not None else ()
    if address in (None, "0.0.0.0", "::"):
        address = own[0].address if own else flow.dst
    return replace(flow, dst=address, dport=port or flow.dport)


def _echo(namespace: Namespace, link: Link | None, version: int) -> Stop | None:
    key = "net.ipv4.icmp_echo_ignore_all" if version == 4 else "net.ipv6.icmp.echo_ignore_all"
    if namespace.sysctl(key, "0") != "1":
        return None
    return _lost("icmp-echo-ignored", namespace, link, f"{namespace.name} ignores echo requests: {key} = 1",
                 Object("sysctl", key, f"{key} = 1"), fixes.sysctl(key, 0))  # fmt: skip


def _lost(
    code: str, namespace: Namespace, link: Link | None, text: str, object: Object, fix: fixes.Fix = ()
) -> Stop:
    return lost(code, namespace.name, link, Stage.SOCKET, text, object=object, fix=fix)


def _at_port(namespace: Namespace, packet: Packet) -> list[Socket]:
    """The sockets of the packet's protocol and port that take packets of strangers, or of its sender."""
    flow = packet.flow
    return [
        s
        for s in namespace.sockets or ()
        if (s.protocol, s.port) == (flow.protocol, flow.dport) and _hears(s, (flow.src, flow.sport))
    ]


def _hears(socket: Socket, sender: tuple[str, int | None]) -> bool:
    if socket.state in ("listen", "unconnected"):
        return True
    return (socket.protocol, socket.state, socket.peer) == ("udp", "established", sender)


def _chosen(namespace: Namespace, link: Link | None, packet: Packet) -> list[Socket]:
    """The socket that the kernel gives the packet to, or those among which it draws lots (SO_REUSEPORT).

    Those with the most specific address are looked at first, then the score counts (compute_score of
    net/ipv4/{inet_hashtables,udp}.c).
    """
    sockets = (s for s in _at_port(namespace, packet) if _takes(namespace, s, link, packet))
    scored = grouped(sockets, lambda socket: _score(socket, packet))
    return list(scored[max(scored)]) if scored else []


def _score(socket: Socket, packet: Packet) -> tuple[bool, int, bool]:
    specific = socket.address not in _ANY
    return (
        specific,
        (socket.state == "established") + bool(socket.interface),
        packet.flow.version == 6 or ":" not in socket.address,
    )


_ANY = ("0.0.0.0", "::", "*")


def _socket(namespace: Namespace, link: Link | None, packet: Packet) -> Stop | None:
    """The socket that the kernel would give the packet to, and whether it can take it."""
    flow = packet.flow
    sockets = _at_port(namespace, packet)
    name = f"{flow.protocol}/{flow.dport}"
    if not sockets:
        taken = connected(namespace, flow)
        text = f"nothing in {namespace.name} listens on {name}"
        if taken:
            text = (
                f"the socket of {name} in {namespace.name} takes what {_peers(taken)} sends, and nothing else"
            )
        return _lost(
            "port-closed",
            namespace,
            link,
            text,
            Object("socket", f"{flow.protocol} {flow.dst}:{flow.dport}", text),
        )
    chosen = _chosen(namespace, link, packet)
    if not chosen:
        return _elsewhere(namespace, link, packet, sockets)
    full = [_full(namespace, link, s) for s in chosen]
    return full[0] if None not in full else None


def connected(namespace: Namespace, flow: Flow) -> tuple[Socket, ...]:
    """The datagram sockets that have the port, and that their programs have connected to others than the
    sender: none of them gets the packet (connect(2), SOCK_DGRAM; compute_score of net/ipv4/udp.c).
    """
    found = where(namespace.sockets or (), protocol="udp", port=flow.dport, state="established")
    taking = (each for each in found if _takes_at(each, flow.dst, flow.version))
    return tuple(but(tuple(taking), peer=None)) if flow.protocol == "udp" else ()


def _peers(sockets: tuple[Socket, ...]) -> str:
    """To whom sockets are connected, as ss(8) prints it."""
    peers = dict.fromkeys(each.peer for each in sockets if each.peer is not None)
    said = [f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in peers]
    return ", ".join(said[:_FEW])


_FEW = 4


def _elsewhere(namespace: Namespace, link: Link | None, packet: Packet, sockets: list[Socket]) -> Stop:
    """Programs listen on the port, but not where the packet came in."""
    flow = packet.flow
    where = ", ".join(_bound(namespace, s) for s in sockets)
    vrf = _vrf(namespace, link)
    by_device = any(s.interface for s in sockets) or vrf is not None
    arrived = f" on {link.name}" if link is not None and by_device else ""
    name = f"{flow.protocol}/{flow.dport}"
    text = f"{namespace.name} listens on {name} only at {where}, not at {flow.dst}{arrived}"
    thing, fix = Object("socket", f"{flow.protocol} {where}", where), ()
    if vrf is not None and any(not s.interface and _takes_at(s, flow.dst, flow.version) for s in sockets):
        key = f"net.ipv4.{flow.protocol}_l3mdev_accept"
        text = f"{text}, which is of the VRF {vrf.name}: {key} = 0"
        return _lost(
            "listener-wrong-address", namespace, link, text, Object("sysctl", key, f"{key} = 0"),
            fixes.sysctl(key, 1),
        )  # fmt: skip
    return _lost("listener-wrong-address", namespace, link, text, thing, fix)


def _bound(namespace: Namespace, socket: Socket) -> str:
    """Where a socket listens, as ss(8) prints it: `0.0.0.0%eth1:80`, and whether it is one for IPv6 alone."""
    device = namespace.link(socket.interface)
    only = " (v6only)" if socket.v6only else ""
    return f"{socket.address}{f'%{device.name}' if device is not None else ''}:{socket.port}{only}"


def _takes(namespace: Namespace, socket: Socket, link: Link | None, packet: Packet) -> bool:
    """Whether the kernel may give the packet to this socket (compute_score, net/ipv4/inet_hashtables.c,
    udp.c).
    """
    return _takes_from(namespace, socket, link) and _takes_at(socket, packet.flow.dst, packet.flow.version)


def _takes_from(namespace: Namespace, socket: Socket, link: Link | None) -> bool:
    """A socket bound to a device hears what comes in there, or by an interface of it where it is a VRF; one
    that is bound to none hears what comes in by a VRF only with {tcp,udp}_l3mdev_accept
    (inet_bound_dev_eq).
    """
    vrf = _vrf(namespace, link)
    if link is None:
        return True
    if not socket.interface:
        return vrf is None or namespace.sysctl(f"net.ipv4.{socket.protocol}_l3mdev_accept", "0") == "1"
    return socket.interface in (link.index, (vrf or link).index)


def _vrf(namespace: Namespace, link: Link | None) -> Link | None:
    """The VRF whose port an interface is (net/core: sdif is the port, dif the VRF)."""
    master = namespace.link(link.master) if link is not None else None
    return master if kind_of(master) == "vrf" else None


def _takes_at(socket: Socket, address: str, version: int) -> bool:
    match socket.address:
        case "0.0.0.0":
            return version == 4
        case "::":
            return version == 6 or not socket.v6only
        case "*":
            return True
    return socket.address == address


def bound_to(namespace: Namespace, link: Link | None, packet: Packet) -> int | None:
    """The interface by which alone the program that a packet is given to may answer (SO_BINDTODEVICE;
    inet_csk_route_req, udp_sendmsg), by its ifindex; None where it may by any, and of a VRF by any of its.
    """
    if not packet.flow.protocol.has_ports or not _are_known(namespace, packet.flow):
        return None
    chosen = _chosen(namespace, link, _as_looked_up(namespace, link, packet))
    devices = where(namespace.links, index=next((s.interface for s in chosen), 0))
    return next((device.index for device in but(devices, kind="vrf")), None)


def unread(namespace: Namespace, link: Link | None, packet: Packet) -> Stop | None:
    """That the program a datagram is given to has left others lying, though there is room: it may be slow, or
    hang. Who answers has read what came before.
    """
    chosen = _chosen(namespace, link, packet) if _are_known(namespace, packet.flow) else ()
    for socket in where(chosen, protocol="udp"):
        if socket.queue[0]:
            name = f"{socket.protocol} {socket.address}:{socket.port}"
            text = (
                f"{socket.queue[0]} bytes lie in the receive buffer of {name} in {namespace.name}: its"
                " program does not read"
            )
            return _lost("rcvbuf-full", namespace, link, text, Object("socket", name, text))
    return None


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
        return _lost("accept-queue-full", namespace, link, text, Object("socket", name, text))
    text = (
        f"the receive buffer of {name} in {namespace.name} is full ({used} of {limit} bytes): its program"
        " does not read"
    )
    return _lost("rcvbuf-full", namespace, link, text, Object("socket", name, text))

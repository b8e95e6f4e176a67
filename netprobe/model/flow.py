"""What is sent, and what is looked at for it: endpoints, flows, probes."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from .address import version
from .protocol import Protocol


class Endpoint(Struct, frozen=True, gc=False):
    """Where a packet starts or ends, as the user named it and as the machine knows it.

    `namespace` is the name under which a snapshot holds the namespace, or None when it is not visible (an
    address of the outside). `address` is None until source selection or the wiring decides it. `protocol` is
    what was written behind the port. `notes` are what a person should know about it: that the container is
    paused, whose network it shares.
    """

    endpoint: str
    namespace: str | None = None
    interface: str | None = None
    address: str | None = None
    port: int | None = None
    host_name: str | None = None
    protocol: Protocol | None = None
    notes: tuple[str, ...] = ()

    @property
    def behind_colon(self) -> str:
        """The port as it stands behind an address, ":80"; nothing where none was asked for."""
        return f":{self.port}" if self.port else ""


class Flow(Struct, frozen=True, gc=False):
    """The headers of one packet as it is at one place.

    Addresses and MACs are canonical text, `length` is IP bytes.

    For ARP and ND `src`/`dst` are the sender's and the asked protocol address, `icmp_type` is the ARP
    operation (1 request, 2 reply) or the ICMPv6 type (135, 136). `outer` is the encapsulating flow of a
    tunnel, `vlan` an 802.1Q tag's id.
    """

    src: str
    dst: str
    protocol: Protocol
    sport: int | None = None
    dport: int | None = None
    icmp_id: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    ttl: int | None = None
    length: int | None = None
    src_mac: str | None = None
    dst_mac: str | None = None
    outer: Flow | None = None

    @property
    def tunnel_end(self) -> str | None:
        """The address that it travels to in a tunnel; None outside of any."""
        return self.outer.dst if self.outer is not None else None

    vlan: int | None = None

    def reversed(self) -> Flow:
        """The flow of the answer: addresses and ports swapped, link-layer fields, TTL and tunnel
        forgotten.
        """
        answer = self.protocol.answer(self.icmp_type)
        return replace(
            self, src=self.dst, dst=self.src, sport=self.dport, dport=self.sport, icmp_type=answer,
            ttl=None, src_mac=None, dst_mac=None, outer=None, vlan=None,
        )  # fmt: skip

    @property
    def ends(self) -> tuple[str, int | None, str, int | None]:
        """Its addresses and ports."""
        return self.src, self.sport, self.dst, self.dport

    @property
    def goal(self) -> str:
        """Where it goes to: the address, and the port where there is one."""
        return f"{self.dst}:{self.dport}" if self.dport else self.dst

    @property
    def version(self) -> int:
        """4 or 6, the IP version of the addresses."""
        return version(self.dst)


class Probe(Struct, frozen=True, gc=False):
    """What to send, how often, and how long to wait.

    `size` is the ICMP or UDP payload in bytes, as in ping(8).

    `source_port` is the first packet's; where nobody asked for it, each of several packets has one of its
    own. `reused`: it was asked for, so that older connections may have it. `ttl` None means the namespace's
    own default; `df` None means the kernel's own path MTU policy for the socket. `device` is the interface
    that the user asked for (SO_BINDTODEVICE), which an interface of the source merely known is not. `ecn`: it
    asks for explicit congestion notification, as the sender's kernel does where it connects (RFC 3168); `mss`
    is what it says there that it takes, where its route tells that.
    """

    protocol: Protocol
    token: str
    source: Endpoint
    destination: Endpoint
    count: int = 1
    size: int = 56
    ttl: int | None = None
    df: bool | None = None
    source_port: int | None = None
    icmp_id: int | None = None
    sequence: int | None = None
    mark: int = 0
    uid: int = 0
    interval_ns: int = 200_000_000
    timeout_ns: int = 1_000_000_000
    reused: bool = False
    device: str | None = None
    ecn: bool = False
    mss: int | None = None

    @property
    def version(self) -> int:
        """4 or 6, after the destination's address."""
        return version(self.destination.address or "")

    def flow(self) -> Flow:
        """The flow as it leaves the sender's socket. Raises ValueError when an address is not decided yet."""
        src, dst = self.source.address, self.destination.address
        if src is None or dst is None:
            raise ValueError("a probe's flow needs both addresses")
        return Flow(
            src, dst, self.protocol, sport=self.source_port, dport=self.destination.port,
            icmp_id=self.icmp_id,
            icmp_type=self.protocol.question, ttl=self.ttl, length=self.length,
        )  # fmt: skip

    def takes(self, answer: Flow | None) -> bool:
        """Whether an answer bears the address and port that were asked: a socket takes no other (in_pcb
        lookup, RFC 1122 4.1.3.5).
        """
        if answer is None or self.protocol.on_segment or answer.src.startswith("127."):
            return True
        asked = (self.destination.address or "").partition("%")[0]
        port = self.destination.port
        return answer.src == asked and (port is None or answer.sport in (None, port))

    @property
    def length(self) -> int:
        """The IP packet's length in bytes, before any fragmentation."""
        return _HEADERS[self.version] + self.protocol.length(self.size)


_HEADERS = {4: 20, 6: 40}  # bytes of an IP header without options
MSS = {4: 1460, 6: 1440}  # what a SYN says that it takes, by IP version: an Ethernet frame (RFC 9293, 3.7.1)


class IcmpError(Struct, frozen=True, gc=False):
    """An ICMP error about the probe: who sent it, its type and code as numbers, its MTU if it names one."""

    sender: str
    type: int
    code: int
    mtu: int | None = None


class Watch(Struct, frozen=True, gc=False):
    """What to send and where to look: the probe, and the namespaces to arm a tap in (the source's is always
    among them).

    `ports` and `services` are further source and destination ports that translations on the path may give the
    flow. `addresses`: whose ARP and neighbour discovery to look at; `pairs`: the source and destination of
    later fragments. None means that nobody can tell, and that those of everybody are looked at. `interfaces`
    says how many each namespace has, where that is known: a frame to everybody may leave by all of them.
    """

    probe: Probe
    namespaces: tuple[str, ...]
    ports: tuple[int, ...] = ()
    services: tuple[int, ...] = ()
    addresses: tuple[str, ...] | None = None
    pairs: tuple[tuple[str, str], ...] | None = None
    interfaces: Mapping[str, int] = {}

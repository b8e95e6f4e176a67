"""Tells which frames belong to a probe: which leg, which packet of it, or which ICMP error about it.

By the token wherever there is one, so that neither NAT nor another run at the same time can confuse it. A UDP
answer carries no token: it is the packet that reverses the flow of a request seen before. An IP fragment
follows its first one. An ICMP error must quote a packet that was seen, with the addresses and ports it had
there, and the token as far as it is quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from msgspec import Struct

from netprobe.model import Flow, IcmpError, Leg, Protocol

from .checksum import fits
from .dissect import DissectedPacket
from .mark import MODULUS, RUN_BYTES, SEQUENCE_SPACE, TOKEN_BYTES, Mark

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_FLAG_NAMES = {Protocol.TCP: ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (ACK, "ACK"))}

_Hit = tuple[Leg | None, int]
_Ports = tuple[str, int | None, str, int | None]
_Form = tuple[str, int | None, str, int | None, int | None]


class Recognised(Struct, frozen=True, gc=False):
    """A packet of the probe: its flow, its leg and sequence, the error it reports, and a word for what the
    flow cannot say.
    """

    flow: Flow
    leg: Leg | None = None
    sequence: int = 0
    error: IcmpError | None = None
    text: str = ""


class Recogniser(Struct):
    """Recognises the packets of one run, given in the order of time; it remembers flows and fragments.

    `_forms` is what the probe and its answers looked like, wherever translations changed them.
    """

    mark: Mark
    _requests: dict[_Ports, int] = {}
    _fragments: dict[tuple[str, str, int, int], Recognised] = {}
    _counts: dict[object, int] = {}
    _forms: set[_Form] = set()

    def __call__(self, packet: DissectedPacket, point: object = None) -> Recognised | None:
        """What `packet` is to the probe, or None.

        `point` is where it was seen: namespace, interface, direction.
        """
        layers = (packet,) if packet.inner is None else (*_layers(packet),)
        for layer in layers:
            found = self._layer(layer, point)
            if found is not None:
                self._remember(layers, found)
                return found
        return None

    def _layer(self, packet: DissectedPacket, point: object) -> Recognised | None:
        if packet.flow.protocol.on_segment:
            return self._asked(packet)
        if packet.fragment:
            return self._later_fragment(packet)
        if packet.quoted is not None:
            return self._error(packet)
        hit = self._own(packet, point)
        if hit is None:
            return None
        self._forms.add(_form(packet.flow))
        return Recognised(packet.flow, *hit, text=flags_text(packet))

    def _remember(self, layers: tuple[DissectedPacket, ...], found: Recognised) -> None:
        for layer in layers:
            if layer.key is not None and not layer.fragment:
                self._fragments[layer.key] = found

    def _later_fragment(self, packet: DissectedPacket) -> Recognised | None:
        first = self._fragments.get(packet.key) if packet.key else None
        if first is None:
            return None
        return Recognised(
            packet.flow, first.leg, first.sequence, first.error, f"fragment at {packet.fragment}"
        )

    def _error(self, packet: DissectedPacket) -> Recognised | None:
        for quoted in _layers(packet.quoted):
            hit = self._quoted(quoted)
            if hit is not None:
                flow = packet.flow
                error = IcmpError(flow.src, flow.icmp_type or 0, flow.icmp_code or 0, packet.mtu)
                return Recognised(flow, *hit, error=error)
        return None

    def _own(self, packet: DissectedPacket, point: object) -> _Hit | None:
        if packet.flow.protocol is not self.mark.protocol:
            return None
        return _OWN[packet.flow.protocol](self, packet, point)

    def _echo(self, packet: DissectedPacket, point: object) -> _Hit | None:  # noqa: ARG002 - as `_udp`
        leg = Leg.REQUEST if packet.flow.icmp_type in (8, 128) else Leg.REPLY
        if self.mark.has_token:
            sequence = self.sequence_in(packet.payload)
            return None if sequence is None else (leg, sequence)
        return self._numbered(packet, leg) if len(packet.payload) == self.mark.size else None

    def _numbered(self, packet: DissectedPacket, leg: Leg) -> _Hit | None:
        """By ICMP id and sequence, where no token fits."""
        if packet.flow.icmp_id != self.mark.icmp_id or packet.sequence is None:
            return None
        sequence = (packet.sequence - self.mark.first) % MODULUS
        return (leg, sequence) if sequence < self.mark.count else None

    def sequence_in(self, payload: bytes) -> int | None:
        """The sequence in a payload that begins with our token, else None."""
        if payload[:RUN_BYTES] != self.mark.run or len(payload) < TOKEN_BYTES:
            return None
        sequence = int.from_bytes(payload[RUN_BYTES:TOKEN_BYTES], "big")
        return sequence if sequence < self.mark.count else None

    def _tcp(self, packet: DissectedPacket, point: object = None) -> _Hit | None:  # noqa: ARG002
        """A SYN by its number; an answer by the number that it acknowledges; the reset that our own kernel
        sends after it.
        """
        begun = ((packet.number or 0) - self.mark.isn) % SEQUENCE_SPACE
        if packet.acknowledged is None or packet.flags & (SYN | ACK) == SYN:
            return (Leg.REQUEST, begun) if begun < self.mark.count else None
        # RFC 9293 section 3.10.7.3: nothing else answers a SYN
        if packet.flags & ACK and packet.flags & (SYN | RST):
            answered = (packet.acknowledged - self.mark.isn - 1) % SEQUENCE_SPACE
            return (Leg.REPLY, answered) if answered < self.mark.count else None
        ended = (begun - 1) % SEQUENCE_SPACE
        return (None, ended) if packet.flags & RST and ended < self.mark.count else None

    def _udp(self, packet: DissectedPacket, point: object) -> _Hit | None:
        ports, back = _ports(packet.flow), _ports(packet.flow.reversed())
        sequence = self.sequence_in(packet.payload) if self.mark.has_token else None
        if back in self._requests:
            return Leg.REPLY, self._requests[back] if sequence is None else sequence
        if packet.flow.dport in self.mark.source_ports and any(
            map(partial(_is_half_of, back), self._requests)
        ):
            return Leg.REPLY, max(self._requests.values()) if sequence is None else sequence
        if sequence is None and not self.mark.has_token:
            sequence = self._nth(packet, (point, ports))
        if sequence is None:
            return None
        self._requests[ports] = sequence
        return Leg.REQUEST, sequence

    def _nth(self, packet: DissectedPacket, point: object) -> int | None:
        """The sequence of a request that is too small for the token: the n-th of this kind to pass this
        point.
        """
        mark, flow = self.mark, packet.flow
        known = flow.sport in mark.source_ports or (flow.dport == mark.port and flow.sport in mark.ports)
        if (
            not known
            or len(packet.payload) != mark.size
            or packet.payload[:RUN_BYTES] != mark.run[: mark.size]
        ):
            return None
        sequence = self._counts.get(point, 0)
        self._counts[point] = sequence + 1
        return sequence if sequence < mark.count else None

    def _quoted(self, packet: DissectedPacket) -> _Hit | None:
        """A packet in an ICMP error, as it was seen somewhere: it may be cut after its first eight bytes."""
        if (
            packet.flow.protocol is not self.mark.protocol
            or packet.fragment
            or _form(packet.flow) not in self._forms
        ):
            return None
        return _QUOTED[packet.flow.protocol](self, packet)

    def _quoted_echo(self, packet: DissectedPacket) -> _Hit | None:
        leg = Leg.REQUEST if packet.flow.icmp_type in (8, 128) else Leg.REPLY
        sequence = ((packet.sequence or 0) - self.mark.first) % MODULUS
        return (leg, sequence) if sequence < self.mark.count and self._is_quoted(packet, sequence) else None

    def _quoted_udp(self, packet: DissectedPacket) -> _Hit | None:
        """A request by its payload; an answer by its ports only, because nobody knows what it carried."""
        ports, back = _ports(packet.flow), _ports(packet.flow.reversed())
        if back in self._requests:
            return Leg.REPLY, self._requests[back]
        if ports not in self._requests:
            return None
        last = self._requests[ports]
        sequences = (last, *(sequence for sequence in range(self.mark.count) if sequence != last))
        return next(
            ((Leg.REQUEST, sequence) for sequence in sequences if self._is_quoted(packet, sequence)), None
        )

    def _is_quoted(self, packet: DissectedPacket, sequence: int) -> bool:
        """Whether this is packet `sequence`: by its token, or where the quote ends before it by the checksum
        over it.
        """
        if self.mark.has_token and len(packet.payload) >= TOKEN_BYTES:
            return packet.payload[:TOKEN_BYTES] == self.mark.token(sequence)
        return fits(packet, self.mark.payload(sequence))

    def _asked(self, packet: DissectedPacket) -> Recognised:
        """ARP and neighbour discovery: always of interest, and a request of ours when it carries our
        token.
        """
        told = packet.hardware[0] if packet.hardware else None
        text = (
            f"says it has {told}"
            if told and told != packet.flow.src_mac and packet.flow.outer is None
            else ""
        )
        sequence = self._stamp_in_request(packet)
        return Recognised(packet.flow, None if sequence is None else Leg.REQUEST, sequence or 0, text=text)

    def _stamp_in_request(self, packet: DissectedPacket) -> int | None:
        if self.mark.protocol is Protocol.ARP and packet.flow.icmp_type == 1:
            return self.sequence_in(packet.padding)
        if self.mark.protocol is Protocol.ND and packet.flow.icmp_type == 135:
            # the nonce has room for six of the eight bytes
            return self.sequence_in(self.mark.run[:2] + packet.nonce)
        return None


# How a packet of the probe's protocol is known, and one that an ICMP error quotes.
_OWN: dict[Protocol, Callable[[Recogniser, DissectedPacket, object], _Hit | None]] = {
    Protocol.ICMP: Recogniser._echo,
    Protocol.ICMPV6: Recogniser._echo,
    Protocol.UDP: Recogniser._udp,
    Protocol.TCP: Recogniser._tcp,
}
_QUOTED: dict[Protocol, Callable[[Recogniser, DissectedPacket], _Hit | None]] = {
    Protocol.ICMP: Recogniser._quoted_echo,
    Protocol.ICMPV6: Recogniser._quoted_echo,
    Protocol.UDP: Recogniser._quoted_udp,
    Protocol.TCP: Recogniser._tcp,
}


def _layers(packet: DissectedPacket | None) -> Iterator[DissectedPacket]:
    """A packet, the one in it, and so on inwards."""
    while packet is not None:
        yield packet
        packet = packet.inner


def _form(flow: Flow) -> _Form:
    return flow.src, flow.sport, flow.dst, flow.dport, flow.icmp_id


def _is_half_of(back: _Ports, request: _Ports) -> bool:
    """Whether a packet that was turned round has one end of a request: it is from another address than was
    asked, or the source of the request was translated before anybody saw it.
    """
    return back[:2] == request[:2] or back[2:] == request[2:]


def _ports(flow: Flow) -> _Ports:
    return flow.src, flow.sport, flow.dst, flow.dport


def flags_text(packet: DissectedPacket) -> str:
    """The flags of a TCP segment in words, "" for another packet."""
    if not packet.flags:
        return ""
    names = _FLAG_NAMES.get(packet.flow.protocol, ())
    return " ".join(name for flag, name in names if packet.flags & flag)

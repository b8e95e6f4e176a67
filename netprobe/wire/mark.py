"""What makes a probe's packets known on the wire, whatever a translation does to their addresses and ports.

The payload of an ICMP or UDP probe begins with eight bytes: six of the run's token, two of the packet's
sequence. A TCP SYN carries the token as its initial sequence number, an ARP request in its Ethernet padding,
a solicitation in its nonce option.
"""

from __future__ import annotations

try:
    from _blake2 import blake2b  # the same as hashlib's, without OpenSSL's 5 MiB beside it
except ImportError:
    from hashlib import blake2b

from msgspec import Struct

from netprobe.model import ROUTED, Probe, Protocol

RUN_BYTES = 6  # of the token
TOKEN_BYTES = 8  # run and sequence, as they stand on the wire
MODULUS = 1 << 16  # of a sequence on the wire
SEQUENCE_SPACE = 1 << 32  # of TCP

PROTOCOL_NUMBERS = {protocol: number for number, protocol in ROUTED.items()}


class Mark(Struct, frozen=True, gc=False):
    """The signs of one run's packets.

    `run` are the six token bytes, `source_ports` the UDP or TCP ports that the run owns in its namespace,
    `port` the one it asks for; `ports` and `services` are further ones of both that a translation may give
    it. `first` is the ICMP sequence of packet 0, `isn` its TCP sequence number; packet k has `first` + k and
    `isn` + k.
    """

    protocol: Protocol
    run: bytes
    count: int = 1
    size: int = 56
    icmp_id: int = 0
    first: int = 1
    isn: int = 0
    source_ports: tuple[int, ...] = ()
    port: int | None = None
    ports: tuple[int, ...] = ()
    services: tuple[int, ...] = ()

    @property
    def service_ports(self) -> tuple[int, ...]:
        """Where the probe is sent to, and what translations make of it."""
        return tuple(dict.fromkeys((*([self.port] if self.port else []), *self.services)))

    @property
    def has_token(self) -> bool:
        """Whether the payload is long enough for the token; if not, ICMP id and sequence (or the UDP ports)
        must do.
        """
        return self.size >= TOKEN_BYTES

    def token(self, sequence: int) -> bytes:
        """The eight bytes of packet `sequence` (from 0)."""
        return self.run + (sequence % MODULUS).to_bytes(2, "big")

    def payload(self, sequence: int) -> bytes:
        """The ICMP or UDP payload of packet `sequence`: its token, then the program's name again and
        again.
        """
        filler = b"netprobe" * (self.size // 8 + 1)
        return (self.token(sequence) + filler)[: self.size]

    def icmp_sequence(self, sequence: int) -> int:
        """The ICMP header's sequence number of packet `sequence`."""
        return (self.first + sequence) % MODULUS

    def tcp_sequence(self, sequence: int) -> int:
        """The TCP initial sequence number of packet `sequence`."""
        return (self.isn + sequence) % SEQUENCE_SPACE

    def source_port(self, sequence: int) -> int:
        """The source port of packet `sequence`; 0 for a protocol without ports."""
        return self.source_ports[sequence % len(self.source_ports)] if self.source_ports else 0


def run_bytes(token: str) -> bytes:
    """The six bytes that stand for a run's token: its own first ones when it is hexadecimal, else a hash of
    it.
    """
    try:
        own = bytes.fromhex(token)
    except ValueError:
        own = b""
    return (
        own[:RUN_BYTES] if len(own) >= RUN_BYTES else blake2b(token.encode(), digest_size=RUN_BYTES).digest()
    )


def mark_of(
    probe: Probe,
    source_ports: tuple[int, ...] = (),
    ports: tuple[int, ...] = (),
    services: tuple[int, ...] = (),
) -> Mark:
    """The mark of `probe`, given the source ports that were reserved for it and the ports translations may
    give it.

    A payload too small for the token takes its ICMP sequence from the token too, so that id and sequence give
    32 bits.
    """
    run = run_bytes(probe.token)
    first = 1 if probe.size >= TOKEN_BYTES else int.from_bytes(run[2:4], "big")
    return Mark(
        protocol=probe.protocol,
        run=run,
        count=probe.count,
        size=probe.size,
        icmp_id=int.from_bytes(run[:2], "big") if probe.icmp_id is None else probe.icmp_id,
        first=first if probe.sequence is None else probe.sequence,
        isn=int.from_bytes(run[:4], "big"),
        source_ports=source_ports,
        port=probe.destination.port,
        ports=ports,
        services=services,
    )

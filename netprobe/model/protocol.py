"""What a flow carries: the one table of protocols, with what the headers of each hold."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

ECHO_REQUEST, ECHO_REPLY = 8, 0  # RFC 792
ECHO_REQUEST_V6, ECHO_REPLY_V6 = 128, 129  # RFC 4443
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136  # RFC 4861
ARP_REQUEST, ARP_REPLY = 1, 2  # RFC 826


class Protocol(StrEnum):
    """What a flow carries; `icmp` and `icmpv6` are told apart because the kernel does."""

    ICMP = "icmp"
    ICMPV6 = "icmpv6"
    UDP = "udp"
    TCP = "tcp"
    ARP = "arp"
    ND = "nd"
    OTHER = "other"

    @property
    def number(self) -> int | None:
        """The protocol field of the IP header (IANA); None for ARP, which has none, and for what we do not
        know.
        """
        return _TABLE[self].number

    @property
    def has_ports(self) -> bool:
        """Whether its header begins with a source and a destination port."""
        return _TABLE[self].ports

    @property
    def is_echo(self) -> bool:
        """Whether a probe of it is an echo request, told from others by its identifier."""
        return _TABLE[self].echo

    @property
    def on_segment(self) -> bool:
        """Whether it asks the stations of one segment, and is not routed."""
        return _TABLE[self].segment

    @property
    def question(self) -> int | None:
        """The type of a request: of ICMP and ICMPv6, the operation of ARP; None where there is no such
        field.
        """
        return _TABLE[self].question

    @property
    def called(self) -> str:
        """Its name in a sentence: "ICMPv6", "neighbour discovery"."""
        return _TABLE[self].called or self.upper()

    @property
    def probe(self) -> str:
        """What a probe of it is called: "ICMP echo"."""
        return _TABLE[self].probe or self.called

    @property
    def is_sized(self) -> bool:
        """Whether a probe of it carries as many bytes as one likes."""
        return _TABLE[self].sized

    def answer(self, kind: int | None) -> int | None:
        """The type of the answer to a packet of type `kind`; the same where it is no request."""
        row = _TABLE[self]
        return row.answer if kind == row.question else kind


class _Fields(Struct, frozen=True):
    """`word`: whether people ask for it by its name; IPv6's stand behind the same words as IPv4's."""

    number: int | None = None
    ports: bool = False
    echo: bool = False
    segment: bool = False
    question: int | None = None
    answer: int | None = None
    word: bool = True
    sized: bool = False
    called: str = ""
    probe: str = ""


_TABLE = {
    Protocol.ICMP: _Fields(
        1, echo=True, question=ECHO_REQUEST, answer=ECHO_REPLY, sized=True, probe="ICMP echo"
    ),
    Protocol.ICMPV6: _Fields(
        58, echo=True, question=ECHO_REQUEST_V6, answer=ECHO_REPLY_V6, word=False, sized=True,
        called="ICMPv6", probe="ICMPv6 echo",
    ),
    Protocol.UDP: _Fields(17, ports=True, sized=True),
    Protocol.TCP: _Fields(6, ports=True),
    Protocol.ARP: _Fields(segment=True, question=ARP_REQUEST, answer=ARP_REPLY),
    Protocol.ND: _Fields(
        58, segment=True, question=NEIGHBOUR_SOLICITATION, answer=NEIGHBOUR_ADVERTISEMENT, word=False,
        called="neighbour discovery", probe="neighbour solicitation",
    ),
    Protocol.OTHER: _Fields(word=False, called="IP"),
}  # fmt: skip

# What is routed and tracked, by the number in the IP header.
ROUTED = {row.number: each for each, row in _TABLE.items() if row.number is not None and not row.segment}

# What people ask for by its name; and what of it passes routers.
ASKED = {each.value: each for each, row in _TABLE.items() if row.word}
ASKED_FAR = tuple(word for word, each in ASKED.items() if not each.on_segment)

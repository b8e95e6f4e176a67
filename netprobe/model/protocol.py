"""What a flow carries: the one table of protocols, with what the headers of each hold."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

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

    def length(self, size: int) -> int:
        """Bytes of a probe behind the IP header, with a payload of `size` where it carries one."""
        fixed = _TABLE[self].fixed
        return 8 + size if fixed is None else fixed

    @property
    def connects(self) -> bool:
        """Whether a program listens for connections, which answers no packet of another one's."""
        return _TABLE[self].connects

    @property
    def is_listed(self) -> bool:
        """Whether the sockets of it are read, so that one that is not there is known to be missing."""
        return _TABLE[self].listed

    @property
    def is_swept(self) -> bool:
        """Whether all pairs of a matrix can be asked by it."""
        return _TABLE[self].swept

    @property
    def is_asked_first(self) -> bool:
        """Whether an answer is none to connection tracking that has not seen what it answers."""
        return _TABLE[self].asked_first

    @property
    def answered(self) -> str:
        """What came where a probe of it was answered: "reply"."""
        return _TABLE[self].answered

    @property
    def can_refuse(self) -> bool:
        """Whether an answer of its own says that nothing listens."""
        return bool(_TABLE[self].refusal)

    def refuses(self, text: str) -> bool:
        """Whether an answer, of which the wire says this (`Observation.text`), says that nothing listens."""
        return self.can_refuse and _TABLE[self].refusal in text.split()

    def answer(self, kind: int | None) -> int | None:
        """The type of the answer to a packet of type `kind`; the same where it is no request."""
        row = _TABLE[self]
        return row.answer if kind == row.question else kind


class _Fields(Struct, frozen=True, gc=False):
    """`word`: whether people ask for it by its name; IPv6's stand behind the same words as IPv4's.

    `fixed`: the bytes of a probe that carries no payload; the header of all others has 8. `refusal`: the
    flag of an answer that says no.
    """

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
    answered: str = "reply"
    fixed: int | None = None
    connects: bool = False
    listed: bool = False
    swept: bool = False
    asked_first: bool = False
    refusal: str = ""


_TABLE = {
    Protocol.ICMP: _Fields(
        1, echo=True, question=ECHO_REQUEST, answer=ECHO_REPLY, sized=True, probe="ICMP echo",
        asked_first=True, swept=True,
    ),
    Protocol.ICMPV6: _Fields(
        58, echo=True, question=ECHO_REQUEST_V6, answer=ECHO_REPLY_V6, word=False, sized=True,
        called="ICMPv6", probe="ICMPv6 echo", asked_first=True, swept=True,
    ),
    Protocol.UDP: _Fields(17, ports=True, sized=True, answered="answer", listed=True, swept=True),
    # 24: with the option of the MSS
    Protocol.TCP: _Fields(
        6, ports=True, answered="port open, answer", fixed=24, connects=True, listed=True, swept=True,
        asked_first=True, refusal="RST",
    ),
    Protocol.ARP: _Fields(segment=True, question=ARP_REQUEST, answer=ARP_REPLY, swept=True),
    Protocol.ND: _Fields(
        58, segment=True, question=NEIGHBOUR_SOLICITATION, answer=NEIGHBOUR_ADVERTISEMENT, word=False,
        called="neighbour discovery", probe="neighbour solicitation",
    ),
    Protocol.OTHER: _Fields(word=False, called="IP"),
}  # fmt: skip

# What is routed and tracked, by the number in the IP header.
ROUTED = {row.number: each for each, row in _TABLE.items() if row.number is not None and not row.segment}

# What has ports, in the order of the table.
PORTED = tuple(each for each, row in _TABLE.items() if row.ports)

# What people ask for by its name, as a type and as values; and what of it passes routers.
Word: TypeAlias = Literal["icmp", "udp", "tcp", "arp"]
ASKED = {each.value: each for each, row in _TABLE.items() if row.word}
ASKED_FAR = tuple(word for word, each in ASKED.items() if not each.on_segment)

"""The types of nft(8)'s selectors: how a literal of each reads as a number, a range of numbers, or a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_address

from msgspec import Struct

# Names as nft prints them. Source: nftables src/datatype.c, proto.c, ct.c, fib.c, meta.c.
PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipencap": 4, "ipip": 4, "tcp": 6, "egp": 8, "udp": 17, "dccp": 33, "ipv6": 41,
    "ipv6-route": 43, "ipv6-frag": 44,
    "rsvp": 46, "gre": 47, "esp": 50, "ipsec-esp": 50, "ah": 51, "ipsec-ah": 51, "icmpv6": 58,
    "ipv6-icmp": 58, "ipv6-nonxt": 59,
    "ipv6-opts": 60, "ospf": 89, "pim": 103, "comp": 108, "ipcomp": 108, "vrrp": 112, "l2tp": 115,
    "sctp": 132, "mh": 135,
    "ipv6-mh": 135, "udplite": 136, "mptcp": 262,
}  # fmt: skip
ICMP_TYPES = {
    "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12, "timestamp-request": 13,
    "timestamp-reply": 14,
    "info-request": 15, "info-reply": 16, "address-mask-request": 17, "address-mask-reply": 18,
}  # fmt: skip
ICMP_CODES = {
    "net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2, "port-unreachable": 3,
    "frag-needed": 4, "net-prohibited": 9,
    "host-prohibited": 10, "admin-prohibited": 13,
}  # fmt: skip
ICMPV6_TYPES = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
    "echo-request": 128, "echo-reply": 129,
    "mld-listener-query": 130, "mld-listener-report": 131, "mld-listener-done": 132,
    "mld-listener-reduction": 132,
    "nd-router-solicit": 133, "nd-router-advert": 134, "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136,
    "nd-redirect": 137,
    "router-renumbering": 138, "ind-neighbor-solicit": 141, "ind-neighbor-advert": 142,
    "mld2-listener-report": 143,
}  # fmt: skip
ICMPV6_CODES = {
    "no-route": 0,
    "admin-prohibited": 1,
    "addr-unreachable": 3,
    "port-unreachable": 4,
    "policy-fail": 5,
    "reject-route": 6,
}
ETHERTYPES = {"ip": 0x0800, "ip4": 0x0800, "ipv4": 0x0800, "arp": 0x0806, "ip6": 0x86DD, "ipv6": 0x86DD,
    "vlan": 0x8100, "802_1q": 0x8100,
              "8021q": 0x8100, "8021ad": 0x88A8, "length": 0x0600}  # fmt: skip
CT_STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
CT_STATUSES = {
    "expected": 1,
    "seen-reply": 2,
    "assured": 4,
    "confirmed": 8,
    "snat": 16,
    "dnat": 32,
    "seq-adjust": 64,
    "src-nat-done": 128,
    "dst-nat-done": 256,
    "dying": 512,
}
# xt_conntrack's --ctstate takes both kinds of words
XT_CT_STATES = {**CT_STATES, "snat": 1 << 8, "dnat": 1 << 9}
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
DSCP = {"be": 0, "ef": 46, "va": 44, "lephb": 1, **{f"cs{n}": 8 * n for n in range(8)},
        **{f"af{c}{d}": 8 * c + 2 * d for c in range(1, 5) for d in range(1, 4)}}  # fmt: skip
FIB_TYPES = {"unspec": 0, "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5,
    "blackhole": 6, "unreachable": 7,
             "prohibit": 8, "throw": 9, "nat": 10, "xresolve": 11}  # fmt: skip
ARP_OPERATIONS = {
    "request": 1,
    "reply": 2,
    "rrequest": 3,
    "rreply": 4,
    "inrequest": 8,
    "inreply": 9,
    "nak": 10,
}
BOOLEANS = {"exists": 1, "missing": 0, "true": 1, "false": 0, "yes": 1, "no": 0}
# nft and iptables-save print numbers; these are for rules typed by hand
SERVICES = {"ssh": 22, "domain": 53, "http": 80, "https": 443}


class Datatype(Struct, frozen=True, gc=False, eq=False):  # one object a type: compared and hashed by identity
    """A type: `names` for its numbers, `read` for what is no name; `text` types compare as words (interface
    names end in *).
    """

    name: str
    names: Mapping[str, int] = {}
    read: Callable[[str], int] = lambda text: int(text, 0)
    text: bool = False
    bits: int = 32

    def number(self, literal: str) -> int:
        """The number of one literal. Raises ValueError for one that this type does not know."""
        if literal.lower() in self.names:
            return self.names[literal.lower()]
        if "," in literal and self.names:
            return sum({self.number(each) for each in literal.split(",")})
        return self.read(literal)

    def bounds(self, literal: str) -> tuple[int, int]:
        """The lowest and highest number that a literal, a prefix or a range means; "*" is everything."""
        if literal == "*":
            return 0, (1 << 128) - 1
        if "/" in literal:
            return self._prefix(*literal.split("/"))
        if "-" in literal[1:] and literal.lower() not in self.names:
            low, _, high = literal.partition("-")
            return self.number(low), self.number(high)
        number = self.number(literal)
        return number, number

    def _prefix(self, literal: str, length: str) -> tuple[int, int]:
        bits = self.bits
        free = bits - int(length)
        low = self.number(literal) >> free << free
        return low, low | ((1 << free) - 1)


@lru_cache(maxsize=65536)
def _address(text: str) -> int:
    return int(ip_address(text))


def _mac(text: str) -> int:
    octets = text.split(":")
    if len(octets) != 6:
        raise ValueError(f"not a MAC address: {text}")
    return int("".join(octet.zfill(2) for octet in octets), 16)


def _clock(text: str) -> int:
    raise ValueError(f"a time of day: {text}")


IPV4 = Datatype("ipv4", read=_address, bits=32)
IPV6 = Datatype("ipv6", read=_address, bits=128)
MAC = Datatype("mac", read=_mac, bits=48)
NUMBER = Datatype("number")
PORT = Datatype("port", SERVICES, bits=16)
PROTOCOL = Datatype("protocol", PROTOCOLS, bits=8)
NFPROTO = Datatype("nfproto", {"ipv4": 2, "ipv6": 10, "arp": 3, "bridge": 7, "netdev": 5, "inet": 1})
ETHERTYPE = Datatype("ethertype", ETHERTYPES, bits=16)
ICMP_TYPE, ICMP_CODE = Datatype("icmp type", ICMP_TYPES), Datatype("icmp code", ICMP_CODES)
ICMPV6_TYPE, ICMPV6_CODE = Datatype("icmpv6 type", ICMPV6_TYPES), Datatype("icmpv6 code", ICMPV6_CODES)
CT_STATE, CT_STATUS = Datatype("ct state", CT_STATES), Datatype("ct status", CT_STATUSES)
XT_CT_STATE = Datatype("xt ct state", XT_CT_STATES)
CT_DIRECTION = Datatype("ct direction", {"original": 0, "reply": 1})
TCP_FLAG = Datatype("tcp flags", TCP_FLAGS, bits=8)
ECN = Datatype("ecn", {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3}, bits=2)
DIFFSERV = Datatype("dscp", DSCP, bits=6)
FIB_TYPE = Datatype("fib type", FIB_TYPES)
ARP_OPERATION = Datatype("arp operation", ARP_OPERATIONS, bits=16)
PKTTYPE = Datatype("pkttype", {"host": 0, "unicast": 0, "broadcast": 1, "multicast": 2, "other": 3})
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
WEEKDAY = Datatype("day", {day: n for n, day in enumerate(_DAYS)})
BOOLEAN = Datatype("boolean", BOOLEANS)
DEVICE_TYPE = Datatype(
    "device type", {"ether": 1, "loopback": 772, "ppp": 512, "none": 0xFFFE, "sit": 776, "ipgre": 778}
)
INTERFACE = Datatype("interface", text=True)
WORD = Datatype("word", text=True)

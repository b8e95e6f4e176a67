"""What connection tracking knows of a packet (net/netfilter/nft_ct.c, xt_conntrack.c)."""

# ruff: noqa: ARG001 - the readers of one table take the same arguments
from __future__ import annotations

from netprobe.rules import datatypes as dt
from netprobe.rules.packet import HookPacket, Surroundings

from .ip import l4proto
from .meta import nfproto
from .value import UNKNOWN, Reader, Rows, Seen, known, nothing, only


def _state(packet: HookPacket, around: Surroundings) -> Seen:
    """No entry reads as invalid (nft_ct_get_eval, conntrack_mt): so rules before priority -200 see it."""
    return dt.CT_STATES[packet.state or "invalid"]


def _xt_state(packet: HookPacket, around: Surroundings) -> Seen:
    bits = dt.CT_STATES[packet.state or "invalid"]
    status = _status(packet, around)
    if not isinstance(status, int):
        return bits
    return bits + sum(dt.XT_CT_STATES[word] for word in ("snat", "dnat") if status & dt.CT_STATUSES[word])


def tracked(packet: HookPacket) -> bool:
    """Whether the packet belongs to a conntrack entry at this point."""
    return packet.state not in (None, "invalid", "untracked")


# Set along with what was done (nf_nat_setup_info), and seen by who compares the whole status.
_DONE = {"snat": 1 << 7, "dnat": 1 << 8}  # IPS_SRC_NAT_DONE, IPS_DST_NAT_DONE


def _status(packet: HookPacket, around: Surroundings) -> Seen:
    """Translations show in the entry's two tuples; the other words come from the entry itself, if it was
    read.
    """
    if not tracked(packet):
        return None
    if packet.connection is None:
        return UNKNOWN
    words = {word.lower().removeprefix("ips_").replace("_", "-") for word in packet.connection.status}
    original, reply = packet.connection.original, packet.connection.reply
    signs = {
        "snat": reply[1] != original[0],
        "dnat": reply[0] != original[1],
        "seen-reply": packet.reply,
        "confirmed": packet.state == "established",
    }
    words.update(word for word, shows in signs.items() if shows)
    done = sum(bit for word, bit in _DONE.items() if signs[word])
    return done | sum(bit for word, bit in dt.CT_STATUSES.items() if word in words)


def _ct_direction(packet: HookPacket, around: Surroundings) -> Seen:
    return int(packet.reply) if tracked(packet) else None


def _ct_tuple(tuple_name: str, index: int) -> Reader:
    def read(packet: HookPacket, around: Surroundings) -> Seen:
        if not tracked(packet):
            return None
        if packet.connection is None:
            return UNKNOWN
        seen = getattr(packet.connection, tuple_name)[index]
        if index < 2:
            return dt.IPV4.number(seen)
        return UNKNOWN if seen is None else int(seen)

    return read


def _ct_mark(packet: HookPacket, around: Surroundings) -> Seen:
    if not tracked(packet):
        return None
    return UNKNOWN if packet.connection is None else known(packet.connection.mark)


def _ct_zone(packet: HookPacket, around: Surroundings) -> Seen:
    """A zone has one number, for one direction or for both."""
    return _one_zone("zone")(packet, around) or _one_zone("zone_of_replies")(packet, around)


def _one_zone(field: str) -> Reader:
    """The zone of one direction of the connection, or of the one that will be."""

    def read(packet: HookPacket, around: Surroundings) -> Seen:
        return getattr(packet.connection or packet, field) if packet.state != "untracked" else 0

    return read


def _ct_protocol(packet: HookPacket, around: Surroundings) -> Seen:
    return l4proto(packet, around) if tracked(packet) else None


ROWS: Rows = {
    "xt ctstate": (dt.XT_CT_STATE, _xt_state),
    "ct state": (dt.CT_STATE, _state),
    "ct status": (dt.CT_STATUS, _status),
    "ct direction": (dt.CT_DIRECTION, _ct_direction),
    "ct mark": (dt.NUMBER, _ct_mark),
    "ct zone": (dt.NUMBER, _ct_zone),
    "ct original zone": (dt.NUMBER, _one_zone("zone")),
    "ct reply zone": (dt.NUMBER, _one_zone("zone_of_replies")),
    "ct protocol": (dt.PROTOCOL, _ct_protocol),
    "ct l3proto": (dt.NFPROTO, lambda packet, around: nfproto(packet, around) if tracked(packet) else None),
    "ct helper": (dt.WORD, nothing),
}  # fmt: skip

for _tuple in ("original", "reply"):
    for _index, _field in enumerate(("saddr", "daddr")):
        ROWS[f"ct {_tuple} ip {_field}"] = (dt.IPV4, only("ip", _ct_tuple(_tuple, _index)))
        ROWS[f"ct {_tuple} ip6 {_field}"] = (dt.IPV6, only("ip6", _ct_tuple(_tuple, _index)))
        ROWS[f"ct {_tuple} {_field}"] = (dt.IPV4, _ct_tuple(_tuple, _index))
    for _index, _field in ((2, "proto-src"), (3, "proto-dst")):
        ROWS[f"ct {_tuple} {_field}"] = (dt.PORT, _ct_tuple(_tuple, _index))

"""How a REJECT tells the sender, and which queues a QUEUE means.

Kernel: ipt_REJECT.c, ip6t_REJECT.c, nft_reject.c (icmpx).
"""

from __future__ import annotations

from netprobe.model import Statement

from .mangle import has_header
from .packet import HookPacket
from .ruling import Rejection

# ICMP destination unreachable (type 3) and ICMPv6 destination unreachable (type 1), by the words of both
# tools.
_CODES = {
    "net-unreachable": 0, "host-unreachable": 1, "proto-unreachable": 2, "prot-unreachable": 2,
    "port-unreachable": 3,
    "net-prohibited": 9, "host-prohibited": 10, "admin-prohibited": 13,
}  # fmt: skip
_CODES_V6 = {
    "no-route": 0, "admin-prohibited": 1, "adm-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4,
    "policy-fail": 5,
    "reject-route": 6,
}  # fmt: skip
# icmpx: one word for both families (nft_icmpx_code in net/netfilter/nft_reject.c)
_ICMPX = {
    "no-route": (0, 0),
    "port-unreachable": (3, 4),
    "host-unreachable": (1, 3),
    "admin-prohibited": (13, 1),
}


def rejection(statement: Statement, packet: HookPacket) -> Rejection:
    """The answer that a reject statement sends for this packet."""
    word = statement.options.get("with", "")
    if word in ("tcp-reset", "tcp reset"):
        return Rejection("tcp-reset", text="TCP reset")
    kind, name = statement.options.get("type", ""), word
    for prefix in ("icmp6-", "icmp-"):
        name = name.removeprefix(prefix)
    six = packet.flow.version == 6
    code = _ICMPX.get(name, (3, 4))[six] if kind == "icmpx" else _number(name, _CODES_V6 if six else _CODES)
    return (
        Rejection("icmpv6", 1, code, f"ICMPv6 {name}") if six else Rejection("icmp", 3, code, f"ICMP {name}")
    )


def is_for(statement: Statement, packet: HookPacket) -> bool:
    """Whether a reject statement is for packets of this kind: nft tests before it what its answer needs, and
    its listings tell nothing of that (stmt_evaluate_reset and stmt_evaluate_reject_family of its evaluate.c).
    """
    header = _OF_KIND.get(statement.options.get("type", ""), "")
    return has_header(header, packet)


_OF_KIND = {"icmp": "ip", "icmpv6": "ip6", "tcp reset": "tcp"}


def _number(name: str, names: dict[str, int]) -> int:
    if name.isdigit():
        return int(name)
    return names.get(name, names["port-unreachable"])


def queues(statement: Statement) -> range:
    """The queue numbers of a queue statement."""
    text = statement.right.text if statement.right else "0"
    low, _, high = text.partition("-")
    return range(int(low), int(high or low) + 1) if low.isdigit() else range(0)

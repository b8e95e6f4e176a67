"""The matches of iptables-extensions(8), from their arguments to statements in nft's vocabulary.

One function a match module, found by its name in `MATCHES`; a module that is not there, or an option that its
function does not know, becomes one statement "unknown" with the text of the match.
"""

# ruff: noqa: ARG001 - the functions of one table take the same arguments
from __future__ import annotations

from collections.abc import Callable

from netprobe.model import Statement, Term

from .arguments import Block
from .terms import EQUALITY, key, masked, match, one_of, some_bit, unknown, value

FULL = 0xFFFFFFFF
FRAGMENT_OFFSET = 0x1FFF  # the low 13 bits of the IPv4 header's third word

Reader = Callable[[Block, str], list[Statement] | None]


def read_match(block: Block, ip: str) -> list[Statement]:
    """The statements that a match means; `ip` is the family's word in nft, "ip" or "ip6"."""
    reader = MATCHES.get(block.name)
    try:
        found = reader(block, ip) if reader else None
    except (ValueError, IndexError, KeyError):
        found = None
    return [unknown(block.text())] if found is None else found


def general(block: Block, ip: str) -> list[Statement]:
    """The options that every rule may have: addresses, protocol, interfaces, fragments."""
    found = []
    for option in block.options:
        try:
            found += _general(*option, ip)
        except (ValueError, IndexError):
            found.append(unknown(" ".join([option[1], *option[2]])))
    return found


def _general(negated: bool, name: str, values: list[str], ip: str) -> list[Statement]:
    if name in ("-s", "-d"):
        return [address(f"{ip} {'saddr' if name == '-s' else 'daddr'}", values[0], negated)]
    if name in ("-i", "-o"):
        return [match(f"meta {name[1]}ifname", interface(values[0]), negated)]
    if name == "-f":
        return [match(masked(key("ip frag-off"), FRAGMENT_OFFSET, FULL), "0", not negated)]
    if name == "-p" and values[0] not in ("all", "0"):
        return [match("meta l4proto", values[0], negated)]
    return []


def interface(name: str) -> str:
    """An interface pattern: iptables ends it with +, nft with *."""
    return name[:-1] + "*" if name.endswith("+") else name


def address(selector: str, text: str, negated: bool) -> Statement:
    """`10.0.0.0/8`, or a mask in dots or colons that is no prefix (`10.0.0.1/255.0.0.255`)."""
    address, _, mask = text.partition("/")
    if not mask or mask.isdigit():
        return match(selector, text, negated)
    return match(Term("&", args=(key(selector), value(mask))), address, negated)


def _ports(text: str) -> list[str]:
    """`53,100:200` in nft's words."""
    found = []
    for each in text.split(","):
        low, colon, high = each.partition(":")
        found.append(f"{low or 0}-{high or 65535}" if colon else low)
    return found


def _transport(block: Block, ip: str) -> list[Statement] | None:
    found = []
    for negated, name, values in block.options:
        if name in ("--sport", "--dport", "--source-port", "--destination-port"):
            found.append(
                match(
                    f"{block.name} {'sport' if name.startswith('--s') else 'dport'}",
                    one_of(_ports(values[0])),
                    negated,
                )
            )
        elif name == "--tcp-flags":
            found.append(_flags(values[0], values[1], negated))
        elif name == "--syn":
            found.append(_flags("FIN,SYN,RST,ACK", "SYN", negated))
        else:
            return None
    return found or [match("meta l4proto", block.name)]


def _flags(mask: str, wanted: str, negated: bool) -> Statement:
    def bits(text: str) -> str:
        names = "fin,syn,rst,psh,ack,urg" if text == "ALL" else text.lower()
        return "0" if names == "none" else names

    return match(Term("&", args=(key("tcp flags"), value(bits(mask)))), bits(wanted), negated)


def _icmp(block: Block, ip: str) -> list[Statement] | None:
    protocol = "icmp" if block.name == "icmp" else "icmpv6"
    [(negated, _, [text])] = block.options
    if text in ("any", "255"):
        return [match("meta l4proto", "icmp")]
    kind, slash, code = text.partition("/")
    if not slash:
        return [match(f"{protocol} type", kind, negated)]
    both = Term("concat", args=(key(f"{protocol} type"), key(f"{protocol} code")))
    return [match(both, Term("concat", args=(value(kind), value(code))), negated)]


def _multiport(block: Block, ip: str) -> list[Statement] | None:
    sides = {
        "--sports": ("th sport",), "--source-ports": ("th sport",), "--dports": ("th dport",),
        "--destination-ports": ("th dport",),
        "--ports": ("th sport", "th dport"),
    }  # fmt: skip
    found = []
    for negated, name, values in block.options:
        keys = tuple(key(side) for side in sides[name])
        left = keys[0] if len(keys) == 1 else Term("any", args=keys)
        found.append(match(left, one_of(_ports(values[0])), negated))
    return found


_CT_STATUS = {
    "EXPECTED": "expected",
    "SEEN_REPLY": "seen-reply",
    "ASSURED": "assured",
    "CONFIRMED": "confirmed",
}


def _conntrack(block: Block, ip: str) -> list[Statement] | None:
    found = []
    for negated, name, values in block.options:
        text = values[0]
        if name in ("--ctstate", "--state"):
            found.append(some_bit("xt ctstate", text.lower().split(","), negated))
        elif name == "--ctdir":
            found.append(match("ct direction", text.lower(), negated))
        elif name == "--ctproto":
            found.append(match("ct protocol", text, negated))
        elif name == "--ctstatus":
            words = text.split(",")
            found.append(
                match("ct status", "0", negated)
                if words == ["NONE"]
                else some_bit("ct status", [_CT_STATUS[word] for word in words], negated)
            )
        elif name in _CT_TUPLE:
            selector = _CT_TUPLE[name].format(ip=ip)
            found.append(
                match(selector, one_of(_ports(text)), negated)
                if "proto" in selector
                else address(selector, text, negated)
            )
        else:
            return None
    return found


_CT_TUPLE = {
    "--ctorigsrc": "ct original {ip} saddr", "--ctorigdst": "ct original {ip} daddr",
    "--ctreplsrc": "ct reply {ip} saddr", "--ctrepldst": "ct reply {ip} daddr",
    "--ctorigsrcport": "ct original proto-src", "--ctorigdstport": "ct original proto-dst",
    "--ctreplsrcport": "ct reply proto-src", "--ctrepldstport": "ct reply proto-dst",
}  # fmt: skip


def _addrtype(block: Block, ip: str) -> list[Statement] | None:
    sides = {"--limit-iface-in": "iif", "--limit-iface-out": "oif"}
    side = next((side for flag, side in sides.items() if block.flag(flag)), "")
    found = []
    for negated, name, values in block.options:
        if name in ("--src-type", "--dst-type"):
            address = "saddr" if name == "--src-type" else "daddr"
            selector = f"fib {address}{' . ' + side if side else ''} type"
            found.append(match(selector, one_of(values[0].lower().split(",")), negated))
    return found


def mark_and_mask(text: str) -> tuple[int, int]:
    """`0x1/0xff` as numbers; without a mask all bits count."""
    number, _, mask = text.partition("/")
    return int(number, 0), int(mask, 0) if mask else FULL


def _mark(block: Block, ip: str) -> list[Statement] | None:
    [(negated, _, [text])] = block.options
    wanted, mask = mark_and_mask(text)
    return [
        match(
            masked(key("ct mark" if block.name == "connmark" else "meta mark"), mask, FULL),
            str(wanted),
            negated,
        )
    ]


def _owner(block: Block, ip: str) -> list[Statement] | None:
    found = []
    for negated, name, values in block.options:
        if name == "--socket-exists":
            found.append(match("socket exists", "1", negated))
        elif name in ("--uid-owner", "--gid-owner"):
            found.append(match("xt skuid" if name == "--uid-owner" else "xt skgid", values[0], negated))
        elif name != "--suppl-groups":
            return None
    return found


def _range(selector: str, option: str) -> Reader:
    """A match with one option whose value is a number or `low:high`."""

    def read(block: Block, ip: str) -> list[Statement] | None:
        [(negated, name, [text])] = block.options
        return [match(selector.format(ip=ip), one_of(_ports(text)), negated)] if name == option else None

    return read


def _plain(selector: str, option: str) -> Reader:
    """A match with one option whose value nft understands as it is."""

    def read(block: Block, ip: str) -> list[Statement] | None:
        [(negated, name, [text])] = block.options
        return [match(selector.format(ip=ip), text.lower(), negated)] if name == option else None

    return read


def _hops(block: Block, ip: str) -> list[Statement] | None:
    [(negated, name, [text])] = block.options
    operators = {"eq": EQUALITY[negated], "lt": "<", "gt": ">"}
    selector = "ip ttl" if block.name == "ttl" else "ip6 hoplimit"
    return [Statement("match", key(selector), operators[name.rpartition("-")[2]], value(text))]


def _iprange(block: Block, ip: str) -> list[Statement] | None:
    return [
        match(f"{ip} {'saddr' if name == '--src-range' else 'daddr'}", values[0], negated)
        for negated, name, values in block.options
    ]


def _physdev(block: Block, ip: str) -> list[Statement] | None:
    found = []
    for negated, name, values in block.options:
        found.append(match(f"xt {name[2:]}", interface(values[0]) if values else "1", negated))
    return found


def _tos(block: Block, ip: str) -> list[Statement] | None:
    [(negated, _, [text])] = block.options
    wanted, mask = mark_and_mask(text if "/" in text else f"{text}/0xff")
    return [match(masked(key(f"{ip} tos"), mask, 0xFF), str(wanted), negated)]


def _ecn(block: Block, ip: str) -> list[Statement] | None:
    """The two low bits of the TOS byte, and two flags of TCP (net/netfilter/xt_ecn.c)."""
    found = []
    for negated, name, values in block.options:
        if name == "--ecn-ip-ect":
            found.append(match(f"{ip} ecn", values[0], negated))
        else:
            flag = {"--ecn-tcp-cwr": "cwr", "--ecn-tcp-ece": "ecn"}[name]
            found.append(some_bit("tcp flags", [flag], negated))
    return found


def _policy(block: Block, ip: str) -> list[Statement] | None:
    if {name for _, name, _ in block.options} - {
        "--dir",
        "--pol",
        "--mode",
        "--proto",
        "--strict",
        "--reqid",
        "--spi",
    }:
        return None
    wanted = block.value("--pol")
    return [match("meta ipsec", "1" if wanted == "ipsec" else "0")] if wanted else None


def _condition(kind: str) -> Reader:
    """A match on other packets or on the clock: its options are kept for the evaluation to weigh."""

    def read(block: Block, ip: str) -> list[Statement] | None:
        return [Statement(kind, op=EQUALITY[block.negated], options=block.settings, text=block.text())]

    return read


def _ipset(block: Block, ip: str) -> list[Statement] | None:
    options = {name[2:]: " ".join(values) for _, name, values in block.options}
    name, _, sides = options.pop("match-set", "").partition(" ")
    options["match-set"] = sides
    op = EQUALITY[block.negates("--match-set")]
    return [Statement("ipset", op=op, target=name, options=options, text=block.text())]


def _recent(block: Block, ip: str) -> list[Statement] | None:
    options = block.settings
    op = EQUALITY[block.negates("--set", "--rcheck", "--update", "--remove")]
    name = options.pop("name", "DEFAULT")
    return [Statement("recent", op=op, target=name, options=options, text=block.text())]


def _header(name: str) -> Reader:
    """An IPv6 extension header that our packets do not have; with options that ask for its absence it is
    unknown.
    """

    def read(block: Block, ip: str) -> list[Statement] | None:
        return None if block.negated else [match(f"exthdr {name}", "1"), unknown(block.text())]

    return read


def _always(block: Block, ip: str) -> list[Statement] | None:
    return []


MATCHES: dict[str, Reader] = {
    "tcp": _transport, "udp": _transport, "udplite": _transport, "sctp": _transport, "dccp": _transport,
    "icmp": _icmp, "icmp6": _icmp, "icmpv6": _icmp, "multiport": _multiport,
    "conntrack": _conntrack, "state": _conntrack, "addrtype": _addrtype, "mark": _mark, "connmark": _mark,
    "comment": _always, "nfacct": _always, "owner": _owner,
    "mac": _plain("ether saddr", "--mac-source"), "pkttype": _plain("meta pkttype", "--pkt-type"),
    "dscp": _plain("{ip} dscp", "--dscp"), "helper": _plain("ct helper", "--helper"),
    "length": _range("meta length", "--length"), "tcpmss": _range("tcp option maxseg size", "--mss"),
    "tos": _tos, "ecn": _ecn,
    "ttl": _hops, "hl": _hops, "iprange": _iprange, "physdev": _physdev, "policy": _policy,
    "limit": _condition("limit"), "hashlimit": _condition("hashlimit"), "connlimit": _condition("connlimit"),
    "quota": _condition("quota"), "statistic": _condition("statistic"), "time": _condition("time"),
    "socket": _condition("socket"), "string": _condition("string"),
    "u32": _condition("u32"), "rpfilter": _condition("rpfilter"), "set": _ipset, "recent": _recent,
    "frag": _header("frag"), "rt": _header("rt"), "hbh": _header("hbh"), "dst": _header("dst"),
    "mh": _header("mh"),
    "ah": _header("ah"),
}  # fmt: skip

"""The rules of ebtables(8) and arptables(8), from their arguments to statements in nft's vocabulary."""

# ruff: noqa: ARG001 - the functions of one table take the same arguments
from __future__ import annotations

import re
from collections.abc import Callable, Collection

from netprobe.model import Statement, Term
from netprobe.model.pattern import pattern

from .arguments import Block, Option, blocks, tokens, value_of
from .terms import key, masked, match, note, one_of, unknown, value
from .xt_match import FULL, interface, mark_and_mask
from .xt_target import read_target

Reader = Callable[[Option], Statement]

_INNER_NEGATION = pattern(r"(?<!\S)(--?\S+) ! ", re.ASCII)  # `-s ! MAC` as ebtables prints it
_MACS = {
    "unicast": ("00:00:00:00:00:00", "01:00:00:00:00:00"),
    "multicast": ("01:00:00:00:00:00", "01:00:00:00:00:00"),
    "broadcast": ("ff:ff:ff:ff:ff:ff", ""), "bga": ("01:80:c2:00:00:00", ""),
}  # fmt: skip
# "length" is a frame of 802.3, which has none
_ETHERTYPES = {"ipv4": "ip", "ipv6": "ip6", "arp": "arp", "802_1q": "vlan", "lldp": "0x88cc", "length": "0"}
_ICMPV6 = {
    "neighbour-solicitation": "135", "neighbour-advertisement": "136", "router-solicitation": "133",
    "router-advertisement": "134",
    "destination-unreachable": "1", "packet-too-big": "2", "time-exceeded": "3", "parameter-problem": "4",
    "redirect": "137",
}  # fmt: skip


def ebtables_arguments(
    arguments: str, family: str, chains: Collection[str]
) -> tuple[list[Statement], str | None]:
    """The statements of one ebtables rule; it has no comments."""
    found = blocks(tokens(_INNER_NEGATION.sub(r"! \1 ", f" {arguments}")))
    options = [option for block in found if block.kind != "target" for option in block.options]
    protocol = value_of(options, "--ip-proto") or value_of(options, "--ip6-proto")
    statements = [_read(option, EBTABLES, protocol) for option in options if option[1] not in _BURSTS]
    for block in found:
        if block.kind in ("target", "goto"):
            statements += _target(block, chains)
    return statements, None


def arptables_arguments(
    arguments: str, family: str, chains: Collection[str]
) -> tuple[list[Statement], str | None]:
    """The statements of one arptables rule; it prints the matches behind the target."""
    found = blocks(tokens(arguments))
    changes = ("--mangle", "--set", "--class")
    statements = [
        _read(option, ARPTABLES, None)
        for block in found
        for option in block.options
        if not option[1].startswith(changes)
    ]
    for block in found:
        if block.kind in ("target", "goto"):
            target = Block(
                block.kind, block.name, [each for each in block.options if each[1].startswith("--set")]
            )
            statements += _mangled(block) if block.name == "mangle" else read_target(target, "arp", chains)
    return statements, None


_MANGLED = {
    "--mangle-ip-s": "arp saddr ip", "--mangle-ip-d": "arp daddr ip",
    "--mangle-mac-s": "arp saddr ether", "--mangle-mac-d": "arp daddr ether",
}  # fmt: skip


def _mangled(block: Block) -> list[Statement]:
    """What arptables' mangle puts into a packet, and the verdict that it then names (ACCEPT by default)."""
    given = {_MANGLED.get(name): said for _, name, said in block.options}
    given.pop(None, None)
    changed = [Statement("set", key(str(field)), right=value(*said)) for field, said in given.items()]
    return [*changed, *_verdict(block.value("--mangle-target") or "ACCEPT")]


_BURSTS = frozenset(
    (
        "--limit-burst",
        "--log-level",
        "--log-prefix",
        "--log-ip",
        "--log-ip6",
        "--log-arp",
        "--nflog-group",
        "-c",
    )
)


def _read(option: Option, readers: dict[str, Reader], protocol: str | None) -> Statement:
    negated, name, values = option
    text = " ".join([*(("!",) if negated else ()), name, *values])
    try:
        if name in ("--ip-sport", "--ip-dport", "--ip6-sport", "--ip6-dport"):
            return match(
                f"{protocol if protocol in ('tcp', 'udp') else 'th'} {name.rpartition('-')[2]}",
                _range(values[0]),
                negated,
            )
        reader = readers.get(name)
        return reader(option) if reader else unknown(text)
    except (ValueError, IndexError, KeyError):
        return unknown(text)


def _range(text: str) -> str:
    return text.replace(":", "-")


def _plain(selector: str, change: Callable[[str], str] = str.lower) -> Reader:
    return lambda option: match(selector, change(option[2][0]), option[0])


def _among(mac_of: str, address_of: str) -> Reader:
    """A list of MACs, each perhaps with an IPv4 address (ebtables-extensions(8), among)."""

    def read(option: Option) -> Statement:
        pairs = [each.partition("=") for each in option[2][0].rstrip(",").lower().split(",")]
        if not any(address for _, _, address in pairs):
            return match(mac_of, one_of([mac for mac, _, _ in pairs]), option[0])
        left = Term("concat", args=(key(mac_of), key(address_of)))
        rows = tuple(Term("concat", args=(value(mac), value(address or "*"))) for mac, _, address in pairs)
        return match(left, Term("set", args=rows), option[0])

    return read


def _interface(selector: str) -> Reader:
    return lambda option: match(selector, interface(option[2][0]), option[0])


def _mac(selector: str) -> Reader:
    """A MAC, `MAC/MASK`, or one of ebtables' words for one."""

    def read(option: Option) -> Statement:
        address, _, mask = option[2][0].lower().partition("/")
        if address in _MACS:
            address, mask = _MACS[address]
        left = Term("&", args=(key(selector), value(mask))) if mask else key(selector)
        return match(left, address, option[0])

    return read


def _address(selector: str) -> Reader:
    """An address, a prefix, or an address with a mask in dots."""

    def read(option: Option) -> Statement:
        address, _, mask = option[2][0].partition("/")
        if mask and not mask.isdigit():
            return match(Term("&", args=(key(selector), value(mask))), address, option[0])
        return match(selector, option[2][0], option[0])

    return read


def _ethertype(option: Option) -> Statement:
    word = option[2][0].lower()
    return match("ether type", _ETHERTYPES.get(word, word), option[0])


def _icmp(selector: str, words: dict[str, str]) -> Reader:
    def read(option: Option) -> Statement:
        kind, slash, code = option[2][0].partition("/")
        if slash:
            both = Term("concat", args=(key(f"{selector} type"), key(f"{selector} code")))
            return match(both, Term("concat", args=(value(words.get(kind, kind)), value(code))), option[0])
        return match(f"{selector} type", one_of([_range(words.get(kind, kind))]), option[0])

    return read


def _mark(option: Option) -> Statement:
    wanted, mask = mark_and_mask(option[2][0])
    return match(masked(key("meta mark"), mask, FULL), str(wanted), option[0])


def _limit(option: Option) -> Statement:
    return Statement("limit", options={"limit": option[2][0]}, text=f"--limit {option[2][0]}")


def _note(option: Option) -> Statement:
    return note(option[1])


def _pkttype(option: Option) -> Statement:
    word = option[2][0].lower()
    return match("meta pkttype", {"otherhost": "other", "host": "unicast"}.get(word, word), option[0])


EBTABLES: dict[str, Reader] = {
    "-p": _ethertype, "-s": _mac("ether saddr"), "-d": _mac("ether daddr"),
    "--among-src": _among("ether saddr", "ip saddr"), "--among-dst": _among("ether daddr", "ip daddr"),
    "-i": _interface("meta iifname"), "-o": _interface("meta oifname"),
    "--logical-in": _interface("meta ibrname"), "--logical-out": _interface("meta obrname"),
    "--arp-op": _plain("arp operation"), "--arp-ip-src": _address("arp saddr ip"),
    "--arp-ip-dst": _address("arp daddr ip"),
    "--arp-mac-src": _mac("arp saddr ether"), "--arp-mac-dst": _mac("arp daddr ether"),
    "--arp-htype": _plain("arp htype"), "--arp-ptype": _plain("arp ptype"),
    "--arp-gratuitous": lambda option: match("arp gratuitous", "1", option[0]),
    "--ip-tos": _plain("ip tos"), "--ip-src": _address("ip saddr"), "--ip-dst": _address("ip daddr"),
    "--ip-proto": _plain("ip protocol"),
    "--ip-icmp-type": _icmp("icmp", {}), "--ip6-src": _address("ip6 saddr"),
    "--ip6-dst": _address("ip6 daddr"),
    "--ip6-proto": _plain("ip6 nexthdr"), "--ip6-icmp-type": _icmp("icmpv6", _ICMPV6),
    "--vlan-id": _plain("vlan id"), "--pkttype-type": _pkttype, "--mark": _mark, "--limit": _limit,
    "--log": _note, "--nflog": _note,
}  # fmt: skip

ARPTABLES: dict[str, Reader] = {
    "-s": _address("arp saddr ip"), "-d": _address("arp daddr ip"), "-i": _interface("meta iifname"),
    "-o": _interface("meta oifname"),
    "--src-mac": _mac("arp saddr ether"), "--source-mac": _mac("arp saddr ether"),
    "--dst-mac": _mac("arp daddr ether"),
    "--destination-mac": _mac("arp daddr ether"), "--opcode": _plain("arp operation"),
    "--h-type": _plain("arp htype"),
    "--h-length": _plain("arp hlen"), "--proto-type": _plain("arp ptype"), "-c": _note,
}  # fmt: skip


def _number(text: str) -> str:
    return str(int(text, 0))


# What ebtables' own targets change: the field, the options that say to what, how those are read, and the
# verdict where the rule names none. arpreply answers a question by itself, with a MAC that nobody may have.
_TARGETS: dict[str, tuple[str, tuple[str, ...], Callable[[str], str], str]] = {
    "dnat": ("ether daddr", ("--to-dst", "--to-destination"), str, "ACCEPT"),
    "snat": ("ether saddr", ("--to-src", "--to-source"), str, "ACCEPT"),
    "mark": ("meta mark", ("--mark-set",), _number, "ACCEPT"),
    "arpreply": ("arp answer", ("--arpreply-mac",), str, "DROP"),
}
_OF_WHAT = {"arpreply": (match("arp operation", "request", False),)}


def _target(block: Block, chains: Collection[str]) -> list[Statement]:
    """ebtables' own targets, or a chain, or a verdict.

    What changes a frame then goes on with the verdict that it names.
    """
    if block.name == "redirect":  # to the bridge itself (ebt_redirect.c)
        ends = _verdict(block.value("--redirect-target") or "ACCEPT")
        return [Statement("set", key("ether daddr"), right=key("meta ibrhwaddr")), *ends]
    if block.name not in _TARGETS:
        return read_target(block, "bridge", chains)
    field, options, read, verdict = _TARGETS[block.name]
    said = next(filter(None, map(block.value, options)), None)
    changed = Statement("set", key(field), right=value(read(said))) if said else unknown(block.text())
    ends = _verdict(block.value(f"--{block.name}-target") or verdict)
    return [*_OF_WHAT.get(block.name, ()), changed, *ends]


def _verdict(word: str) -> list[Statement]:
    return [Statement(word.lower())] if word in ("ACCEPT", "DROP", "RETURN") else []

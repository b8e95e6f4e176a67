"""Rules of nf_tables from the kernel's own bytes, as libnftables-json(5) has them: nft reads all sets of a
table before it prints one chain of it, which takes seconds where rules have thousands.

What is not understood here raises Undecoded, and nft is asked after all. Source:
include/uapi/linux/netfilter/nf_tables.h, nf_nat.h; nftables src/netlink_delinearize.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from netprobe.linux.netlink import text

from .kernel import NFGENMSG, attributes
from .values import (
    ADDRESS4,
    ADDRESS6,
    BIG,
    CT,
    FIB_FLAGS,
    HOST,
    META,
    ROUTE,
    STATE,
    STATES,
    Held,
    Json,
    Undecoded,
    field,
    literal,
    transport,
)

HANDLE, EXPRESSIONS, USERDATA = 3, 4, 7  # NFTA_RULE_*
COMMENT = 0  # NFTNL_UDATA_RULE_COMMENT
OPERATORS = ("==", "!=", "<", "<=", ">", ">=")  # NFT_CMP_*
VERDICTS = {0: "drop", 1: "accept", -1: "continue", -3: "jump", -4: "goto", -5: "return"}
NAT_FLAGS = {4: "random", 8: "persistent", 16: "fully-random"}  # NF_NAT_RANGE_*
MAPPED = 0x40  # NF_NAT_RANGE_NETMAP
PERIODS = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}
REJECTIONS = {0: "icmp", 1: "tcp reset", 2: "icmpx"}
UNREACHABLE = {0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable",
               9: "net-prohibited", 10: "host-prohibited", 13: "admin-prohibited"}  # fmt: skip
UNREACHABLE6 = {0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable"}
ANY_UNREACHABLE = {0: "no-route", 1: "port-unreachable", 2: "host-unreachable", 3: "admin-prohibited"}
REGISTERS = 4  # of 16 bytes, NFT_REG_1 to 4; the others are of 4 bytes, from NFT_REG32_00 on

Attributes = Mapping[int, bytes]


class LookedInto(Struct, frozen=True):
    """A set that a rule looks into: the bytes of its key and of its data, and how it stands in the rule: its
    name, or the elements, made of the kinds of the key's parts.
    """

    key: int
    data: int
    stands: Callable[[tuple[Held, ...]], Json]


Sets = Callable[[str], LookedInto]


class DecodedRule(Struct, frozen=True):
    """A rule: its handle, expressions in nft's JSON, and comment."""

    handle: int
    expressions: list[Json]
    comment: str | None = None


def decoded(family: str, body: bytes, sets: Sets) -> DecodedRule:
    """A rule from the body of its message. Raises Undecoded."""
    found = nested(body, NFGENMSG)
    machine = _Machine(family, sets)
    for name, given in expressions_of(found):
        machine.run(name, given)
    return DecodedRule(number(found.get(HANDLE)), machine.statements(), _comment(found.get(USERDATA, b"")))


def nested(data: bytes, at: int = 0) -> Attributes:
    """Attributes by number."""
    return {kind: value for kind, value, _ in attributes(data, at)}


def number(data: bytes | None, default: int = 0) -> int:
    """A number in network order."""
    return int.from_bytes(data, "big") if data is not None else default


def verdict(data: bytes) -> Json:
    """A verdict (NFTA_DATA_VERDICT) as a statement."""
    found = nested(data)
    code = int.from_bytes(found.get(1, b""), "big", signed=True)
    if code not in VERDICTS:
        raise Undecoded(f"verdict {code}")
    return {VERDICTS[code]: {"target": name_of(found[2])} if 2 in found else None}


def name_of(data: bytes) -> str:
    """A name that ends with a zero."""
    return text(data.rstrip(b"\0"))


def _all(data: bytes) -> list[bytes]:
    return [value for _, value, _ in attributes(data, 0)]


def expressions_of(rule: Attributes) -> Iterator[tuple[str, Attributes]]:
    """The expressions of a rule in their order, by name."""
    for element in _all(rule.get(EXPRESSIONS, b"")):
        found = nested(element)
        yield name_of(found.get(1, b"")), nested(found.get(2, b""))


def _comment(data: bytes) -> str | None:
    """The comment among a rule's user data: type, length, value."""
    at = 0
    while at + 2 <= len(data):
        kind, size = data[at], data[at + 1]
        if kind == COMMENT:
            return name_of(data[at + 2 : at + 2 + size])
        at += 2 + size
    return None


def value_of(data: bytes) -> bytes:
    """The bytes of a nested value (NFTA_DATA_VALUE)."""
    return nested(data).get(1, b"")


def _slot(register: bytes | None) -> int:
    """Which of the 4 byte registers this is, or begins with."""
    at = number(register)
    return (at - 1) * 4 if at <= REGISTERS else at - 8


class _Machine:
    """The registers while a rule is read, and the statements so far. `network` and `l4` are what earlier
    matches say the packet is, `said` the statements of those.
    """

    def __init__(self, family: str, sets: Sets) -> None:
        self.family, self.sets = family, sets
        self.network = family if family in ("ip", "ip6") else None
        self.l4: str | None = None
        self.said: dict[str, int] = {}
        self.registers: dict[int, Held | bytes] = {}
        self.out: list[Json] = []
        self.implied: set[int] = set()

    def statements(self) -> list[Json]:
        """The statements; without those that a later one implies, as nft prints them."""
        return [each for at, each in enumerate(self.out) if at not in self.implied]

    def needs(self, *layers: str) -> None:
        """What follows is about these headers: that the packet has them is not said once more."""
        self.implied.update(self.said[layer] for layer in layers if layer in self.said)

    def run(self, name: str, given: Attributes) -> None:
        """One expression. Raises Undecoded."""
        step = _STEPS.get(name)
        if step is None:
            raise Undecoded(name)
        step(self, given)

    def held(self, register: bytes | None) -> Held:
        """The expression in a register."""
        found = self.registers.get(_slot(register))
        if not isinstance(found, Held):
            raise Undecoded("a register without an expression")
        return found

    def written(self, register: bytes | None, write: Callable[[bytes], Json]) -> Json:
        """What a register holds as the value of a statement."""
        found = self.registers.get(_slot(register))
        if found is None:
            raise Undecoded("an empty register")
        return found.compared() if isinstance(found, Held) else write(found)

    def key(self, register: bytes | None, size: int) -> tuple[Held, ...]:
        """The parts of a key of so many bytes, each filled up to 4."""
        at, parts = _slot(register), []
        while size > 0:
            part = self.registers.get(at)
            if not isinstance(part, Held) or part.whole:
                raise Undecoded("a key that is no expression")
            parts.append(part)
            at += (part.size + 3) // 4
            size -= part.size + 3 & ~3
        return tuple(parts)


def _load(machine: _Machine, given: Attributes, held: Held, register: int = 1) -> None:
    machine.registers[_slot(given.get(register))] = held


def _immediate(machine: _Machine, given: Attributes) -> None:
    data = nested(given.get(2, b""))
    if 2 in data:
        machine.out.append(verdict(data[2]))
    else:
        machine.registers[_slot(given.get(1))] = data.get(1, b"")


def _payload(machine: _Machine, given: Attributes) -> None:
    if 5 in given:
        raise Undecoded("a header that is written")
    base, offset, size = (number(given.get(at)) for at in (2, 3, 4))
    if base == 2:
        held = transport(machine.l4, offset, size)
        machine.needs("l4", *(("network",) if machine.l4 in ("icmp", "ipv6-icmp") else ()))
    elif base == 0 or machine.network:
        held = field(machine.network or "ip" if base else "ether", offset, size)
        machine.needs("network" if base else "link")
    else:
        raise Undecoded("a header of an unknown protocol")
    _load(machine, given, held)


def _meta(machine: _Machine, given: Attributes) -> None:
    _loaded_or_set(machine, given, "meta", META, 2, 3, 1)


def _ct(machine: _Machine, given: Attributes) -> None:
    if 3 in given:
        raise Undecoded("a direction of conntrack")
    _loaded_or_set(machine, given, "ct", CT, 2, 4, 1)


def _loaded_or_set(
    machine: _Machine, given: Attributes, name: str, known: Mapping[int, tuple[str, object, int]],
    key: int, source: int, goal: int,
) -> None:  # fmt: skip
    """A key of meta or ct, loaded into a register or set from one."""
    if number(given.get(key)) not in known:
        raise Undecoded(f"{name} {number(given.get(key))}")
    word, kind, size = known[number(given.get(key))]
    json = {name: {"key": word}}
    assert isinstance(kind, type(HOST))
    if source in given:
        value = machine.written(given[source], kind.write)
        machine.out.append({"mangle": {"key": json, "value": value}})
    else:
        _load(machine, given, Held(json, kind, size), goal)


def _fib(machine: _Machine, given: Attributes) -> None:
    flags = number(given.get(3))
    if number(given.get(2)) != 3 or flags >= 32:  # NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_PRESENT
        raise Undecoded("fib")
    names = [name for bit, name in FIB_FLAGS.items() if flags & bit]
    _load(machine, given, Held({"fib": {"result": "type", "flags": names}}, ROUTE, 4))


def _numgen(machine: _Machine, given: Attributes) -> None:
    mode = "random" if number(given.get(3)) else "inc"
    json = {"numgen": {"mode": mode, "mod": number(given.get(2)), "offset": number(given.get(4))}}
    _load(machine, given, Held(json, HOST, 4))


def _bitwise(machine: _Machine, given: Attributes) -> None:
    held = machine.held(given.get(1))
    if number(given.get(6)) or held.mask is not None or held.whole:
        raise Undecoded("bitwise")
    masked = replace(held, mask=value_of(given.get(4, b"")), flip=value_of(given.get(5, b"")))
    _load(machine, given, masked, 2)


def _cmp(machine: _Machine, given: Attributes) -> None:
    held, op, data = machine.held(given.get(1)), number(given.get(2)), value_of(given.get(3, b""))
    if op >= len(OPERATORS):
        raise Undecoded("cmp")
    if held.kind is STATE and held.mask is not None:
        machine.out.append(_bits(held, OPERATORS[op], data))
        return
    address = held.kind in (ADDRESS4, ADDRESS6)
    right = literal(held, data)
    if OPERATORS[op] == "==":
        _learn(machine, held, right)
    left = held.json if address else held.compared()
    machine.out.append({"match": {"op": OPERATORS[op], "left": left, "right": right}})


def _bits(held: Held, op: str, data: bytes) -> Json:
    """States of conntrack, of which the packet has one, or none."""
    assert held.mask is not None
    if any(data) or op not in ("==", "!=") or any(held.flip):
        raise Undecoded("bits of a state")
    names = [name for bit, name in STATES.items() if held.kind.number(held.mask) & bit]
    if op == "!=":
        return {"match": {"op": "in", "left": held.json, "right": names[0] if len(names) == 1 else names}}
    return {"match": {"op": "not in", "left": held.json, "right": ",".join(names)}}


_OF_PROTOCOLS = ({"meta": {"key": "l4proto"}}, {"payload": {"protocol": "ip", "field": "protocol"}},
                 {"payload": {"protocol": "ip6", "field": "nexthdr"}})  # fmt: skip


def _learn(machine: _Machine, held: Held, right: Json) -> None:
    """What a match says about the headers of the packet."""
    if held.json == {"meta": {"key": "nfproto"}}:
        machine.network = {"ipv4": "ip", "ipv6": "ip6"}.get(right)
        machine.said["network"] = len(machine.out)
    elif held.json in _OF_PROTOCOLS and isinstance(right, str):
        machine.l4 = right
        machine.said["l4"] = len(machine.out)


def _lookup(machine: _Machine, given: Attributes) -> None:
    looked = machine.sets(name_of(given.get(1, b"")))
    parts = machine.key(given.get(2), looked.key)
    written = [part.compared() for part in parts]
    key = written[0] if len(written) == 1 else {"concat": written}
    data = looked.stands(parts)
    if 3 not in given:
        op = "!=" if number(given.get(5)) & 1 else "=="  # NFT_LOOKUP_F_INV
        machine.out.append({"match": {"op": op, "left": key, "right": data}})
    elif number(given[3]) == 0:
        machine.out.append({"vmap": {"key": key, "data": data}})
    else:
        _load(machine, given, Held({"map": {"key": key, "data": data}}, BIG, looked.data), 3)


def _nat(machine: _Machine, given: Attributes) -> None:
    kind = "dnat" if number(given.get(1)) else "snat"
    write = (ADDRESS6 if number(given.get(2)) == 10 else ADDRESS4).write
    mapped = machine.registers.get(_slot(given[3])) if 3 in given else None
    named = machine.family == "inet" or (isinstance(mapped, Held) and mapped.size > 4)  # with a port
    inside = {"family": "ip6" if number(given.get(2)) == 10 else "ip"} if named else {}
    if 3 in given:
        inside["addr"] = _between(machine, given, 3, write)
    # a map gives address and port together
    spanned = (
        isinstance(mapped, Held) and 5 in given and mapped.size > 4 * (_slot(given[5]) - _slot(given[3]))
    )
    if 5 in given and not spanned:
        inside["port"] = _between(machine, given, 5, _port)
    machine.out.append({kind: inside | _flags(given.get(7))})


def _masq(machine: _Machine, given: Attributes) -> None:
    port = {"port": _between(machine, given, 2, _port)} if 2 in given else {}
    machine.out.append({"masquerade": port | _flags(given.get(1)) or None})


def _redir(machine: _Machine, given: Attributes) -> None:
    port = {"port": _between(machine, given, 1, _port)} if 1 in given else {}
    machine.out.append({"redirect": port | _flags(given.get(3)) or None})


def _port(data: bytes) -> int:
    return number(data[:2])


def _between(machine: _Machine, given: Attributes, first: int, write: Callable[[bytes], Json]) -> Json:
    """A value of a translation, or a range; the attribute of its end follows that of its beginning."""
    low = machine.written(given[first], write)
    high = machine.written(given[first + 1], write) if first + 1 in given else low
    return low if low == high else {"range": [low, high]}


def _flags(data: bytes | None) -> dict[str, Json]:
    if number(data) & MAPPED:
        raise Undecoded("netmap")
    names = [name for bit, name in NAT_FLAGS.items() if number(data) & bit]
    return {"flags": names} if names else {}


def _reject(machine: _Machine, given: Attributes) -> None:
    kind, code = REJECTIONS.get(number(given.get(1)), ""), number(given.get(2))
    if kind == "icmp" and machine.network == "ip6":
        kind = "icmpv6"
    names = {"icmp": UNREACHABLE, "icmpv6": UNREACHABLE6, "icmpx": ANY_UNREACHABLE}.get(kind, {})
    if kind != "tcp reset" and code not in names:
        raise Undecoded("reject")
    expression = {} if kind == "tcp reset" else {"expr": names[code]}
    machine.out.append({"reject": {"type": kind} | expression})


def _counter(machine: _Machine, given: Attributes) -> None:
    machine.out.append({"counter": {"packets": number(given.get(2)), "bytes": number(given.get(1))}})


def _limit(machine: _Machine, given: Attributes) -> None:
    per = PERIODS.get(number(given.get(2)))
    if per is None or number(given.get(4)):  # bytes
        raise Undecoded("limit")
    over = {"inv": True} if number(given.get(5)) & 1 else {}
    rate = {"rate": number(given.get(1)), "per": per, "burst": number(given.get(3))}
    machine.out.append({"limit": rate | over})


def _connlimit(machine: _Machine, given: Attributes) -> None:
    over = {"inv": True} if number(given.get(2)) & 1 else {}
    machine.out.append({"ct count": {"val": number(given.get(1))} | over})


def _dynset(machine: _Machine, given: Attributes) -> None:
    """An element that is put into a set; what else is done with it decides about the packet."""
    if 7 in given or 10 in given or number(given.get(3)) > 2:
        raise Undecoded("dynset")
    op = ("add", "update", "delete")[number(given.get(3))]
    element = machine.held(given.get(4)).compared()
    machine.out.append({"set": {"op": op, "elem": element, "set": f"@{name_of(given.get(1, b''))}"}})


def _plain(name: str) -> Callable[[_Machine, Attributes], None]:
    def step(machine: _Machine, given: Attributes) -> None:  # noqa: ARG001 - as the others
        machine.out.append({name: None})

    return step


_STEPS: dict[str, Callable[[_Machine, Attributes], None]] = {
    "immediate": _immediate, "payload": _payload, "meta": _meta, "ct": _ct, "fib": _fib, "numgen": _numgen,
    "bitwise": _bitwise, "cmp": _cmp, "lookup": _lookup, "nat": _nat, "masq": _masq, "redir": _redir,
    "reject": _reject, "counter": _counter, "limit": _limit, "connlimit": _connlimit, "dynset": _dynset,
    "log": _plain("log"), "notrack": _plain("notrack"),
}  # fmt: skip

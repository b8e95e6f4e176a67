"""What NAT does to a packet: the first of a connection by a rule, all others by what the connection
remembers.

Kernel: net/netfilter/nf_nat_core.c (nf_nat_inet_fn, nf_nat_packet), nf_nat_masquerade.c, nf_nat_redirect.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import ConntrackEntry, Flow, Statement, Term
from netprobe.model.address import version

from . import spread
from .expression import Scene, evaluate, look_up
from .mangle import has_header
from .packet import HookPacket, known_entry
from .ruling import Doubt, Reason

DESTINATION_HOOKS = ("prerouting", "output")  # the other two, input and postrouting, change the source
SOURCE_DONE, DESTINATION_DONE = "src-nat-done", "dst-nat-done"  # enum ip_conntrack_status


class Target(Struct, frozen=True, gc=False):
    """Where a rule translates to: an address and a port (None: as it is), the ports it may take, how likely
    this one is.
    """

    address: str | None
    port: int | None = None
    ports: tuple[int, int] | None = None
    chance: float | None = None
    doubt: Doubt | None = None

    def instead_of(self, address: str, port: int | None) -> tuple[str, int | None]:
        """What becomes of an address and a port."""
        return self.address or address, port if self.port is None else self.port


def names(kind: str) -> str:
    """A translation as reports call it."""
    return {
        "masquerade": "MASQUERADE",
        "redirect": "REDIRECT",
        "netmap": "NETMAP",
        "snat": "SNAT",
        "dnat": "DNAT",
    }[kind]


def targets(statement: Statement, packet: HookPacket, hook: str, scene: Scene) -> Iterator[Target]:
    """Where a statement may send this packet, most likely first; nothing when a map of it does not hold the
    packet's key, nor when it is for the other IP version (nft_nat_inet_eval).
    """
    if statement.kind in ("masquerade", "redirect"):
        address = _own_address(statement.kind, packet, hook, scene)
        yield _aimed(
            address,
            statement.port,
            packet,
            hook,
            None if address else _no_address("the interface's own address"),
        )
    elif statement.right is None:
        yield _aimed(None, statement.port, packet, hook, None)
    else:
        for chance, term in choices(statement.right, packet, scene):
            if isinstance(term, Doubt):
                yield Target(None, doubt=term)
            elif term is not None and _is_of_its_version(term, packet):
                yield replace(_addressed(statement, term, packet, hook, scene), chance=chance)


def _no_address(text: str) -> Doubt:
    return Doubt(Reason.UNKNOWN, f"{text} is not known")


def _own_address(kind: str, packet: HookPacket, hook: str, scene: Scene) -> str | None:
    """MASQUERADE takes an address of the interface out, REDIRECT the first one of the interface in, at output
    the loopback address.
    """
    if kind == "redirect" and hook == "output":
        return "::1" if packet.flow.version == 6 else "127.0.0.1"
    link, towards = (packet.oif, packet.flow.dst) if kind == "masquerade" else (packet.iif, packet.flow.src)
    if scene.around.own_address is None or link is None:
        return None
    return scene.around.own_address(kind, link, towards)


def by_chance(term: Term) -> bool:
    """Whether a map is keyed by what is drawn by lot."""
    return term.args[0].kind in ("numgen", "hash")


def choices(
    term: Term, packet: HookPacket, scene: Scene
) -> Iterator[tuple[float | None, Term | Doubt | None]]:
    """What an expression can give: one thing, or for a map keyed by chance each of its data with its
    share.
    """
    if term.kind != "map":
        yield None, term
    elif by_chance(term):
        yield from _shares(term)
    else:
        yield None, look_up(term.args[0], term.args[1], packet, scene)


def _shares(term: Term) -> Iterator[tuple[float | None, Term | Doubt | None]]:
    from .datatypes import NUMBER

    counted: dict[Term, int] = {}
    for pair in term.args[1].args:
        low, high = NUMBER.bounds(pair.args[0].text)
        counted[pair.args[1]] = counted.get(pair.args[1], 0) + high - low + 1
    total = sum(counted.values())
    if not total:
        yield None, Doubt(Reason.UNKNOWN, "a map that was not read")
    for data, count in sorted(counted.items(), key=lambda item: -item[1]):
        yield count / total, data


def _is_of_its_version(term: Term, packet: HookPacket) -> bool:
    """Whether what gives an address gives one of the packet's IP version."""
    address = term.args[0] if term.kind == "concat" else term
    if address.kind == "value":
        return version(address.text.partition("/")[0].partition("-")[0]) == packet.flow.version
    return address.kind != "key" or has_header(address.text.partition(" ")[0], packet)


def _addressed(statement: Statement, term: Term, packet: HookPacket, hook: str, scene: Scene) -> Target:
    """The target that an address term gives; a map may give address and port together."""
    port = statement.port
    if term.kind == "concat":
        term, port = term.args[0], term.args[1]
    if term.kind == "key":
        value = evaluate(term, packet, scene)
        if not isinstance(value, int):
            return Target(None, doubt=value if isinstance(value, Doubt) else _no_address(term.text))
        term = Term("value", str(ip_address(value)))
    if term.kind != "value":
        return Target(None, doubt=_no_address(term.text or term.kind))
    if "/" in term.text:
        return _aimed(mapped(_side(packet, hook), term.text), port, packet, hook, None)
    return _aimed(_of_range(statement, term.text, packet, hook), port, packet, hook, None)


def _of_range(statement: Statement, text: str, packet: HookPacket, hook: str) -> str:
    """The address of a range that the packet gets; a source that is of it stays (get_unique_tuple)."""
    first, _, last = text.partition("-")
    flow, pool = packet.flow, (first, last)
    if not last:
        return first
    if statement.kind == "snat" and spread.holds(*pool, _side(packet, hook)):
        return _side(packet, hook)
    return spread.one_of(*pool, flow.src, flow.dst, packet.zone, "persistent" in statement.options)


def _side(packet: HookPacket, hook: str) -> str:
    return packet.flow.dst if hook in DESTINATION_HOOKS else packet.flow.src


def mapped(address: str, prefix: str) -> str:
    """The address with its network part replaced (NETMAP): mapped("10.1.0.5", "10.2.0.0/16") is
    "10.2.0.5".
    """
    network = ip_network(prefix, strict=False)
    number = int(network.network_address) | (int(ip_address(address)) & int(network.hostmask))
    return str(ip_address(number.to_bytes(network.max_prefixlen // 8, "big")))


def _aimed(
    address: str | None, port: Term | None, packet: HookPacket, hook: str, doubt: Doubt | None
) -> Target:
    """With a range of ports the kernel keeps the packet's own if it lies inside and takes another one
    else.
    """
    if port is None or port.kind != "value":
        return Target(address, doubt=doubt)
    low, _, high = port.text.partition("-")
    ports = (int(low), int(high or low))
    own = packet.flow.dport if hook in DESTINATION_HOOKS else packet.flow.sport
    if not packet.flow.protocol.has_ports:
        return Target(address, ports=ports, doubt=doubt)
    chosen = own if own is not None and ports[0] <= own <= ports[1] else ports[0]
    return Target(address, chosen, ports, doubt=doubt)


def rewritten(packet: HookPacket, target: Target, hook: str) -> HookPacket:
    """The packet after a rule translated it, its connection remembering that."""
    connection = known_entry(packet)
    reply = connection.reply
    if hook in DESTINATION_HOOKS:
        address, port = target.instead_of(packet.flow.dst, packet.flow.dport)
        flow = replace(packet.flow, dst=address, dport=port)
        answer = (address, reply[1], port, reply[3])
    else:
        address, port = target.instead_of(packet.flow.src, packet.flow.sport)
        flow = replace(packet.flow, src=address, sport=port)
        answer = (reply[0], address, reply[2], target.instead_of("", reply[3])[1])
    return done(replace(packet, flow=flow, connection=replace(connection, reply=answer)), hook)


def done(packet: HookPacket, hook: str) -> HookPacket:
    """The packet with a note in its connection that this hook's side is decided, translated or not (a null
    binding).
    """
    connection, word = known_entry(packet), _decision_word(hook)
    status = connection.status if word in connection.status else (*connection.status, word)
    return replace(packet, connection=replace(connection, status=status))


def decided(packet: HookPacket, hook: str) -> bool:
    """Whether this side of the connection was decided at an earlier hook (a packet that passes lo)."""
    return packet.connection is not None and _decision_word(hook) in packet.connection.status


def _decision_word(hook: str) -> str:
    """The word of a connection whose side that a hook translates is decided."""
    return DESTINATION_DONE if hook in DESTINATION_HOOKS else SOURCE_DONE


def remembered(packet: HookPacket, hook: str) -> tuple[HookPacket, str]:
    """The packet as its connection translates it at this hook, and what that is called; unchanged when it
    does not.
    """
    if packet.connection is None:
        return packet, ""
    wanted = _tuple_wanted(packet.connection, packet.reply)
    flow = _destination(packet.flow, wanted) if hook in DESTINATION_HOOKS else _source(packet.flow, wanted)
    if flow == packet.flow:
        return packet, ""
    kind = "DNAT" if (hook in DESTINATION_HOOKS) is not packet.reply else "SNAT"
    return replace(packet, flow=flow), f"{kind} undone" if packet.reply else kind


def _tuple_wanted(connection: ConntrackEntry, reply: bool) -> tuple[str, str, int | None, int | None]:
    """The headers that a packet of this direction must end with: the mirror image of what the other direction
    expects.
    """
    src, dst, sport, dport = connection.original if reply else connection.reply
    return dst, src, dport, sport


def _destination(flow: Flow, wanted: tuple[str, str, int | None, int | None]) -> Flow:
    _, dst, _, dport = wanted
    return replace(flow, dst=dst, **_number(flow, "dport", dport))


def _source(flow: Flow, wanted: tuple[str, str, int | None, int | None]) -> Flow:
    src, _, sport, _ = wanted
    return replace(flow, src=src, **_number(flow, "sport", sport))


def _number(flow: Flow, port: str, wanted: int | None) -> dict[str, int]:
    """What tells one connection from another beside its addresses: a port, or the identifier of an echo."""
    if wanted is None:
        return {}
    return {port if flow.protocol.has_ports else "icmp_id": wanted}

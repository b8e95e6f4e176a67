"""The words of the field: how a protocol, a stage, a translation, an ICMP error or a span of time is said.

Pure text, no layout.
"""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import (
    Cause,
    Change,
    Changed,
    Confidence,
    Endpoint,
    Flow,
    Hop,
    IcmpError,
    Object,
    Probe,
    Since,
    Source,
    Stage,
)
from netprobe.model.address import version
from netprobe.model.pattern import pattern

_STEPS = {
    Stage.SOCKET: "socket",
    Stage.OUTPUT: "output",
    Stage.ROUTE: "route",
    Stage.NEIGHBOUR: "neighbour",
    Stage.QDISC: "queue",
    Stage.EGRESS: "tc egress",
    Stage.TRANSMIT: "send",
    Stage.RECEIVE: "receive",
    Stage.INGRESS: "tc ingress",
    Stage.BRIDGE_PREROUTING: "bridge prerouting",
    Stage.BRIDGE_INPUT: "bridge to host",
    Stage.BRIDGE_FORWARD: "bridge forward",
    Stage.BRIDGE_OUTPUT: "host to bridge",
    Stage.BRIDGE_POSTROUTING: "bridge postrouting",
    Stage.BRIDGE: "bridge",
    Stage.PREROUTING: "prerouting",
    Stage.INPUT: "input",
    Stage.FORWARD: "forward",
    Stage.POSTROUTING: "postrouting",
    Stage.ARP: "ARP",
    Stage.ARP_INPUT: "ARP in",
    Stage.ARP_OUTPUT: "ARP out",
    Stage.ENCAPSULATE: "encapsulate",
    Stage.DECAPSULATE: "decapsulate",
    Stage.DELIVER: "deliver",
    Stage.EXIT: "leave",
}

_AT_PORTS: dict[tuple[Stage, str | None], str] = {
    (Stage.BRIDGE_PREROUTING, "in"): "bridge port in",
    (Stage.BRIDGE_POSTROUTING, "out"): "bridge port out",
}

_SHORT = 14  # columns of the name of a translation

_HAPPENED = {
    Stage.TRANSMIT: "handed to the wire",
    Stage.RECEIVE: "arrived",
    Stage.BRIDGE_INPUT: "the frame is for the bridge itself",
    Stage.BRIDGE_OUTPUT: "the host sends by its bridge",
    Stage.FORWARD: "forwarded",
    Stage.DELIVER: "delivered to the local stack",
    Stage.EXIT: "leaves what can be seen from here",
}

_FIELDS = {"src": "source", "dst": "destination", "sport": "source port", "dport": "destination port",
    "icmp_id": "ICMP id",
           "src_mac": "source MAC", "dst_mac": "destination MAC", "length": "length"}  # fmt: skip
_FIELD = pattern(r"\b(?:src|dst|sport|dport)\b")
_TRANSLATED = frozenset({"src", "dst", "sport", "dport", "icmp_id"})
_REVERSE = frozenset({"conntrack", "un-nat", "unnat", "reverse", "un-MASQUERADE", "un-SNAT", "un-DNAT"})

_SOURCES = {
    Source.MODEL: "configuration",
    Source.TAP: "tap",
    Source.WITNESS: "kernel",
    Source.COUNTER: "counter",
    Source.CONNTRACK: "conntrack",
    Source.SOCKET: "socket",
    Source.ICMP: "ICMP",
    Source.NEIGHBOUR: "neighbour",
}

_KINDS = {"policy-rule": "policy rule", "bridge-port": "bridge port", "fdb-entry": "FDB entry",
    "nat-rule": "NAT rule",
          "tc-filter": "tc filter", "xdp": "XDP program", "cgroup": "cgroup program",
          "xfrm": "IPsec policy"}  # fmt: skip

_DROPPERS = frozenset({"rule", "policy", "qdisc", "tc-filter", "xdp", "cgroup"})

# RFC 792, RFC 1122 and RFC 1812; the words of ping(8) where it has some.
_ICMP_TYPES = {
    3: "destination unreachable",
    4: "source quench",
    5: "redirect",
    11: "time exceeded",
    12: "parameter problem",
}
_ICMP_CODES = {
    (3, 0): "network unreachable", (3, 1): "host unreachable", (3, 2): "protocol unreachable",
    (3, 3): "port unreachable",
    (3, 4): "fragmentation needed", (3, 5): "source route failed", (3, 6): "network unknown",
    (3, 7): "host unknown",
    (3, 9): "network prohibited", (3, 10): "host prohibited",
    (3, 11): "network unreachable for this type of service",
    (3, 12): "host unreachable for this type of service", (3, 13): "packet filtered",
    (11, 0): "time to live exceeded",
    (11, 1): "fragment reassembly time exceeded",
}  # fmt: skip
# RFC 4443
_ICMPV6_TYPES = {
    1: "destination unreachable",
    2: "packet too big",
    3: "time exceeded",
    4: "parameter problem",
}
_ICMPV6_CODES = {
    (1, 0): "no route", (1, 1): "administratively prohibited",
    (1, 2): "beyond the scope of the source address",
    (1, 3): "address unreachable", (1, 4): "port unreachable", (1, 5): "source address failed the policy",
    (1, 6): "route rejected", (2, 0): "packet too big", (3, 0): "hop limit exceeded",
    (3, 1): "fragment reassembly time exceeded",
}  # fmt: skip


_ICMP = {4: ("ICMP", _ICMP_TYPES, _ICMP_CODES), 6: ("ICMPv6", _ICMPV6_TYPES, _ICMPV6_CODES)}


def protocol(probe: Probe) -> str:
    """What is sent: "ICMP echo", "TCP port 443"."""
    port = probe.destination.port
    return probe.protocol.probe + (f" port {port}" if port is not None else "")


def endpoint(end: Endpoint) -> str:
    """The name the user gave, and the address behind it: "red (10.0.0.2)"."""
    name = end.host_name or end.endpoint
    return name if (end.address or "") in name else f"{name} ({end.address})"


def where(namespace: str | None, interface: str | None) -> str:
    """A place without its stage: "host/eth0"."""
    return "/".join(filter(None, (namespace, interface))) or "?"


def flow(packet: Flow) -> str:
    """A packet's addresses: "10.0.0.2:40000 → 8.8.8.8:53", a tunnel's outer header in brackets behind it."""
    outer = f" [in {flow(packet.outer)}]" if packet.outer is not None else ""
    return f"{_socket(packet.src, packet.sport)} → {_socket(packet.dst, packet.dport)}{outer}"


def _socket(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if version(address) == 6 else f"{address}:{port}"


def translations(hop: Hop) -> tuple[Change, ...]:
    """The changes of a hop that are address or port translation (a TTL that counts down is none)."""
    return tuple(change for change in hop.changes if change.field in _TRANSLATED)


def step(hop: Hop, before: Hop | None = None, after: Hop | None = None) -> str:
    """The name of what is done at a hop: its stage in the field's words, or the translation's name."""
    if changes := translations(hop):
        return _translator(changes[0].by)
    at = (hop.stage, hop.bound)
    if at == (Stage.RECEIVE, "in") and _bridges(hop, after):
        return "bridge port in"
    if at == (Stage.TRANSMIT, "out") and _bridges(hop, before):
        return "bridge port out"
    if hop.stage is Stage.TRANSMIT and _bridges(hop, after):
        return "host to bridge"
    return _AT_PORTS.get(at) or _STEPS[hop.stage]


def _translator(by: str) -> str:
    """The name of a translation by what made it, where that is short."""
    if by.lower() in _REVERSE:
        return "un-NAT"
    return by if 0 < len(by) <= _SHORT else "NAT"


def step_called(name: str, path: Sequence[Hop]) -> str:
    """The place and step of a hop that `diff` calls "eth0 transmit" of a namespace, as a report names them:
    the first such of `path`; `name` where there is none.
    """
    called = list(map(_called, path))
    if name not in called:
        return name
    found = called.index(name)
    hop, around = path[found], (None, *path, None)
    return f"{where(hop.namespace, hop.interface)} {step(hop, around[found], around[found + 2])}"


def _called(hop: Hop) -> str:
    return " ".join(filter(None, (hop.namespace, hop.interface, str(hop.stage))))


def spelt(text: str) -> str:
    """A text of `diff` with the fields of a header called as in a report: source for src."""
    return _FIELD.sub(lambda match: _FIELDS[match[0]], text)


def _bridges(hop: Hop, beside: Hop | None) -> bool:
    if hop.object is not None and hop.object.kind == "bridge-port":
        return True
    wrapped = beside is not None and (beside.flow.outer is None) is not (hop.flow.outer is None)
    if beside is None or beside.namespace != hop.namespace or wrapped:  # a tunnel's own packet
        return False
    return beside.stage.startswith("bridge")


def happened(hop: Hop) -> str:
    """What happened at a hop: translations first, then its note, else the object consulted or the stage's own
    sentence.
    """
    changes = translations(hop)
    said = [_translated_by(hop, changes), hop.note] if changes else [hop.note or _consulted(hop)]
    untold = {*changes, *_lives(hop)}
    said += [_changed(each) for each in hop.changes if each not in untold]
    if "ttl" not in hop.note:
        said += [f"ttl {each.after}" for each in _lives(hop)]
    return "; ".join(filter(None, said))


def _translated_by(hop: Hop, changes: Sequence[Change]) -> str:
    by = f" by {hop.object.id}" if hop.object is not None else ""
    return translated(changes) + by


def _consulted(hop: Hop) -> str:
    """The object that was consulted at a hop, else what its stage is for."""
    return hop.object.id if hop.object is not None else _HAPPENED.get(hop.stage, "")


def _lives(hop: Hop) -> list[Change]:
    return [change for change in hop.changes if change.field == "ttl"]


def _changed(change: Change) -> str:
    return f"{_FIELDS.get(change.field, change.field)} {change.before} → {change.after}"


def surprise(hop: Hop) -> str:
    """How a hop differs from what was expected."""
    return "predicted, not seen" if hop.predicted else "seen, not predicted"


def stopped(cause: Cause) -> str:
    """What stopped the packet, for the hop where it died: "dropped by nft inet filter forward handle 12"."""
    if cause.object is None or cause.object.kind not in _DROPPERS:
        return cause.summary
    verb = "rejected" if cause.code == "rejected-by-rule" else "dropped"
    return f"{verb} by {cause.object.id}"


def translated(changes: Sequence[Change]) -> str:
    """Changes in one line: "source 10.0.0.2 → 172.16.0.2, source port 40000 → 1024"."""
    return ", ".join(map(_changed, changes))


def icmp_error(error: IcmpError) -> str:
    """Who complained about what: "10.0.0.1: port unreachable (ICMP type 3 code 3)"."""
    name, types, codes = _ICMP[version(error.sender)]
    words = codes.get((error.type, error.code)) or types.get(error.type, "error")
    mtu = f", MTU {error.mtu}" if error.mtu is not None else ""
    return f"{error.sender}: {words}{mtu} ({name} type {error.type} code {error.code})"


def evidence_source(source: Source) -> str:
    """Where a proof comes from, in a word."""
    return _SOURCES[source]


def confidence(sure: Confidence) -> str:
    """How sure a cause is, in a sentence; empty where it was seen."""
    return {
        Confidence.INFERRED: "concluded from the configuration; no sensor saw it happen",
        Confidence.UNKNOWN: "the cause itself is not established",
    }.get(sure, "")


def thing(thing_: Object) -> str:
    """An object with its kind and owner: "rule nft inet filter forward handle 12 (made by docker)"."""
    owner = f" (made by {thing_.owner})" if thing_.owner else ""
    return f"{kind(thing_.kind)} {thing_.id}{owner}"


def kind(name: str) -> str:
    """An object's kind as it is said: policy-rule is "policy rule"."""
    return _KINDS.get(name, name)


def duration(ns: int) -> str:
    """A span of time with three digits: "214 µs", "1.35 ms", "2 s"."""
    if ns < 999_500:
        return f"{_round(ns, 1000)} µs"
    unit, word = (1_000_000, "ms") if ns < 999_500_000 else (1_000_000_000, "s")
    return f"{ns / unit:.3g} {word}" if ns < 1000 * unit else f"{_round(ns, unit)} {word}"


def micros(ns: int | None) -> str:
    """A hop's time in whole microseconds, empty when it is not known."""
    return "" if ns is None else str(_round(ns, 1000))


def _round(value: int, unit: int) -> int:
    return (value + unit // 2) // unit


def loss(sent: int, received: int) -> str:
    """The numbers of -c: "30 sent, 17 answered, 43 % lost"."""
    return f"{sent} sent, {received} answered, {share_lost(sent, received)} % lost"


def share_lost(sent: int, received: int) -> str:
    """What is lacking, in percent."""
    percent = f"{100 * (sent - received) / sent:.0f}" if sent else "0"
    if percent in ("0", "100") and 0 < received < sent:  # neither all nor nothing: do not round to it
        percent = f"{100 * (sent - received) / sent:.1f}"
    return percent


def round_trip(rtt_ns: Sequence[int]) -> str:
    """Three figures of the round trip times: "round trip min 201 µs, average 260 µs, max 398 µs"."""
    average = sum(rtt_ns) // len(rtt_ns)
    return f"round trip min {duration(min(rtt_ns))}, average {duration(average)}, max {duration(max(rtt_ns))}"


_NAMED = 4  # objects that have changed: the JSON has them all
_SAYS_ITSELF = ("route", "neighbour", "fdb-entry", "rule", "nat-rule", "address", "policy-rule", "policy")


def since(earlier: Since) -> str:
    """When it worked, and what is otherwise since then, in a sentence."""
    worked = f"it worked at {earlier.at} ({earlier.capture})"
    if not earlier.changed:
        return f"{worked}; since then nothing has changed where both runs have looked"
    said = [changed(each) for each in earlier.changed]
    more = [f"and {len(said) - _NAMED} more"] if len(said) > _NAMED else []
    return f"{worked}; since then: {', '.join((*said[:_NAMED], *more))}"


def changed(each: Changed) -> str:
    """One thing that is otherwise: "route default via 10.0.0.1 dev eth0 of red gone"."""
    quoted = each.kind in ("rule", "nat-rule") and each.text
    text = [f"«{each.text}»"] if quoted else []
    named = " ".join((kind(each.kind), each.id, *text, "of", each.namespace))
    if each.after is None:
        return f"{named} gone"
    if each.before is None:
        return f"{named} new"
    if not each.before:  # one of its settings more
        return f"{named} now {each.after}"
    if not each.after:
        return f"{named} without {each.before}"
    now = "" if each.kind in _SAYS_ITSELF else f" {each.after}"
    return f"{named}{now} (was {each.before})"

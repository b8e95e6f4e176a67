"""A packet too long for a link, and the ICMP error that should tell its sender: whether it came, which rule
ate it, and what the sender remembers. Pure.

See: RFC 1191; RFC 2923, 2.1; RFC 8201; net/netfilter/nf_conntrack_proto_icmp.c (errors are related).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from msgspec.structs import replace

from netprobe.model import Flow, Hop, Link, Object, Observation, Protocol, Stop
from netprobe.model.lookup import but, column, where
from netprobe.predict import fixes
from netprobe.rules.hook import traverse
from netprobe.rules.packet import HookPacket
from netprobe.rules.ruling import HookVerdict

from .evidence import Case

# The error that says so, its type and code, by IP version.
_ERRORS = {4: (Protocol.ICMP, 3, 4), 6: (Protocol.ICMPV6, 2, 0)}
_ENDED = (HookVerdict.DROP, HookVerdict.REJECT)


def unreported(case: Case, stop: Stop) -> Stop:
    """A packet too long for a link is a black hole when the error that should tell the sender never came."""
    sent = sorted(but(case.observations, error=None), key=attrgetter("time_ns"))
    # of an answer that is whoever has the destination
    sender = next(iter(column(case.broken, "namespace")), case.probe.source.namespace)
    told = case.of_kind("refused") or where(sent, namespace=sender)
    if stop.code != "mtu-exceeded" or not case.watched or told:
        return stop
    last = "".join(f": it was last seen at {each.namespace}/{each.interface}" for each in sent[-1:])
    text = f"{stop.text}; the ICMP error that should say so did not reach the sender{last}"
    for name, thing in _eaten(case, stop, sent):
        text, proof = f"{text}; {thing.id} of {name} drops it", (*stop.proof, thing.text)
        return replace(stop, code="mtu-blackhole", text=text, proof=proof)
    return replace(stop, code="mtu-blackhole", text=text)


def unlearned(case: Case, stop: Stop) -> Stop:
    """The sender was told the path's MTU, now or before, and remembers it when the link is mended."""
    if stop.code != "mtu-exceeded" or not stop.commands:
        return stop
    sender = case.probe.source.namespace
    learned = column(where(case.routed, namespace=sender), "decision.learned")
    if not any((*learned, *map(attrgetter("mtu"), case.errors))):
        return stop
    flushed = fixes.forget_paths(case.probe.destination.address or "", sender)
    return replace(stop, commands=(*stop.commands, flushed))


def _eaten(case: Case, stop: Stop, sent: Sequence[Observation]) -> Iterator[tuple[str, Object]]:
    """The rule that ends the error, and where: behind the place where it was last seen, or where it is
    made.
    """
    name = sent[-1].namespace if sent else stop.place.namespace
    came = where(case.broken, namespace=name)[:1]
    ruleset = case.snapshot[name].ruleset if name is not None and came else None
    if name is None or ruleset is None:
        return
    for hook, packet in _passing(case, name, came[0], sent):
        family = "ip6" if packet.flow.version == 6 else "ip"
        ruling = traverse(ruleset, family, hook, packet)
        if ruling.verdict in _ENDED and ruling.decision is not None:
            yield name, ruling.decision.object


def _passing(
    case: Case, name: str, came: Hop, sent: Sequence[Observation]
) -> Iterator[tuple[str, HookPacket]]:
    """The hooks that the error meets there, and as what: its destination is what the translation of the
    packet made of the sender, up to the hook at which that is undone.
    """
    here = case.snapshot[name]
    back = _routed_by(case, name)
    for seen in where(sent[-1:], bound="in"):
        if seen.flow is not None:
            error = HookPacket(seen.flow, here.link_named(seen.interface), state="related", reply=True)
            yield "prerouting", error
            yield "forward", replace(error, flow=replace(error.flow, dst=came.flow.src), oif=back)
    if sent:  # it has left the stack that made it
        return
    version = came.flow.version
    protocol, kind, code = _ERRORS[version]
    for own in here.addresses_of(back, version)[:1] if back is not None else ():
        flow = Flow(own.address, came.flow.src, protocol, icmp_type=kind, icmp_code=code)
        yield "output", HookPacket(flow, oif=back, state="related", reply=True)


def _routed_by(case: Case, name: str) -> Link | None:
    """The interface by which the packet came, and by which the error goes back."""
    routed = where(case.routed, namespace=name, leg=case.lost_leg)[:1]
    return routed[0].iif if routed else None

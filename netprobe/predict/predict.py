"""The prediction: the request's way and the reply's, or what must still be read to tell. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

from msgspec.structs import replace

from netprobe.model import (
    End,
    Flow,
    Leg,
    Link,
    Namespace,
    Need,
    Place,
    Probe,
    Protocol,
    RouteAnswer,
    RouteQuery,
    Snapshot,
    Stage,
    Stop,
    Walk,
)
from netprobe.model.lookup import find

from . import arping, fib, ip_ends, ipv6, prefix, routing, size, sockets
from .drop import Finish, Unread, end_of, lost
from .outcome import first_arrived
from .prediction import Prediction
from .trace import Routed, Trail
from .ttl import life
from .view import Fork, Forks, Ground, Lacking, Packet, Rulings
from .walk import Walker, Waypoint


class Course(Waypoint):
    """How far the walks of one question have come, and what the last one came to by what the model says of
    routes that the kernel was not asked for yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self._supposed: tuple[Snapshot, Ground, Prediction] | None = None

    def suppose(self, snapshot: Snapshot, ground: Ground, prediction: Prediction) -> None:
        """A walk has come to its end with routes unasked."""
        self._supposed = snapshot, ground, prediction

    def confirmed(self, snapshot: Snapshot) -> Prediction | None:
        """What was supposed, where the kernel has answered all that was unasked and nothing of it differs:
        the walk with these answers is the same step for step. None where it may be another.
        """
        if self._supposed is None:
            return None
        before, ground, prediction = self._supposed
        is_same = all(getattr(snapshot, part) is getattr(before, part) for part in _BESIDE_ANSWERS)
        return prediction if is_same and ground.agrees(snapshot.answers) else None


_BESIDE_ANSWERS = tuple(part for part in Snapshot.__struct_fields__ if part != "answers")


def predict(
    snapshot: Snapshot,
    probe: Probe,
    ask: bool = True,
    rulings: Rulings | None = None,
    course: Course | None = None,
) -> Prediction | tuple[Need, ...]:
    """Walk the probe through `snapshot`: a prediction, or the needs that must be read before one can be made.

    With `ask` the kernel's own route lookups are among the needs; without, the model's FIB decides alone.
    `rulings` is filled with what rules said, so that the next walk over the same namespaces need not ask them
    again, and `course` with how far the request came, so that what it lacks further on is found from there,
    and what the kernel's answers confirm need not be walked again.
    """
    if course is not None and (confirmed := course.confirmed(snapshot)) is not None:
        return confirmed
    further = course.lacking(Ground(snapshot, ask, probe.destination.namespace, rulings)) if course else ()
    if further:
        return further
    forks = Forks()
    found = _once(snapshot, probe, ask, rulings, forks, course)
    if not isinstance(found, Prediction) or not forks.met:
        return found
    return _settled(found, forks.met, lambda chosen: _once(snapshot, probe, ask, rulings, chosen))


_MOST_WALKS = 16  # through all ways that open where rules that nobody understands may decide either way


def _once(
    snapshot: Snapshot,
    probe: Probe,
    ask: bool,
    rulings: Rulings | None,
    forks: Forks,
    course: Course | None = None,
) -> Prediction | tuple[Need, ...]:
    """One walk, there and back."""
    ground = Ground(snapshot, ask, probe.destination.namespace, rulings, forks)
    try:
        prediction = _predict(ground, probe, course)
    except Lacking as lacking:
        return lacking.needs
    except Unread as unread:  # before the packet has taken a step
        return Prediction(probe, Walk((), unread.finish.end, unread.finish.stop))
    prediction = replace(prediction, rules=tuple(ground.passed))
    if not ground.unasked:
        return prediction
    if course is not None and not forks.met:
        course.suppose(snapshot, ground, prediction)
    return tuple(ground.unasked)


def _settled(
    found: Prediction, met: dict[Fork, int], walk: Callable[[Forks], Prediction | tuple[Need, ...]]
) -> Prediction | tuple[Need, ...]:
    """The prediction without the doubts that change nothing: whichever way they go, the probe passes or is
    lost alike. Where it is lost on the likely way and passes on another, that one, and the doubts with it.
    """
    if prod(met.values()) > _MOST_WALKS:
        return found
    places = tuple(met)
    passing: dict[tuple[int, ...], bool] = {}
    for ways in product(*(range(number) for number in met.values())):
        other = Forks(dict(zip(places, ways, strict=True)))
        outcome = walk(other)
        if not isinstance(outcome, Prediction):
            return outcome
        if other.met:  # more opens on this way
            return _settled(found, {**met, **other.met}, walk)
        passing[ways] = outcome.passes
    idle = {place: 0 for n, place in enumerate(places) if _is_idle(n, passing)}
    free = [ways for ways, passes in passing.items() if passes]
    if free and found.stop is not None:
        return walk(Forks({**dict(zip(places, free[0], strict=True)), **idle}, frozenset(idle)))
    return walk(Forks(idle, frozenset(idle))) if idle and free else found


def _is_idle(n: int, passing: dict[tuple[int, ...], bool]) -> bool:
    """Whether the choice at the n-th place makes no difference, whatever is chosen at the others."""
    return all(passes is passing[(*ways[:n], 0, *ways[n + 1 :])] for ways, passes in passing.items())


def _predict(ground: Ground, probe: Probe, course: Course | None) -> Prediction:
    on_segment, beside = arping.is_ours(probe.protocol), ground.anew()
    asked = arping.aimed(beside, Walker(beside), probe) if on_segment else _as_its_kernel(ground, probe)
    sourced = _with_source(ground, asked)
    if isinstance(sourced, Prediction):
        return sourced
    if on_segment:
        walked = arping.exchange(ground, Walker(ground), sourced)
        return Prediction(replace(sourced, device=walked.device), walked.request, walked.reply)
    trail = Trail(ground, Leg.REQUEST)
    request = _walk(trail, sourced, course)
    if request.end is End.DELIVER:
        return _answered(ground, sourced, trail, request)
    if request.end is End.EXIT:
        back = Trail(ground, Leg.REPLY, tracks=trail.tracks)
        reply = _from_outside(ground, sourced, trail, back)
        return _predicted(sourced, request, reply, None, trail, back)
    return _predicted(sourced, request, None, None, trail)


def _predicted(
    probe: Probe, request: Walk, reply: Walk | None, ending: Stop | None, *trails: Trail
) -> Prediction:
    routed = tuple(r for trail in trails for r in trail.routed)
    return Prediction(
        probe, request, reply, ending, routed, tuple(r for trail in trails for r in trail.resolved)
    )


def _walk(trail: Trail, probe: Probe, course: Course | None) -> Walk:
    assert probe.source.namespace is not None
    packet = first_packet(trail.ground, probe)
    finish = Walker(trail.ground, course).packet(trail, probe.source.namespace, packet)
    return trail.walked(
        replace(finish, stop=_where_learned(trail, probe.source.namespace, packet, finish.stop))
    )


def _where_learned(trail: Trail, name: str, packet: Packet, stop: Stop | None) -> Stop | None:
    """What stops the packet; where that is a path MTU which a kernel has learned, the narrow place it was
    learned from, if it is one still.
    """
    if stop is None or not size.is_learned(stop):
        return stop
    beyond = Walker(trail.ground).packet(
        Trail(trail.ground, trail.leg), name, replace(packet, unlearned=True)
    )
    if beyond.stop is None or beyond.stop.code not in _NARROW:
        return stop
    return replace(beyond.stop, proof=(*beyond.stop.proof, stop.text))


_NARROW = {"mtu-exceeded", "mtu-blackhole"}


def first_packet(ground: Ground, probe: Probe) -> Packet:
    """The packet as the probe's socket hands it to the stack: the namespace's own TTL, DF as the kernel would
    set it.
    """
    assert probe.source.namespace is not None
    namespace, flow = ground.namespace(probe.source.namespace), probe.flow()
    packet = Packet(
        flow,
        Leg.REQUEST,
        probe.mark,
        probe.uid,
        reused=probe.reused,
        scope=probe.source.interface,
        ecn=probe.ecn,
        mss=probe.mss,
    )
    decision = routing.decide(ground, namespace.name, routing.query_out(namespace, packet))
    ttl = probe.ttl or life(namespace, flow.version, decision).ttl
    df = size.dont_fragment(namespace, probe, packet, decision)
    return replace(packet, flow=replace(flow, ttl=ttl), df=df)


def _as_its_kernel(ground: Ground, probe: Probe) -> Probe:
    """The probe as the sender's kernel would connect (net/ipv4/tcp_output.c, tcp_ecn_send_syn,
    tcp_advertise_mss).
    """
    name, dst = probe.source.namespace, probe.destination.address
    if not probe.protocol.connects or name is None or dst is None:
        return probe
    asked = RouteQuery(
        probe.source.address, dst, mark=probe.mark, uid=probe.uid, oif=_interface(ground, probe)
    )
    route = fib.sought(ground.namespace(name), asked).route
    asks = ground.namespace(name).sysctl("net.ipv4.tcp_ecn") == "1"
    return replace(probe, ecn=asks, mss=route.advmss if route is not None else None)


def _with_source(ground: Ground, probe: Probe) -> Probe | Prediction:
    """The probe with the source address the kernel would choose; or the end of it where there is none."""
    name, dst = probe.source.namespace, probe.destination.address
    assert name is not None
    assert dst is not None
    namespace = ground.namespace(name)
    if probe.source.address is not None:
        free = arping.is_ours(probe.protocol) or routing.may_send_from(namespace, probe.source.address)
        return (
            probe
            if free
            else Prediction(probe, Walk((), End.DROP, routing.not_own(namespace, probe.source.address)))
        )
    asked = RouteQuery(None, dst, mark=probe.mark, uid=probe.uid, oif=_interface(ground, probe))
    decision = routing.decide(ground, name, asked)
    blank = Packet(Flow("", dst, probe.protocol), Leg.REQUEST)
    routed = (Routed(name, Leg.REQUEST, decision, "", dst),)
    if decision.error is not None:
        refused = routing.refuse_output(namespace, blank, decision)
        return Prediction(probe, Walk((), end_of(refused), refused), routed=routed)
    link = namespace.link(decision.index)
    told = ground.kernel_route(
        name,
        asked,
        lambda answer: _chosen(answer, decision, dst) in (None, fib.source_for(namespace, decision, dst)),
    )
    src = _chosen(told, decision, dst) or fib.source_for(namespace, decision, dst)
    if src is None:
        nothing = ip_ends.without_source(namespace, link, decision, dst)
        stop = (ipv6.refused(namespace, 6) if ":" in dst else None) or nothing
        return Prediction(probe, Walk((), End.DROP, stop), routed=routed)
    scope = link.name if link is not None and prefix.needs_scope(src) else probe.source.interface
    return replace(probe, source=replace(probe.source, address=src, interface=scope))


def _chosen(answer: RouteAnswer | None, decision: fib.FibResult, dst: str) -> str | None:
    """The source that the kernel says it would take; an IPv6 link-local one serves on the link alone, as no
    router forwards it (RFC 4291, 2.5.6).
    """
    if answer is None or answer.error is not None or answer.source is None:
        return None
    routed = decision.via is not None and not prefix.is_link_local(dst)
    return None if routed and prefix.is_link_local(answer.source) else answer.source


def _interface(ground: Ground, probe: Probe) -> int | None:
    if probe.source.interface is None or probe.source.namespace is None:
        return None
    link = ground.namespace(probe.source.namespace).link_named(probe.source.interface)
    return link.index if link else None


def _answered(ground: Ground, probe: Probe, trail: Trail, request: Walk) -> Prediction:
    """What the far end does with the request, and the way of its answer."""
    assert trail.arrived is not None
    name, link, packet = trail.arrived
    ending: Stop | None = None
    back = Trail(ground, Leg.REPLY, tracks=trail.tracks)
    try:
        ending = sockets.at(ground.namespace(name), link, packet)
        if ending is not None and sockets.silent(ending):
            return _predicted(probe, request, None, ending, trail)
        answer = _first_answer(ground, name, link, packet, accepted=ending is None)
        answer = answer.suspecting(*sockets.suspects(ground.namespace(name), link, packet))
        if packet.flow.protocol is Protocol.ICMP:
            answer = answer.suspecting(*ip_ends.seldom_answered(ground.namespace(name), link))
    except Unread as unread:
        return _predicted(probe, request, _home(back, unread.finish, probe), ending, trail, back)
    finish = Walker(ground).packet(back, name, answer)
    return _predicted(probe, request, _home(back, finish, probe), ending, trail, back)


def _first_answer(ground: Ground, name: str, link: Link | None, request: Packet, *, accepted: bool) -> Packet:
    """The answer as the stack of namespace `name` sends it; `accepted`: nothing refuses the request."""
    namespace, scope = ground.namespace(name), link.name if link else None
    tos = request.tos if request.flow.protocol is Protocol.ICMP else 0  # icmp_reply gives it back
    mark = _reflected(namespace, request, accepted)
    bound = sockets.bound_to(namespace, link, request) if accepted else None
    answer = Packet(request.flow.reversed(), Leg.REPLY, mark=mark, scope=scope, tos=tos, bound=bound)
    decision = routing.decide(ground, name, routing.query_out(namespace, answer))
    ttl = life(namespace, answer.flow.version, decision).ttl
    return replace(answer, flow=replace(answer.flow, ttl=ttl))


def _reflected(namespace: Namespace, request: Packet, accepted: bool) -> int:
    """The mark that an answer takes from the request: of the stack itself with `fwmark_reflect`
    (IP4_REPLY_MARK), of a new TCP connection with `tcp_fwmark_accept` (inet_request_mark); a program's own
    has none.
    """
    flow = request.flow
    if accepted and flow.protocol is not Protocol.ICMP:
        taken = flow.protocol is Protocol.TCP and namespace.number("net.ipv4.tcp_fwmark_accept")
    else:
        taken = namespace.number(f"net.ipv{flow.version}.fwmark_reflect")
    return request.mark if taken else 0


def _home(back: Trail, finish: Finish, probe: Probe) -> Walk:
    """The reply's walk; one that another namespace takes for itself has not come home."""
    walked = back.walked(finish)
    if finish.end is not End.DELIVER or back.arrived is None:
        return walked
    if back.arrived[0] == probe.source.namespace:
        return _from_whom_it_was_asked(back, walked, probe)
    name, link, packet = back.arrived
    text = f"{name} takes the reply to {packet.flow.dst} for its own instead of translating it back"
    return Walk(walked.hops, End.DROP, lost("nat-not-reversed", name, link, Stage.PREROUTING, text))


def _from_whom_it_was_asked(back: Trail, walked: Walk, probe: Probe) -> Walk:
    """The reply's walk; an answer that bears another address or port than the one asked is no answer."""
    assert back.arrived is not None
    flow, asked = back.arrived[2].flow, probe.destination
    if flow.src == asked.address and flow.sport in (None, asked.port):
        return walked
    bridged = find(walked.hops, stage=Stage.BRIDGE_PREROUTING)
    place = walked.hops[-1].place
    if bridged is not None:
        namespace = back.ground.namespace(bridged.namespace)
        port = namespace.link_named(bridged.interface or "")
        bridge = namespace.link(port.master) if port else None
        place = Place(bridged.namespace, bridge.name if bridge else None, Stage.BRIDGE)
    text = (
        f"the reply comes from {flow.src} instead of {asked.address}: it does not pass where the"
        " request was translated"
    )
    if flow.src == asked.address:
        text = f"the reply comes from port {flow.sport} instead of {asked.port}"
    return Walk(walked.hops, End.DROP, Stop("nat-not-reversed", place, text))


def _from_outside(ground: Ground, probe: Probe, trail: Trail, back: Trail) -> Walk:
    """The answer of a far end that is out of sight: it is taken to come in where the request went out, for
    who sent that there.
    """
    assert trail.left is not None
    packet = trail.left.packet
    flow = replace(packet.flow.reversed(), dst_mac=packet.flow.src_mac or trail.left.link.mac or None)
    walker = Walker(ground)
    arrived = first_arrived(
        walker.returned(trail.left, Packet(flow, Leg.REPLY, tags=packet.tags), trail=back)
    )
    back.hops += arrived.hops
    if arrived.at is not None:
        return _home(back, walker.arrived(back, *arrived.at, arrived.packet), probe)
    # where the other hosts are asked, an answer may leave once more
    return _home(back, back.drop(arrived.stop) if arrived.stop else Finish(End.EXIT), probe)


__all__ = ["Prediction", "predict"]

"""From where the packet ends to what must be changed: the root before the symptom. Pure.

Asked in order: translation, the sender's own settings, entries that misled the packet, routing that could
have been otherwise.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import End, Hop, Leg, Nexthop, Object, Place, Probe, Snapshot, Stage, Stop
from netprobe.predict import prefix
from netprobe.predict.drop import link_down, lost
from netprobe.predict.fib import describe, words
from netprobe.predict.fixes import GATEWAY, INTERFACE, ip, sysctl
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed

from . import proxy, root_address, root_nat, what_if

# Ends that a wrong turn earlier on the way can explain.
_ASTRAY = {
    "neigh-no-answer", "no-route", "route-unreachable", "route-blackhole", "route-prohibit",
    "route-wrong-nexthop", "route-loop",
    "ttl-expired", "link-no-carrier", "route-via-dead-device", "forwarding-off", "port-closed",
    "listener-wrong-address",
}  # fmt: skip
_UNHEARD = {"neigh-no-answer", "arp-suppressed"}


def root(snapshot: Snapshot, probe: Probe, prediction: Prediction, stop: Stop) -> tuple[Stop, Leg | None]:
    """The root behind `stop`, the predicted end, and the leg it counts to (None: as predicted)."""
    if (hint := what_if.root(snapshot, prediction, only=("route-wrong-src",))) is not None:
        return hint.stop, hint.leg
    if (found := root_address.root(snapshot, prediction, stop)) is not None:
        return found, None
    if (found := root_nat.root(snapshot, prediction, stop)) is not None:
        return found, None
    if stop.code == "forwarding-off":
        if (
            misled := what_if.root(snapshot, prediction, only=("addr-duplicate", "neigh-wrong-entry"))
        ) is not None:
            return misled.stop, misled.leg
        if (found := _no_router(snapshot, prediction, stop)) is not None:
            return found, None
    if stop.code == "no-route" and (found := _went_with_its_link(snapshot, prediction, stop)) is not None:
        return found, None
    if (
        stop.code in _ASTRAY
        and (candidate := what_if.root(snapshot, prediction, only=("link-admin-down",))) is not None
    ):
        return candidate.stop, candidate.leg
    if stop.code == "ttl-expired" and (found := _short_lived(snapshot, probe, prediction, stop)) is not None:
        return found, None
    if stop.code == "neigh-no-answer" and (found := proxy.proxied(snapshot, prediction)) is not None:
        return found, None
    if stop.code in _UNHEARD and (found := _wrong_nexthop(snapshot, prediction, stop)) is not None:
        better = what_if.root(snapshot, prediction)
        return (
            (better.stop, better.leg)
            if better is not None
            else (_of_several(snapshot, prediction, found), None)
        )
    if stop.code == "route-loop":
        return _looping(snapshot, prediction, stop)
    if (found := root_address.same_mac(snapshot, prediction, stop)) is not None:
        return found, None
    if stop.code in _ASTRAY or _came_back(prediction, stop):
        candidate = what_if.root(snapshot, prediction)
        if candidate is not None:
            return candidate.stop, candidate.leg
    if (
        _came_back(prediction, stop)
        and (sent := _last_routed(prediction, but=stop.place.namespace)) is not None
    ):
        return (
            _by_route(
                snapshot,
                sent,
                replace(stop, code="route-loop", place=Place(sent.namespace, None, Stage.ROUTE)),
            ),
            None,
        )
    return _strayed(snapshot, prediction, stop) or stop, None


def root_of_some(snapshot: Snapshot, prediction: Prediction) -> Stop | None:
    """Why some probes pass and others do not, as far as routing tells: a leg of a multipath route that is
    dead.
    """
    bare = replace(snapshot, answers=())
    for routed in prediction.routed:
        for leg in (
            routed.decision.candidates
            if len(routed.decision.candidates) > 1 and routed.decision.route
            else ()
        ):
            assert routed.decision.route is not None
            namespace = snapshot[routed.namespace]
            single = tuple(
                replace(r, nexthops=(leg,)) if r == routed.decision.route else r for r in namespace.routes
            )
            outcome = predict(
                bare.with_namespace(replace(namespace, routes=single)), prediction.probe, ask=False
            )
            if isinstance(outcome, Prediction) and outcome.stop is not None:
                return _dead_leg(snapshot, routed, leg, outcome.stop)
    return None


def _dead_leg(snapshot: Snapshot, routed: Routed, leg: Nexthop, stop: Stop) -> Stop:
    assert routed.decision.route is not None
    link = snapshot[routed.namespace].link(leg.index)
    named = describe(routed.decision.route, leg, link.name if link else None)
    text = f"{named}, one leg of several in {routed.namespace}, is dead: {stop.text}"
    return lost(
        "ecmp-dead-nexthop", routed.namespace, link, Stage.ROUTE, text, object=Object("route", named, named)
    )


def _no_router(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """A gateway that has one interface only: it is no router that was switched off, but the wrong station to
    ask.
    """
    asked = [r for r in prediction.routed if r.leg is prediction.leg]
    gateway = snapshot.namespaces.get(stop.place.namespace or "")
    if len(asked) < 2 or gateway is None or sum(link.kind != "loopback" for link in gateway.links) > 1:
        return None
    before = asked[-2]
    if before.decision.route is None or before.decision.leg is None or before.decision.leg.via is None:
        return None
    link = snapshot[before.namespace].link(before.decision.leg.index)
    named = describe(before.decision.route, before.decision.leg, link.name if link else None)
    text = f"the route {named} of {before.namespace} leads to {gateway.name}, which is no router"
    found = lost(
        "route-wrong-nexthop", before.namespace, None, Stage.ROUTE, text, object=Object("route", named, named)
    )
    return replace(found, proof=(stop.text,))


def _went_with_its_link(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """A missing route where one interface, with addresses and no bridge, is down: its routes went with it
    (fib_sync_down_dev).
    """
    namespace = snapshot.namespaces.get(stop.place.namespace or "")
    version = prediction.probe.version
    idle = (
        [
            link
            for link in namespace.links
            if not link.up
            and link.master is None
            and any(prefix.version(a.address) == version for a in namespace.addresses_of(link))
        ]
        if namespace is not None
        else []
    )
    if namespace is None or len(idle) != 1 or idle[0].kind == "loopback":
        return None
    down = link_down(namespace.name, idle[0], Stage.ROUTE)
    return replace(down, text=f"{down.text}, and the routes by it are gone", proof=(stop.text,))


def _strayed(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """An answer that leaves its namespace by another interface than the request came in by, and is lost on
    that way.
    """
    if prediction.leg is not Leg.REPLY or stop.code not in _LOST_ASTRAY:
        return None
    came = next((r for r in reversed(prediction.routed) if r.leg is Leg.REQUEST), None)
    went = next((r for r in prediction.routed if r.leg is Leg.REPLY), None)
    if (
        came is None
        or went is None
        or came.iif is None
        or went.namespace != came.namespace
        or went.decision.leg is None
    ):
        return None
    out = snapshot[went.namespace].link(went.decision.leg.index)
    if out is None or out.index == came.iif.index or went.decision.route is None:
        return None
    named = describe(went.decision.route, went.decision.leg, out.name)
    text = (
        f"{went.namespace} answers by {out.name} ({named}) what came in by {came.iif.name}, and the answer is"
        f" lost: {stop.text}"
    )
    return lost(
        "reply-wrong-path", went.namespace, out, Stage.ROUTE, text, object=Object("route", named, named)
    )


_LOST_ASTRAY = {
    "neigh-no-answer", "no-route", "nat-not-reversed", "route-wrong-nexthop", "forwarding-off",
    "link-no-carrier", "route-loop",
}  # fmt: skip


def _of_several(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop:
    """A dead gateway that is one leg of a multipath route."""
    routed = next((r for r in reversed(prediction.routed) if r.leg is prediction.leg), None)
    if (
        routed is None
        or routed.decision.route is None
        or len(routed.decision.route.nexthops) < 2
        or routed.decision.leg is None
    ):
        return stop
    link = snapshot[routed.namespace].link(routed.decision.leg.index)
    named = describe(routed.decision.route, routed.decision.leg, link.name if link else None)
    text = f"{named}, one leg of several in {routed.namespace}, is dead"
    return replace(stop, code="ecmp-dead-nexthop", text=text)


def _looping(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> tuple[Stop, Leg | None]:
    """The route that sends a packet back to where it came from; the one whose absence would let it arrive, if
    there is one.
    """
    candidate = what_if.root(snapshot, prediction)
    if candidate is not None:
        return replace(candidate.stop, code="route-loop", proof=(stop.text,)), candidate.leg
    last = _last_routed(prediction)
    return (_by_route(snapshot, last, stop) if last is not None else stop), None


def _last_routed(prediction: Prediction, but: str | None = None) -> Routed | None:
    return next(
        (r for r in reversed(prediction.routed) if r.decision.route is not None and r.namespace != but), None
    )


def _by_route(snapshot: Snapshot, last: Routed, stop: Stop) -> Stop:
    """A loop, by the route that closes it."""
    assert last.decision.route is not None
    link = snapshot[last.namespace].link(last.decision.leg.index) if last.decision.leg else None
    route = words(last.decision.route, last.decision.leg, link.name if link else None)
    named = " ".join(route)
    text = f"{stop.text}: {last.namespace} routes {last.dst} by {named}"
    return replace(
        stop,
        object=Object("route", named, named),
        text=text,
        commands=(ip(last.dst, "route", "del", *route),),
    )


def _came_back(prediction: Prediction, stop: Stop) -> bool:
    """Whether a router sent the packet back to where it has been, which refuses it as a martian of its
    own.
    """
    been = [r.namespace for r in prediction.routed if r.leg is prediction.leg]
    return stop.code == "martian-source" and stop.place.namespace in been[:-1]


def root_outside(snapshot: Snapshot, prediction: Prediction) -> tuple[Stop | None, Leg | None]:
    """The root of a loss beyond what can be seen: a way out that should not have been taken, or a source
    nobody can answer.
    """
    if prediction.request.end is not End.EXIT:
        return None, None
    candidate = what_if.root(snapshot, prediction, beyond=True)
    if candidate is not None:
        return candidate.stop, candidate.leg
    return root_nat.outside(snapshot, prediction), Leg.REPLY


def _short_lived(snapshot: Snapshot, probe: Probe, prediction: Prediction, stop: Stop) -> Stop | None:
    """What gave the packet the TTL that ran out: a rule on its way, or its own namespace's default."""
    walk = prediction.request if prediction.request.stop is not None else prediction.reply
    hops: tuple[Hop, ...] = walk.hops if walk is not None else ()
    changed = next(
        (h for h in reversed(hops) if any(c.field == "ttl" and c.by != "forward" for c in h.changes)), None
    )
    if changed is not None:
        change = next(c for c in changed.changes if c.field == "ttl")
        text = (
            f"{change.by} of {changed.namespace} sets the TTL to {change.after}, which is used up at"
            f" {stop.place.namespace}"
        )
        return Stop(
            "ttl-expired",
            Place(changed.namespace, changed.interface, changed.stage),
            text,
            changed.object,
            (),
            (stop.text,),
        )
    if probe.ttl is not None or not hops:
        return None
    key = "net.ipv4.ip_default_ttl" if hops[0].flow.version == 4 else "net.ipv6.conf.all.hop_limit"
    value = snapshot[hops[0].namespace].sysctl(key, "64") if hops[0].namespace in snapshot else "64"
    text = (
        f"{hops[0].namespace} sends with a TTL of {value}, which is used up at {stop.place.namespace}: {key}"
        f" = {value}"
    )
    place = Place(hops[0].namespace, hops[0].interface, Stage.OUTPUT)
    return Stop(
        "ttl-expired", place, text, Object("sysctl", key, f"{key} = {value}"), sysctl(key, 64), (stop.text,)
    )


def _wrong_nexthop(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """A gateway that nobody is, or a default route that takes the whole world for neighbours."""
    routed = next((r for r in reversed(prediction.routed) if r.leg is prediction.leg), None)
    if routed is None or routed.decision.route is None or routed.decision.leg is None:
        return None
    route, leg = routed.decision.route, routed.decision.leg
    link = snapshot[routed.namespace].link(leg.index)
    named = describe(route, leg, link.name if link else None)
    if link is not None and link.kind == "vxlan":
        return None
    if leg.via is not None and stop.code == "neigh-no-answer" and stop.place.namespace == routed.namespace:
        text = (
            f"the route {named} of {routed.namespace} has a gateway whose address no station on the"
            " segment has"
        )
    elif (
        leg.via is None
        and prefix.length(route.dst) == 0
        and link is not None
        and link.kind not in ("tun", "wireguard")
    ):
        text = (
            f"the route {named} of {routed.namespace} has no gateway: it takes {routed.dst} for a neighbour"
            f" on {link.name}"
        )
    else:
        return None
    target = "default" if prefix.length(route.dst) == 0 else route.dst
    fix = ip(route.dst, "route", "replace", target, "via", GATEWAY, "dev", link.name if link else INTERFACE)
    found = lost(
        "route-wrong-nexthop",
        routed.namespace,
        None,
        Stage.ROUTE,
        text,
        object=Object("route", named, named),
        fix=(fix,),
    )
    return replace(found, proof=(stop.text,))

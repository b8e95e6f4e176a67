"""What if? The root of a loss is the one object without which, all else being equal, the packet would have
passed. Pure.

Each candidate is taken out of the snapshot (or put right), the probe is walked again, and the first that lets
it pass is named.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import (
    End,
    InterfaceAddress,
    Leg,
    Link,
    Namespace,
    Need,
    Neighbour,
    Nexthop,
    Object,
    PolicyRule,
    Probe,
    Route,
    RouteQuery,
    Snapshot,
    Stage,
    Stop,
)
from netprobe.predict import fib, fixes, prefix, routing
from netprobe.predict.drop import link_down, lost
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.predict.rp_filter import in_force
from netprobe.predict.trace import Resolved, Routed

from . import proxy
from .apply_links import switch_on
from .order import Order

_OWN_TABLES = (fib.LOCAL, fib.MAIN, fib.DEFAULT)


class Candidate(Struct, frozen=True):
    """A suspect object, as the end of the way it would explain, the leg it counts to, and its namespace
    without it.

    `beside` are other namespaces that change with that.
    """

    stop: Stop
    leg: Leg
    mended: Namespace
    beside: tuple[Namespace, ...] = ()

    def within(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, mended."""
        for namespace in (self.mended, *self.beside):
            snapshot = snapshot.with_namespace(namespace)
        return snapshot


def root(
    snapshot: Snapshot, prediction: Prediction, *, beyond: bool = False, only: tuple[str, ...] = ()
) -> Candidate | None:
    """The object behind a loss, or None when changing no single one would help.

    `beyond`: the packet left to where nobody can be seen, so that only a mended way to a visible end proves
    anything. `only` considers candidates of these codes.
    """
    probe = prediction.probe
    # what the kernel said holds for the network as it is, not for one that is mended
    bare = replace(snapshot, answers=())
    as_it_is = predict(bare, probe, ask=False)
    if isinstance(as_it_is, Prediction) and _passes(as_it_is, beyond):
        return None  # the model alone would let it pass: that a change does so too proves nothing
    for candidate in candidates(snapshot, prediction):
        if only and candidate.stop.code not in only:
            continue
        outcome = predict(candidate.within(bare), _unsourced(probe, candidate), ask=False)
        if isinstance(outcome, Prediction) and _passes(outcome, beyond):
            return candidate
    return None


def _passes(outcome: Prediction, beyond: bool) -> bool:
    return outcome.passes and (not beyond or outcome.request.end is End.DELIVER)


def lacking(snapshot: Snapshot, prediction: Prediction) -> tuple[Need, ...]:
    """What must be read before `root` can tell: the way that a mended packet would take may lead through
    other namespaces.
    """
    bare = replace(snapshot, answers=())
    for candidate in candidates(snapshot, prediction):
        outcome = predict(candidate.within(bare), _unsourced(prediction.probe, candidate), ask=False)
        if not isinstance(outcome, Prediction):
            return outcome
    if prediction.stop is not None and prediction.stop.code == "neigh-no-answer":
        return next(
            (
                outcome
                for _, outcome in proxy.with_proxies(snapshot, prediction)
                if not isinstance(outcome, Prediction)
            ),
            (),
        )
    return ()


def _unsourced(probe: Probe, candidate: Candidate) -> Probe:
    """The probe as it would choose its source after the change."""
    if candidate.stop.code != "route-wrong-src":
        return probe
    return replace(probe, source=replace(probe.source, address=None))


def candidates(snapshot: Snapshot, prediction: Prediction) -> Iterator[Candidate]:
    """What could be wrong on the way: neighbour entries, policy rules, source hints, routes that are gone,
    too specific, missing.
    """
    for resolved in prediction.resolved:
        yield from _misled(snapshot, resolved)
    for routed in prediction.routed:
        namespace = snapshot[routed.namespace]
        rule, route = routed.decision.rule, routed.decision.route
        if rule is not None and _is_special(rule):
            yield Candidate(_wrong_table(namespace, routed, rule), routed.leg, _without_rule(namespace, rule))
        if route is not None and route.source and route.protocol != "kernel" and routed.leg is Leg.REQUEST:
            yield Candidate(
                _wrong_source(namespace, routed, route),
                Leg.REPLY,
                _with_route(namespace, route, replace(route, source=None)),
            )
    for routed in prediction.routed:
        yield from _switched_off(snapshot, routed)
    for routed in prediction.routed:
        yield from _overlaps(snapshot[routed.namespace], routed)
    for routed in prediction.routed:
        yield from _short_prefix(snapshot[routed.namespace], routed, prediction)


def _misled(snapshot: Snapshot, resolved: Resolved) -> Iterator[Candidate]:
    """A neighbour entry with the MAC of a station that is not the one to go to: asked anew, or with each
    other owner's MAC.
    """
    namespace, entry, link = snapshot[resolved.namespace], resolved.entry, resolved.link
    id = f"{entry.address} dev {link.name} lladdr {entry.mac}"
    rival = next(
        (
            (n.name, each)
            for n in snapshot.namespaces.values()
            for each in n.links
            if each.mac == entry.mac and each.link is not None
        ),
        None,
    )
    mended = replace(namespace, neighbours=tuple(n for n in namespace.neighbours if n != entry))
    fix = (fixes.forget_neighbour(entry.address, link),)
    if (
        rival is not None
        and rival[0] != resolved.namespace
        and _answers_for(snapshot[rival[0]], rival[1], entry.address)
    ):
        text = (
            f"{rival[0]}/{rival[1].name} ({entry.mac}) answers for {entry.address} as well, and"
            f" {namespace.name} sends to it"
        )
        where = next((a for a in snapshot[rival[0]].addresses if a.address == entry.address), None)
        object = (
            Object("address", f"{entry.address}/{where.prefixlen} dev {rival[1].name}", text)
            if where
            else Object("neighbour", id, f"{id} {entry.state}")
        )
        stop = lost("addr-duplicate", rival[0], rival[1], Stage.ARP, text, object=object, fix=fix)
        yield Candidate(stop, resolved.leg, mended)
        for owner in _owners(snapshot, entry):
            yield Candidate(
                stop,
                resolved.leg,
                replace(mended, neighbours=(*mended.neighbours, replace(entry, mac=owner.mac))),
            )
        return
    text = f"{namespace.name} sends packets for {entry.address} to {entry.mac}, which is not where it is"
    stop = lost(
        "neigh-wrong-entry",
        namespace.name,
        link,
        Stage.NEIGHBOUR,
        text,
        object=Object("neighbour", id, f"{id} {entry.state}"),
        fix=fix,
    )
    yield Candidate(stop, resolved.leg, mended)


def _answers_for(namespace: Namespace, link: Link, address: str) -> bool:
    """Whether a station says that an address is its own: it bears it, or it is a proxy (arp_process)."""
    proxy = any(in_force(namespace, link, setting)[0] for setting in ("proxy_arp", "proxy_arp_pvlan"))
    return (
        namespace.owner_of(address) is not None
        or proxy
        or any(n.proxy and n.address == address for n in namespace.neighbours)
    )


def _owners(snapshot: Snapshot, entry: Neighbour) -> Iterator[Link]:
    """The interfaces besides the entry's own that bear its address."""
    for namespace in snapshot.namespaces.values():
        link = namespace.owner_of(entry.address)
        if link is not None and link.mac and link.mac != entry.mac:
            yield link


def _is_special(rule: PolicyRule) -> bool:
    return rule.action == "lookup" and rule.table not in _OWN_TABLES


def _without_rule(namespace: Namespace, rule: PolicyRule) -> Namespace:
    return replace(namespace, rules=tuple(r for r in namespace.rules if r != rule))


def _with_route(namespace: Namespace, old: Route, new: Route | None) -> Namespace:
    routes = tuple(new if r == old else r for r in namespace.routes if r != old or new is not None)
    return replace(namespace, routes=tuple(r for r in routes if r is not None))


def _wrong_table(namespace: Namespace, routed: Routed, rule: PolicyRule) -> Stop:
    text = routing.describe_rule(rule)
    why = (
        f"the policy rule «{text}» of {namespace.name} selects a table that has no working route to"
        f" {routed.dst}"
    )
    return lost("rule-wrong-table", namespace.name, None, Stage.ROUTE, why,
        object=Object("policy-rule", text, text),
                fix=(fixes.ip(routed.dst, "rule", "del", "pref", str(rule.priority)),))  # fmt: skip


def _wrong_source(namespace: Namespace, routed: Routed, route: Route) -> Stop:
    words = fib.words(route, routed.decision.leg, _out(namespace, routed))
    named = " ".join(words)
    text = (
        f"the route {named} of {namespace.name} makes packets leave with the source {route.source}, which"
        " cannot be answered"
    )
    object = Object("route", f"{named} src {route.source}", f"{named} src {route.source}")
    fix = fixes.ip(route.dst, "route", "change", *words)
    return lost("route-wrong-src", namespace.name, None, Stage.ROUTE, text, object=object, fix=(fix,))


def _out(namespace: Namespace, routed: Routed) -> str | None:
    link = namespace.link(routed.decision.leg.index) if routed.decision.leg else None
    return link.name if link else None


def _switched_off(snapshot: Snapshot, routed: Routed) -> Iterator[Candidate]:
    """An interface that is down, in whose network the destination is: its route is gone, and a wider one is
    taken (fib_disable_ip).
    """
    namespace = snapshot[routed.namespace]
    length = prefix.length(routed.decision.route.dst) if routed.decision.route is not None else -1
    for link in namespace.links:
        for own in namespace.addresses_of(link) if not link.up and link.master is None else ():
            network = prefix.network(own.address, own.prefixlen)
            if own.prefixlen <= length or not prefix.contains(network, routed.dst):
                continue
            stop = link_down(namespace.name, link, Stage.ROUTE)
            stop = replace(
                stop, text=f"{stop.text}, and its route to {network}, where {routed.dst} is, is gone"
            )
            up = switch_on(Order(snapshot, namespace.name, "ip", (link.name, "up")), link)
            changed = tuple(n for name, n in up.namespaces.items() if n != snapshot[name])
            yield Candidate(stop, routed.leg, up[namespace.name], changed)


def _overlaps(namespace: Namespace, routed: Routed) -> Iterator[Candidate]:
    """A route that wins against another one which would have led there."""
    route = routed.decision.route
    if route is None or route.type != "unicast" or route.table != fib.MAIN or prefix.length(route.dst) == 0:
        return
    link = namespace.link(routed.decision.leg.index) if routed.decision.leg else None
    words = fib.words(route, routed.decision.leg, link.name if link else None)
    named, fix = " ".join(words), fixes.ip(route.dst, "route", "del", *words)
    dead = link is not None and link.kind in ("tun", "dummy", "wireguard")
    without = _with_route(namespace, route, None)
    if (wide := _too_wide(namespace, without, routed, route, link)) is not None:
        yield Candidate(wide, routed.leg, without)
        return
    code = "route-via-dead-device" if dead else "route-overlap"
    what = "a device that no program serves" if dead else "the wrong place"
    text = (
        f"the route {named} of {namespace.name} takes packets for {routed.dst} to {what}; without it they"
        " would arrive"
    )
    stop = lost(
        code, namespace.name, link, Stage.ROUTE, text, object=Object("route", named, named), fix=(fix,)
    )
    yield Candidate(stop, routed.leg, without)


def _too_wide(
    namespace: Namespace, without: Namespace, routed: Routed, route: Route, link: Link | None
) -> Stop | None:
    """An address whose network takes for neighbours those who are behind a router on that same interface."""
    own = (
        [a for a in namespace.addresses_of(link) if prefix.network(a.address, a.prefixlen) == route.dst]
        if link is not None
        else []
    )
    otherwise = fib.lookup(without, RouteQuery(routed.src, routed.dst)).leg
    if (
        route.protocol != "kernel"
        or link is None
        or not own
        or otherwise is None
        or (otherwise.index, bool(otherwise.via)) != (link.index, True)
    ):
        return None
    written = f"{own[0].address}/{own[0].prefixlen}"
    text = (
        f"{written} on {link.name} in {namespace.name} takes {routed.dst} for a neighbour, which is behind"
        f" the router {otherwise.via}"
    )
    return _wrong_length(namespace, link, own[0], text)


def _short_prefix(namespace: Namespace, routed: Routed, prediction: Prediction) -> Iterator[Candidate]:
    """The answer does not find the interface the request came in by: no prefix on that interface covers the
    asker.
    """
    if routed.leg is not Leg.REPLY or (
        routed.decision.route is not None and routed.decision.route.type != "unicast"
    ):
        return
    requests = [r for r in prediction.routed if r.leg is Leg.REQUEST and r.src == routed.dst]
    came = next((r.iif for r in requests if r.namespace == namespace.name), None)
    leg = routed.decision.leg
    if came is None or (leg is not None and leg.index == came.index):
        return
    route = Route(f"{routed.dst}/{128 if ':' in routed.dst else 32}", nexthops=(Nexthop(came.index),))
    yield Candidate(
        _prefix_stop(namespace, came, routed.dst),
        routed.leg,
        replace(namespace, routes=(*namespace.routes, route)),
    )


def _prefix_stop(namespace: Namespace, link: Link, asker: str) -> Stop:
    own = [
        a
        for a in namespace.addresses_of(link)
        if prefix.version(a.address) == prefix.version(asker) and a.scope != "link"
    ]
    if not own and link.kind == "bridge":
        text = (
            f"{link.name} of {namespace.name} has no IPv{prefix.version(asker)} address, and so no route to"
            f" {asker} on its segment"
        )
        object = Object("address", f"dev {link.name}", text)
        return lost(
            "addr-missing",
            namespace.name,
            link,
            Stage.ROUTE,
            text,
            object=object,
            fix=(fixes.with_address(link),),
        )
    if not own:
        text = (
            f"{link.name} in {namespace.name} has no address whose network holds {asker}, and no route says"
            " that it is there"
        )
        return lost("no-route", namespace.name, link, Stage.ROUTE, text,
            object=Object("route", asker, f"no route to {asker}"),
                    fix=(fixes.ip(asker, "route", "add", asker, "dev", link.name),))  # fmt: skip
    written = f"{own[0].address}/{own[0].prefixlen}"
    return _wrong_length(
        namespace,
        link,
        own[0],
        f"{written} on {link.name} in {namespace.name} does not cover {asker}, which is on that segment",
    )


def _wrong_length(namespace: Namespace, link: Link, own: InterfaceAddress, text: str) -> Stop:
    written = f"{own.address}/{own.prefixlen}"
    object = Object("address", f"{written} dev {link.name}", written)
    fix = fixes.with_right_length(own, link)
    return lost("addr-wrong-prefix", namespace.name, link, Stage.ROUTE, text, object=object, fix=fix)

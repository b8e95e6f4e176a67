"""Address translation as the root of a loss: missing, not matching, to a wrong address, to a dead target, not
undone. Pure.

The question at each router is: does the next namespace know a way back to the source address that the packet
leaves with?
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from netprobe.model import (
    Command,
    Flow,
    Hop,
    Leg,
    Link,
    Namespace,
    Object,
    Place,
    RouteQuery,
    Snapshot,
    Stage,
    Statement,
    Stop,
)
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed
from netprobe.rules.naming import rule_decision
from netprobe.rules.ruling import Decision

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7")
_NO_WAY_BACK = {
    "no-route",
    "neigh-no-answer",
    "route-unreachable",
    "route-wrong-nexthop",
    "route-loop",
    "ttl-expired",
    "martian-source",
}
_DEAD = {
    "neigh-no-answer",
    "no-route",
    "port-closed",
    "listener-wrong-address",
    "route-wrong-nexthop",
    "forwarding-off",
}
# to other containers, or to other hosts of a cluster
_INSIDE = ("bridge", "vxlan", "geneve", "tun", "wireguard", "gre", "ipip", "sit")
_IS = ("", "==", "in")
_SOURCE = ("snat", "masquerade")


def root(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """The translation behind `stop`, the predicted end of the probe; None when translation has no part in
    it.
    """
    if prediction.leg is Leg.REPLY and stop.code in _NO_WAY_BACK:
        return _source_side(snapshot, prediction, stop)
    if stop.code == "nat-not-reversed":
        return _untracked(prediction, stop)
    return _destination_side(snapshot, prediction, stop)


def _untracked(prediction: Prediction, stop: Stop) -> Stop | None:
    """The rule that exempts an answer from connection tracking, so that nobody translates it back."""
    hops = prediction.reply.hops if prediction.reply is not None else ()
    exempted = _changed(hops, stop.place.namespace or "", "ct")
    if exempted is None or exempted.object is None:
        return None
    text = (
        f"{exempted.object.id} of {exempted.namespace} exempts the answer from connection tracking: it is not"
        " translated back"
    )
    return Stop(
        "nat-not-reversed", exempted.place, text, exempted.object, (), (exempted.object.text, stop.text)
    )


# ---- the source: what the far end is asked to answer to


def _source_side(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    for router, beyond in _steps(prediction):
        back = fib.lookup(snapshot[beyond.namespace], RouteQuery(None, beyond.src))
        known = (
            back.error is None
            and back.leg is not None
            and beyond.iif is not None
            and back.leg.index == beyond.iif.index
        )
        if known and not (
            stop.code == "neigh-no-answer"
            and stop.place.namespace == beyond.namespace
            and _gives(prediction, router)
        ):
            continue
        return _untranslated(snapshot, prediction, router, beyond.src, stop)
    return None


def _gives(prediction: Prediction, router: Routed) -> bool:
    """Whether a router gives the packet its source."""
    return _changed(prediction.request.hops, router.namespace, "src") is not None


def _steps(prediction: Prediction) -> Iterator[tuple[Routed, Routed]]:
    """Each router of the request's way with the namespace behind it."""
    asked = [r for r in prediction.routed if r.leg is Leg.REQUEST]
    for router, beyond in pairwise(asked):
        if router.namespace != beyond.namespace and router.iif is not None:
            yield router, beyond


def outside(snapshot: Snapshot, prediction: Prediction) -> Stop | None:
    """A private source that leaves untranslated to where nobody can be seen, and where no answer comes
    from.
    """
    asked = [r for r in prediction.routed if r.leg is Leg.REQUEST]
    hops = prediction.request.hops
    if (
        not asked
        or asked[-1].iif is None
        or not hops
        or not _is_private(hops[-1].flow.src)
        or _is_private(hops[-1].flow.dst)
    ):
        return None
    return _untranslated(snapshot, prediction, asked[-1], hops[-1].flow.src, None)


def _untranslated(
    snapshot: Snapshot, prediction: Prediction, router: Routed, source: str, stop: Stop | None
) -> Stop | None:
    """Why a router lets the packet leave with a source that cannot be answered to."""
    namespace = snapshot[router.namespace]
    out = namespace.link(router.decision.leg.index) if router.decision.leg else None
    place = Place(namespace.name, out.name if out else None, Stage.POSTROUTING)
    made = _changed(prediction.request.hops, namespace.name, "src")
    proof = (stop.text,) if stop else ()
    if made is not None:
        if out is not None and any(a.address == source for a in namespace.addresses_of(out)):
            # translated to the router's own address on that link: the way back is broken elsewhere
            return None
        rule = made.object.id if made.object else "a rule"
        text = (
            f"{rule} of {namespace.name} gives packets the source {source}, which has no way back to"
            f" {namespace.name}"
        )
        private = next(c.before for c in made.changes if c.field == "src")
        return Stop(
            "nat-wrong-address", place, text, made.object, fixes.masquerade(private, out, "-I"), proof
        )
    if not _is_private(source) or namespace.ruleset is None or namespace.ruleset.blind:
        return None
    bypass = _changed(prediction.request.hops, namespace.name, "ct")
    expected = _expects_translation(router, out, prediction)
    passed_over = next(
        _source_rules(namespace, out, source, prediction.request.hops[-1].flow.dst, expected), None
    )
    if passed_over is not None and bypass is not None:
        by = bypass.object.id if bypass.object else "a rule"
        text = (
            f"{by} of {namespace.name} exempts the packet from connection tracking, and so"
            f" {passed_over.object.id} never translates it"
        )
        return Stop("nat-bypassed", bypass.place, text, bypass.object, (), (passed_over.object.text, *proof))
    if passed_over is None and not expected:
        return None
    if passed_over is not None:
        id = passed_over.object.id
        text = (
            f"{namespace.name} forwards {source} out of {out.name if out else '?'} untranslated: {id} exists,"
            " but does not get this packet"
        )
        return Stop(
            "nat-wrong-match",
            place,
            text,
            passed_over.object,
            fixes.masquerade(source, out, "-I"),
            (passed_over.object.text, *proof),
        )
    text = (
        f"{namespace.name} forwards {source} out of {out.name if out else '?'} untranslated, and the far end"
        " has no way back to it"
    )
    object = Object("nat-rule", f"{fixes.iptables(source)} nat POSTROUTING", "no rule translates this packet")
    return Stop("nat-missing", place, text, object, fixes.masquerade(source, out), proof)


def _expects_translation(router: Routed, out: Link | None, prediction: Prediction) -> bool:
    """Whether a private source should not leave as it is: towards the world, or out of a host whose own
    bridge it comes from.
    """
    target = (
        prediction.request.hops[-1].flow.dst
        if prediction.request.hops
        else prediction.probe.destination.address or ""
    )
    leaves = out is not None and out.kind not in _INSIDE
    return not _is_private(target) or (leaves and router.iif is not None and router.iif.kind == "bridge")


def _is_private(address: str) -> bool:
    return any(prefix.contains(p, address) for p in PRIVATE)


def _changed(hops: tuple[Hop, ...], namespace: str, *fields: str) -> Hop | None:
    """The last hop in a namespace at which one of these header fields was rewritten."""
    return next(
        (h for h in reversed(hops) if h.namespace == namespace and any(c.field in fields for c in h.changes)),
        None,
    )


def _source_rules(
    namespace: Namespace, out: Link | None, source: str, target: str, expected: bool
) -> Iterator[Decision]:
    """The source NAT rules of a namespace that do not speak of another of its interfaces, or of its networks.

    Where translation is expected, one that names the network of `source` itself is meant for it, whatever the
    interface.
    """
    for decision, statements in _nat_rules(namespace, "postrouting", source):
        known = [
            device
            for device in _said(statements, "oifname", "meta oifname")
            if namespace.link_named(device) is not None
        ]
        networks = [each for each in _said(statements, "ip saddr", "ip6 saddr") if _is_prefix(each)]
        meant = (
            not known
            or (out is not None and out.name in known)
            or (expected and any(prefix.contains(n, source) for n in networks))
        )
        others = any(
            not prefix.contains(network, source) and _has(namespace, network) for network in networks
        )
        if (
            any(s.kind in _SOURCE for s in statements)
            and meant
            and not others
            and not _for_neighbours(namespace, statements, target)
        ):
            yield decision


def _has(namespace: Namespace, network: str) -> bool:
    return any(prefix.contains(network, a.address) for a in namespace.addresses)


def _for_neighbours(namespace: Namespace, statements: tuple[Statement, ...], target: str) -> bool:
    """Whether a rule is for packets to the host's own containers, which `target` is none of: the hairpin rule
    of a published port.
    """
    own = [prefix.network(a.address, a.prefixlen) for a in namespace.addresses]
    goals = [network for network in _said(statements, "ip daddr", "ip6 daddr") if _is_prefix(network)]
    return any(
        not prefix.contains(to, target) and any(prefix.contains(n, to.partition("/")[0]) for n in own)
        for to in goals
    )


def _said(statements: tuple[Statement, ...], *keys: str) -> list[str]:
    """What the statements of a rule compare some keys with."""
    return [
        s.right.text
        for s in statements
        if s.left is not None and s.left.text in keys and s.right is not None and s.op in _IS
    ]


def _is_prefix(text: str) -> bool:
    try:
        prefix.version(text.partition("/")[0])
    except ValueError:
        return False
    return True


def _nat_rules(
    namespace: Namespace, hook: str, address: str
) -> Iterator[tuple[Decision, tuple[Statement, ...]]]:
    """All rules of the tables that have a nat chain at `hook` for this kind of address, chains that are
    jumped to included.
    """
    for table in namespace.ruleset.tables if namespace.ruleset else ():
        family = "ip6" if ":" in address else "ip"
        if table.family not in (family, "inet") or not any(
            chain.type == "nat" and chain.hook == hook for chain in table.chains
        ):
            continue
        others = {chain.name for chain in table.chains if chain.hook not in (None, hook)}
        for chain in table.chains:
            if chain.name not in others:
                yield from (
                    (rule_decision(table, chain, rule, hook), rule.statements) for rule in chain.rules
                )


# ---- the destination: where a published port leads


def _destination_side(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    hops = prediction.request.hops
    made = next((h for h in reversed(hops) if any(c.field in ("dst", "dport") for c in h.changes)), None)
    if made is None:
        return (
            _unpublished(snapshot, hops, stop)
            if stop.code in ("port-closed", "listener-wrong-address")
            else None
        )
    target = f"{made.flow.dst}:{made.flow.dport}" if made.flow.dport else made.flow.dst
    if stop.code == "martian-source" and stop.place.namespace == prediction.probe.source.namespace:
        place = Place(made.namespace, None, Stage.POSTROUTING)
        text = (
            f"{made.namespace} sends the packet back to its own sender ({target}) with the sender's own"
            " source address"
        )
        fix = (_hairpin(made.flow.dst),)
        return Stop(
            "hairpin-nat-missing",
            place,
            text,
            Object("nat-rule", "iptables nat POSTROUTING", "no rule for hairpin traffic"),
            fix,
            (stop.text,),
        )
    if prediction.leg is Leg.REPLY:
        return None  # the target was reached
    if stop.code not in _DEAD or (stop.code == "forwarding-off" and stop.place.namespace == made.namespace):
        return None
    place = Place(made.namespace, None, made.stage)
    if made.object is None:
        text = f"a connection tracked in {made.namespace} still sends the packet to {target}: {stop.text}"
        entry = f"{hops[0].flow.protocol} {hops[0].flow.src} {hops[0].flow.dst}"
        fix = (_forget(hops[0].flow, prediction.probe.destination.address or hops[0].flow.dst),)
        return Stop(
            "stale-conntrack",
            place,
            text,
            Object("conntrack", entry, f"{entry} -> {target}"),
            fix,
            (stop.text,),
        )
    code = "nat-redirect-dead" if any(c.by == "REDIRECT" for c in made.changes) else "dnat-dead-target"
    text = (
        f"{made.object.id} of {made.namespace} sends the packet to {target}, which does not answer:"
        f" {stop.text}"
    )
    return Stop(code, place, text, made.object, (), (made.object.text, stop.text))


def _hairpin(address: str) -> Command:
    """The rule that translates what a station sends to itself by way of a router."""
    matches = ("-s", address, "-d", address)
    return Command.of(fixes.iptables(address), "-t", "nat", "-A", "POSTROUTING", *matches, "-j", "MASQUERADE")


def _forget(flow: Flow, asked: str) -> Command:
    """Delete the tracked connection of a flow to the address that was asked."""
    return Command.of("conntrack", "-D", "-p", str(flow.protocol), "-s", flow.src, "-d", asked)


def _unpublished(snapshot: Snapshot, hops: tuple[Hop, ...], stop: Stop) -> Stop | None:
    """A closed port that a rule of the same namespace publishes - on another path, for another address, or
    for another interface.
    """
    name = stop.place.namespace
    port = hops[-1].flow.dport if hops else None
    if name is None or port is None or name not in snapshot:
        return None
    for hook in ("prerouting", "output"):
        for decision, statements in _nat_rules(snapshot[name], hook, hops[-1].flow.dst):
            if any(s.kind in ("dnat", "redirect") for s in statements) and _speaks_of(statements, port):
                text = (
                    f"{name} publishes port {port} by {decision.object.id}, but no rule does it for this"
                    " packet"
                )
                place = Place(name, stop.place.interface, Stage.PREROUTING)
                return Stop(
                    "dnat-missing", place, text, decision.object, (), (decision.object.text, stop.text)
                )
    return None


def _speaks_of(statements: tuple[Statement, ...], port: int) -> bool:
    keys = ("tcp dport", "udp dport", "th dport")
    return any(
        s.left is not None and s.left.text in keys and s.right is not None and s.right.text == str(port)
        for s in statements
    )

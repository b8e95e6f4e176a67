"""Source translation: missing, not matching, with an address that cannot be answered. Pure.

The question at each router is: does the next namespace know a way back to the source that the packet leaves
with?
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words, source_nat, source_rules
from netprobe.diagnose.repair.remembered import Left, left
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.routers import network_behind
from netprobe.diagnose.repair.segment import is_network, own_addresses
from netprobe.model import (
    End,
    Hop,
    Leg,
    Link,
    Namespace,
    Object,
    Place,
    Route,
    RouteQuery,
    Stage,
    Stop,
)
from netprobe.model.config import is_particular
from netprobe.model.lookup import among, but, column, find, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.trace import Routed

from . import guests, sets, surplus

# Ends of an answer that tell that its destination is not known there.
_NO_WAY_BACK = {
    "no-route", "neigh-no-answer", "route-unreachable", "route-wrong-nexthop", "route-loop", "ttl-expired",
    "martian-source", "route-blackhole", "route-prohibit", "reply-wrong-path",
}  # fmt: skip


def candidates(loss: Loss) -> Iterator[Repair]:
    """A source translation at each router of the way, and for what comes back to its sender."""
    for router, source in leaving(loss):
        yield from _masquerade(loss, router, source)
    for router in but(loss.asked(Leg.REQUEST), iif=None):
        yield from _as_its_route(loss, router)
    yield from _hairpin(loss)
    yield from _back_by_the_translator(loss)
    yield from _of_an_own_address(loss)
    yield from _rerouted(loss)


def leaving(loss: Loss) -> Iterator[tuple[Routed, str]]:
    """Each router of the request with the source address that the packet leaves it with."""
    asked = loss.asked(Leg.REQUEST)
    for router, beyond in pairwise(asked):
        if router.iif is not None and router.namespace != beyond.namespace:
            yield router, beyond.src
    if loss.prediction.request.end is End.EXIT:
        for router, exit in zip(but(asked[-1:], iif=None), loss.prediction.request.hops[-1:], strict=False):
            if _knows_no_way_back(loss, router, exit.flow.dst):
                yield router, exit.flow.src


def _knows_no_way_back(loss: Loss, router: Routed, dst: str) -> bool:
    """Whether who cannot be seen has no way to a private source: the world; and the router's own gateway,
    which sends by it nothing of itself, where the source is on a bridge of the router's.
    """
    gateway = dst in loss.snapshot[router.namespace].gateways
    expected = gateway and nat_rules.expects_translation(router, loss.out(router), loss.prediction)
    return expected or not nat_rules.is_private(dst)


def _masquerade(loss: Loss, router: Routed, source: str) -> Iterator[Repair]:
    namespace, out = loss.snapshot[router.namespace], loss.out(router)
    made = nat_rules.changed(loss.prediction.request.hops, namespace.name, "src")
    if out is None or namespace.ruleset is None or namespace.ruleset.blind:
        return
    private = _before(made, source)
    own = namespace.has_on(out, source)
    if own and made is not None and loss.stop.code != "neigh-wrong-entry":  # it is known there
        yield from _to_another(loss, router, out, made, source)
    if own or router.turns_back or not nat_rules.is_private(private):
        return
    expected = nat_rules.expects_translation(router, out, loss.prediction)
    named = _named(loss, namespace, out, source, made, expected)
    network = None if _all_need_it(namespace, out, private) else _network_of(namespace, router, private)
    target = loss.prediction.target
    first = named.code != "nat-missing" or any(nat_rules.exempting(namespace, source, target))
    merit = _merit(loss, router, named, source, expected)
    if named.code == "nat-wrong-match":
        yield from _without_exemption(loss, namespace, named, source, merit)
        yield from _with_less_exempted(loss, namespace, named, source, merit)
    fix = source_nat.masquerading(namespace, private, network, out, first)
    empty = source_nat.emptied(namespace, source)
    yield from loss.repair(replace(named, commands=fix), merit, agreeing=empty)


def _before(made: Hop | None, source: str) -> str:
    """The source address before it was translated, where it was."""
    change = made.change_of("src") if made is not None else None
    return change.before if change is not None else source


def _merit(loss: Loss, router: Routed, named: Stop, source: str, expected: bool) -> Merit:
    missing, namespace = named.code == "nat-missing", loss.snapshot[router.namespace]
    wanted = expected or guests.translates_elsewhere(loss, router, source)
    wanted = wanted or source_nat.translates_beside(namespace, router.iif, loss.out(router))
    unknown = _is_unknown_there(loss, source) and not guests.is_known_beyond(loss, router)
    due = unknown and not (missing and _is_routed(loss, namespace, source, wanted))
    by_name = _is_spared_by_name(namespace, named, loss.prediction.target)
    mistaken = by_name or any(map(partial(surplus.is_by_mistake, loss), loss.asked(Leg.REPLY)))
    passed_by = missing and _is_passed_by(loss, namespace, source)
    due = (due and not mistaken) or guests.is_let_in(loss, router, source)
    if due or passed_by or loss.stop.place.stage is Stage.EXIT:
        return Merit.RESTORES
    return Merit.GOES_AROUND


def _is_spared_by_name(namespace: Namespace, named: Stop, target: str) -> bool:
    """Whether the rule is for all but one host, which is the one asked for: it is to know the sources."""
    rule = nat_rules.found(namespace, named.thing)
    spared = where(among(rule.statements, key=nat_rules.TO), op="!=") if rule is not None else ()
    alone = {target, f"{target}/{prefix.bits(target)}"}
    return not alone.isdisjoint(column(spared, "value"))


def _is_passed_by(loss: Loss, namespace: Namespace, source: str) -> bool:
    """Whether an answer is refused on a way that leads past a router, where somebody made room for rules that
    would have led it there.
    """
    refused = loss.prediction.leg is Leg.REPLY and loss.stop.code in sets.REFUSED
    past = refused and not where(loss.asked(Leg.REPLY), namespace=namespace.name)
    return past and source_nat.emptied(namespace, source) > 0


def _is_routed(loss: Loss, namespace: Namespace, source: str, expected: bool) -> bool:
    """Whether packets are to leave as they are: as others like them were answered; where nothing else is
    expected, or as IPv6 is meant to be, but from no address that the world knows.
    """
    plain = prefix.version(source) == 6 and not nat_rules.translates(namespace, 6)
    supposed = not expected or (plain and nat_rules.is_private(loss.goal))
    return {Left.AS_THEY_WERE: True, Left.TRANSLATED: False}.get(left(loss, namespace.name), supposed)


def _without_exemption(
    loss: Loss, namespace: Namespace, named: Stop, source: str, merit: Merit
) -> Iterator[Repair]:
    """The rules that let the packet pass before one that would translate it is reached."""
    target = loss.prediction.target
    for decision in nat_rules.exempting(namespace, source, target):
        text = f"{decision.object.id} of {namespace.name} exempts {source} from the translation behind it"
        fix = fixes.without(decision.object, namespace.ruleset)
        stop = Stop(named.code, named.place, text, decision.object, fix, (decision.object.text, *named.proof))
        if fix:
            yield from loss.repair(stop, merit)


def _with_less_exempted(
    loss: Loss, namespace: Namespace, named: Stop, source: str, merit: Merit
) -> Iterator[Repair]:
    """The rule that passes over what goes to more than the network that it is for, for that network alone."""
    rule = nat_rules.found(namespace, named.thing)
    if rule is None:
        return
    tests = rule.statements
    own = prefix.covering(nat_rules.networks(tests, *nat_rules.FROM), source)
    spared = where(among(tests, key=nat_rules.TO), op="!=")
    for wide in filter(nat_rules.is_prefix, column(spared, "value")):
        parts = filter(partial(prefix.holds, wide), own)
        for network in parts if prefix.contains(wide, loss.prediction.target) else ():
            text = f"{named.text}: it spares all of {wide}, of which {network} is a part"
            fix = rule_words.reworded(named.thing, rule, wide, network)
            yield from loss.repair(replace(named, text=text, commands=fix), merit, agreeing=1)


def _is_unknown_there(loss: Loss, source: str) -> bool:
    """Whether nobody at the place of the loss knows a way back to a source, or no other than that of all the
    world.
    """
    back = fib.lookup(loss.here, RouteQuery(None, source))
    if back.type == "local" and back.found.protocol != "kernel":
        return False  # somebody says so, and who has it is another
    if loss.stop.code != "rp-filter":
        return loss.stop.code in _NO_WAY_BACK and not _is_written(back.found)
    return loss.here.owner_of(loss.goal) is None and not is_particular(back.route)


def _is_written(route: Route) -> bool:
    """Whether somebody wrote a way to the network of a source: it is meant to be known there."""
    return route.type == "unicast" and route.is_written


def _as_its_route(loss: Loss, router: Routed) -> Iterator[Repair]:
    """The translation to the source that the route out asks for, by which the router itself sends: MASQUERADE
    knows nothing of that, and takes the first address (inet_select_addr).
    """
    namespace, route, out = loss.snapshot[router.namespace], router.decision.route, loss.out(router)
    made = nat_rules.changed(loss.prediction.request.hops, namespace.name, "src")
    if route is None or out is None or made is None or not where(made.changes, by="MASQUERADE"):
        return
    if route.source not in (None, made.flow.src) and loss.stop.place.namespace != namespace.name:
        yield from _to_another(loss, router, out, made, made.flow.src, route.source)


def _to_another(
    loss: Loss, router: Routed, out: Link, made: Hop, source: str, meant: str | None = None
) -> Iterator[Repair]:
    """The translation to another address of the way out, where the one that was chosen has no way back; to
    `meant` alone, where that is told.
    """
    namespace, thing = loss.snapshot[router.namespace], made.object
    network = _network_of(namespace, router, _before(made, source))
    others = but(own_addresses(namespace, out, prefix.version(source)), address=source)
    for own in others if meant is None else where(others, address=meant):
        if thing is not None:
            fix = source_nat.translating(namespace, network, out, own.address)
            text = (
                f"{thing.id} of {namespace.name} gives packets the source {source}, which has no way back;"
                f" {own.address} has"
            )
            place = Place(namespace.name, out.name, Stage.POSTROUTING)
            stop = Stop("nat-wrong-address", place, text, thing, fix, (loss.stop.text,))
            yield from loss.repair(stop, Merit.RESTORES)


def _named(
    loss: Loss, namespace: Namespace, out: Link, source: str, made: Hop | None, expected: bool
) -> Stop:
    """What keeps the packet from being translated rightly: a wrong rule, one that passes it over, or none."""
    place = Place(namespace.name, out.name, Stage.POSTROUTING)
    proof = (loss.stop.text,)
    if made is not None:
        rule = made.object.id if made.object else "a rule"
        text = (
            f"{rule} of {namespace.name} gives packets the source {source}, which has no way back to"
            f" {namespace.name}"
        )
        return Stop("nat-wrong-address", place, text, made.object, (), proof)
    leaves = f"{namespace.name} forwards {source} out of {out.name} untranslated"
    target = loss.prediction.target
    passed_over = next(source_rules.meant_for(namespace, out, source, target, expected), None)
    if passed_over is not None:
        text = f"{leaves}: {passed_over.object.id} exists, but does not get this packet"
        return Stop("nat-wrong-match", place, text, passed_over.object, (), (passed_over.object.text, *proof))
    text = f"{leaves}, and the far end has no way back to it"
    thing = Object("nat-rule", f"{fixes.iptables(source)} nat POSTROUTING", "no rule translates this packet")
    return Stop("nat-missing", place, text, thing, (), proof)


def _network_of(namespace: Namespace, router: Routed, source: str) -> str:
    """The network that `source` came from: what needs the translation is all of it, not one host."""
    inside = where(namespace.addresses_of(router.iif), scope="global")
    near = prefix.neighbours_of(source, inside)
    if near:
        return prefix.network_of(near[0])
    return network_behind(namespace, source)


def _all_need_it(namespace: Namespace, out: Link, source: str) -> bool:
    """Whether several networks are behind a router that gives none of them another source, all private: what
    one lacks, all lack.
    """
    version = prefix.version(source)
    own = but(where(namespace.addresses, scope="global"), index=out.index)
    behind = {prefix.network_of(each) for each in filter(is_network, own)}
    several = sum(prefix.version(network) == version for network in behind) > 1
    private = all(nat_rules.is_private(network.partition("/")[0]) for network in behind)
    return several and private and not nat_rules.translates(namespace, version, out)


def _hairpin(loss: Loss) -> Iterator[Repair]:
    """What a station sends to itself, or to its neighbour, by way of a router that translates the
    destination.
    """
    hops = loss.prediction.request.hops
    made = next(nat_rules.rewriting(reversed(hops), "dst", "dport"), None)
    if made is None or made.namespace not in loss.snapshot:
        return
    namespace, target, source = loss.snapshot[made.namespace], made.flow.dst, hops[0].flow.src
    router = find(loss.asked(Leg.REQUEST), namespace=made.namespace)
    if router is None or not router.turns_back:
        return
    address = fixes.iptables(target)
    # the answer would go straight to the asker, who does not know it
    whom, network = "the sender's own segment", _network_of(namespace, router, source)
    code, place = "nat-not-reversed", loss.stop.place
    if source == target:
        whom, network = "its own sender", target
        code, place = "hairpin-nat-missing", Place(made.namespace, None, Stage.POSTROUTING)
    fix = source_nat.masquerading_between(namespace, network, target)
    text = f"{made.namespace} sends the packet back to {whom} ({target}) with the sender's own source address"
    thing = Object("nat-rule", f"{address} nat POSTROUTING", "no rule for hairpin traffic")
    stop = Stop(code, place, text, thing, fix, (loss.stop.text,))
    yield from loss.repair(stop, Merit.restoring(not _spares(namespace, source, target)))


def _spares(namespace: Namespace, source: str, target: str) -> bool:
    """Whether a rule translates what goes to a station from elsewhere than from where this sender is."""
    rules = column(nat_rules.rules_of_nat(namespace, "postrouting", target, *nat_rules.SOURCE), "statements")
    named = (each for each in rules if prefix.within(nat_rules.networks(each, *nat_rules.TO), target))
    return any(prefix.within(nat_rules.spared(each, *nat_rules.FROM), source) for each in named)


def _back_by_the_translator(loss: Loss) -> Iterator[Repair]:
    """A destination was translated, and the answer does not pass where that was done: with a source of the
    translator's own it would.
    """
    hops, reply = loss.prediction.request.hops, loss.prediction.reply
    made = next(nat_rules.rewriting(hops, "dst"), None)
    if made is None or reply is None or where(reply.hops, namespace=made.namespace):
        return
    namespace, target = loss.snapshot[made.namespace], hops[-1].flow
    router = find(loss.asked(Leg.REQUEST), namespace=namespace.name)
    out = loss.out(router)
    if out is None or nat_rules.changed(hops, namespace.name, "src") is not None:
        return
    fix = source_nat.masquerading_what_goes_to(namespace, target, out)
    text = (
        f"{made.namespace} leads packets on to {target.dst} with the asker's source, and the answer from"
        f" {target.dst} does not come back by {made.namespace}"
    )
    thing = Object("nat-rule", f"{fixes.iptables(target.dst)} nat POSTROUTING", "no rule for this packet")
    place = Place(made.namespace, out.name, Stage.POSTROUTING)
    stop = Stop("nat-not-reversed", place, text, thing, fix, (loss.stop.text,))
    merit = Merit.restoring(loss.stop.code == stop.code)  # the answer got back, or was lost
    yield from loss.repair(stop, merit)


def _of_an_own_address(loss: Loss) -> Iterator[Repair]:
    """What a namespace sends to a published port of its own loopback, or of a service's address that it has
    itself, leaves it with that source: the kernel takes for it what is asked for.
    """
    name = loss.probe.source.namespace
    namespace = loss.snapshot.at(name)
    if loss.stop.place.namespace == name:
        return  # its own route_localnet holds it
    # it is routed again where its destination was translated
    sent = where(loss.asked(Leg.REQUEST), namespace=name, iif=None)[-1:]
    outs = filter(None, map(loss.out, sent))
    flows = (hop.flow for hop in loss.prediction.request.hops[-1:] if _is_asked_for(loss, hop.flow.src))
    for out, flow in zip(outs, flows, strict=False):
        if not prefix.is_loopback(flow.dst) and namespace.owner_of(flow.dst) is None:
            yield from _masked(loss, namespace, out, flow.src)


def _rerouted(loss: Loss) -> Iterator[Repair]:
    """What a namespace sends and a mark leads out of another interface than its source was chosen for: it
    leaves with an address of that one (ip_route_me_harder).
    """
    namespace = loss.snapshot.at(loss.probe.source.namespace)
    sent = where(loss.asked(Leg.REQUEST), namespace=namespace.name, iif=None)[-1:]
    for routed, hop in zip(sent, loss.prediction.request.hops[:1], strict=False):
        out, source, rule = loss.out(routed), hop.flow.src, routed.decision.rule
        chosen = namespace.owner_of(source)
        if out is None or rule is None or not rule.mark or chosen in (None, out):
            continue
        if (
            own_addresses(namespace, out, prefix.version(source))
            and loss.stop.place.namespace != namespace.name
        ):
            text = (
                f"{namespace.name} sends marked packets out of {out.name} with the source {source} of another"
            )
            yield from _masked_as(loss, namespace, out, source, f"{text} interface", Merit.RESTORES)


def _is_asked_for(loss: Loss, source: str) -> bool:
    """Whether a packet has the source that it has because that is what it was sent to."""
    return prefix.is_loopback(source) or source == loss.probe.destination.address


def _masked(loss: Loss, namespace: Namespace, out: Link, source: str) -> Iterator[Repair]:
    """The translation of what leaves a namespace with a source of its own that is not answered."""
    looped = prefix.is_loopback(source)
    network = "127.0.0.0/8" if looped and ":" not in source else source
    whose = "its loopback's source" if looped else "the source"
    why = "which nobody answers" if looped else "the address that it asks for, and answers to that are lost"
    text = f"{namespace.name} sends packets out of {out.name} with {whose} {source}, {why}"
    # where others do not have it too, they may as well be told a way to it
    shared = looped or loss.stop.code == "martian-source"
    merit = Merit.restoring(shared)
    yield from _masked_as(loss, namespace, out, network, text, merit)


def _masked_as(
    loss: Loss, namespace: Namespace, out: Link, network: str, text: str, merit: Merit
) -> Iterator[Repair]:
    source = network.partition("/")[0]
    thing = Object("nat-rule", f"{fixes.iptables(source)} nat POSTROUTING", "no rule translates this packet")
    place = Place(namespace.name, out.name, Stage.POSTROUTING)
    fix = source_nat.masquerading(namespace, source, network, out, first=False)
    stop = Stop("nat-missing", place, text, thing, fix, (loss.stop.text,))
    yield from loss.repair(stop, merit)

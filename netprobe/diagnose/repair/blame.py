"""Where no repair is found: the rule of address translation that led the packet to its end, or the interface
that rules speak of and that is not there. Pure.

What to put in its place only its author can tell; what it does shows in the walk.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, filterfalse

from msgspec.structs import replace

from netprobe.diagnose import dnat_rules
from netprobe.diagnose.nat_rules import rewriting, rules_of_nat
from netprobe.model import (
    Blank,
    Chain,
    Command,
    Flow,
    Hop,
    Leg,
    Namespace,
    Object,
    Place,
    Rule,
    Stage,
    Stop,
    Table,
)
from netprobe.model.lookup import but, column, has, not_among, where
from netprobe.predict import fixes, prefix
from netprobe.rules.naming import rule_decision

from .candidates.proxies import without_a_way
from .candidates.published import emptied_maps, maps_of_ports
from .candidates.renamed import missing_names
from .candidates.sets import REFUSED, came
from .repair import Loss

_DEAD = {
    "neigh-no-answer", "no-route", "port-closed", "listener-wrong-address", "route-wrong-nexthop",
    "forwarding-off", "martian-source",
}  # fmt: skip
_MOST = 4  # ports that are told
_UNKNOWN_SOURCE = {"no-route", "neigh-no-answer", "route-unreachable", "route-loop", "martian-source"}


def blamed(loss: Loss) -> Stop | None:
    """The translation that the end follows from, or the interface for want of which it is, as an end of its
    own; None where none has a part in it.
    """
    if loss.prediction.leg is Leg.REPLY:
        return _wrong_source(loss) or _gone(loss)
    return _not_published(loss) or _dead_target(loss) or _gone(loss) or next(without_a_way(loss), None)


def _gone(loss: Loss) -> Stop | None:
    """The one interface of which rules speak and that is not there, where the packet finds no way."""
    here = loss.here
    names = missing_names(here) if loss.stop.code in ("no-route", "ra-not-accepted") else []
    if len(names) != 1:
        return None
    text = f"rules of {here.name} speak of {names[0]}, which is not there: {loss.stop.text}"
    look = Command.look(
        "ip", "-br", "link", namespace=here.name, note="the one that rules speak of is missing"
    )
    thing = Object("link", names[0], f"{names[0]} (missing)")
    return Stop("link-missing", Place(here.name, None, Stage.ROUTE), text, thing, (look,), (loss.stop.text,))


def _made(hops: tuple[Hop, ...], *fields: str) -> Hop | None:
    return next(rewriting(reversed(hops), *fields), None)


def _dead_target(loss: Loss) -> Stop | None:
    """The rule that gave the packet a destination at which nothing answers."""
    made, code = _made(loss.prediction.request.hops, "dst", "dport"), loss.stop.code
    if made is None or made.object is None or code not in _DEAD:
        return None
    if code in _INNOCENT and _INNOCENT[code](loss, made):
        return None
    target = made.flow.goal
    code = "nat-redirect-dead" if where(made.changes, by="REDIRECT") else "dnat-dead-target"
    text = (
        f"{made.object.id} of {made.namespace} sends the packet to {target}, which does not answer:"
        f" {loss.stop.text}"
    )
    there = _is_there(loss, made)  # and without the rule it would be nowhere: that was tried
    proof = (made.object.text, loss.stop.text, *(_heard(loss, made) if there else ()))
    fix = (_look(loss, made),) if there else ()  # else without the rule
    return Stop(code, Place(made.namespace, None, made.stage), text, made.object, fix, proof)


def _does_not_forward(loss: Loss, made: Hop) -> bool:
    """Whether who has the rule does not forward."""
    return loss.stop.place.namespace == made.namespace


def _leads_away(loss: Loss, made: Hop) -> bool:
    """Whether the packet was led to no address of who sent it."""
    return loss.snapshot.at(loss.probe.source.namespace).owner_of(made.flow.dst) is None


def _shuts_itself_in(loss: Loss, made: Hop) -> bool:
    """Whether the programs on the port are what is wrong."""
    return dnat_rules.is_shut_in(loss.here, made.flow)


def _keeps_the_port(loss: Loss, made: Hop) -> bool:
    """Whether a rule of no engine says no more than at which station the port is, and no other station has
    it: a program is missing there. Without the rule the packet would not pass either, or that was found.
    """
    if not _is_there(loss, made):
        return False
    others = not_among(loss.snapshot.namespaces.values(), name=(made.namespace, loss.here.name))
    waiting = chain.from_iterable(each.waiting(made.flow.protocol.value) for each in others)
    asked = made.change_of("dport") is None and made.thing.owner not in dnat_rules.ENGINES
    return asked and not has(waiting, port=made.flow.dport)


def _is_there(loss: Loss, made: Hop) -> bool:
    """Whether the packet came to the station that it was led to, and found no program on the port: the rule
    does what its engine was told.
    """
    return loss.stop.code == "port-closed" and loss.here.owner_of(made.flow.dst) is not None


# Where something else than the rule is wrong, by how the packet ends.
_INNOCENT = {
    "forwarding-off": _does_not_forward,
    "listener-wrong-address": _shuts_itself_in,
    "martian-source": _leads_away,
    "port-closed": _keeps_the_port,
}


def _look(loss: Loss, made: Hop) -> Command:
    there, flag = loss.stop.place.namespace, made.flow.protocol.value[0]
    words = ("ss", f"-ln{flag}p")
    if made.thing.owner in dnat_rules.ENGINES:
        return Command.look(
            *words, namespace=there,
            note="what is published there does not listen: publish the port of its program",
        )  # fmt: skip
    return Command.look(
        *words, namespace=there,
        note="what is published there does not listen: start it, or lead to the port that it has",
    )  # fmt: skip


def _heard(loss: Loss, made: Hop) -> tuple[str, ...]:
    """Where the programs of the station do listen, but for those that only it can reach."""
    there, protocol = loss.snapshot.at(loss.stop.place.namespace), made.flow.protocol.value
    open_to_others = filterfalse(lambda each: prefix.is_loopback(each.address), there.waiting(protocol))
    ports = sorted({*column(open_to_others, "port")})[:_MOST]
    return tuple(f"{there.name} listens on {protocol}/{port}" for port in ports)


def _not_published(loss: Loss) -> Stop | None:
    """A closed port that a rule of the same namespace publishes for other packets, and has not for this."""
    name = loss.stop.place.namespace
    made = _made(loss.prediction.request.hops, "dst", "dport")
    if made is not None and made.namespace == name:
        return None
    if loss.stop.code not in ("port-closed", "listener-wrong-address"):
        return None
    for flow in but(loss.prediction.arriving, dport=None):
        for rule in dnat_rules.publishing(loss.snapshot.at(name), flow):
            thing = rule.decision.object
            text = f"{name} publishes port {flow.dport} by {thing.id}, but no rule does it for this packet"
            place = Place(name, loss.stop.place.interface, Stage.PREROUTING)
            return Stop("dnat-missing", place, text, thing, (), (thing.text, loss.stop.text))
    return None


def not_in_a_map(loss: Loss) -> Iterator[Stop]:
    """A port that a host neither opens nor listens on, and that the map lacks by which it publishes others:
    nothing else would make anything of it.
    """
    here, hops = loss.here, came(loss)
    flow = hops[-1].flow if hops else Flow("", "", loss.probe.protocol)
    refused = loss.stop.code in REFUSED and loss.stop.place.stage is Stage.INPUT
    if refused or loss.stop.code == "port-closed":
        yield from _in_an_emptied_map(loss, here, flow)
        yield from _without_an_element(loss, here, flow)
    if not refused or flow.dport is None or has(here.waiting(flow.protocol.value), port=flow.dport):
        return
    for table in where(here.tables, engine="nft"):
        for placed, named in maps_of_ports(table, flow.protocol.value):
            ports = {pair.args[0].text for pair in where(named.known, kind="pair")}
            thing = _thing(table, placed)
            text = (
                f"{thing.id} of {here.name} publishes the ports of the map {named.name}, {flow.dport} is"
                f" none, and nothing in {here.name} listens on it: {loss.stop.text}"
            )
            if str(flow.dport) not in ports:
                yield _unpublished(loss, thing, text, (_shown(here, table, named.name),))


def _in_an_emptied_map(loss: Loss, here: Namespace, flow: Flow) -> Iterator[Stop]:
    """A destination that the host has from a map in which nothing is left."""
    for table in where(here.tables, engine="nft"):
        for placed, named, wanted in emptied_maps(table, flow):
            thing, of = _thing(table, placed), (table.family, table.name, named.name)
            text = f"{thing.id} of {here.name} takes a destination from the map {named.name}, which is empty"
            element = ("{", wanted, ":", Blank("TARGET"), "}")
            fix = fixes.nft((table.name, named.name), "add", "element", *of, *element)
            emptied = Object("set", " ".join(("nft", *of)), thing.text)
            yield replace(_unpublished(loss, thing, text, fix), object=emptied)


def _without_an_element(loss: Loss, here: Namespace, flow: Flow) -> Iterator[Stop]:
    """A destination that is there to be led on by a map, in which this packet finds nothing."""
    for rule in rules_of_nat(here, "prerouting", flow.dst, "dnat"):
        if dnat_rules.led_by_map(rule.statements, flow):
            thing = rule.decision.object
            what = f"{thing.id} of {here.name} leads on what is for {flow.dst} by a map"
            text = f"{what}, which has nothing for this packet: {loss.stop.text}"
            look = Command.look(
                "nft", "list", "table", rule.table.family, rule.table.name, namespace=here.name,
                note="what the map has, and what sets that by which it is asked",
            )  # fmt: skip
            yield _unpublished(loss, thing, text, (look,))


def _thing(table: Table, placed: tuple[Chain, Rule]) -> Object:
    """A rule, as its table's tool calls it."""
    chain, rule = placed
    return rule_decision(table, chain, rule, chain.at).object


def _unpublished(loss: Loss, thing: Object, text: str, fix: fixes.Fix) -> Stop:
    """A port that a rule leads on for others, and not for this packet."""
    place = Place(loss.here.name, loss.stop.place.interface, Stage.PREROUTING)
    return Stop("dnat-missing", place, text, thing, fix, (thing.text, loss.stop.text))


def _shown(here: Namespace, table: Table, named: str) -> Command:
    words = ("list", "map", table.family, table.name, named)
    return Command.look("nft", *words, namespace=here.name, note="the ports that are published")


def _wrong_source(loss: Loss) -> Stop | None:
    """The rule that gave the packet a source to which nobody knows a way."""
    made = _made(loss.prediction.request.hops, "src")
    if made is None or made.object is None or loss.stop.code not in _UNKNOWN_SOURCE:
        return None
    text = (
        f"{made.object.id} of {made.namespace} gives packets the source {made.flow.src}, which has no way"
        f" back to {made.namespace}"
    )
    place = Place(made.namespace, made.interface, Stage.POSTROUTING)
    fix = _address_to_take(loss, made)
    return Stop("nat-wrong-address", place, text, made.object, fix, (made.object.text, loss.stop.text))


def _address_to_take(loss: Loss, made: Hop) -> tuple[Command, ...]:
    """What gives MASQUERADE an address of the interface that the packet leaves by, where that has none
    (nf_nat_masquerade_ipv4 takes what inet_select_addr finds elsewhere).
    """
    namespace = loss.snapshot.at(made.namespace)
    behind = where(loss.prediction.request.hops[made.n :], namespace=made.namespace)
    out = namespace.link_named(next(column(but(behind, interface=None), "interface"), None))
    if out is None or not where(made.changes, by="MASQUERADE"):
        return ()
    if namespace.addresses_of(out, loss.version):
        return ()
    return (fixes.with_address(out),)

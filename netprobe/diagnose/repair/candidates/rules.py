"""Rules that changed the packet on its way: a translation, a mark, a TTL, an exemption from tracking. Pure.

What a rule refuses is the end of the walk itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.dnat_rules import ENGINES, is_shut_in
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import (
    Change,
    Hop,
    Leg,
    Namespace,
    Object,
    Place,
    Stage,
    Statement,
    Stop,
    Term,
)
from netprobe.model.command import inside
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, find, where
from netprobe.model.place import stage_of
from netprobe.predict import fixes, prefix
from netprobe.rules.naming import rule_decision

from . import sets

# The header field that a rule changed, and the cause that it makes.
_CODES = {
    "dst": "dnat-dead-target",
    "dport": "dnat-dead-target",
    "src": "nat-wrong-address",
    "sport": "nat-wrong-address",
    "ct": "nat-bypassed",
    "ttl": "ttl-expired",
    "mark": "rule-wrong-table",
}

# What a rule sets without a hop that shows it, and what it does to the packet.
_LIFE = "sets the TTL of packets"
_ZONE = "sets the conntrack zone of packets, in which their answer's is not"
_OUT = ("oifname", "meta oifname")
_STATION = "gives frames to another station"
_SETS = {
    "ether daddr": _STATION,
    "ip ttl": _LIFE,
    "ip6 hoplimit": _LIFE,
    "ct zone": _ZONE,
    "ct original zone": _ZONE,
    "ct reply zone": _ZONE,
}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each rule that changed something."""
    yield from _setters(loss)
    for name in loss.way:
        yield from _asleep(loss, loss.snapshot[name])
    for hop in but(loss.hops, object=None):
        for change in but(among(hop.changes, field=_CODES), by="forward"):
            yield from _without(loss, hop, change)


def _asleep(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """The tables that translate, and are dormant."""
    for table in where(namespace.tables, dormant=True):
        for base in but(where(table.chains, type="nat"), hook=None)[:1]:
            named = " ".join(table.key)
            text = f"the table {named} of {namespace.name} is dormant: its rules see no packet"
            code = "nat-wrong-match" if base.hook in ("postrouting", "input") else "dnat-missing"
            place = Place(namespace.name, None, stage_of(base.hook))
            thing = Object("nat-rule", named, f"{named} (flags dormant)")
            fix = fixes.nft((table.name,), "add", "table", table.family, table.name)
            yield from loss.repair(Stop(code, place, text, thing, fix, (loss.stop.text,)), Merit.RESTORES)


def _setters(loss: Loss) -> Iterator[Repair]:
    """The rules on the way that set a TTL or hop limit that is used up, a conntrack zone of their own, or the
    station to which frames go.
    """
    for name in loss.way:
        for table, placed, rule, _ in nat_rules.of_kind(loss.snapshot[name].tables, "set"):
            for what in filter(None, map(_set, rule.statements)):
                thing = rule_decision(table, placed, rule, placed.at).object
                if what in (_ZONE, _STATION) or loss.stop.code == "ttl-expired":
                    yield from _unset(loss, Place(name, None, stage_of(placed.hook)), thing, what)


def _set(statement: Statement) -> str | None:
    """What a statement sets, in words; None for what shows in a hop, or is not set."""
    match statement:
        case Statement(kind="set", left=Term(text=field)):
            return _SETS.get(field)
    return None


def _unset(loss: Loss, place: Place, thing: Object, what: str) -> Iterator[Repair]:
    text = f"{thing.id} of {place.namespace} {what}; without it the packet would pass"
    stop = Stop(loss.stop.code, place, text, thing, fixes.without(thing), (thing.text, loss.stop.text))
    if stop.commands:
        yield from loss.repair(stop, Merit.UNDOES)


def _without(loss: Loss, hop: Hop, change: Change) -> Iterator[Repair]:
    thing = hop.thing
    fix = fixes.without(thing)
    if not fix:
        return
    text = f"{thing.id} of {hop.namespace} {_done(change)}; without it the packet would pass"
    stop = Stop(_code(loss, hop, change), _place(loss, hop), text, thing, fix, (thing.text, loss.stop.text))
    if loss.stop.code == "martian-source" and change.field == "src":  # the address itself is what is refused
        given = inside(hop.namespace, fix)
        stop = replace(loss.stop, commands=given, proof=(text, thing.text))
    expected = _is_let_in_as(loss, hop, change)
    networks = _at_home(loss, hop, change) or (_ends(loss, hop, change) if expected else [])
    exempted = [*_exempted(loss, hop, networks, stop)]
    yield from exempted
    if change.field not in ("dst", "dport") or not _is_an_engines(loss, hop):
        surplus = change.field == "src" and _stands_before_its_like(loss.snapshot[hop.namespace], thing)
        restores = surplus or (expected and not exempted)
        merit = Merit.GOES_AROUND if _leads_to_a_program(loss, hop, change) else Merit.UNDOES
        yield from loss.repair(stop, Merit.restoring(restores, merit), agreeing=int(surplus))


def _leads_to_a_program(loss: Loss, hop: Hop, change: Change) -> bool:
    """Whether the packet came where a rule led it, and the program there listens, though not to strangers: a
    proxy that was started for itself alone. The rule does what it is for.
    """
    refused = loss.stop.code == "listener-wrong-address" and change.field in ("dst", "dport")
    return refused and is_shut_in(loss.here, hop.flow)


def _place(loss: Loss, hop: Hop) -> Place:
    """Where a packet is changed; behind the routing of a request with the interface that it leaves by."""
    left = find(loss.asked(Leg.REQUEST), namespace=hop.namespace) if hop.stage is Stage.POSTROUTING else None
    return replace(hop.place, interface=hop.interface or name_of(loss.out(left), "") or None)


_TRANSLATING = ("snat", "masquerade")


def _stands_before_its_like(namespace: Namespace, thing: Object) -> bool:
    """Whether another rule that translates the same packets stands behind one in its chain: it gets none of
    them.
    """
    rules = nat_rules.from_on(namespace, thing)
    alike = [nat_rules.tests(each.rule) for each in rules if among(each.statements, kind=_TRANSLATING)]
    return alike[:1] != [] and alike[0] in alike[1:]


def _exempted(loss: Loss, hop: Hop, networks: list[str], stop: Stop) -> Iterator[Repair]:
    """The rule passed over for what goes from one network beside to another, where it is for the way out into
    the world as well.
    """
    bound = nat_rules.said(nat_rules.statements(loss.snapshot.at(hop.namespace), hop.thing), *_OUT)
    if networks and not bound:
        fix = rule_words.exempting(hop.thing, *networks)
        text = f"{stop.text}; it is for what goes out of these networks, not for what stays"
        yield from loss.repair(replace(stop, text=text, commands=fix), Merit.RESTORES, agreeing=1)


def _ends(loss: Loss, hop: Hop, change: Change) -> list[str]:
    """The networks from which a packet comes, and to which it goes, as the routes and policy rules of who
    translates have them; none where one is of no such.
    """
    here = loss.snapshot.at(hop.namespace)
    routes = where(here.routes, is_to_a_network=True)
    named = (*column(routes, "dst"), *filter(None, column(here.rules, "dst")))
    known = [each for each in named if not each.endswith(("/32", "/128"))]
    found = [prefix.covering(known, each)[:1] for each in (change.before, hop.flow.dst)]
    return [*chain.from_iterable(found)] if all(found) else []


def _at_home(loss: Loss, hop: Hop, change: Change) -> list[str]:
    """The network beside of which both ends of a packet are that was led nowhere else: there nobody needs
    another source; twice.
    """
    namespace, ends = loss.snapshot.at(hop.namespace), (change.before, hop.flow.dst)
    if change.field != "src" or nat_rules.changed(loss.prediction.request.hops, hop.namespace, "dst"):
        return []
    own = map(prefix.network_of, where(namespace.addresses, scope="global"))
    both = (each for each in own if all(prefix.contains(each, end) for end in ends))
    return [*islice(both, 1)] * 2


def _is_let_in_as(loss: Loss, hop: Hop, change: Change) -> bool:
    """Whether the rules that refuse a packet let its sender in by the address that it had before, or the one
    that does refuses all but that: it is to come with that.
    """
    if loss.stop.code not in sets.REFUSED or change.field != "src":
        return False
    alone = nat_rules.spared(nat_rules.statements(loss.here, loss.stop.thing), *nat_rules.FROM)
    if prefix.within(alone, change.before):
        return not prefix.within(alone, change.after)
    now = replace(hop.flow, src=change.after)
    before = replace(now, src=change.before)
    return sets.names(loss.here, before) and not sets.names(loss.here, now)


def _done(change: Change) -> str:
    """What a rule did, in words."""
    if change.field == "ct":
        return "exempts the packet from connection tracking"
    return f"changes {change.field} from {change.before} to {change.after}"


def _code(loss: Loss, hop: Hop, change: Change) -> str:
    """The cause that a rule is by what it did."""
    if change.field == "ct":
        back = loss.prediction.leg is Leg.REPLY and hop not in loss.prediction.request.hops
        return "nat-not-reversed" if back else "nat-bypassed"
    if change.by == "REDIRECT":
        return "nat-redirect-dead"
    return _CODES[change.field]


def _is_an_engines(loss: Loss, hop: Hop) -> bool:
    """Whether a container engine leads the packet to a station that is there: a published port, without which
    the packet would come to somebody else.
    """
    behind = hop.flow.dst in loss.owned and not prefix.is_loopback(hop.flow.dst)
    return hop.thing.owner in ENGINES and behind

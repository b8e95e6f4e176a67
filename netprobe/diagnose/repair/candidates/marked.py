"""Marks, by which packets go another way: a port that rules do not mark as they mark others, a mark that
wipes the bits of another one, who asks for a whole mark of which some bits alone are set, one that a
connection gives back to questions, and is for answers, and one for all that is left, before rules that are
for some of that. Pure.

See: ip-rule(8), fwmark; iptables-extensions(8), MARK.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import chain, islice
from operator import attrgetter, methodcaller, or_

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Flow, Leg, Namespace, Object, PolicyRule, Stage, Stop, Term
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, has, where
from netprobe.model.pattern import pattern
from netprobe.model.place import Place, stage_of
from netprobe.predict import fixes, routing
from netprobe.predict.trace import Routed
from netprobe.rules.naming import PORT_KEYS, SOURCE_PORT_KEYS

from .renamed import CODE_OF_NAT
from .sets import REFUSED
from .unheeded import marks_set

_MOST = 16  # rules of a namespace
_ALL = 0xFFFFFFFF
_MANY = 512  # rules of a namespace that are looked through for one that asks for a mark
_BITS = pattern(
    r"--set-x?mark (0x[0-9a-f]+)/(0x[0-9a-f]+)|mark (?:(?:and|&) (0x[0-9a-f]+) )?(?:or|\|) (0x[0-9a-f]+)"
)
_WHOLE = pattern(
    r"(?<=-m mark --mark )(0x[0-9a-f]+)(?![0-9a-f/])|meta mark (?:== )?(0x[0-9a-f]+)(?![0-9a-f])"
)
_MARKS = ("meta mark", "ct mark")
_WAYS_IN = ("iifname", "meta iifname")


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each rule that marks another port, for the packet's, where what is marked is routed by a rule, or where
    rules refused what had been led on; each that marks without a mask, where such rules look at some bits.
    """
    came = where(loss.hops, namespace=loss.here.name) if _refuses_the_rest(loss) else ()
    for flow in dict.fromkeys(map(attrgetter("flow"), came)):  # before and behind a translation
        yield from _of_ports(loss, loss.here, flow, loss.prediction.leg, loss.stop)
    for routed in but(loss.prediction.routed, src=""):  # without a source there is no packet
        rules = where(loss.snapshot[routed.namespace].rules, version=loss.version)
        if but(rules, mark=0):
            place = Place(routed.namespace, None, Stage.ROUTE)
            stop = Stop("rule-wrong-table", place, "", None, ())
            namespace = loss.snapshot[routed.namespace]
            of_ports = _of_ports(loss, namespace, _sent(loss, routed), routed.leg, stop)
            # where there is no way at all, whatever has no mark lacks one
            merit = Merit.restoring(routed.decision.route)
            for repair in (*of_ports, *_of_interfaces(loss, routed)):
                yield replace(repair, merit=merit)
            yield from _wiping(loss, routed)
            yield from _given_back(loss, routed)
    for namespace in map(loss.snapshot.at, loss.way):
        yield from _asking_for_all_bits(loss, namespace)
    if loss.stop.code in REFUSED and _asks_for_a_mark(loss):
        yield from _too_early(loss)


def _refuses_the_rest(loss: Loss) -> bool:
    """Whether rules refused what a translation had led on, and so was to be let through; none that does so
    for want of a mark: who wrote that means it.
    """
    led = has(nat_rules.rewriting(loss.hops, "dst", "dport"), namespace=loss.here.name)
    return loss.stop.code in REFUSED and led and not _asks_for_a_mark(loss)


def _asks_for_a_mark(loss: Loss) -> bool:
    """Whether the rule that refused the packet asks for one."""
    asked = nat_rules.statements(loss.here, loss.stop.thing)
    return any(among(each.nodes, text=_MARKS) for each in asked)


def _too_early(loss: Loss) -> Iterator[Repair]:
    """The rules that mark all that comes to them, and stand behind others of their chain once more: those in
    between are idle.
    """
    for rule in _marking(loss.here):
        thing = rule.decision.object
        texts = [each.rule.text for each in nat_rules.from_on(loss.here, thing)]
        if not nat_rules.tests(rule.rule) and rule.rule.text in texts[2:]:
            text = f"{thing.id} of {loss.here.name} marks what rules behind it are for, before it is marked"
            proof = (thing.text, loss.stop.text)
            fix = fixes.without(thing)
            stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
            yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _of_ports(loss: Loss, namespace: Namespace, flow: Flow, leg: Leg | None, stop: Stop) -> Iterator[Repair]:
    for rule in islice(nat_rules.of_kind(namespace.tables, "set"), _MOST):
        for old, new in _ports(rule, flow, leg):
            thing = rule.decision.object
            text = f"{thing.id} of {namespace.name} marks port {old}, and no rule marks {new}"
            fix = rule_words.appended(thing, rule.rule, {old: new})
            missing, proof = rule_words.missing(thing, fix), (thing.text, loss.stop.text)
            made = replace(stop, text=text, object=missing, commands=fix, proof=proof, advice="")
            yield from loss.repair(made, Merit.RESTORES, agreeing=1)


def _of_interfaces(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The rules that mark, or give connections' marks back, by another interface than the packet came in by,
    for this one as well.
    """
    namespace, link = loss.snapshot[routed.namespace], routed.iif
    for rule in islice(_marking(namespace), _MOST if link is not None else 0):
        for old in nat_rules.said(rule.statements, *_WAYS_IN):
            thing = rule.decision.object
            text = f"{thing.id} of {namespace.name} is for what comes in by {old}, and not by {name_of(link)}"
            fix = rule_words.put_beside_with(
                thing, rule.rule, dict.fromkeys(_written(old), name_of(link, ""))
            )
            missing, place = rule_words.missing(thing, fix), Place(namespace.name, None, Stage.ROUTE)
            stop = Stop("rule-wrong-table", place, text, missing, fix, (thing.text, loss.stop.text))
            yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _marking(namespace: Namespace) -> Iterator[nat_rules.NatRule]:
    """The rules that set a mark, and those that lead to a chain in which that is done."""
    setting = [*filter(_sets, islice(nat_rules.of_kind(namespace.tables, "set"), _MOST))]
    yield from setting
    chains = {(each.table.key, each.chain.name) for each in setting}
    for rule in nat_rules.of_kind(namespace.tables, "jump"):
        if (rule.table.key, rule.rule.leads_to) in chains:
            yield rule


def ways_in(here: Namespace, mark: int) -> set[int | None]:
    """The interfaces, by ifindex, for which rules give connections that come in there a mark: for their
    answers. What is marked for itself alone goes out by another one.
    """
    setting = islice(nat_rules.of_kind(here.tables, "set"), _MOST)
    of_connections = (each for each in setting if has(each.statements, key="ct mark", kind="set"))
    given = [each for each in of_connections if mark in marks_set(each.rule.text)]
    names = chain.from_iterable(nat_rules.said(each.statements, *_WAYS_IN) for each in given)
    return {link.index for link in filter(None, map(here.link_named, names))}


def _sets(rule: nat_rules.NatRule) -> bool:
    return has(among(rule.statements, key=_MARKS), kind="set")


def _written(interface: str) -> tuple[str, ...]:
    """An interface, or the beginning of its name, as the tools write it."""
    return interface, f'"{interface}"', interface.replace("*", "+")


def _wiping(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The rules that set all bits of a mark, with a mask that keeps those at which policy rules look."""
    namespace = loss.snapshot[routed.namespace]
    looked_at = but(where(namespace.rules, version=loss.version), mask=_ALL)
    kept = reduce(or_, map(attrgetter("mask"), looked_at), 0)
    for rule in islice(nat_rules.of_kind(namespace.tables, "set"), _MOST * bool(kept)):
        for word in filter(methodcaller("endswith", f"/{_ALL:#x}"), rule.rule.text.split()):
            thing = rule.decision.object
            text = f"{thing.id} of {namespace.name} wipes the bits {kept:#x} of marks, which route others"
            masked = f"{word.partition('/')[0]}/{_ALL & ~kept:#x}"
            fix, place = (
                rule_words.reworded(thing, rule.rule, word, masked),
                Place(namespace.name, None, Stage.ROUTE),
            )
            stop = Stop("rule-wrong-table", place, text, thing, fix, (thing.text, loss.stop.text))
            yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _asking_for_all_bits(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """The policy rules and the rules that ask for a whole mark of which rules set some bits alone, for these
    bits: other programs may have set theirs by then.
    """
    given = _given_by_bits(namespace)
    asking = where(namespace.rules, version=loss.version, mask=_ALL, action="lookup")
    for policy in among(asking, mark=given):
        yield from _of_policy(loss, namespace, policy, given[policy.mark])
    for rule in islice(nat_rules.of_kind(namespace.tables, "match"), _MANY * bool(given)):
        for old, bits in _whole_marks(rule.rule.text):
            if int(bits, 16) in given:
                yield from _of_rule(loss, namespace, rule, (old, bits), given[int(bits, 16)])


def _of_policy(loss: Loss, namespace: Namespace, policy: PolicyRule, mask: int) -> Iterator[Repair]:
    old, bits = routing.describe_rule(policy), f"{policy.mark:#x}"
    new = old.replace(f"fwmark {bits}", f"fwmark {bits}/{mask:#x}").replace(":", "", 1)
    put = fixes.ip(loss.goal, "rule", "add", "pref", *new.split())
    fix = (fixes.without_policy_rule(loss.goal, old), put)
    place = Place(namespace.name, None, Stage.ROUTE)
    yield from _for_bits(loss, Stop("rule-wrong-table", place, bits, Object("policy-rule", old, old), fix))


def _of_rule(
    loss: Loss, namespace: Namespace, rule: nat_rules.NatRule, asked: tuple[str, str], mask: int
) -> Iterator[Repair]:
    old, bits = asked
    thing, new = rule.decision.object, f"{bits}/{mask:#x}"
    by_nft = f"meta mark & {mask:#010x} == {bits}"
    fix = rule_words.reworded(thing, rule.rule, old, new if old == bits else by_nft)
    place = Place(namespace.name, None, stage_of(rule.chain.hook))
    code = CODE_OF_NAT.get((rule.chain.type, rule.hook), loss.stop.code)
    yield from _for_bits(loss, Stop(code, place, bits, thing, fix))


def _for_bits(loss: Loss, stop: Stop) -> Iterator[Repair]:
    """A rule that is to ask for the bits that are its text alone."""
    here, thing = stop.place.namespace, stop.thing
    text = f"{thing.id} of {here} asks for the mark {stop.text} alone, and rules set its bits beside others"
    named = replace(stop, text=text, proof=(thing.text, loss.stop.text))
    yield from loss.repair(named, Merit.RESTORES, agreeing=1)


def _given_by_bits(namespace: Namespace) -> dict[int, int]:
    """The marks that rules set without touching other bits, each with those that they touch."""
    setting = islice(nat_rules.of_kind(namespace.tables, "set"), _MOST)
    found = chain.from_iterable(_BITS.findall(each.rule.text) for each in setting)
    known: dict[int, int] = {}
    for value, touched, kept, added in found:
        mark = int(value or added, 16)
        cleared = int(touched, 16) if touched else _ALL & ~int(kept or f"{_ALL:#x}", 16)
        mask = cleared if touched else cleared | mark
        if mark and mask != _ALL and not mark & ~mask:
            known.setdefault(mark, mask)
    return known


def _whole_marks(text: str) -> Iterator[tuple[str, str]]:
    """What a rule says where it asks for a mark without a mask, and the mark."""
    for found in _WHOLE.finditer(text):
        xt, nft = found.groups()
        yield (xt, xt) if xt else (found[0], nft)


def _given_back(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The rules that give a connection's mark back to whatever belongs to it, where that leads a question out
    of the interface by which it came: for its answers alone, which are to leave by that one.
    """
    namespace, rule = loss.snapshot[routed.namespace], routed.decision.rule
    led = routed.leg is Leg.REQUEST and routed.turns_back and rule is not None and rule.mark
    for each in islice(nat_rules.of_kind(namespace.tables, "set"), _MOST if led else 0):
        given = where(each.statements, left=_MARK, right=_OF_CONNECTION)
        for _ in given if not among(each.statements, key=("ct direction",)) else ():
            thing, place = each.decision.object, Place(namespace.name, None, stage_of(each.chain.hook))
            text = (
                f"{thing.id} of {namespace.name} gives questions the mark of their connection as well, which"
                f" leads them back out of {name_of(routed.iif)}: it is for answers"
            )
            fix = rule_words.for_answers(thing, each.rule)
            stop = Stop("rule-wrong-table", place, text, thing, fix, (thing.text, loss.stop.text))
            yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


_MARK, _OF_CONNECTION = Term("key", "meta mark"), Term("key", "ct mark")


def _sent(loss: Loss, routed: Routed) -> Flow:
    """The packet of a routing decision, its ports as they are there."""
    came = where(loss.prediction.request.hops, namespace=routed.namespace)
    flow = came[-1].flow if came else loss.probe.flow()
    return flow.reversed() if routed.leg is Leg.REPLY else flow


def _ports(rule: nat_rules.NatRule, flow: Flow, leg: Leg | None) -> Iterator[tuple[str, str]]:
    """The port that a rule asks for, and that of the service in the packet: the other one is another for each
    connection.
    """
    keys, port = (PORT_KEYS, flow.dport) if leg is not Leg.REPLY else (SOURCE_PORT_KEYS, flow.sport)
    yield from ((old, str(port)) for old in {*nat_rules.said(rule.statements, *keys)} - {str(port)})

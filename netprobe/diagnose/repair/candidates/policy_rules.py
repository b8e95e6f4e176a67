"""Policy rules: one that leads astray, and those that the kernel makes and somebody took away. Pure.

See: ip-rule(8); net/ipv4/fib_rules.c (fib_default_rules_init).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair, is_special
from netprobe.diagnose.repair.routers import leads_on, proxied, routers_for
from netprobe.model import Leg, Namespace, Nexthop, Object, PolicyRule, Route, RouteQuery, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import but, column, grouped, has, holding, not_among, where
from netprobe.predict import fib, fixes, policy, prefix, routing
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

from .sets import REFUSED

_DEFAULTS = {4: ((0, "local"), (32766, "main"), (32767, "default")), 6: ((0, "local"), (32766, "main"))}
_TABLES = {"local": fib.LOCAL, "main": fib.MAIN, "default": fib.DEFAULT}
_MISSING = {"local": "rule-local-missing"}  # the cause that such a rule makes where it is not there


def candidates(loss: Loss) -> Iterator[Repair]:
    """The rules that were followed, and those of the kernel that are missing on the way."""
    for routed in (*loss.prediction.routed, *_back(loss), *proxied(loss)):
        here, rule = loss.snapshot[routed.namespace], routed.decision.rule
        hides = rule is not None and hides_main(here, rule)
        if rule is not None and (hides or is_special(rule)):
            stop = _followed(here, routed, rule)
            # main has its own place, and so have those between
            yield from loss.repair(stop, _merit(loss, routed, rule), agreeing=2 * hides)
            yield from _networks_first(loss, routed, rule)
            yield from _lacking_network(loss, routed, rule)
            yield from _table_of_the_unmarked(loss, routed, rule)
            yield from _lacking_default(loss, routed, rule)
        if routed.leg is Leg.REPLY:
            yield from _unused_table(loss, routed)
        yield from _of_a_sender(loss, routed)
        yield from _passing_over(loss, routed)
        yield from _orphan_table(loss, routed)
    version = loss.version
    for name in loss.around:
        yield from _missing(loss, loss.snapshot[name], version)


def _back(loss: Loss) -> Iterator[Routed]:
    """The lookup of the way back to a sender, where the reverse path filter has refused for it."""
    yield from (replace(each, leg=Leg.REPLY, src="") for each in loss.checked)


def _networks_first(loss: Loss, routed: Routed, rule: PolicyRule) -> Iterator[Repair]:
    """A default route of a table that is asked before main, which has a route to the very network: main is to
    be asked first for all but its own default (ip-rule(8), suppress_prefixlength). A rule for one source or
    destination may as well be what is odd.
    """
    namespace, taken = loss.snapshot[routed.namespace], routed.decision.route
    known = fib.best(namespace, fib.MAIN, RouteQuery(routed.src, routed.dst))
    if taken is None or known is None or not taken.is_default or not known.is_to_a_network:
        return
    before = ("pref", str(rule.priority - 1))
    named = f"{rule.priority - 1}: from all lookup main suppress_prefixlength 0"
    text = (
        f"table {taken.table} of {namespace.name}, which has a default route, is asked before main, which"
        f" knows {known.dst}: no policy rule asks main first for networks"
    )
    words = ("rule", "add", *before, "lookup", "main", "suppress_prefixlength", "0")
    thing = Object("policy-rule", named, f"{named} (missing)")
    fix = (fixes.ip(routed.dst, *words),)
    stop = lost("rule-wrong-table", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
    # one that refuses everything leads nowhere: nobody needs it asked at all
    one_way = rule.mark > 0 and not routed.src  # a source check goes by a mark that is for the way on
    meant = (rule.src, rule.dst, taken.type, one_way) == (None, None, "unicast", False)
    merit = Merit.restoring(meant)
    yield from loss.repair(stop, Merit.GOES_AROUND if _refused_elsewhere(loss, routed) else merit)


def _refused_elsewhere(loss: Loss, routed: Routed) -> bool:
    """Whether rules of another namespace refused what was led there: not to ask those is no repair."""
    return loss.stop.code in REFUSED and loss.stop.place.namespace != routed.namespace


def _lacking_network(loss: Loss, routed: Routed, rule: PolicyRule) -> Iterator[Repair]:
    """A network beside the namespace, in a table that is asked before main and has a copy of others of them,
    or where others that are asked so have one: it was made while that one was not there, or lost it.
    """
    namespace, table = loss.snapshot[routed.namespace], rule.table
    connected = where(namespace.routes, version=prefix.version(routed.dst), table=fib.MAIN, protocol="kernel")
    copies = set(map(_goal, where(namespace.routes, table=table)))
    by_copy = grouped(connected, lambda route: _goal(route) in copies)
    known = fib.best(namespace, fib.MAIN, RouteQuery(routed.src, routed.dst))
    others = _with_a_copy(namespace, known)
    shared = len(by_copy.get(True, ())) + len(others)
    if known not in by_copy.get(False, ()) or not shared:
        return
    assert known is not None
    leg, link = known.nexthops[0], namespace.link_of(known.nexthops[0])
    words = fib.words(replace(known, table=table, protocol="boot", scope="link"), leg, link)
    named, verb = " ".join(words), "add"
    why = f"and table {others[0]} has it" if others else "and has others of the networks beside it"
    text = f"table {table} of {namespace.name} lacks {known.dst} by {name_of(link)}, {why}"
    thing = Object("route", named, f"{named} (missing)")
    for taken in where(filter(None, (routed.decision.route,)), dst=known.dst, table=table):
        said = " ".join(fib.words(taken, routed.decision.leg, loss.out(routed)))
        words = fib.in_full(replace(taken, type="unicast"), leg, link)
        thing, verb = Object("route", said, said), "replace"
    text = f"{text}: the rule «{routing.describe_rule(rule)}» sends what is for that elsewhere"
    code = {"add": "no-route", "replace": "route-overlap"}[verb]
    fix = (fixes.ip(known.dst, "route", verb, *words),)
    stop = lost(code, namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=shared)


def _with_a_copy(namespace: Namespace, known: Route | None) -> list[int]:
    """The tables to which rules lead that have a copy of a route of main's."""
    asked = {*map(attrgetter("table"), where(namespace.rules, action="lookup"))} - {*_TABLES.values()}
    copies = where(namespace.routes, dst=known.dst, indexes=known.indexes) if known is not None else ()
    return sorted(asked & {*map(attrgetter("table"), copies)})


def _table_of_the_unmarked(loss: Loss, routed: Routed, rule: PolicyRule) -> Iterator[Repair]:
    """What is marked is looked up in some tables, and refused then: the one in which all else finds its way
    is none of them.
    """
    namespace = loss.snapshot[routed.namespace]
    same = where(namespace.rules, version=rule.version, mark=rule.mark, mask=rule.mask)
    plain = fib.lookup(namespace, routed.query).route
    if not rule.mark or rule.action == "lookup" or plain is None or not where(same, action="lookup"):
        return
    words = ("fwmark", routing.mark_of(rule), "lookup", str(plain.table))
    named = " ".join(words)
    text = (
        f"{namespace.name} refuses what is marked by the policy rule «{routing.describe_rule(rule)}»;"
        f" all else finds its way in table {plain.table}, to which no rule for the mark leads"
    )
    thing = Object("policy-rule", named, f"{named} (missing)")
    fix = (fixes.ip(routed.dst, "rule", "add", "pref", str(rule.priority - 1), *words),)
    stop = lost("rule-wrong-table", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES)


def _lacking_default(loss: Loss, routed: Routed, rule: PolicyRule) -> Iterator[Repair]:
    """A table of one way out, to which a rule for the same mark leads, and that has the network of this way's
    gateway, and no default route by it, as others of its kind have.
    """
    namespace, query = loss.snapshot[routed.namespace], routed.query
    made = where(namespace.routes, version=rule.version)
    defaults = where(made, is_default=True, type="unicast")
    same = where(namespace.rules, version=rule.version, mark=rule.mark, mask=rule.mask, action="lookup")
    asked = [each.table for each in same if rule.mark and is_special(each)]
    for table in dict.fromkeys(filter(None, asked)):
        others = {*column(defaults, "table")} - {*_TABLES.values(), table}
        if fib.best(namespace, table, query) is not None or not others:
            continue
        near = {*map(_goal, where(made, table=table))}
        for known in where(defaults, table=fib.MAIN):
            leg = known.nexthops[0]
            beside = [
                each for each in where(made, table=fib.MAIN, protocol="kernel") if _holds(each, leg.via)
            ]
            if not near.isdisjoint(map(_goal, beside)):
                route = replace(known, table=table, metric=0, protocol="boot")
                yield from _with_default(loss, namespace, route, len(others))


def _of_a_sender(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A table to which a rule leads what this sender sends, and that has networks beside, and no way to a
    router on one of them, so that main is asked; or nothing at all, where the sender's address is beside one.
    """
    namespace, query = loss.snapshot[routed.namespace], routed.query
    led = where(namespace.rules, src=f"{routed.src}/{prefix.bits(routed.dst)}", action="lookup")
    routers = [*routers_for(loss, namespace.name, routed.dst)] if led else []
    for table, hop in product({*map(attrgetter("table"), led)} - {*_TABLES.values()}, routers):
        known = where(namespace.routes, table=table, version=prefix.version(routed.dst))
        own = has(namespace.addresses_of(hop.link), address=routed.src)
        near = holding(known, indexes=hop.link.index) if known else own
        if near and fib.best(namespace, table, query) is None:
            leg, whole = Nexthop(hop.link.index, hop.via), prefix.WHOLE[prefix.version(routed.dst)]
            yield from _with_default(loss, namespace, Route(whole, table=table, nexthops=(leg,)), 1)


def _holds(route: Route, address: str | None) -> bool:
    return address is not None and prefix.contains(route.dst, address)


def _with_default(loss: Loss, namespace: Namespace, route: Route, agreeing: int) -> Iterator[Repair]:
    link = namespace.link_of(route.nexthops[0])
    words = fib.words(route, route.nexthops[0], link)
    named = " ".join(words)
    text = (
        f"table {route.table} of {namespace.name}, to which a policy rule leads, has no default route by"
        f" {route.nexthops[0].via}"
    )
    thing = Object("route", named, f"{named} (missing)")
    fix = (fixes.ip(route.dst, "route", "add", *words),)
    stop = lost("no-route", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing)


def _goal(route: Route) -> tuple[str, tuple[int | None, ...]]:
    return route.dst, tuple(route.indexes)


def _orphan_table(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A table that no policy rule gives anything, by which the packet would pass: the rule was lost, if there
    was a way without it.
    """
    namespace, of = loss.snapshot[routed.namespace], attrgetter("table")
    version = prefix.version(routed.dst)
    asked = {*_TABLES.values(), *map(of, where(namespace.rules, version=version))}
    # a proxy's table is for what is marked
    onward = where(namespace.routes, type="unicast", version=version)
    for table in sorted({*map(of, onward)} - asked) if routed.src else ():
        yield from _of_another_name(loss, namespace, routed, table)
        for asking in _selectors(loss, namespace, routed):
            named = f"{asking} lookup {table}"
            text = (
                f"{namespace.name} has a route for {routed.dst} in table {table}, to which no policy rule"
                " leads"
            )
            thing = Object("policy-rule", named, f"{named} (missing)")
            fix = (fixes.ip(routed.dst, "rule", "add", *named.split()),)
            stop = lost("rule-wrong-table", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
            lost_one = routed.decision.route is not None or _is_a_table(namespace, table, version)
            yield from loss.repair(stop, Merit.restoring(lost_one))


def _is_a_table(namespace: Namespace, table: int, version: int) -> bool:
    """Whether a table was made for a policy rule: it has several routes, or the other IP version has a rule
    that leads to it. A single one may as well have got there by mistake.
    """
    routes = where(namespace.routes, table=table, version=version)
    return len(routes) > 1 or has(namespace.rules, table=table)


def _of_another_name(loss: Loss, namespace: Namespace, routed: Routed, table: int) -> Iterator[Repair]:
    """A rule that leads to a table in which nothing is: it means this one, to which none leads."""
    filled = {*_TABLES.values(), *map(attrgetter("table"), namespace.routes)}
    leading = where(namespace.rules, version=prefix.version(routed.dst), action="lookup", l3mdev=False)
    for rule in not_among(leading, table=filled):
        old = routing.describe_rule(rule)
        new = old.replace(f"lookup {rule.table}", f"lookup {table}").replace(":", "", 1)
        empty = f"«{old}» of {namespace.name} leads to a table in which nothing is"
        text = f"{empty}, and nothing to table {table}"
        add = fixes.ip(routed.dst, "rule", "add", "pref", *new.split())
        fix = (fixes.without_policy_rule(routed.dst, old), add)
        thing = Object("policy-rule", old, old)
        stop = lost("rule-wrong-table", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _selectors(loss: Loss, namespace: Namespace, routed: Routed) -> Iterator[str]:
    """What a rule would ask for that gave a packet to such a table: the mark for which the rule asks that
    took it; a destination, and a protocol, where its siblings do; the sender; or, as the source of what the
    machine sends is chosen by the route, all of that, just before main: what main knows better than its
    default route is asked for earlier.
    """
    version, protocol = prefix.version(routed.dst), loss.probe.protocol.value
    leading = where(namespace.rules, version=version, action="lookup")
    addressed = but(leading, dst=None)
    forms = (
        (f"to {routed.dst} ipproto {protocol}", but(addressed, protocol=None)),
        (f"to {routed.dst}", addressed),
    )
    taking = but(filter(None, (routed.decision.rule,)), mark=0)
    yield from map("fwmark {}".format, map(routing.mark_of, taking))
    yield from (words for words, siblings in forms if siblings)
    yield f"from {routed.src}"
    for main in where(leading, table=fib.MAIN, suppress_prefixlen=None) if routed.iif is None else ():
        yield f"pref {main.priority - 1} iif lo"


def _merit(loss: Loss, routed: Routed, rule: PolicyRule) -> Merit:
    """What speaks for a rule that is taken away: that it refuses all; not that its table leads on."""
    if hides_main(loss.snapshot[routed.namespace], rule):
        return Merit.RESTORES
    around = leads_on(loss, routed) or _refused_elsewhere(loss, routed)
    kept = Merit.ADDS if _has_led(loss, routed, rule) else Merit.UNDOES
    return Merit.GOES_AROUND if around else kept


def _has_led(loss: Loss, routed: Routed, rule: PolicyRule) -> bool:
    """Whether a rule for some alone has led a packet on by a gateway, and it was lost behind that: without it
    another one would be taken, to all the world.
    """
    walks = dict(zip(Leg, loss.prediction.walks, strict=False))
    come = column(walks.get(routed.leg, loss.prediction.request).hops[-1:], "namespace")
    on = routed.gateway is not None and {*come, loss.stop.place.namespace} != {routed.namespace}
    known = fib.best(loss.snapshot[routed.namespace], fib.MAIN, routed.query)
    return on and not rule.is_for_all and known is not None and known.is_default


def hides_main(namespace: Namespace, rule: PolicyRule) -> bool:
    """Whether a rule refuses everybody everything before the table main is asked, or asks that for everybody
    before its own place, so that all between are idle: nobody wants that.
    """
    main = where(policy.rules_for(namespace, rule.version), table=fib.MAIN)
    first = rule.priority < max(column(main, "priority"), default=0)
    return rule.is_for_all and first and (rule.action != "lookup" or rule.table == fib.MAIN)


def _followed(namespace: Namespace, routed: Routed, rule: PolicyRule) -> Stop:
    text = routing.describe_rule(rule)
    why, code = "refuses", "rule-prohibit"
    if rule.action == "lookup":
        why, code = "selects a table that has no working route to", "rule-wrong-table"
    said = f"the policy rule «{text}» of {namespace.name} {why} {routed.dst}"
    words = text.partition(": ")[2].split()
    fix = (fixes.ip(routed.dst, "rule", "del", "pref", str(rule.priority), *words),)
    thing = Object("policy-rule", text, text)
    return lost(code, namespace.name, None, Stage.ROUTE, said, object=thing, fix=fix)


def _passing_over(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The rules by which others were passed over, such as that of main."""
    namespace = loss.snapshot[routed.namespace]
    for rule in where(namespace.rules, version=prefix.version(routed.dst), action="goto"):
        stop = _followed(namespace, routed, rule)
        over = f"passes over those that lead to {routed.dst}"
        text = f"the policy rule «{stop.thing.id}» of {namespace.name} {over}"
        said = replace(stop, code="rule-wrong-table", text=text)
        # those between would be for nobody
        idle = replace(rule, action="lookup", goto=None).is_for_all
        yield from loss.repair(said, Merit.restoring(idle, Merit.UNDOES), agreeing=2)


def _unused_table(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """A table by which an answer would leave by where the question came in, and that no rule gives it: it is
    there for that.
    """
    namespace, route, leg = loss.snapshot[routed.namespace], routed.decision.route, routed.decision.leg
    came = loss.came_in(routed.namespace)
    if came is None or route is None or leg is None or leg.index == came.index or not routed.src:
        return
    query = RouteQuery(routed.src, routed.dst)
    for table in sorted({*column(namespace.routes, "table")} - {*_TABLES.values()}):
        other = fib.best(namespace, table, query)
        if other is None or not has(other.nexthops, index=came.index):
            continue
        out = namespace.link(leg.index)
        named = fib.describe(route, leg, out)
        text = (
            f"{namespace.name} answers from {routed.src} by {named}, not by {came.name}, where it was asked:"
            f" no policy rule gives that to table {table}"
        )
        fix = (fixes.ip(routed.dst, "rule", "add", "from", routed.src, "lookup", str(table)),)
        thing = Object("route", named, named)
        stop = lost("reply-wrong-path", namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
        # where it has the very network, no other table lacks that
        yield from loss.repair(stop, Merit.RESTORES, agreeing=int(other.is_to_a_network))


def _missing(loss: Loss, namespace: Namespace, version: int) -> Iterator[Repair]:
    rules = where(namespace.rules, version=version, action="lookup", is_for_all=True)
    usurped = not has(policy.rules_for(namespace, version)[:1], table=fib.LOCAL, is_for_all=True)
    for priority, table in _DEFAULTS[version]:
        hidden = usurped and table == "local"
        if has(rules, table=_TABLES[table]) and not hidden:
            continue
        named = f"{priority}: from all lookup {table}"
        code = _MISSING.get(table, "rule-wrong-table")
        text = f"{namespace.name} lacks the policy rule «{named}» that every namespace starts with"
        # beside one that is for some alone the kernel takes none of the same place (EEXIST: rule_exists)
        narrowed = has(namespace.rules, version=version, priority=priority, table=_TABLES[table])
        words = ("rule", "add", "pref", str(priority + narrowed), "from", "all", "lookup", table)
        fix = (fixes.ip(prefix.WHOLE[version], *words),)
        thing = Object("policy-rule", named, f"{named} (missing)")
        stop = lost(code, namespace.name, None, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES)

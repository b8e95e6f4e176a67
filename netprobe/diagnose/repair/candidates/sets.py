"""Sets that lack the packet, so that a rule that looks there would let it through, or hold it, so that one
refuses it. Pure.

See: nft(8), SETS; ipset(8); iptables-extensions(8), set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, product
from operator import attrgetter, methodcaller

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import (
    Chain,
    Command,
    Flow,
    Hop,
    InterfaceAddress,
    IpSet,
    Leg,
    NamedSet,
    Namespace,
    Object,
    Place,
    Protocol,
    Rule,
    Stage,
    Statement,
    Stop,
    Table,
)
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, not_among, where
from netprobe.predict import fixes, prefix
from netprobe.predict.trace import Routed

from .elements import Seen, holds, seen, value
from .hooks import led_to_the_end

REFUSED = {"policy-drop", "rejected-by-rule", "filtered-by-rule"}
_QUESTIONS = {"arp-filtered": 4, "nd-filtered": 6}  # who has an address, and the answer, by their version


class _Lookup(Struct, frozen=True):
    """A test of a rule that wants what the packet has, `value`, in a set; `table` is that of a set of nft."""

    test: Statement
    named: NamedSet | IpSet
    value: str
    table: Table | None = None

    @property
    def words(self) -> str:
        """The set, as its tool would have it named."""
        family = ("nft", self.table.family, self.table.name) if self.table is not None else ("ipset",)
        return " ".join((*family, self.named.name))

    def held(self) -> Iterable[str]:
        """The elements that are what the packet has, or have it in them."""
        return (text for text in _texts(self.named) if holds(text, self.value))

    def has(self, value: str) -> bool:
        """Whether an element is a value, or has it in it."""
        return any(holds(text, value) for text in _texts(self.named))

    def amended(self) -> Iterator[fixes.Fix]:
        """The commands with which the packet passes the test: it is put into the set, or what has it is taken
        out.
        """
        if self.test.op not in _WANTED:
            yield from map(partial(self.change, "delete"), self.held())
        elif not self.has(self.value):
            yield self.change("add", self.value)

    def change(self, what: str, element: str) -> fixes.Fix:
        """The command that adds an element, or takes one away."""
        if self.table is None:
            return (Command.of("ipset", {"add": "add", "delete": "del"}[what], self.named.name, element),)
        where = ("element", self.table.family, self.table.name, self.named.name)
        return fixes.nft((self.table.name, self.named.name), what, *where, f"{{ {element} }}")


def _texts(named: NamedSet | IpSet) -> list[str]:
    """The elements of a set, as its tool writes them."""
    if isinstance(named, IpSet):
        return [*column(named.entries or (), "first")]
    return [*map(nat_rules.written, named.known)]


def candidates(loss: Loss) -> Iterator[Repair]:
    """What each set would have to hold, or not to hold, at the place where rules refused the packet, or where
    one did not translate it.
    """
    for router in but(loss.asked(Leg.REQUEST), iif=None):
        yield from _untranslated(loss, router)
    for routed in loss.prediction.routed:
        yield from _marked(loss, routed)
    if loss.stop.code not in {*REFUSED, *_QUESTIONS, "port-closed"}:
        return
    namespace = loss.here
    tests = _refusing(loss)
    unwanted = _turned_away(namespace)
    hops = (*where(came(loss), namespace=namespace.name), *_asked_at(loss))
    for flow in _flows(loss, namespace):
        for table in where(namespace.tables, engine="nft"):
            others = _tested(table, not_among(tests, op=_WANTED), seen(flow, hops), _plain)
            yield from chain.from_iterable(map(partial(_with, loss), others))
        for lookup in (*_of_nft(namespace, flow, hops), *_of_ipset(namespace, flow, _every(namespace))):
            if lookup.test in tests:
                yield from _without(loss, lookup)
            elif _called(lookup.table, lookup.test) not in unwanted:
                yield from _with(loss, lookup)


def _untranslated(loss: Loss, router: Routed) -> Iterator[Repair]:
    """The sets for which a rule passes a packet over that it would give another source: the sender is in none
    of those that it is for, or the destination in one of those that it is not for.
    """
    namespace, out = loss.snapshot[router.namespace], loss.out(router)
    flow = replace(loss.probe.flow(), src=router.src, dst=router.dst)
    place = Place(namespace.name, name_of(out), Stage.POSTROUTING)
    for rule in nat_rules.rules_of_nat(namespace, "postrouting", router.src, "snat", "masquerade"):
        thing = rule.decision.object
        for lookup in _tested(rule.table, rule.statements, seen(flow), _plain):
            text = f"{lookup.words} of {namespace.name} keeps {thing.id} from translating {lookup.value}"
            for fix in lookup.amended():
                stop = Stop("nat-wrong-match", place, text, thing, fix, (thing.text, loss.stop.text))
                yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _marked(loss: Loss, routed: Routed) -> Iterator[Repair]:
    """The sets at which rules look that mark packets, or spare some in front of those, where a mark led this
    one, or its answer, astray.
    """
    namespace, led = loss.snapshot[routed.namespace], bool(getattr(routed.decision.rule, "mark", 0))
    came = [*column(where(loss.hops, namespace=namespace.name)[:1], "flow")]
    ways = (*came, *map(Flow.reversed, came)) * led
    tables = namespace.tables * led
    setting, *leaving = ([*nat_rules.of_kind(tables, kind)] for kind in _SETTING)
    end = replace(
        loss.stop, code="rule-wrong-table", place=Place(namespace.name, None, Stage.ROUTE), object=None
    )
    refused = (loss.stop.code, loss.here) == ("rule-prohibit", namespace)
    stop = loss.stop if refused else end
    chains = {*map(_PLACED, setting)}
    sparing = [each for each in chain.from_iterable(leaving) if _PLACED(each) in chains]
    for flow, each in product(ways, (*setting, *sparing)):
        of_nft = _tested(each.table, each.statements, seen(flow), _set_of)
        for lookup in chain(of_nft, _of_ipset(namespace, flow, each.statements)):
            if not lookup.has(lookup.value):
                yield from _with(loss, lookup, stop)


_SETTING = ("set", "return", "accept")  # what gives a mark, and what lets pass before that
_PLACED = attrgetter("table.key", "chain.name")


def _asked_at(loss: Loss) -> Iterator[Hop]:
    """The hop at which a question or its answer was lost, as any other packet's."""
    for last in loss.hops[-1:] if loss.stop.code in _QUESTIONS else ():
        yield replace(last, interface=loss.stop.place.interface, bound="in")


def _flows(loss: Loss, namespace: Namespace) -> Iterator[Flow]:
    """The packet as it came there, and what a tunnel of the namespace would carry it in; a question as any
    station beside would send it.
    """
    for name, link in loss.hearers() if loss.stop.code in _QUESTIONS else ():
        for own in loss.snapshot[name].addresses_of(link, _QUESTIONS[loss.stop.code]):
            yield Flow(own.address, loss.goal, Protocol.ARP, src_mac=link.mac)
    for flow in column(where(came(loss), namespace=namespace.name)[-1:], "flow"):
        # who asked has another port each time
        yield replace(flow, dport={Leg.REPLY: None}.get(loss.prediction.lost_leg, flow.dport))
    for link, vxlan in namespace.vxlans:
        for remote in namespace.remotes_of(link):
            yield Flow(remote, vxlan.local or "", Protocol.UDP, dport=vxlan.port)


def _with(loss: Loss, lookup: _Lookup, end: Stop | None = None) -> Iterator[Repair]:
    """The packet's value added to the set; what it was before a translation may be there already, or what
    the sender is by an address of its own. `end`: where the set is, if not where the packet was lost.
    """
    stop = end or loss.stop
    text = f"the set {lookup.named.name} of {stop.place.namespace} lacks {lookup.value}"
    thing = Object("set", lookup.words, lookup.words)
    changes = chain.from_iterable(column(loss.hops, "changes"))
    former = column(where(changes, after=lookup.value), "before")
    sender = loss.snapshot.at(loss.probe.source.namespace)
    taken = where(sender.addresses, address=lookup.value, version=6, prefixlen=128)
    own = chain.from_iterable(column(beside(sender, each), "address") for each in taken)
    merit = Merit.restoring(not any(map(lookup.has, (*former, *own))))
    added = next(_network(loss.snapshot.at(stop.place.namespace), lookup), lookup.value)
    fix, agreeing = lookup.change("add", added), 1 + _left(loss, lookup)
    yield from _repair(loss, text, thing, fix, merit, agreeing, stop)


def beside(namespace: Namespace, taken: InterfaceAddress) -> tuple[InterfaceAddress, ...]:
    """The other addresses of an interface that are of networks."""
    others = where(namespace.addresses, index=taken.index, version=taken.version, scope="global")
    return but(others, prefixlen=prefix.bits(taken.address))


def _network(namespace: Namespace, lookup: _Lookup) -> Iterator[str]:
    """The network of the packet's address, where a set has networks alone and none of it."""
    texts = _texts(lookup.named)
    counts = map(methodcaller("count", "/"), texts)
    alone = [len(lookup.value.split()), *{*counts}] != [1, 1]  # of single addresses, or of several things
    starts = [text.partition("/")[0] for text in texts]
    routes = where(namespace.routes, is_to_a_network=True, gateways=[None])
    for network in map(attrgetter("dst"), () if alone else routes):
        if prefix.contains(network, lookup.value) and not any(map(partial(prefix.contains, network), starts)):
            yield network


def _left(loss: Loss, lookup: _Lookup) -> int:
    """Whether a set of senders has one that nobody in sight is any more: it may be what this one was."""
    spaces = loss.snapshot.namespaces.values()
    macs = {*column(chain.from_iterable(column(spaces, "links")), "mac")}
    texts = [each for each in _texts(lookup.named) if {"/", "-"}.isdisjoint(each)]
    return lookup.test.key.endswith("saddr") and not {*texts} <= macs | loss.owned


def names(namespace: Namespace, flow: Flow) -> bool:
    """Whether rules of a namespace accept packets for being of this sender: they name him, or his network, or
    a set that has him.
    """
    accepting = nat_rules.of_kind(namespace.tables, "accept")
    networks = (nat_rules.networks(each.statements, "ip saddr", "ip6 saddr") for each in accepting)
    if prefix.within(chain.from_iterable(networks), flow.src):
        return True
    lookups = where(
        chain(_of_nft(namespace, flow), _of_ipset(namespace, flow, _every(namespace))), value=flow.src
    )
    return any(map(methodcaller("has", flow.src), lookups))


def _without(loss: Loss, lookup: _Lookup) -> Iterator[Repair]:
    """The elements taken away for which the rule refuses the packet: an address that was banned."""
    text = f"the set {lookup.named.name} of {loss.stop.place.namespace} holds {lookup.value}"
    for element in lookup.held():
        yield from _repair(loss, text, loss.stop.object, lookup.change("delete", element))


def _repair(
    loss: Loss,
    text: str,
    thing: Object | None,
    fix: fixes.Fix,
    merit: Merit = Merit.RESTORES,
    agreeing: int = 1,
    end: Stop | None = None,
) -> Iterator[Repair]:
    told = f"{text}: {loss.stop.text}"
    proof = (loss.stop.text,)
    stop = replace(_led_on(end or loss.stop), text=told, object=thing, commands=fix, proof=proof, advice="")
    yield from loss.repair(stop, merit, agreeing=agreeing)


def came(loss: Loss) -> tuple[Hop, ...]:
    """The hops of what was lost, without those of the answer that refuses it."""
    return loss.prediction.request.hops if loss.prediction.leg is Leg.REQUEST else loss.hops


def _led_on(stop: Stop) -> Stop:
    """A closed port as what it is where a set opens it: one that is led to no program."""
    if stop.code != "port-closed":
        return stop
    return replace(stop, code="dnat-missing", place=replace(stop.place, stage=Stage.PREROUTING))


def _tests(table: Table) -> Iterator[Statement]:
    """What the rules of a table do, one after the other."""
    return chain.from_iterable(column(table.rules, "statements"))


def _every(namespace: Namespace) -> Iterator[Statement]:
    """The same of all tables."""
    return chain.from_iterable(map(_tests, namespace.tables))


def _of_nft(namespace: Namespace, flow: Flow, hops: Iterable[Hop] = ()) -> Iterator[_Lookup]:
    """Each test of a rule that looks into a set of nft whose elements were read."""
    for table in where(namespace.tables, engine="nft"):
        yield from _tested(table, _tests(table), seen(flow, hops), _set_of)


def lacks(namespace: Namespace, hops: tuple[Hop, ...], name: str) -> bool:
    """Whether a rule of nft looks for a packet, as it was at the last of its hops there, in a set of this
    name that does not know it.
    """
    there = where(hops, namespace=namespace.name)
    lookups = chain.from_iterable(_of_nft(namespace, hop.flow, there) for hop in there[-1:])
    return any(each.named.name == name and not each.has(each.value) for each in lookups)


def _tested(table: Table, steps: Iterable[Statement], packet: Seen, of: _Set) -> Iterator[_Lookup]:
    """The tests of what a packet has by a set of a table of nft, of the sets that `of` gives."""
    for test in where(steps, kind="match"):
        named, wanted = of(table, test), value(test, packet)
        if named and wanted:
            yield _Lookup(test, named, wanted, table)


_Set = Callable[[Table, Statement], NamedSet | None]


def _of_ipset(namespace: Namespace, flow: Flow, steps: Iterable[Statement]) -> Iterator[_Lookup]:
    """Each of these tests that wants the packet in a set of ipset(8) of addresses or networks alone."""
    for test in where(steps, kind="ipset", op="=="):
        named = _ipset_of(namespace, test)
        value = {"src": flow.src}.get(test.options.get("match-set", ""), flow.dst)
        if named and value and named.version in (None, flow.version):
            yield _Lookup(test, named, value)


def _ipset_of(namespace: Namespace, test: Statement) -> IpSet | None:
    match namespace.filters.ipset(test.target):
        case IpSet(entries=tuple(), type="hash:ip" | "hash:net") as named:
            return named
    return None


def refusing_for_its_goal(loss: Loss) -> set[str]:
    """The namespace in which the packet was refused, where the rule asks for where it goes: such an address
    is known there, and is not meant to be the namespace's own.
    """
    named = loss.stop.code in REFUSED and any(map(_is_of_goals, _refusing(loss)))
    return {loss.here.name} if named else set()


def _refusing(loss: Loss) -> tuple[Statement, ...]:
    """The steps of the rule that refused the packet, and of those that led it there: what a chain of its own
    refuses for all that is led to it is refused by these.
    """
    led = chain.from_iterable(column(led_to_the_end(loss), "statements"))
    return (*nat_rules.statements(loss.here, loss.stop.thing), *led)


def _is_of_goals(test: Statement) -> bool:
    """Whether a test is for some destinations: for what it names, or what is in a set."""
    if test.op not in _WANTED:
        return False
    looked = column(test.left.nodes, "text") if test.left is not None else ()
    sides = test.options.get("match-set", "").split(",")
    return "dst" in sides or not {*nat_rules.TO}.isdisjoint(looked)


def _turned_away(namespace: Namespace) -> set[str]:
    """The sets of what rules turn away: whatever exceptions they make, nothing passes for being in them."""
    found: set[str] = set()
    for table in namespace.tables:
        for rule in table.rules:
            if _refuses(table, rule):
                found.update(_called(table, test) for test in rule.statements)
    return found


def _called(table: Table | None, statement: Statement) -> str:
    """The set that a test wants the packet to be in; "" for any other statement."""
    if statement.op not in _WANTED:
        return ""
    if table is not None and _looks_up(statement):
        return f"{table.family} {table.name} {statement.value}"
    if statement.kind == "ipset":
        return f"ipset {statement.target}"
    return ""


_WANTED = ("==", "in", "")  # how a test says that the packet is to be in a set


def _looks_up(statement: Statement) -> bool:
    return statement.right is not None and statement.right.kind == "ref"


def _refuses(table: Table, rule: Rule) -> bool:
    """Whether the rule turns away what it finds in a set: by itself, or by the last word of its chain."""
    behind = table.chain(rule.leads_to) or Chain("")
    steps = chain.from_iterable(column((rule, *behind.rules[-1:]), "statements"))
    return bool(among([*steps][-1:], kind=("drop", "reject")))


def _set_of(table: Table, statement: Statement) -> NamedSet | None:
    """The plain set that a test looks into; None for a map, and where membership is what it does not want."""
    return _plain(table, statement) if statement.op in _WANTED else None


def _plain(table: Table, statement: Statement) -> NamedSet | None:
    """The plain set that a test looks into, whatever it wants; None for a map."""
    if not _looks_up(statement):
        return None
    match table.set(statement.value):
        case NamedSet(data=None, elements=tuple()) as plain:
            return plain
    return None

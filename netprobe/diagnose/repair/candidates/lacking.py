"""A map of nft that lacks the packet: its element is gone, or is for another one. Pure.

See: nft(8), VERDICT MAPS, MAPS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain as joined
from itertools import islice, product
from operator import attrgetter

from netprobe.diagnose.nat_rules import written
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Hop, NamedSet, Namespace, Object, Place, Stage, Statement, Stop, Table, Term
from netprobe.model.lookup import among, but, first, has, not_among, sole, where
from netprobe.model.pattern import pattern
from netprobe.predict import fixes

from . import elements, hooks, orphans, sets

_MOST = 8  # elements that are tried, of a namespace
_PLAIN = pattern(r"[\w .:/-]+")  # what means itself in nft's language, whoever made its name


def candidates(loss: Loss) -> Iterator[Repair]:
    """The element that the packet asked for, in each map in which rules on its way look; not of who handed
    it on to the very station that it was for.
    """
    arrived = loss.stop.code == "port-closed" and has(loss.here.addresses, address=loss.hops[0].flow.dst)
    hops = among(loss.hops, namespace=(loss.here.name,) if arrived else loss.snapshot)
    for hop in first(hops, attrgetter("namespace")).values():
        namespace = loss.snapshot[hop.namespace]
        came = where(loss.hops, namespace=namespace.name, flow=hop.flow)  # by a port, and out of its bridge
        tables = where(namespace.tables, engine="nft")
        lacked = joined.from_iterable(
            _lacked(table, hop, came[:1] if table.family == "bridge" else came) for table in tables
        )
        merit = Merit.restoring(not _serves(namespace, hop))
        for table, named, key in islice(lacked, _MOST):
            odd = [*_of_nothing(namespace, named, key)]
            for old, data in (*odd, *product(("",), _data(table, named, key))):
                stop = _entered(loss, namespace, table, named, f"{key} : {data}", old)
                yield from loss.repair(stop, merit, agreeing=1 + (named.known == ()) + bool(old))


def _serves(namespace: Namespace, hop: Hop) -> bool:
    """Whether a program waits there itself for what comes: a map leads on what is for others."""
    flow = hop.flow
    return flow.dport is not None and has(namespace.waiting(flow.protocol.value), port=flow.dport)


def _lacked(table: Table, hop: Hop, came: Iterable[Hop]) -> Iterator[tuple[Table, NamedSet, str]]:
    """The maps of a table that lack a packet, with its key; `came`: the hops by which it came there."""
    for test in filter(
        None, map(_looked_up, joined.from_iterable(map(attrgetter("statements"), table.rules)))
    ):
        key = elements.value(test, elements.seen(hop.flow, came)) or ""
        for named in where(but(table.sets, data=None), name=test.value) if key else ():
            if not any(map(partial(elements.holds, value=_bare(key)), _known(named))):
                yield table, named, key


def _known(named: NamedSet) -> dict[str, Term]:
    """What a map has for each of its keys."""
    return {_bare(written(each.args[0])): each.args[1] for each in where(named.known, kind="pair")}


def _of_nothing(namespace: Namespace, named: NamedSet, key: str) -> Iterator[tuple[str, str]]:
    """The key of a map that is the packet's but for an interface that is not there, with what the map has for
    that. An address of nobody may be of one who is off.
    """
    parts = _bare(key).split(" . ")
    for pair in where(named.known, kind="pair"):
        old, data = map(written, pair.args)
        others = _bare(old).split(" . ")
        odd = [names for names in zip(others, parts, strict=False) if names[0] != names[1]]
        if len(others) == len(parts) and len(odd) == 1 and _is_gone(namespace, *odd[0]):
            yield from product((old,), filter(_PLAIN.fullmatch, (data,)))


def _is_gone(namespace: Namespace, old: str, present: str) -> bool:
    """Whether an interface is not there, where another one is."""
    plain = _PLAIN.fullmatch(old) is not None
    return plain and namespace.link_named(old) is None and namespace.link_named(present) is not None


def _bare(key: str) -> str:
    """A key without the quotation marks around names."""
    return key.replace('"', "")


def _looked_up(statement: Statement) -> Statement | None:
    """What a statement looks for in a named map, as a test of it."""
    match statement:
        case Statement(kind="vmap", right=Term(kind="ref")):
            return statement
        case Statement(right=Term(kind="map", args=(key, Term(kind="ref") as named))):
            return Statement("vmap", key, right=named)
    return None


def _data(table: Table, named: NamedSet, key: str) -> Iterable[str]:
    """What a map could have for a key: the one chain to which nothing leads any more; what it has for one
    that is the same but for one of its parts; each of its marks.
    """
    known = _known(named)
    verbs = [verb for verb, _ in hooks.verdicts(known.values())]
    lost = not_among(but(where(table.chains, hook=None), rules=()), name=orphans.called(table))
    parts = {*_bare(key).split(" . ")}
    near = [
        written(data) for other, data in known.items() if len(parts - {*other.split(" . ")}) == 1 < len(parts)
    ]
    marks = map(written, known.values() if named.data == "mark" else ())
    found = (*(f"{[*verbs, 'goto'][0]} {each.name}" for each in sole(lost)), *near, *marks)
    return dict.fromkeys(filter(_PLAIN.fullmatch, found))


_MISSED = {"mark": (Stage.ROUTE, "rule-wrong-table")}


def _entered(loss: Loss, namespace: Namespace, table: Table, named: NamedSet, element: str, old: str) -> Stop:
    """The end of the walk where an element is missing, or stands for another key."""
    what = " ".join(("nft", table.family, table.name, named.name))
    at, named_by = ("element", table.family, table.name, named.name), (table.name, named.name)
    key, instead = element.partition(" : ")[0], f" and has {old}, which is nothing here" if old else ""
    text = f"the map {named.name} of {namespace.name} lacks {key}{instead}: {loss.stop.text}"
    stage, code = _MISSED.get(named.data or "", (Stage.PREROUTING, "dnat-missing"))
    place = Place(namespace.name, None, stage)
    if loss.stop.code in sets.REFUSED and named.data == "verdict":
        code, place = loss.stop.code, loss.stop.place
    gone = fixes.nft(named_by, "delete", *at, f"{{ {old} }}") if old else ()
    fix = (*gone, *fixes.nft(named_by, "add", *at, f"{{ {element} }}"))
    return Stop(code, place, text, Object("set", what, what), fix, (loss.stop.text,), advice="")

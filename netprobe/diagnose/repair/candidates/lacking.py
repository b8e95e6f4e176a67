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

from . import orphans, sets

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
        for table, named, key, data in islice(lacked, _MOST):
            stop = _entered(loss, namespace, table, named, f"{key} : {data}")
            yield from loss.repair(stop, merit, agreeing=1 + (named.known == ()))


def _serves(namespace: Namespace, hop: Hop) -> bool:
    """Whether a program waits there itself for what comes: a map leads on what is for others."""
    flow = hop.flow
    return flow.dport is not None and has(namespace.waiting(flow.protocol.value), port=flow.dport)


def _lacked(table: Table, hop: Hop, came: Iterable[Hop]) -> Iterator[tuple[Table, NamedSet, str, str]]:
    """The maps of a table that lack a packet, with its key and what they could have for that; `came`: the
    hops by which it came there.
    """
    for test in filter(
        None, map(_looked_up, joined.from_iterable(map(attrgetter("statements"), table.rules)))
    ):
        key = sets.value(test, sets.seen(hop.flow, came)) or ""
        for named in where(but(table.sets, data=None), name=test.value) if key else ():
            known = {_bare(written(each.args[0])): each.args[1] for each in where(named.known, kind="pair")}
            if not any(map(partial(sets.holds, value=_bare(key)), known)):
                yield from product((table,), (named,), (key,), _data(table, named, key, known))


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


def _data(table: Table, named: NamedSet, key: str, known: dict[str, Term]) -> Iterable[str]:
    """What a map could have for a key: the one chain to which nothing leads any more; what it has for one
    that is the same but for one of its parts; each of its marks.
    """
    verbs = [verb for verb, _ in orphans.verdicts(known.values())]
    lost = not_among(but(where(table.chains, hook=None), rules=()), name=orphans.called(table))
    parts = {*_bare(key).split(" . ")}
    near = [
        written(data) for other, data in known.items() if len(parts - {*other.split(" . ")}) == 1 < len(parts)
    ]
    marks = map(written, known.values() if named.data == "mark" else ())
    found = (*(f"{[*verbs, 'goto'][0]} {each.name}" for each in sole(lost)), *near, *marks)
    return dict.fromkeys(filter(_PLAIN.fullmatch, found))


_MISSED = {"mark": (Stage.ROUTE, "rule-wrong-table")}


def _entered(loss: Loss, namespace: Namespace, table: Table, named: NamedSet, element: str) -> Stop:
    what = " ".join(("nft", table.family, table.name, named.name))
    words = ("add", "element", table.family, table.name, named.name, f"{{ {element} }}")
    text = f"the map {named.name} of {namespace.name} lacks {element.partition(' : ')[0]}: {loss.stop.text}"
    stage, code = _MISSED.get(named.data or "", (Stage.PREROUTING, "dnat-missing"))
    place = Place(namespace.name, None, stage)
    if loss.stop.code in sets.REFUSED and named.data == "verdict":
        code, place = loss.stop.code, loss.stop.place
    fix = fixes.nft((table.name, named.name), *words)
    return Stop(code, place, text, Object("set", what, what), fix, (loss.stop.text,), advice="")

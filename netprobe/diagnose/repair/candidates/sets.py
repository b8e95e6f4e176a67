"""Named sets of nft that lack the packet: a rule that looks there would let it through. Pure.

See: nft(8), SETS.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Flow, NamedSet, Namespace, Object, Statement, Table
from netprobe.predict import fixes

_PORTS = ("tcp dport", "udp dport", "th dport")
_REFUSED = {"policy-drop", "rejected-by-rule", "filtered-by-rule"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """What each set would have to hold at the place where rules refused the packet."""
    namespace = loss.snapshot.get(loss.stop.place.namespace)
    flow = next((hop.flow for hop in reversed(loss.hops) if hop.namespace == loss.stop.place.namespace), None)
    if loss.stop.code not in _REFUSED or namespace is None or flow is None:
        return
    for table, named, statement in _looked_up(namespace):
        value = _value(statement, flow)
        if value:
            yield from _with(loss, table, named, value)


def _with(loss: Loss, table: Table, named: NamedSet, value: str) -> Iterator[Repair]:
    words = ("add", "element", table.family, table.name, named.name, f"{{ {value} }}")
    name = " ".join(("nft", table.family, table.name, named.name))
    text = f"the set {named.name} of {loss.stop.place.namespace} lacks {value}: {loss.stop.text}"
    fix = fixes.nft((table.name, named.name), *words)
    proof = (loss.stop.text,)
    stop = replace(
        loss.stop, text=text, object=Object("set", name, name), commands=fix, proof=proof, advice=""
    )
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _looked_up(namespace: Namespace) -> Iterator[tuple[Table, NamedSet, Statement]]:
    """Each test of a rule that looks into a set whose elements were read."""
    for table in namespace.tables:
        rules = table.rules if table.engine == "nft" else ()
        for statement in (statement for rule in rules for statement in rule.statements):
            named = _set_of(table, statement)
            if named is not None:
                yield table, named, statement


def _set_of(table: Table, statement: Statement) -> NamedSet | None:
    """The plain set that a test looks into; None for a map, and where membership is what it does not want."""
    right = statement.right
    if (
        statement.kind != "match"
        or statement.op not in ("==", "in", "")
        or right is None
        or right.kind != "ref"
    ):
        return None
    named = table.set(right.text)
    return named if named is not None and named.data is None and named.elements is not None else None


def _value(statement: Statement, flow: Flow) -> str | None:
    """What the packet has where the test looks, as an element."""
    family = "ip6" if flow.version == 6 else "ip"
    port = str(flow.dport) if flow.dport is not None else None
    known = {f"{family} saddr": flow.src, f"{family} daddr": flow.dst, **dict.fromkeys(_PORTS, port)}
    return known.get(statement.left.text) if statement.left is not None else None

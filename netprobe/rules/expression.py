"""Expressions of rules evaluated for a packet: selectors, masks, concatenations, maps; and the tests made of
them.

Three answers: a value, None (the packet has no such thing, the rule ends without a match) or a `Doubt` that
says why not.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, structs

from netprobe.model import Ruleset, SetQuery, Statement, Table, Term

from .datatypes import NUMBER, WORD, Datatype
from .operands import Value, compiled, elements, literals
from .packet import HookPacket, Surroundings
from .ruling import Doubt, Reason
from .selectors import UNKNOWN, find


class Scene(Struct, frozen=True, gc=False):
    """Where an expression is evaluated: the rules (for named sets), the table it stands in, and the
    surroundings.
    """

    ruleset: Ruleset
    table: Table
    around: Surroundings


class Key(Struct, frozen=True, gc=False):
    """The left side of a test, evaluated: its values and their types, one for each part of a concatenation.

    A part that is not known is None; `doubt` then says why, and matters only where the parts that are known
    fit.
    """

    values: tuple[Value | None, ...]
    kinds: tuple[Datatype, ...]
    doubt: Doubt | None = None


def left(term: Term, packet: HookPacket, scene: Scene) -> Key | Doubt | None:
    """The value of a left side."""
    if term.kind == "concat":
        return _concatenation(term, packet, scene)
    kind = type_of(term)
    value = evaluate(term, packet, scene, kind)
    if value is None or isinstance(value, Doubt):
        return value
    return Key((value,), (kind,))


def _concatenation(term: Term, packet: HookPacket, scene: Scene) -> Key | None:
    doubt: Doubt | None = None
    values: list[Value | None] = []
    kinds: list[Datatype] = []
    for part in term.args:
        key = left(part, packet, scene)
        if key is None:
            return None
        if isinstance(key, Doubt):
            doubt = key
            values.append(None)
            kinds.append(type_of(part))
        else:
            values += key.values
            kinds += key.kinds
    return Key(tuple(values), tuple(kinds), doubt)


def type_of(term: Term) -> Datatype:
    """The type of an expression: that of the selector in it."""
    if term.kind == "key":
        return find(term.text)[0]
    if term.kind in _ARITHMETIC:
        return type_of(term.args[0])
    return NUMBER


def evaluate(term: Term, packet: HookPacket, scene: Scene, kind: Datatype = NUMBER) -> Value | Doubt | None:
    """The value of an expression of one part; `kind` is how its literals read."""
    match term.kind:
        case "key":
            seen = find(term.text)[1](packet, scene.around)
            return _unheard(term.text) if seen is UNKNOWN else seen
        case "value":
            return _literal(term.text, kind)
        case "set":
            return _union(term, kind)
        case "map":
            found = look_up(term.args[0], term.args[1], packet, scene)
            return evaluate(found, packet, scene, kind) if isinstance(found, Term) else found
        case "numgen" | "hash":
            return Doubt(Reason.RANDOM, term.text)
    if term.kind in _ARITHMETIC:
        return _arithmetic(term, packet, scene, kind)
    return Doubt(Reason.UNKNOWN, term.text or term.kind)


def _literal(text: str, kind: Datatype) -> Value | Doubt:
    try:
        return text if kind.text else kind.number(text)
    except ValueError:
        return Doubt(Reason.UNKNOWN, f"{text} is not understood")


def _union(term: Term, kind: Datatype) -> Value | Doubt:
    """Flags listed one by one: their bits together."""
    total = 0
    for each in term.args:
        bit = _literal(each.text, kind)
        if not isinstance(bit, int):
            return Doubt(Reason.UNKNOWN, f"{each.text} is not understood")
        total |= bit
    return total


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "&": lambda a, b: a & b, "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a,
    b: a << b & 0xFFFFFFFF,
    ">>": lambda a, b: a >> b, "+": lambda a, b: min(a + b, 255), "-": lambda a, b: max(a - b, 0),
}  # fmt: skip


def _arithmetic(term: Term, packet: HookPacket, scene: Scene, kind: Datatype) -> Value | Doubt | None:
    result: int | None = None
    for part in term.args:
        number = evaluate(part, packet, scene, kind)
        if number is None or isinstance(number, Doubt):
            return number
        if isinstance(number, str):
            return Doubt(Reason.UNKNOWN, f"{term.kind} of a name")
        result = number if result is None else _ARITHMETIC[term.kind](result, number)
    return result


# --- tests


def matches(statement: Statement, packet: HookPacket, scene: Scene) -> bool | Doubt:
    """Whether a "match" statement holds.

    A header that the packet does not have never matches, negated or not.
    """
    if statement.left is None or statement.right is None:
        return Doubt(Reason.UNKNOWN, statement.text)
    if statement.left.kind == "any":
        return _any(statement, packet, scene)
    if statement.left.kind in ("numgen", "hash"):
        return Doubt(Reason.RANDOM, statement.left.text, chance=_share(statement))
    try:
        if (statement.left.kind, statement.right.kind, statement.op) in _PLAIN:
            return _plain(statement.left.text, statement.op, statement.right.text, packet, scene)
        key = left(statement.left, packet, scene)
        if key is None:
            return False
        return key if isinstance(key, Doubt) else _compare(statement.op, key, statement.right, packet, scene)
    except ValueError as error:
        return Doubt(Reason.UNKNOWN, str(error))


_PLAIN = {("key", "value", "=="), ("key", "value", "!=")}


def _plain(selector: str, op: str, literal: str, packet: HookPacket, scene: Scene) -> bool | Doubt:
    """A selector compared with one literal: what nine of ten tests are, without the detours that the others
    need.
    """
    kind, read = find(selector)
    seen = read(packet, scene.around)
    if seen is None:
        return False
    if seen is UNKNOWN:
        return _unheard(selector)
    return (seen in compiled(kind, (literal,))) is (op == "==")


def _unheard(selector: str) -> Doubt:
    return Doubt(Reason.UNKNOWN, f"{selector} is not known")


def _any(statement: Statement, packet: HookPacket, scene: Scene) -> bool | Doubt:
    """One of several selectors has the value (iptables multiport --ports)."""
    assert statement.left is not None
    answers = [
        matches(structs.replace(statement, left=each, op="=="), packet, scene) for each in statement.left.args
    ]
    found = True in answers
    if not found:
        doubt = next((each for each in answers if isinstance(each, Doubt)), None)
        if doubt is not None:
            return doubt
    return found != (statement.op == "!=")


def _compare(op: str, key: Key, right: Term, packet: HookPacket, scene: Scene) -> bool | Doubt:
    if right.kind == "ref":
        member = _in_named_set(key, right.text, scene)
        return member if isinstance(member, Doubt) or op in ("==", "in") else not member
    if op in ("in", "not in"):
        return _shares_bits(key, right) is (op == "in")
    if op in ("<", ">", "<=", ">="):
        return _ordered(op, key, right, packet, scene)
    return _equal(key, right, packet, scene, op)


def _equal(key: Key, right: Term, packet: HookPacket, scene: Scene, op: str) -> bool | Doubt:
    simple = literals(right)
    if len(key.values) == 1 and simple is not None:
        return (key.values[0] in compiled(key.kinds[0], simple)) is (op == "==")
    if right.kind in ("set", "concat"):
        terms = right.args if right.kind == "set" else (right,)
        fits = any(element.holds(key.values) for element in elements(key.kinds, terms))
        return (fits and key.doubt) or fits is (op == "==")
    value = evaluate(right, packet, scene, key.kinds[0])
    if isinstance(value, Doubt):
        return value
    return (key.values[0] == value) is (op == "==")


def _shares_bits(key: Key, right: Term) -> bool:
    simple = literals(right)
    if simple is None or not isinstance(key.values[0], int):
        raise ValueError("a test of flags that is not understood")
    bits = 0
    for each in simple:
        bits |= key.kinds[0].number(each)
    return bool(key.values[0] & bits)


def _ordered(op: str, key: Key, right: Term, packet: HookPacket, scene: Scene) -> bool | Doubt:
    other = evaluate(right, packet, scene, key.kinds[0])
    mine = key.values[0]
    if isinstance(other, Doubt):
        return other
    if not isinstance(mine, int) or not isinstance(other, int):
        raise ValueError("an ordering of names")
    return {"<": mine < other, ">": mine > other, "<=": mine <= other, ">=": mine >= other}[op]


def _share(statement: Statement) -> float | None:
    """How often `numgen random mod 4 < 1` holds."""
    assert statement.left is not None
    words = statement.left.text.split()
    if statement.left.kind != "numgen" or "mod" not in words:
        return None
    modulus = int(words[words.index("mod") + 1])
    offset = int(words[words.index("offset") + 1]) if "offset" in words else 0
    right = statement.right
    if right is None or right.kind != "value" or modulus > 100_000:
        return None
    low, high = NUMBER.bounds(right.text)
    holds: dict[str, Callable[[int], bool]] = {
        "==": lambda n: low <= n <= high, "!=": lambda n: not low <= n <= high, "<": lambda n: n < low,
        ">": lambda n: n > low,
        "<=": lambda n: n <= low, ">=": lambda n: n >= low,
    }  # fmt: skip
    return sum(holds[statement.op](n) for n in range(offset, offset + modulus)) / modulus


# --- named sets and maps


def _in_named_set(key: Key, name: str, scene: Scene) -> bool | Doubt:
    found = _named(key, name, scene)
    return found if isinstance(found, Doubt) else found is not None


def look_up(left_side: Term, source: Term, packet: HookPacket, scene: Scene) -> Term | Doubt | None:
    """What a map gives for the packet: data, None for a key that it does not hold, or a doubt."""
    key = left(left_side, packet, scene)
    if key is None or isinstance(key, Doubt):
        return key
    try:
        if source.kind == "ref":
            return _named(key, source.text, scene)
        return _held(key, source.args, Term("value"))
    except ValueError as error:
        return Doubt(Reason.UNKNOWN, str(error))


def _held(key: Key, terms: tuple[Term, ...], present: Term) -> Term | Doubt | None:
    """The data of the element that holds the key, `present` for an element without data, None where none
    does.
    """
    holding = (each for each in elements(key.kinds, terms) if each.holds(key.values))
    element = next(holding, None)
    if element is None:
        return None
    return key.doubt or element.data or present


def _named(key: Key, name: str, scene: Scene) -> Term | Doubt | None:
    """The data (or for a set: the key) of a named set's element; asks when its elements were not read."""
    named = scene.table.set(name)
    if named is None:
        return Doubt(Reason.UNKNOWN, f"set {name} is not there")
    if named.elements is not None:
        return _held(key, named.elements, Term("value", name))
    if key.doubt:
        return key.doubt
    query = SetQuery(
        scene.table.family,
        scene.table.name,
        name,
        tuple(_spelled(*each) for each in zip(key.values, key.kinds, strict=True)),
    )
    asked = scene.ruleset.answer(query)
    if asked is None:
        return Doubt(Reason.UNKNOWN, f"is {' . '.join(query.key)} in set {name}?", need=query)
    if asked.error:
        return Doubt(Reason.UNKNOWN, f"set {name} could not be asked: {asked.error}")
    return (asked.data or Term("value", name)) if asked.member else None


def _spelled(value: Value | None, kind: Datatype) -> str:
    """A value as nft spells it, for a question to the kernel."""
    if isinstance(value, str) or kind is WORD:
        return str(value)
    if kind.name in ("ipv4", "ipv6"):
        from ipaddress import IPv4Address, IPv6Address

        return str(IPv4Address(value) if kind.name == "ipv4" else IPv6Address(value))
    if kind.name == "mac":
        return ":".join(f"{value:012x}"[n : n + 2] for n in range(0, 12, 2))
    return str(value)

"""Changes of rules in the words of nft(8), carried out on a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import filterfalse

from msgspec.structs import replace

from netprobe.model import Chain, NamedSet, Rule, Ruleset, Snapshot, Statement, Table, Term
from netprobe.model.lookup import exchanged, find, not_among, where, without
from netprobe.predict import prefix
from netprobe.predict.allow import LIMITS, REFUSING, turned, without_limit
from netprobe.rules.read.nft_chain import chain_of
from netprobe.rules.read.nft_expression import VERDICTS
from netprobe.rules.read.nft_text import rule_statements

from .apply_tables import edited, ruleset, unused, with_chain, with_rules, with_table, without_rule
from .nat_rules import swapped, written
from .order import Order, must, refuse_if


def nft(order: Order) -> Snapshot:
    """`nft add|delete table FAMILY TABLE`, which wakes a dormant one; `nft [add] chain FAMILY TABLE CHAIN '{
    … }'`, `nft delete|flush chain`; `nft add|insert rule … [position|handle N] RULE`, `nft replace rule …
    handle N RULE`, `nft delete rule … handle N`; `nft add|delete element FAMILY TABLE SET '{ … }'`.
    """
    match order.words:
        case ["flush", "ruleset"]:
            return _without_tables(order, lambda table: table.engine in ("nft", "iptables"))
        case ["add", "table", family, name]:
            return with_table(
                order, replace(_named(order, family, name) or Table("nft", family, name), dormant=False)
            )
        case ["delete", "table", family, name]:
            gone = _table(order, family, name)
            return _without_tables(order, lambda table: table.key == gone.key)
        case ["flush", "table", family, name]:
            table = _table(order, family, name)
            empty = tuple(replace(chain, rules=()) for chain in table.chains)
            return with_table(order, replace(table, chains=empty))
        case ["chain", family, table, *rest] | ["add", "chain", family, table, *rest]:
            return _with_chain(order, _table(order, family, table), rest)
        case ["delete", "chain", family, name, chain]:
            return _without_chain(order, _table(order, family, name), chain)
        case ["add" | "delete" as how, "element", family, table, name, text]:
            return with_table(order, _with_elements(_table(order, family, table), name, how, text))
        case [how, "chain" | "rule", family, table, chain, *rest]:
            edit = _edits(how, tuple(rest))
            return edited(order, _table(order, family, table).key, chain, edit)
    raise KeyError(" ".join(order.words))


def _edits(how: str, words: tuple[str, ...]) -> Callable[[Chain], Chain]:
    """What is done with a chain."""
    match (how, *words):
        case ("flush",):
            return lambda chain: replace(chain, rules=())
        case ("delete", "handle", handle):
            return lambda chain: without_rule(chain, _of(chain, handle))
        case ("replace", "handle", handle, text):
            return lambda chain: _replaced(chain, _of(chain, handle), text)
        case ("insert" | "add", "position" | "handle", handle, *rule):
            return lambda chain: _with_rule(
                chain, rule, chain.rules.index(_of(chain, handle)) + (how == "add")
            )
        case ("insert" | "add", *rule):
            return lambda chain: _with_rule(chain, rule, len(chain.rules) * (how == "add"))
    raise KeyError(how)


def _with_rule(chain: Chain, words: Sequence[str], at: int) -> Chain:
    """The chain with a rule more, which `at` others stand before."""
    return with_rules(chain, [*chain.rules[:at], _rule(chain, words), *chain.rules[at:]])


def _named(order: Order, family: str, name: str) -> Table | None:
    """A table of nft, or one that iptables keeps there."""
    rules = ruleset(order)
    return rules.table("nft", family, name) or rules.table("iptables", family, name)


def _table(order: Order, family: str, name: str) -> Table:
    return must(_named(order, family, name), name)


def _without_tables(order: Order, is_gone: Callable[[Table], bool]) -> Snapshot:
    rules = ruleset(order)
    kept: Ruleset = replace(rules, tables=tuple(filterfalse(is_gone, rules.tables)))
    return order.with_fields(ruleset=kept).snapshot


def _with_chain(order: Order, table: Table, words: Sequence[str]) -> Snapshot:
    """The table with a new chain, or with another policy of one that is there."""
    name, *body = words
    known, wanted = table.chain(name), chain_of(name, " ".join(body), table.family)
    if known is not None:
        return with_chain(order, table, replace(known, policy=wanted.policy))
    # nobody has read it; ENOENT: a policy of a chain that is not there
    refuse_if(table.partial or (body and wanted.hook is None), name)
    return with_chain(order, table, wanted)


def _without_chain(order: Order, table: Table, name: str) -> Snapshot:
    return with_table(order, replace(table, chains=without(table.chains, unused(table, name))))


# ---- rules


def _of(chain: Chain, handle: str) -> Rule:
    return must(find(chain.rules, handle=int(handle)), handle)


def _replaced(chain: Chain, old: Rule, text: str) -> Chain:
    """The chain with another rule in the place of one; KeyError where it is the same, or not understood."""
    refuse_if(text == old.text, text)
    new = replace(old, text=text, statements=_of_text(old, text))
    return with_rules(chain, exchanged(chain.rules, old, new))


def _of_text(old: Rule, text: str) -> tuple[Statement, ...]:
    """The statements of a rule that takes the place of another: those of the old one where it only limits or
    refuses no more. Where not all of it is understood, and one address in it stands in the place of another,
    those of the old one so changed.
    """
    if text == without_limit(old.text):
        return not_among(old.statements, kind=LIMITS)
    if text == turned(old.text):
        return tuple(Statement("accept") if each.kind in REFUSING else each for each in old.statements)
    try:
        return _understood(text)
    except ValueError:
        return _led_elsewhere(old, text)


def _led_elsewhere(old: Rule, text: str) -> tuple[Statement, ...]:
    """The statements of a rule in which a translation leads to another address; KeyError for others."""
    words = zip(old.text.split(), text.split(), strict=True)
    [(before, after)] = {(before, after) for before, after in words if before != after}
    was, now = _address(before), _address(after)
    made = tuple(_towards(each, was, now) for each in old.statements)
    refuse_if(swapped(old.text, was, now) != text or made == old.statements, text)
    return made


def _towards(statement: Statement, was: str, now: str) -> Statement:
    """A translation with another target."""
    if statement.kind != "dnat" or statement.right is None:
        return statement
    return replace(statement, right=_renamed(statement.right, was, now))


def _address(word: str) -> str:
    """The address in a word, without a port or a comma behind it."""
    word = word.rstrip(",")
    return word.rpartition(":")[0] if word.count(":") == 1 else word


def _renamed(term: Term, was: str, now: str) -> Term:
    args = tuple(_renamed(each, was, now) for each in term.args)
    return replace(term, text=now if term.text == was and term.kind == "value" else term.text, args=args)


def _understood(text: str) -> tuple[Statement, ...]:
    """The statements of a rule, each of which is understood: KeyError else."""
    found = rule_statements(text)
    refuse_if(not found or where(found, kind="unknown"), text)
    return found


def _rule(chain: Chain, words: Sequence[str]) -> Rule:
    """A new rule. nft gives it the next handle of its table, which no other rule of the chain has."""
    handle = 1 + max((rule.handle or 0 for rule in chain.rules), default=0)
    text = " ".join(words)
    return Rule(0, text, _understood(text), handle)


# ---- sets


def _with_elements(table: Table, name: str, how: str, text: str) -> Table:
    """The table with elements of a set or map more or fewer: `{ KEY, … }`, `{ KEY : DATUM, … }`."""
    known = held = must(table.set(name), name)
    for element in text.strip("{} ").split(","):
        held = _with_element(held, how, _element(element.strip()))
    return replace(table, sets=exchanged(table.sets, known, held))


def _element(text: str) -> Term:
    """`KEY`, or `KEY : DATUM` of a map."""
    key, _, data = (part.strip() for part in text.partition(" : "))
    if data:
        return Term("pair", args=(_term(key), _datum(data)))
    return _term(key)


def _datum(text: str) -> Term:
    """What a map has for a key: a verdict, or a value."""
    return Term("verdict", text) if text.split()[0] in VERDICTS else _term(text)


def _term(text: str) -> Term:
    parts = [part.strip('"') for part in text.split(" . ")]
    if len(parts) == 1:
        return Term("value", parts[0])
    return Term("concat", args=tuple(map(_term, parts)))


def _with_element(held: NamedSet, how: str, element: Term) -> NamedSet:
    key, known = _key(element), must(held.elements, held.name)
    parts = zip((held.types, (held.data,)), map(written, element.args or (element,)), strict=False)
    for _, text in filter(_is_of_addresses, parts):
        prefix.number(text.partition("/")[0].partition("-")[0])  # EINVAL of any other text
    kept = tuple(filterfalse(lambda each: _key(each) == key, known))
    if how == "add":
        return replace(held, elements=(*kept, element))
    refuse_if(len(kept) == len(known), held.name)  # ENOENT
    return replace(held, elements=kept)


def _is_of_addresses(part: tuple[tuple[str | None, ...], str]) -> bool:
    """Whether the key of a set, or what a map has for one, is one address and nothing beside it."""
    return part[0] in (("ipv4_addr",), ("ipv6_addr",))


def _key(element: Term) -> str:
    """What an element of a set is, or the key of one of a map."""
    return written(element.args[0] if element.kind == "pair" else element)

"""Rules and policies as they were when the probe passed, as far as their tools take the words back. Pure.

A rule of the iptables family is put back by its text, as iptables-save(8) printed it; so is one of nft's that
stood at an end of its chain, as far as `apply` understands its words.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.diff import replaced, texts
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Chain, Command, Namespace, Object, Place, Rule, Stage, Stop, Table
from netprobe.model.lookup import find, without
from netprobe.model.place import stage_of
from netprobe.predict import fixes
from netprobe.rules.naming import is_for_nat, policy_object, rule_object, tool

_MOST = 64  # rules of a chain: who loads another ruleset has changed more than a rule
_MISSING = {"postrouting": "nat-missing", "prerouting": "dnat-missing", "output": "dnat-missing"}


def changed(loss: Loss, then: Namespace, now: Namespace) -> Iterator[Stop]:
    """Each rule that is gone or new, the gone ones of a chain together, and each policy."""
    if then.ruleset is None or now.ruleset is None:
        return
    for table in now.ruleset.tables:
        old = then.ruleset.table_of(table.key)
        for chain in table.chains:
            was = old.chain(chain.name)
            if was is not None and was != chain:
                yield from _rules(loss, now, table, was, chain)
                yield from _policy(loss, now, table, was, chain)


def _rules(loss: Loss, now: Namespace, table: Table, was: Chain, chain: Chain) -> Iterator[Stop]:
    gone: list[tuple[Rule, tuple[Command, ...]]] = []
    come: list[Rule] = []
    for i, j, k, m in replaced(texts(was), texts(chain)):
        gone += [(rule, _again(table, chain, rule, k + at)) for at, rule in enumerate(was.rules[i:j], 1)]
        come += chain.rules[k:m]
    if len(gone) + len(come) > _MOST:
        return
    if len(gone) == len(come) == 1 and gone[0][1]:
        yield _exchanged(loss, now, table, chain, gone[0][0], come[0])
        return
    for rule, fix in gone:
        text = f"a rule of {chain.name} in {now.name} is gone: it was there when the probe passed"
        yield _about(loss, now, chain, rule_object(table, was, rule), text, fix, _code(loss, table, chain))
    in_place = tool(table) != "nft" or not chain.rules
    if len(gone) > 1 and not come and in_place:
        whole = tuple(command for rule, _ in gone for command in _again(table, chain, rule, rule.number))
        text = f"{len(gone)} rules of {chain.name} in {now.name} are gone: they were there before"
        yield _about(
            loss, now, chain, rule_object(table, was, gone[0][0]), text, whole, _code(loss, table, chain)
        )
    for rule in come:
        thing = rule_object(table, chain, rule)
        text = f"{thing.id} of {now.name} is new: it was not there when the probe passed"
        yield _about(loss, now, chain, thing, text, fixes.without(thing, now.ruleset), loss.stop.code)


def _exchanged(loss: Loss, now: Namespace, table: Table, chain: Chain, old: Rule, new: Rule) -> Stop:
    """The rule that was there in the place of the one that is."""
    rest = replace(chain, rules=without(chain.rules, new))
    thing = rule_object(table, chain, new)
    text = f"{thing.id} of {now.name} was «{old.text}» when the probe passed"
    source = chain.hook == "postrouting" and chain.type == "nat"
    code = "nat-wrong-match" if source else _code(loss, table, chain)
    fix = (*fixes.without(thing, now.ruleset), *_again(table, rest, old, old.number))
    return _about(loss, now, chain, thing, text, fix, code)


def _again(table: Table, chain: Chain, rule: Rule, number: int) -> tuple[Command, ...]:
    """The rule in its place; nothing where its tool takes no words for that."""
    if tool(table) == "nft":
        return _again_by_nft(table, chain, rule, number)
    words = fixes.xt_words(chain.name, rule.text)
    if not words:
        return ()
    return fixes.xtables(tool(table), table.name, chain.name, "-I", chain.name, str(number), *words)


def _again_by_nft(table: Table, chain: Chain, rule: Rule, number: int) -> tuple[Command, ...]:
    """At the beginning or the end of its chain; a place between others has no name that lasts."""
    how = {1: "insert", len(chain.rules) + 1: "add"}
    verb = "add" if not chain.rules else how.get(number)
    if verb is None:
        return ()
    names = (table.name, chain.name)
    return fixes.nft(names, verb, "rule", table.family, *names, *rule.text.split())


def _code(loss: Loss, table: Table, chain: Chain) -> str:
    if is_for_nat(table, chain):
        return _MISSING.get(chain.at, "dnat-missing")
    return loss.stop.code


def _about(
    loss: Loss, now: Namespace, chain: Chain, thing: Object, text: str, fix: tuple[Command, ...], code: str
) -> Stop:
    stage = stage_of(chain.hook)
    place = Place(now.name, _interface(loss, now, stage), stage)
    return Stop(code, place, text, thing, fix, (thing.text,) if thing.text else ())


def _interface(loss: Loss, now: Namespace, stage: Stage) -> str | None:
    """Where the packet leaves, for what is done to it there; else that of the loss, where it is here."""
    if stage is Stage.POSTROUTING:
        sent = find(loss.prediction.request.hops, namespace=now.name, stage=Stage.TRANSMIT)
        return sent.interface if sent is not None else None
    if loss.stop.place.namespace == now.name:
        return loss.stop.place.interface
    return None


def _policy(loss: Loss, now: Namespace, table: Table, was: Chain, chain: Chain) -> Iterator[Stop]:
    if was.policy == chain.policy or chain.hook is None:
        return
    if tool(table) == "nft":
        words = ("chain", table.family, table.name, chain.name, f"{{ policy {was.policy}; }}")
        fix = fixes.nft((table.name, chain.name), *words)
    else:
        fix = fixes.xtables(tool(table), table.name, chain.name, "-P", chain.name, was.policy.upper())
    thing = policy_object(table, chain)
    changed = f"is {chain.policy}, and was {was.policy} when the probe passed"
    text = f"the policy of {chain.name} in {now.name} {changed}"
    yield _about(loss, now, chain, thing, text, fix, "policy-drop")

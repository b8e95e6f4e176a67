"""The mark of a packet and that of its connection, one in the place of the other: what gives marks back where
they were to be kept, or keeps them where they were to be given back, for one of the two is there twice and
the other not at all; what marks connections, of which nothing gives a mark back, to questions or to answers;
and what does either where the mark is there that it would give. Pure.

See: iptables-extensions(8), CONNMARK, MARK; nft(8), META EXPRESSIONS, CT EXPRESSIONS.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, permutations, product

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Leg, Namespace, Stop
from netprobe.model.lookup import but, where
from netprobe.model.place import Place, stage_of
from netprobe.predict import fixes
from netprobe.predict.trace import Routed

_MOST = 64  # rules of a namespace that set marks
_BACK_AND_KEPT = (("meta mark set ct mark", "ct mark set meta mark"), ("--restore-mark", "--save-mark"))
_OF_CONNECTIONS = (
    ("ct mark set ", "ct mark set", "meta mark set"),
    ("CONNMARK --set-", "CONNMARK", "MARK"),
)
_BACK = tuple(back for back, _ in _BACK_AND_KEPT)
_MARKING = ("ct mark set ", "CONNMARK --set-", "--save-mark")
_ALL = 0xFFFFFFFF
_ASKED = (  # what gives a mark back, or keeps it, where the other one is there
    ("!= 0x00000000 meta mark set ct mark", "meta mark &", "meta mark &", "ct mark &"),
    ("!= 0x00000000 ct mark set meta mark", "ct mark &", "ct mark &", "meta mark &"),
    ("--restore-mark", "-m mark ! --mark 0x0", "mark", "connmark"),
    ("--save-mark", "-m connmark ! --mark 0x0", "connmark", "mark"),
)


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule with the words for the other one, where policy rules lead by marks."""
    for here in map(loss.snapshot.at, loss.way):
        setting = [*islice(nat_rules.of_kind(here.tables, "set"), _MOST * bool(but(here.rules, mark=0)))]
        for rule, new in chain(_turned(setting), _kept_by_nobody(setting), _asking(setting)):
            yield from _reworded(loss, here, rule, new)
        back = [] if _having(setting, *_BACK) else _having(setting, *_MARKING)
        for routed, rule in product(where(loss.asked(Leg.REPLY), namespace=here.name), back[:1]):
            yield from _given_back(loss, here, routed, rule)


def _given_back(loss: Loss, here: Namespace, routed: Routed, rule: NatRule) -> Iterator[Repair]:
    """A rule that gives answers the mark of their connection, by which policy rules lead; questions, which
    have come by where the mark stands for, are not to go back there.
    """
    hook = "output" if routed.iif is None else "prerouting"
    for masked in [each for each in where(here.rules, version=loss.version) if each.mark][:1]:
        thing, place = rule.decision.object, Place(here.name, None, stage_of(hook))
        fix = _for_answers(rule, hook, masked.mask)
        text = (
            f"{thing.id} of {here.name} marks connections, the policy rule of the mark {masked.mark:#x}"
            " leads by it, and no rule gives it back to what answers"
        )
        missing, proof = rule_words.missing(thing, fix), (thing.text, loss.stop.text)
        stop = Stop("reply-wrong-path", place, text, missing, fix, proof)
        if fix:
            yield from loss.repair(stop, Merit.RESTORES, agreeing=2)


def _for_answers(rule: NatRule, hook: str, mask: int) -> fixes.Fix:
    """What gives answers the mark of their connection at a hook, in the table of a rule; nothing where nft
    has no chain for that there (a mark given at output leads by a chain of the type route alone).
    """
    match rule.decision.object.line:
        case ("nft", family, table, *_):
            kind = {"output": "route", "prerouting": "filter"}[hook]
            words = ("ct", "direction", "reply", "meta", "mark", "set", "ct", "mark")
            for chain_ in where(rule.table.chains, hook=hook, type=kind)[:1]:
                at = ("add", "rule", family, table, chain_.name)
                return fixes.nft((table, chain_.name), *at, *words)
        case (tool, table, *_):
            bits = () if mask == _ALL else ("--nfmask", f"{mask:#x}", "--ctmask", f"{mask:#x}")
            answers = ("-m", "conntrack", "--ctdir", "reply", "-j", "CONNMARK", "--restore-mark")
            return fixes.xtables(tool, table, hook.upper(), "-I", hook.upper(), *answers, *bits)
    return ()


def _having(setting: list[NatRule], *words: str) -> list[NatRule]:
    return [each for each in setting if any(word in each.rule.text for word in words)]


def _turned(setting: list[NatRule]) -> Iterator[tuple[NatRule, dict[str, str]]]:
    for old, new in chain.from_iterable(map(permutations, _BACK_AND_KEPT)):
        several, none = len(_having(setting, old)) > 1, not _having(setting, new)
        yield from product(_having(setting, old), [{old: new}] * (several and none))


def _kept_by_nobody(setting: list[NatRule]) -> Iterator[tuple[NatRule, dict[str, str]]]:
    both = [*chain.from_iterable(_BACK_AND_KEPT)]
    for said, old, new in _OF_CONNECTIONS if not _having(setting, *both) else ():
        yield from product(_having(setting, said), [{old: new}])


def _asking(setting: list[NatRule]) -> Iterator[tuple[NatRule, dict[str, str]]]:
    for done, said, old, new in _ASKED:
        yield from product(_having(_having(setting, done), said), [{old: new}])


def _reworded(loss: Loss, here: Namespace, rule: NatRule, new: dict[str, str]) -> Iterator[Repair]:
    thing, place = rule.decision.object, Place(here.name, None, stage_of(rule.chain.hook))
    [(old, instead)] = new.items()
    text = f"{thing.id} of {here.name} says «{old}», and is of use with «{instead}» alone"
    fix, proof = rule_words.reworded_all(thing, rule.rule, new), (thing.text, loss.stop.text)
    stop = Stop("rule-wrong-table", place, text, thing, fix, proof)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=2)

"""The mark of a packet and that of its connection, one in the place of the other: what gives marks back where
they were to be kept, or keeps them where they were to be given back, for one of the two is there twice and
the other not at all; what marks connections, of which nothing gives a mark back; and what does either where
the mark is there that it would give. Pure.

See: iptables-extensions(8), CONNMARK, MARK; nft(8), META EXPRESSIONS, CT EXPRESSIONS.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, permutations, product

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Namespace, Stop
from netprobe.model.lookup import but
from netprobe.model.place import Place, stage_of

_MOST = 64  # rules of a namespace that set marks
_BACK_AND_KEPT = (("meta mark set ct mark", "ct mark set meta mark"), ("--restore-mark", "--save-mark"))
_OF_CONNECTIONS = (
    ("ct mark set ", "ct mark set", "meta mark set"),
    ("CONNMARK --set-", "CONNMARK", "MARK"),
)
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

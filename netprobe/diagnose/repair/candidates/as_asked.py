"""Rules of a firewall that would let a published port through, and name it as it is asked for: they see the
packet as it was led on, with the address and the port of the program. Pure.

See: iptables(8), FORWARD (behind PREROUTING, where DNAT is done); nft(8), CHAINS, priority.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Change
from netprobe.rules.naming import PORT_KEYS, SOURCE_PORT_KEYS

from .sets import REFUSED

_PORTS = (*PORT_KEYS, *SOURCE_PORT_KEYS)
_ENDS = (*nat_rules.TO, *nat_rules.FROM)
_LETTING = ("accept", "return", "jump", "goto")
_MOST = 16  # rules that are tried


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule with what the packet has behind the translation, where a rule refuses it."""
    hops = loss.prediction.request.hops if loss.stop.code in REFUSED else ()
    led = nat_rules.changed(hops, loss.here.name, "dst", "dport")
    new = dict(chain.from_iterable(map(_words, led.changes if led is not None else ())))
    tables = loss.here.tables if new else ()
    rules = chain.from_iterable(nat_rules.of_kind(tables, kind) for kind in _LETTING)
    yield from chain.from_iterable(
        islice((_reworded(loss, each, new) for each in rules if _names(each, new)), _MOST)
    )


def _words(change: Change) -> Iterator[tuple[str, str]]:
    """What a rule may say of an end as it was, and what it has to say of it as it is."""
    if change.field == "dst":
        whole = "/128" if ":" in change.before else "/32"
        yield from ((change.before, change.after), (f"{change.before}{whole}", f"{change.after}{whole}"))
    elif change.field == "dport":
        yield change.before, change.after


def _names(rule: nat_rules.NatRule, new: dict[str, str]) -> bool:
    """Whether a rule that does not translate itself says one of the words where it asks for an end."""
    ports, ends = (nat_rules.said(rule.statements, *keys) for keys in (_PORTS, _ENDS))
    return rule.chain.type != "nat" and not new.keys().isdisjoint((*ports, *ends))


def _reworded(loss: Loss, rule: nat_rules.NatRule, new: dict[str, str]) -> Iterator[Repair]:
    thing = rule.decision.object
    said = {old: word for old, word in new.items() if old in rule.rule.text.split()}
    told = ", ".join(f"{word} and not {old}" for old, word in said.items())
    text = f"{thing.id} of {loss.here.name} sees packets behind their translation: there they have {told}"
    fix, proof = rule_words.reworded_all(thing, rule.rule, said), (thing.text, loss.stop.text)
    stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
    if said:
        yield from loss.repair(stop, Merit.RESTORES, agreeing=2)

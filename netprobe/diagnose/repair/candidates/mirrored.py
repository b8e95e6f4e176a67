"""A network beside that may come in by its interface, and to which a policy lets nothing out: the rule that
is the other one's counterpart. Pure.

See: iptables(8), -P; ufw(8): who denies what goes out writes each exception twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Leg, Object, Rule, Stage, Table
from netprobe.model.lookup import among, column, those_not_in, where
from netprobe.predict import fixes
from netprobe.rules.naming import rule_decision, tool

from .listed import policy_of

_ENDS = {
    "-i": "-o", "-s": "-d", "iif": "oif", "iifname": "oifname", "saddr": "daddr",
}  # fmt: skip
_NEAR = {"meta iif", "meta iifname", "ip saddr", "ip6 saddr"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """What is let in by interface and network, for what the sender's own rules do not let out."""
    own = loss.stop.place.stage is Stage.OUTPUT and loss.prediction.leg is Leg.REQUEST
    for table in where(loss.here.tables, name=policy_of(loss.stop.thing)) if own else ():
        for chain in table.chains:
            for rule in filter(_lets_in, chain.rules):
                yield from _let_out(loss, table, chain, rule)


def _lets_in(rule: Rule) -> bool:
    """Whether a rule accepts what comes by an interface, whatever it is."""
    asked = {*column(nat_rules.tests(rule), "key")}
    plain = len(among(nat_rules.tests(rule), op=nat_rules.IS)) == len(asked)
    return (
        bool(where(rule.statements, kind="accept"))
        and plain
        and asked <= _NEAR
        and not asked.isdisjoint(_DOORS)
    )


_DOORS = ("meta iif", "meta iifname")


def _let_out(loss: Loss, table: Table, chain: Chain, rule: Rule) -> Iterator[Repair]:
    thing = rule_decision(table, chain, rule, Stage.INPUT.value).object
    names = [chain.name.replace(*pair) for pair in (("input", "output"), ("INPUT", "OUTPUT"))]
    beside = those_not_in(filter(table.chain, names), (chain.name,))
    for name in (*beside, loss.stop.thing.line[-2])[:1]:
        text = f"{thing.id} of {loss.here.name} lets {thing.text} in, and nothing lets out what goes there"
        proof = (thing.text, loss.stop.text)
        missing = Object(
            "rule", rule_words.chain_id(thing, name), f"no rule of {name} is the counterpart of {thing.text}"
        )
        stop = replace(
            loss.stop, text=text, object=missing, commands=_turned(table, chain, rule, name), proof=proof
        )
        yield from loss.repair(replace(stop, advice=""), Merit.RESTORES, agreeing=1)


def _turned(table: Table, chain: Chain, rule: Rule, name: str) -> fixes.Fix:
    """The rule of a chain with each end for the other one, behind those of another chain."""
    if table.engine == "nft":
        words = [_ENDS.get(word, word) for word in rule.text.split(" ")]
        return fixes.nft((table.name, name), "add", "rule", table.family, table.name, name, *words)
    words = [_ENDS.get(word, word) for word in fixes.xt_words(chain.name, rule.text)]
    return fixes.xtables(tool(table), table.name, name, "-A", name, *words)

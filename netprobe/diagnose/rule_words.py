"""A rule as its tool has it, with other words or in another place. Pure.

See: iptables(8), -R, -I; nft(8), replace rule, insert rule.
"""

from __future__ import annotations

from netprobe.model import Object, Rule
from netprobe.predict import fixes

from . import nat_rules


def reworded(thing: Object, rule: Rule, old: str, new: str) -> fixes.Fix:
    """The rule with one interface or network in the place of another; nothing where its tool cannot replace
    one.
    """
    match thing.line:
        case ("nft", family, table, chain, "handle", handle):
            text = nat_rules.swapped(rule.text, old, new)
            return fixes.nft((table, chain), "replace", "rule", family, table, chain, "handle", handle, text)
        case (tool, table, chain, number) if tool.startswith(("iptables", "ip6tables")):
            words = [{old: new}.get(word, word) for word in fixes.xt_words(chain, rule.text)]
            return fixes.xtables(tool, table, chain, "-R", chain, number, *words)
    return ()


def put_first(thing: Object, rule: Rule) -> fixes.Fix:
    """The rule taken away, and put before all others of its chain."""
    match thing.line:
        case ("nft", family, table, chain, *_):
            first = fixes.nft((table, chain), "insert", "rule", family, table, chain, rule.text)
            return (*fixes.without(thing), *first)
        case (tool, table, chain, _):
            words = ("-I", chain, *fixes.xt_words(chain, rule.text))
            return (*fixes.without(thing), *fixes.xtables(tool, table, chain, *words))
    return ()

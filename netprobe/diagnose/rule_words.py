"""A rule as its tool has it, with other words, in another place, or once more. Pure.

See: iptables(8), -R, -I; nft(8), replace rule, insert rule.
"""

from __future__ import annotations

from netprobe.model import Object, Rule
from netprobe.model.command import words_of
from netprobe.predict import fixes

from . import nat_rules


def missing(beside: Object, fix: fixes.Fix, kind: str = "rule") -> Object:
    """What a fix makes beside a rule, as the object that lacks."""
    return Object(kind, chain_id(beside), f"{' '.join(words_of(fix))} (missing)")


def chain_id(beside: Object, chain: str = "") -> str:
    """The id of a rule that lacks in the chain of another one, or in another chain of its table: no more can
    be told.
    """
    words = beside.line[1:] if beside.line[:1] == ("nft",) else beside.line
    return " ".join((*words[:2], chain or words[2])) if words else beside.id


def reworded(thing: Object, rule: Rule, old: str, new: str) -> fixes.Fix:
    """The rule with one interface or network in the place of another; nothing where its tool cannot replace
    one.
    """
    return reworded_all(thing, rule, {old: new})


def reworded_all(thing: Object, rule: Rule, new: dict[str, str]) -> fixes.Fix:
    """The same with several words in the place of others; an empty one takes a word of iptables away."""
    return _written(thing, rule, new, ("replace", "handle", "-R"))


def put_beside(thing: Object, rule: Rule, old: str, new: str) -> fixes.Fix:
    """A rule more, before the one that it is like, for another interface or network."""
    return put_beside_with(thing, rule, {old: new})


def put_beside_with(thing: Object, rule: Rule, new: dict[str, str]) -> fixes.Fix:
    """The same with several words in the place of others."""
    return _written(thing, rule, new, ("insert", "position", "-I"))


def _written(thing: Object, rule: Rule, new: dict[str, str], how: tuple[str, str, str]) -> fixes.Fix:
    match thing.line:
        case ("nft", family, table, chain, "handle", handle):
            text = nat_rules.swapped_all(rule.text, new)
            return fixes.nft((table, chain), how[0], "rule", family, table, chain, how[1], handle, text)
        case (tool, table, chain, number) if tool.startswith(("iptables", "ip6tables")):
            words = _with_words(chain, rule, new)
            return fixes.xtables(tool, table, chain, how[2], chain, number, *words)
    return ()


def _with_words(chain: str, rule: Rule, new: dict[str, str]) -> list[str]:
    return [*filter(None, (new.get(word, word) for word in fixes.xt_words(chain, rule.text)))]


def appended(thing: Object, rule: Rule, new: dict[str, str]) -> fixes.Fix:
    """A rule more, behind the others of its chain, with some words in the place of others."""
    match thing.line:
        case ("nft", family, table, chain, *_):
            text = nat_rules.swapped_all(rule.text, new)
            return fixes.nft((table, chain), "add", "rule", family, table, chain, text)
        case (tool, table, chain, _):
            return fixes.xtables(tool, table, chain, "-A", chain, *_with_words(chain, rule, new))
    return ()


def for_answers(thing: Object, rule: Rule) -> fixes.Fix:
    """The rule for packets in the reply direction of their connection alone."""
    match thing.line:
        case ("nft", family, table, chain, "handle", handle):
            text = f"ct direction reply {rule.text}"
            return fixes.nft((table, chain), "replace", "rule", family, table, chain, "handle", handle, text)
        case (tool, table, chain, number) if tool.startswith(("iptables", "ip6tables")):
            words = ("-R", chain, number, "-m", "conntrack", "--ctdir", "reply")
            return fixes.xtables(tool, table, chain, *words, *fixes.xt_words(chain, rule.text))
    return ()


def put_before(thing: Object, rule: Rule, first: Rule) -> fixes.Fix:
    """The rule taken away, and put before an earlier one of its chain."""
    match thing.line:
        case ("nft", family, table, chain, *_):
            at = (family, table, chain, "handle", str(first.handle))
            return (*fixes.without(thing), *fixes.nft((table, chain), "insert", "rule", *at, rule.text))
        case (tool, table, chain, _):
            words = ("-I", chain, str(first.number), *fixes.xt_words(chain, rule.text))
            return (*fixes.without(thing), *fixes.xtables(tool, table, chain, *words))
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


def exempting(thing: Object, source: str, target: str) -> fixes.Fix:
    """A rule before this one that accepts what goes from one network to another: it is passed over then."""
    match thing.line:
        case ("nft", family, table, chain, "handle", handle):
            into = ("insert", "rule", family, table, chain, "position", handle)
            ends = nat_rules.family(source), "saddr", source, nat_rules.family(target), "daddr", target
            return fixes.nft((table, chain), *into, *ends, "accept")
        case (tool, table, chain, number):
            ends = "-s", source, "-d", target, "-j", "ACCEPT"
            return fixes.xtables(tool, table, chain, "-I", chain, number, *ends)
    return ()

"""Rules, chains and sets of nft changed: a rule deleted, altered or put in, a policy turned, an element more or less in a set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from mutations.flows import Flow
from mutations.mutation import Identity, Mutation, Shell, known
from mutations.sight import Sight

_MISSING = "nat-missing dnat-missing hairpin-nat-missing nat-wrong-match policy-drop nat-not-reversed"
_RULES = "rule nat-rule policy set"
_HOOKS = {
    "inet": ("prerouting", "input", "forward", "output", "postrouting"),
    "ip": ("prerouting", "input", "forward", "output", "postrouting"),
    "ip6": ("prerouting", "input", "forward", "output", "postrouting"),
    "bridge": ("prerouting", "input", "forward", "output", "postrouting"),
    "arp": ("input", "output"),
    "netdev": ("ingress", "egress"),
}


@dataclass(frozen=True)
class Listed:
    """A line of a chain: where it stands, its handle, and the rule before it (0: none)."""

    namespace: str
    table: str
    chain: str
    handle: int
    before: int
    text: str


def rule_deleted(sight: Sight, rng: Random) -> Mutation | None:
    rules = list(_rules(sight))
    if not rules:
        return None
    rule = rng.choice(rules)
    again = f"add rule {rule.table} {rule.chain} position {rule.before}" if rule.before else f"insert rule {rule.table} {rule.chain}"
    steps = (_nft(rule.namespace, f"delete rule {rule.table} {rule.chain} handle {rule.handle}"),)
    truth = (_in_chain(rule), known(rule.namespace, "", codes=_MISSING))
    return Mutation("nft-deleted", steps, (_nft(rule.namespace, f"{again} {rule.text}"),), truth)


def rule_altered(sight: Sight, rng: Random) -> Mutation | None:
    """One word of it is another."""
    found = [(rule, new) for rule in _rules(sight) for new in _others(rule.text)]
    if not found:
        return None
    rule, new = rng.choice(found)
    steps, undo = (
        (_nft(rule.namespace, f"replace rule {rule.table} {rule.chain} handle {rule.handle} {text}"),) for text in (new, rule.text)
    )
    truth = (_in_chain(rule), known(rule.namespace, "", codes=_MISSING))
    return Mutation("nft-altered", steps, undo, truth)


def policy_turned(sight: Sight, rng: Random) -> Mutation | None:
    """A chain of a person's own drops what it does not accept."""
    found = [
        (name, table, chain, line) for name, table, chain, line in _chains(sight) if "policy accept" in line and "type nat" not in line
    ]
    if not found:
        return None
    name, table, chain, line = rng.choice(found)
    base = line.partition(";")[0].strip()
    steps, undo = ((_nft(name, f"add chain {table} {chain} {{ {base}; policy {policy}; }}"),) for policy in ("drop", "accept"))
    return Mutation("nft-policy", steps, undo, (known(name, _RULES, table.split()[1], chain),))


def chain_emptied(sight: Sight, rng: Random) -> Mutation | None:
    """All its rules go."""
    rules = list(_rules(sight))
    if not rules:
        return None
    rule = rng.choice(rules)
    undo = tuple(_nft(each.namespace, f"add rule {each.table} {each.chain} {each.text}") for each in rules if _place(each) == _place(rule))
    truth = (_in_chain(rule), known(rule.namespace, _RULES, *rule.table.split()), known(rule.namespace, "", codes=_MISSING))
    return Mutation("nft-emptied", (_nft(rule.namespace, f"flush chain {rule.table} {rule.chain}"),), undo, truth)


def element_removed(sight: Sight, rng: Random) -> Mutation | None:
    found = [(name, head, element) for name, head, elements in _sets(sight) for element in elements]
    if not found:
        return None
    name, head, element = rng.choice(found)
    steps, undo = ((_nft(name, f"{verb} element {head} {{ {element} }}"),) for verb in ("delete", "add"))
    return Mutation("element-removed", steps, undo, (_using(name, head),))


def element_added(sight: Sight, rng: Random, flows: Sequence[Flow]) -> Mutation | None:
    """Of what the flows have; a set of another type refuses it, which is no change."""
    found = list(_sets(sight))
    if not found:
        return None
    name, head, _ = rng.choice(found)
    one = rng.choice(flows)
    element = rng.choice([one.address, sight.source(one.source, one.address) or "10.99.0.9", str(one.port or 80), '"eth0"'])
    steps, undo = ((_nft(name, f"{verb} element {head} {{ {element} }}"),) for verb in ("add", "delete"))
    return Mutation("element-added", steps, undo, (_using(name, head),))


def rule_inserted(sight: Sight, rng: Random, flows: Sequence[Flow]) -> Mutation | None:
    """A table of its own, in any family and at any hook, with one rule that is mostly about something that a flow has."""
    one, name = rng.choice(flows), rng.choice(sight.spaces)
    family = rng.choice(sorted(_HOOKS))
    hook = rng.choice(_HOOKS[family])
    wires = [link["ifname"] for where, link in sight.wires if where == name]
    if family == "bridge" and not any(where == name for where, _ in sight.bridges):
        return None
    if family == "netdev" and not wires:
        return None
    device = rng.choice(wires or ["lo"])
    verdict = _verdict(rng, family, hook, one)
    kind = "nat" if "dnat" in verdict or "snat" in verdict else "filter"
    priority = -300 if "notrack" in verdict else {"nat": -90, "filter": rng.choice([-200, 0, 10])}[kind]
    at = f"device {device} " if family == "netdev" else ""
    match = "" if rng.random() < 0.2 else _match(sight, rng, family, hook, device, one)
    text = (
        f"add table {family} mut; add chain {family} mut c {{ type {kind} hook {hook} {at}priority {priority}; }};"
        f" add rule {family} mut c {match} {verdict}"
    )
    truth = (known(name, _RULES, family, "mut"),)
    return Mutation(f"nft-inserted {family} {verdict.split()[0]}", (_nft(name, text),), (_nft(name, f"delete table {family} mut"),), truth)


def rule_added_to_chain(sight: Sight, rng: Random, flows: Sequence[Flow]) -> Mutation | None:
    """At a random place of a chain of a person's own."""
    rules = [rule for rule in _rules(sight) if rule.table.split()[0] in ("inet", "ip", "ip6")]
    if not rules:
        return None
    rule, one = rng.choice(rules), rng.choice(flows)
    device = rng.choice([link["ifname"] for where, link in sight.wires if where == rule.namespace] or ["lo"])
    family = rule.table.split()[0]
    match = _match(sight, rng, family, "input", device, one)
    text = (
        f"insert rule {rule.table} {rule.chain} position {rule.handle} {match} counter {rng.choice(['drop', 'drop', 'reject', 'return'])}"
    )
    undo = tuple(_nft(rule.namespace, line) for line in _remade(rules, rule))
    return Mutation("nft-added", (_nft(rule.namespace, text),), undo, (_in_chain(rule),))


def _remade(rules: Sequence[Listed], rule: Listed) -> Iterator[str]:
    """The chain of a rule as it was."""
    yield f"flush chain {rule.table} {rule.chain}"
    yield from (f"add rule {each.table} {each.chain} {each.text}" for each in rules if _place(each) == _place(rule))


def _verdict(rng: Random, family: str, hook: str, one: Flow) -> str:
    wrong = "10.99.0.9" if one.version == 4 else "fd99::9"
    choices = ["counter drop", "drop"]
    if family in ("inet", "ip", "ip6") and hook in ("input", "forward", "output"):
        choices += ["counter reject"]
    if family in ("inet", "ip", "ip6") and hook in ("prerouting", "output"):
        choices += ["notrack", f"dnat {'ip6' if one.version == 6 else 'ip'} to {wrong}" if family == "inet" else f"dnat to {wrong}"]
    if family in ("inet", "ip", "ip6") and hook == "postrouting":
        choices += [f"snat {'ip6' if one.version == 6 else 'ip'} to {wrong}" if family == "inet" else f"snat to {wrong}"]
    if family in ("inet", "ip", "ip6") and hook == "prerouting":
        choices += ["ip6 hoplimit set 1" if one.version == 6 else "ip ttl set 1"]
    return rng.choice(choices)


def _match(sight: Sight, rng: Random, family: str, hook: str, device: str, one: Flow) -> str:
    """One thing or two of a flow, there or back."""
    word = "ip6" if one.version == 6 else "ip"
    mine = sight.source(one.source, one.address)
    if family == "arp":
        return rng.choice([f"arp daddr ip {one.address}" if one.version == 4 else "", "arp operation request", "arp operation reply"])
    here, there = rng.choice([("saddr", "daddr"), ("daddr", "saddr")])
    parts = [f"{word} {there} {one.address}", *([f"{word} {here} {mine}"] if mine else [])]
    parts += [f"{one.protocol} {'dport' if there == 'daddr' else 'sport'} {one.port}"] if one.port else []
    parts += [f"meta l4proto {'icmp' if one.version == 4 else 'ipv6-icmp'}"] if one.port is None else []
    parts += [f'iifname "{device}"'] if hook in ("input", "prerouting", "forward") and family != "netdev" else []
    parts += [f'oifname "{device}"'] if hook in ("output", "postrouting", "forward") and family != "netdev" else []
    parts += [f"ether saddr {rng.choice(sight.macs)}"] if family == "bridge" else []
    return " ".join(rng.sample(parts, rng.choice([1, 1, 2])))


def _others(text: str) -> Iterator[str]:
    """A rule with one word changed, in every way that makes sense."""
    for old, new in (
        (r"\baccept\b", "drop"), (r"\bmasquerade\b", "accept"), (r"\bdrop\b", "accept"), (r"\bestablished,related\b", "invalid"),
        (r'(?<=name ")[\w.-]+(?=")', "eth9"), (r"(?<=dport )(\d+)", "9999"), (r"(?<=addr )(\d+)\.\d+", r"\1.200"),
        (r"(?<= to )(\d+)\.(\d+)\.(\d+)\.\d+", r"\1.\2.\3.240"), (r"(?<=:)\d+$", "9998"),
    ):  # fmt: skip
        changed = re.sub(old, new, text, count=1)
        if changed != text:
            yield changed


def _rules(sight: Sight) -> Iterator[Listed]:
    """Every rule of a table that is not iptables' own."""
    for name in sight.spaces:
        table, chain, before, foreign = "", "", 0, False
        for line in sight.said(name, "nft -a list ruleset").splitlines():
            words = line.split()
            if line.startswith("# Warning"):
                foreign = True
            elif line.startswith("table "):
                table = " ".join(words[1:3])
            elif line == "}":
                foreign = False
            elif line.startswith("\tchain "):
                chain, before = words[1], 0
            elif line.startswith(("\tset ", "\tmap ")):
                chain = ""
            elif chain and not foreign and (found := re.fullmatch(r"\t\t(.*) # handle (\d+)", line)):
                yield Listed(name, table, chain, int(found[2]), before, re.sub(r"counter packets \d+ bytes \d+", "counter", found[1]))
                before = int(found[2])


def _chains(sight: Sight) -> Iterator[tuple[str, str, str, str]]:
    """(namespace, table, chain, its line with type, hook and policy) of every base chain that is not iptables' own."""
    for name in sight.spaces:
        table, chain, foreign = "", "", False
        for line in sight.said(name, "nft list ruleset").splitlines():
            if line.startswith("# Warning"):
                foreign = True
            elif line.startswith("table "):
                table = " ".join(line.split()[1:3])
            elif line == "}":
                foreign = False
            elif line.startswith("\tchain "):
                chain = line.split()[1]
            elif "hook" in line and not foreign:
                yield name, table, chain, line.strip()


def _sets(sight: Sight) -> Iterator[tuple[str, str, list[str]]]:
    """(namespace, "family table set", elements) of every named set."""
    for name in sight.spaces:
        table = ""
        said = re.sub(r",\n\s+", ", ", sight.said(name, "nft list ruleset"))
        head = ""
        for line in said.splitlines():
            if line.startswith("table "):
                table = " ".join(line.split()[1:3])
            elif line.startswith("\tset "):
                head = f"{table} {line.split()[1]}"
            elif head and (found := re.search(r"elements = \{ (.*) \}", line)):
                yield name, head, found[1].split(", ")
            elif line == "\t}":
                head = ""


def _place(rule: Listed) -> tuple[str, str, str]:
    return rule.namespace, rule.table, rule.chain


def _in_chain(rule: Listed) -> Identity:
    """Its chain: after a rule is gone, the one that decides instead is what a report can name.

    Without the family: a table of iptables' own is called by that tool's name.
    """
    return known(rule.namespace, _RULES, rule.table.split()[1], rule.chain)


def _using(name: str, head: str) -> Identity:
    """The rules of the table that asks the set."""
    return known(name, _RULES, *head.split()[:2])


def _nft(namespace: str, text: str) -> Shell:
    return Shell(namespace, ("nft", "-f", "-"), text.replace("; add", "\nadd") + "\n")


KINDS = (rule_deleted, rule_altered, policy_turned, chain_emptied)
ABOUT_FLOWS = (rule_inserted, rule_inserted, rule_inserted, rule_added_to_chain)
SETS = (element_removed,)
SETS_ABOUT_FLOWS = (element_added,)

"""Rules of iptables, ip6tables, their legacy, ebtables and arptables changed: one deleted, altered, or put in, a policy turned."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from random import Random

from mutations.flows import Flow
from mutations.mutation import Identity, Mutation, known, shell
from mutations.sight import Sight

from netprobe.lab import commands

TOOLS = ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy")
_TABLES = {"raw": ("PREROUTING", "OUTPUT"), "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
           "nat": ("PREROUTING", "OUTPUT", "POSTROUTING", "INPUT"), "filter": ("INPUT", "FORWARD", "OUTPUT")}  # fmt: skip
_MISSING = "nat-missing dnat-missing hairpin-nat-missing nat-wrong-match policy-drop nat-not-reversed"


def rule_deleted(sight: Sight, rng: Random) -> Mutation | None:
    found = _rules(sight, rng)
    if found is None:
        return None
    name, tool, table, number, line = found
    chain = line.split()[1]
    text = line.replace("-A ", "", 1).partition(" ")[2]
    steps = (shell(name, f"{tool} -t {table} -D {chain} {number}"),)
    undo = (shell(name, f"{tool} -t {table} -I {chain} {number} {text}"),)
    truth = (known(name, "rule nat-rule policy set", tool, table, chain), known(name, "", codes=_MISSING))
    return Mutation("rule-deleted", steps, undo, truth)


def rule_altered(sight: Sight, rng: Random) -> Mutation | None:
    """One word of it is another: an address, an interface, a port, a protocol, a state, a target."""
    found = _rules(sight, rng)
    if found is None:
        return None
    name, tool, table, number, line = found
    words = shlex.split(line)
    places = [at for at in range(2, len(words)) if _another(words, at, rng) is not None]
    if not places:
        return None
    at = rng.choice(places)
    new = _another(words, at, rng)
    assert new is not None
    chain = words[1]
    altered = shlex.join([*words[2:at], new, *words[at + 1 :]])
    steps, undo = ((shell(name, f"{tool} -t {table} -R {chain} {number} {text}"),) for text in (altered, shlex.join(words[2:])))
    truth = (_rule(name, tool, table, chain, number), known(name, "", codes=_MISSING))
    return Mutation(f"rule-altered {words[at - 1]}", steps, undo, truth)


def policy_turned(sight: Sight, rng: Random) -> Mutation | None:
    """A chain of the filter table drops what no rule accepts."""
    name, tool, chain = rng.choice(sight.spaces), rng.choice(TOOLS), rng.choice(_TABLES["filter"])
    said = sight.said(name, f"{tool} -S {chain}")
    if not said.startswith(f"-P {chain} ACCEPT"):
        return None
    steps, undo = ((shell(name, f"{tool} -P {chain} {policy}"),) for policy in ("DROP", "ACCEPT"))
    return Mutation("policy-turned", steps, undo, (known(name, "policy rule", tool, "filter", chain, "policy"),))


def rule_inserted(sight: Sight, rng: Random, flows: Sequence[Flow]) -> Mutation | None:
    """Into any chain, at any place; mostly about something that a flow of this network has."""
    one = rng.choice(flows)
    tool = rng.choice([each for each in TOOLS if each.startswith("ip6") is (one.version == 6)])
    name, table = rng.choice(sight.spaces), rng.choice(sorted(_TABLES))
    said = sight.said(name, f"{tool} -t {table} -S").splitlines()
    chain = rng.choice([*_TABLES[table], *(line.split()[1] for line in said if line.startswith("-N"))])
    number = rng.randint(1, 1 + sum(line.startswith(f"-A {chain} ") for line in said))
    match, target = _about(sight, rng, name, one, chain), _target(sight, rng, table, chain, one)
    steps = (shell(name, f"{tool} -t {table} -I {chain} {number} {match} {target}"),)
    undo = (shell(name, f"{tool} -t {table} -D {chain} {number}"),)
    return Mutation(f"rule-inserted {target.split()[1]}", steps, undo, (_rule(name, tool, table, chain, number),))


def ebtables_inserted(sight: Sight, rng: Random) -> Mutation | None:
    """On a bridge: about a port, a station, or a protocol."""
    if not sight.ports:
        return None
    name, link = rng.choice(sight.ports)
    chain = rng.choice(["INPUT", "FORWARD", "OUTPUT"])
    side = {"INPUT": "-i", "OUTPUT": "-o"}.get(chain) or rng.choice(["-i", "-o"])
    match = rng.choice([f"{side} {link['ifname']}", f"-s {rng.choice(sight.macs)}", f"-p {rng.choice(['IPv4', 'ARP', 'IPv6'])}", ""])
    steps, undo = (shell(name, f"ebtables -t filter {verb} {chain} {match} -j DROP") for verb in ("-A", "-D"))
    return Mutation("ebtables-inserted", (steps,), (undo,), (known(name, "rule", chain), known(name, "policy", chain)))


def arptables_inserted(sight: Sight, rng: Random) -> Mutation | None:
    name, link = rng.choice(sight.wires)
    chain = rng.choice(["INPUT", "OUTPUT"])
    match = rng.choice(["", f"-{'i' if chain == 'INPUT' else 'o'} {link['ifname']}"])
    steps, undo = (shell(name, f"arptables {verb} {chain} {match} -j DROP") for verb in ("-A", "-D"))
    return Mutation("arptables-inserted", (steps,), (undo,), (known(name, "rule", chain),))


def _rules(sight: Sight, rng: Random) -> tuple[str, str, str, int, str] | None:
    """A rule of any table: namespace, tool, table, its number in its chain, and its line."""
    found = []
    for name in sight.spaces:
        for tool in TOOLS:
            if commands.find(tool) is None:
                continue
            table, counts = "", dict[str, int]()
            for line in sight.said(name, f"{tool}-save").splitlines():
                if line.startswith("*"):
                    table, counts = line[1:], {}
                if line.startswith("-A "):
                    chain = line.split()[1]
                    counts[chain] = counts.get(chain, 0) + 1
                    found.append((name, tool, table, counts[chain], line))
    return rng.choice(found) if found else None


def _another(words: list[str], at: int, rng: Random) -> str | None:
    """Another value for one word of a rule, or None where it may not differ."""
    option, word = words[at - 1], words[at]
    address = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)\.(\d+)((?:/\d+)?(?::\d+)?)", word)
    if address is not None and option in ("-s", "-d", "--to-destination", "--to-source"):
        second = (int(address[2]) + rng.choice([1, 7])) % 256
        return f"{address[1]}.{second}.{address[3]}.{address[4]}{address[5]}"
    others = {
        "-i": ["lo", "eth9"], "-o": ["lo", "eth9"], "-p": ["sctp"], "--dport": [str(int(word) + 1)] if word.isdigit() else [],
        "--ctstate": ["INVALID", "ESTABLISHED"], "-j": {"ACCEPT": ["DROP"], "MASQUERADE": ["ACCEPT"], "DNAT": []}.get(word, []),
    }.get(option, [])  # fmt: skip
    others = [] if option == "-p" and any(each in words for each in ("--dport", "--sport", "DNAT")) else others
    others = [each for each in others if each != word]
    return rng.choice(others) if others else None


def _about(sight: Sight, rng: Random, name: str, one: Flow, chain: str) -> str:
    """What a rule is about: everything, or one or two things of a flow, on its way there or back."""
    mine = sight.source(one.source, one.address)
    back = rng.random() < 0.3
    protocol = {"icmp": "ipv6-icmp" if one.version == 6 else "icmp"}.get(one.protocol, one.protocol)
    devices = [link["ifname"] for where, link in sight.wires if where == name]
    parts = [f"-p {protocol}" + (f" --{'s' if back else 'd'}port {one.port}" if one.port and rng.random() < 0.6 else "")]
    parts.append(f"-{'s' if back else 'd'} {one.address}")
    parts += [f"-{'d' if back else 's'} {mine}"] if mine else []
    if devices and chain in ("PREROUTING", "INPUT", "FORWARD"):
        parts.append(f"-i {rng.choice(devices)}")
    if devices and chain in ("FORWARD", "OUTPUT", "POSTROUTING"):
        parts.append(f"-o {rng.choice(devices)}")
    return " ".join(sorted(rng.sample(parts, rng.choice([0, 1, 1, 1, 2]))))


def _target(sight: Sight, rng: Random, table: str, chain: str, one: Flow) -> str:
    """What is done with it: what the table and the chain allow."""
    wrong = "10.99.0.9" if one.version == 4 else "fd99::9"
    if table == "nat":
        to = "--to-destination" if chain in ("PREROUTING", "OUTPUT") else "--to-source"
        target = "DNAT" if to == "--to-destination" else "SNAT"
        return rng.choice([f"-j {target} {to} {wrong}", "-j ACCEPT", "-j RETURN"])
    if table == "raw":
        return rng.choice(["-j DROP", "-j CT --notrack", "-j CT --notrack"])
    if table == "mangle":
        return rng.choice(["-j DROP", "-j MARK --set-mark 7", "-j TTL --ttl-set 1" if one.version == 4 else "-j HL --hl-set 1"])
    return rng.choice(["-j DROP", "-j DROP", "-j REJECT"])


def _rule(name: str, tool: str, table: str, chain: str, number: int) -> Identity:
    return known(name, "rule nat-rule", tool, table, chain, str(number))


KINDS = (rule_deleted, rule_altered, policy_turned, ebtables_inserted, arptables_inserted)
ABOUT_FLOWS = (rule_inserted,)

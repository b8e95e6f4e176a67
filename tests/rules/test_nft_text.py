"""Rules in nft's words mean what nft itself makes of them: the ones of all recordings, and a list that nft reads in a lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import once
from msgspec.structs import replace

from netprobe.lab.commands import run
from netprobe.lab.lab import Lab
from netprobe.linux.machine import Machine
from netprobe.model import ReadNamespace, Rule, Snapshot, Statement, Term
from netprobe.rules.read.nft_text import rule_statements
from netprobe.saved import load

RECORDINGS = sorted((Path(__file__).parents[1] / "faults/recordings").glob("*.pcapng"))
TYPED = """\
accept
counter drop
tcp dport 80 accept
fib daddr type local accept
fib daddr . iif type != local drop
meta mark & 0x4000 == 0x4000 accept
tcp dport { 22, 80, 443 } accept
tcp dport != 22 counter drop
udp sport 1024-65535 accept
ip saddr 10.0.0.0/8 ip daddr 192.168.1.1 drop
ip saddr != { 10.0.0.1, 10.0.1.0/24 } drop
ip saddr 10.0.0.1-10.0.0.9 accept
ip6 saddr fd00::/8 ip6 daddr fd00::1 accept
iifname "eth0" oifname "br0" accept
iifname != "eth*" drop
iifname { "eth0", "eth1" } accept
iif lo accept
meta l4proto icmp accept
meta l4proto { icmp, ipv6-icmp } accept
ip protocol tcp accept
icmp type echo-request drop
icmp type { echo-request, echo-reply } accept
icmpv6 type nd-neighbor-solicit accept
ct state established,related accept
ct state invalid drop
ct state new tcp dport 22 accept
ct state { new, untracked } accept
ct state vmap { established : accept, related : accept, invalid : drop }
ct status dnat accept
ct mark 0x10 accept
meta mark 7 drop
meta mark set 7
mark 0x000000ff accept
meta skuid 1000 drop
meta pkttype multicast accept
ip ttl 1 drop
ip ttl set 1
ip saddr @known drop
tcp dport vmap { 80 : jump web, 443 : goto web, 25 : drop }
jump web
goto web
reject
reject with tcp reset
reject with icmp type host-prohibited
reject with icmpx type admin-prohibited
counter packets 5 bytes 100 return
log prefix "a drop: " level warn drop
limit rate 10/second accept
limit rate over 5/minute burst 7 packets drop
tcp flags syn accept
ip length > 1000 drop
tcp dport 80 accept comment "a # of: words"
udp length <= 100 continue
ip saddr . tcp dport @pairs accept
ip saddr . tcp dport vmap @ways
ip daddr . tcp dport { 10.0.0.1 . 80, 10.0.0.0/24 . 443-445 } accept
ip daddr . meta l4proto . th dport { 10.0.0.1 . tcp . 80, 10.0.0.1 . udp . 53 } accept
ip daddr . tcp dport 10.0.0.1 . 80 drop
ip daddr . tcp dport vmap { 10.0.0.1 . 80 : accept, 10.0.0.2 . 443 : jump web }
meta mark set ct mark
meta mark set tcp dport map @marks
"""
NAT = """\
dnat ip to 10.0.0.2
ip daddr 10.0.0.1 tcp dport 8080 dnat ip to 10.0.0.2:80
iifname "eth0" redirect to :8080
ip saddr 10.0.0.0/8 masquerade
oifname "eth0" masquerade random,persistent
snat ip to 192.0.2.1
snat ip to 192.0.2.1:1024-2048 random
snat ip6 to fd00::1
dnat ip6 to [fd00::2]:80
dnat ip to tcp dport map @ports
dnat ip prefix to 10.0.0.0/24
dnat ip to meta l4proto . th dport map { tcp . 80 : 10.0.0.2 . 8080, udp . 53 : 10.0.0.3 . 53 }
"""
SCRIPT = """\
table inet t {
    set known { type ipv4_addr; elements = { 10.0.0.1 }; }
    set pairs { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 80 }; }
    map ways { type ipv4_addr . inet_service : verdict; }
    map marks { type inet_service : mark; }
    map ports { type inet_service : ipv4_addr; }
    chain web { }
    chain c { }
    chain pre { type nat hook prerouting priority 0; }
    chain post { type nat hook postrouting priority 0; }
}
"""


def meaning(statements: tuple[Statement, ...]) -> list[Statement]:
    """Without what says nothing; the order within a set says nothing either."""
    return [replace(each, right=each.right and ordered(each.right)) for each in statements if each.kind != "note"]


def ordered(term: Term) -> Term:
    args = map(ordered, term.args)
    return replace(term, args=tuple(sorted(args, key=repr) if term.kind == "set" else args))


def recorded() -> Iterator[Rule]:
    for file in RECORDINGS:
        _, run_ = load(str(file))
        assert run_ is not None
        rulesets = (namespace.ruleset for namespace in run_.snapshot.namespaces.values())
        yield from (rule for each in rulesets if each for table in each.tables if table.engine == "nft" for rule in table.rules)


def test_rules_of_recordings_are_read_alike_or_refused() -> None:
    rules = {rule.text: rule for rule in recorded()}
    read = {}
    for text in rules:
        try:
            read[text] = meaning(rule_statements(text))
        except ValueError:
            assert "numgen" in text or "fib" in text or "&" in text, text
    assert len(read) > 10
    assert read == {text: meaning(rules[text].statements) for text in read}


@pytest.mark.parametrize(
    "text",
    ["tcp", "tcp dport", "tcp port 80 accept", "ip saddr", "frobnicate", "tcp dport { 80", "jump", "dnat",
     "ip daddr . @x accept", "fib saddr oif missing drop", "limit rate x/second",
     "ct original saddr 10.0.0.1 drop", "@th,16,16 80 drop", "queue num 1", 'accept comment "a" drop', "ip saddr " + "{" * 5000],
)  # fmt: skip
def test_what_is_not_known_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        rule_statements(text)


def listed(rules: dict[str, list[str]]) -> list[tuple[str, Rule]]:
    """In the lab: each rule as it was typed, and as it was read; those that nft of this version refuses are left out."""
    from netprobe.errors import CannotLook

    run("red", ["nft", "-f", "-"], SCRIPT)
    typed = []
    for chain, texts in rules.items():
        for text in texts:
            try:
                run("red", ["nft", "-f", "-"], f"add rule inet t {chain} {text}\n")
            except CannotLook:
                continue
            typed.append(text)
    with Machine() as machine:
        name = machine.resolve("red").namespace or ""
        ruleset = machine.read(Snapshot(), [ReadNamespace(name)])[name].ruleset
    assert ruleset is not None
    table = ruleset.table("nft", "inet", "t")
    assert table is not None
    found = [rule for chain in rules for rule in (table.chain(chain) or pytest.fail(chain)).rules]
    return list(zip(typed, found, strict=True))


@pytest.mark.lab
@once
def test_what_nft_reads_is_read_alike(fresh_lab: Lab) -> None:
    post = [line for line in NAT.splitlines() if "snat" in line or "masq" in line]
    pre = [line for line in NAT.splitlines() if line not in post]
    found = fresh_lab.call(listed, {"c": TYPED.splitlines(), "pre": pre, "post": post})
    assert len(found) > 50
    for typed, rule in found:
        assert meaning(rule_statements(rule.text)) == meaning(rule.statements), rule.text
        assert meaning(rule_statements(typed)) == meaning(rule.statements), typed

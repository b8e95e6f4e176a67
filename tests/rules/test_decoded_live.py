"""Chains of large tables are decoded from the kernel's bytes: as nft prints them, statement by statement."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from own_namespace import own_namespace

from netprobe.lab.lab import Lab
from netprobe.lab.topology import Topology
from netprobe.linux.netfilter import chains
from netprobe.linux.netfilter.read import read_ruleset
from netprobe.model import Chain, ChainQuery, Rule, Ruleset

pytestmark = pytest.mark.lab

RULES = (
    "ip daddr 10.0.0.1 accept",
    "ip saddr 10.0.0.0/8 drop",
    "ip daddr 10.1.2.0/23 counter drop",
    "ip saddr != 192.168.0.0/16 return",
    "ip6 daddr fd00::/64 drop",
    "ip6 saddr fd00::1 accept",
    "ip protocol udp drop",
    "ip ttl 1 drop",
    "ip ttl < 5 drop",
    "tcp dport 80 accept",
    "udp sport 53 udp dport != 53 drop",
    "meta l4proto tcp accept",
    "meta l4proto { tcp, udp } th dport 53 accept",
    "tcp dport { 22, 80-90, 443 } accept",
    "ip daddr { 10.0.0.0/24, 10.0.1.5, 10.0.2.1-10.0.2.9 } drop",
    "ip saddr . tcp dport { 10.0.0.1 . 80, 10.0.0.2 . 81 } accept",
    "ip daddr . meta l4proto . th dport vmap @services",
    "ip saddr @ban drop",
    "ip saddr != @ban accept",
    "tcp dport vmap { 22 : accept, 80 : jump other, 81-90 : goto other, 443 : drop }",
    "icmp type echo-request accept",
    "icmpv6 type nd-neighbor-solicit accept",
    'iifname "eth0" accept',
    'oifname != "cali*" drop',
    'iifname { "eth0", "eth1" } drop',
    "ct state established,related accept",
    "ct state new drop",
    "ct state invalid drop",
    "ct mark 5 accept",
    "meta mark 0x10 accept",
    "meta mark & 0xff == 0x10 accept",
    "meta mark and 0x4000 != 0 return",
    "meta mark set 0x10",
    "meta mark set meta mark or 0x4000",
    "meta mark set meta mark xor 0x4000",
    "meta mark set meta mark and 0xffffbfff",
    "meta mark set ct mark",
    "ct mark set meta mark",
    "fib daddr type local accept",
    "fib daddr . iif type != local drop",
    "numgen random mod 3 vmap { 0 : goto other, 1 : jump other, 2 : drop }",
    "numgen inc mod 2 vmap { 0 : accept, 1 : drop }",
    "jump other",
    "goto other",
    "limit rate 10/second burst 5 packets accept",
    "limit rate over 3/minute drop",
    "ct count over 20 drop",
    "reject",
    "reject with tcp reset",
    "reject with icmp type admin-prohibited",
    "reject with icmpx type admin-prohibited",
    "reject with icmpv6 type addr-unreachable",
    "log",
    'ip daddr 10.9.9.9 counter drop comment "of a program"',
    "update @seen { ip saddr }",
    "meta skuid 1000 drop",
    "meta nfproto ipv6 drop",
    "ether saddr 02:00:00:00:00:01 drop",
    "tcp flags syn / syn,ack drop",  # not decoded: nft is asked
    "quota 10 mbytes drop",
)
NAT = (
    "meta l4proto tcp dnat ip to 10.0.0.9:8080",
    "ip daddr 10.0.0.7 dnat ip to 10.0.0.9",
    "dnat ip to 10.0.0.1-10.0.0.9",
    "tcp dport 80 dnat ip6 to [fd00::9]:8080",
    "dnat ip to numgen random mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }",
    "meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 81 }",
    "meta l4proto tcp dnat ip addr . port to ip daddr . tcp dport map @ports",
    "tcp dport 81 redirect to :8080",
    "redirect",
)
SOURCE = (
    "masquerade",
    "masquerade random,fully-random",
    "meta l4proto tcp masquerade to :1024-65535",
    "ip saddr 10.0.0.0/8 snat ip to 192.0.2.1",
    "snat ip to 192.0.2.1-192.0.2.9 persistent",
)


def table(family: str, rules: tuple[str, ...], nat: tuple[str, ...], source: tuple[str, ...]) -> str:
    sets = (
        "map services { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
        "set ban { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }\n"
        "set seen { type ipv4_addr; flags dynamic; size 100; }\n"
        "map ports { type ipv4_addr . inet_service : ipv4_addr . inet_service; }\n"
    )
    texts = "\n".join(f"chain r{n} {{ {rule}; }}" for n, rule in enumerate((*rules, *nat, *source)))
    base = (
        "chain pre { type nat hook prerouting priority dstnat; "
        + " ".join(f"jump r{n};" for n in range(len(rules), len(rules) + len(nat)))
        + "}\nchain post { type nat hook postrouting priority srcnat; "
        + " ".join(f"jump r{n};" for n in range(len(rules) + len(nat), len(rules) + len(nat) + len(source)))
        + "}"
    )
    return f"table {family} t {{\n{sets}chain other {{ }}\n{texts}\n{base}\n}}"


def read() -> Ruleset:
    """In the lab: the rules of `host`, as nft prints them."""
    with own_namespace() as fd:
        return read_ruleset(fd, "host")


def read_chains(family: str, names: tuple[str, ...]) -> list[Chain]:
    """In the lab: the chains, one by one; `ASKED` says for which nft was asked."""
    with own_namespace() as fd:
        return [chains.read_chain(fd, ChainQuery("nft", family, "t", name)) for name in names]


def asked(family: str, names: tuple[str, ...]) -> list[str]:
    """In the lab: the chains for which nft is asked."""
    found: list[str] = []
    whole = chains._printed_by_nft

    def printed(fd: int, query: ChainQuery) -> Chain:
        found.append(query.chain)
        return whole(fd, query)

    chains._printed_by_nft = printed
    try:
        read_chains(family, names)
    finally:
        chains._printed_by_nft = whole
    return found


BY_NFT = {"ether saddr 02:00:00:00:00:01 drop", "tcp flags syn / syn,ack drop", "quota 10 mbytes drop"}


def same(ours: Rule, theirs: Rule) -> bool:
    """Whether a rule is what nft prints; of a rejection nft leaves out the protocol that the rule asks for."""
    statements = ours.statements
    if statements[-1].kind == "reject" and len(statements) > len(theirs.statements):
        return (statements[-1:], ours.handle) == (theirs.statements, theirs.handle)
    return (statements, ours.text, ours.handle) == (theirs.statements, theirs.text, theirs.handle)


@pytest.mark.parametrize("family", ["inet", "ip"])
def test_chains_are_decoded_as_nft_prints_them(make_lab: Callable[..., Lab], family: str) -> None:
    lab = make_lab(Topology(()))
    six = ("ip6", "icmpv6", "nfproto", "ether", "fd00", "icmpx")
    rules, nat, source = (
        tuple(rule for rule in group if family == "inet" or not any(word in rule for word in six)) for group in (RULES, NAT, SOURCE)
    )
    lab.run(["nft", "-f", "-"], text=table(family, rules, nat, source), check=True)
    [whole] = lab.call(read).tables
    names = tuple(chain.name for chain in whole.chains)
    wrong = []
    for chain in lab.call(read_chains, family, names):
        known = whole.chain(chain.name)
        assert known is not None
        assert not chain.unread
        assert [rule.comment for rule in chain.rules] == [rule.comment for rule in known.rules]
        found = zip(chain.rules, known.rules, strict=True)
        wrong += [(ours, theirs) for ours, theirs in found if not same(ours, theirs)]
    assert wrong == []
    by_nft = {known.rules[0].text for name in lab.call(asked, family, names) if (known := whole.chain(name))}
    assert by_nft <= BY_NFT


def test_a_chain_that_is_gone_is_said_to_be(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(Topology(()))
    lab.run(["nft", "add", "table", "inet", "t"], check=True)
    [chain] = lab.call(read_chains, "inet", ("nothing",))
    assert chain.unread == chains.GONE

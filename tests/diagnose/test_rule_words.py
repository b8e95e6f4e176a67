"""What a rule is called that lacks: by its chain, for it has neither a number nor a handle."""

from __future__ import annotations

import pytest

from netprobe.diagnose import nat_rules, rule_words
from netprobe.model import Command, Object, Place, Stop

NFT = ("nft", "inet", "fw", "forward", "handle", "27")
XTABLES = ("iptables-legacy", "filter", "FORWARD", "3")


def there(words: tuple[str, ...]) -> Object:
    return Object("rule", " ".join(words), "accept", None, words)


@pytest.mark.parametrize(
    ("words", "chain", "called"),
    [
        (NFT, "", "inet fw forward"),
        (NFT, "output", "inet fw output"),
        (("nft", "inet", "fw", "forward", "policy"), "", "inet fw forward"),
        (XTABLES, "", "iptables-legacy filter FORWARD"),
        (XTABLES, "OUTPUT", "iptables-legacy filter OUTPUT"),
    ],
)
def test_the_chain_in_which_it_lacks(words: tuple[str, ...], chain: str, called: str) -> None:
    assert rule_words.chain_id(there(words), chain) == called


def test_two_that_lack_in_one_chain_are_two() -> None:
    place = Place("host", None, None)
    fixes = (Command.of("iptables-legacy", "-A", "FORWARD", "-i", name, "-j", "ACCEPT") for name in ("br0", "br1"))
    lacking = [rule_words.missing(there(XTABLES), (fix,)) for fix in fixes]
    assert {each.id for each in lacking} == {"iptables-legacy filter FORWARD"}
    assert len({Stop("policy-drop", place, "", each).about for each in lacking}) == 2
    known = [Stop("policy-drop", place, text, there(XTABLES)).about for text in ("one", "other")]
    assert len({*known}) == 1


@pytest.mark.parametrize(
    ("text", "old", "new", "changed"),
    [
        ('iifname "lan" oifname "br-lan" accept', "lan", "wan", 'iifname "wan" oifname "br-lan" accept'),
        ('iifname "virbr0" oifname "virbr0-nic" accept', "virbr0", "virbr1", 'iifname "virbr1" oifname "virbr0-nic" accept'),
        ('iifname "eth0" oifname "eth0.7" accept', "eth0", "eth1", 'iifname "eth1" oifname "eth0.7" accept'),
        ("ip6 saddr fd00::/64 tcp dport 64 accept", "64", "65", "ip6 saddr fd00::/64 tcp dport 65 accept"),
        ("tcp sport 80-90 tcp dport { 80, 443 } accept", "80", "8080", "tcp sport 80-90 tcp dport { 8080, 443 } accept"),
        ("ip saddr 10.0.0.2-10.0.0.9 dnat to 10.0.0.2:80", "10.0.0.2", "10.0.0.3", "ip saddr 10.0.0.2-10.0.0.9 dnat to 10.0.0.3:80"),
        ("ip daddr 10.0.0.2/32 accept", "10.0.0.2", "10.0.0.3", "ip daddr 10.0.0.3/32 accept"),
        ("ip6 daddr fd00::2 dnat to [fd00::2]:80", "fd00::2", "fd00::3", "ip6 daddr fd00::3 dnat to [fd00::3]:80"),
        ('oifname "eth0" accept', "eth0", "a\\1b", 'oifname "a\\1b" accept'),
    ],
)
def test_a_word_is_exchanged_where_it_stands_for_itself(text: str, old: str, new: str, changed: str) -> None:
    """What a longer name, a range or a network's length has of it is something else."""
    assert nat_rules.swapped_all(text, {old: new}) == changed

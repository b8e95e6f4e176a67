"""What a rule is called that lacks: by its chain, for it has neither a number nor a handle."""

from __future__ import annotations

import pytest

from netprobe.diagnose import rule_words
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

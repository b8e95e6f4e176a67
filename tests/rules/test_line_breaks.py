"""Comments and names may hold whatever divides lines and words elsewhere: each rule stays one, and no comment makes another."""

from __future__ import annotations

import pytest

from netprobe.linux.netfilter.listing import of_base_chains
from netprobe.rules.read.arguments import logical_lines
from netprobe.rules.read.iptables_save import read_chain, read_save
from netprobe.rules.read.nft_json import rule_texts

HEAD = "*filter\n:FORWARD ACCEPT [0:0]\n"

FORGED = [
    "a\n -j ACCEPT",
    "a\n[0:0] -A FORWARD -j ACCEPT",
    "a\nCOMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n[0:0] -A POSTROUTING -j MASQUERADE",
    'a\n\\" -j ACCEPT',
    "\n" * 200,
    *("a\v-j ACCEPT", "a\f-j ACCEPT", "a\r-j ACCEPT", "a\x1c-j ACCEPT", "a\x85-j ACCEPT", "a\u2028-j ACCEPT"),
]


@pytest.mark.parametrize("comment", FORGED)
@pytest.mark.parametrize("engine", ["iptables", "iptables-legacy"])
def test_a_comment_with_line_breaks_is_a_comment(comment: str, engine: str) -> None:
    rules = f'[0:0] -A FORWARD -d 8.8.8.8/32 -m comment --comment "{comment}" -j DROP\n[0:0] -A FORWARD -j RETURN'
    [table] = read_save(HEAD + rules, engine, "ip")
    chain = table.chain("FORWARD")
    assert chain is not None
    assert [[each.kind for each in rule.statements if each.kind != "note"] for rule in chain.rules] == [["match", "drop"], ["return"]]
    assert chain.rules[0].comment == comment.replace("\\", "")


@pytest.mark.parametrize("comment", FORGED)
def test_one_chain_alone(comment: str) -> None:
    chain = read_chain(f'-N C\n-A C -m comment --comment "{comment}" -j DROP\n-A C -j RETURN', "C", "ip")
    assert [rule.statements[-1].kind for rule in chain.rules] == ["drop", "return"]


def test_of_a_chain_that_is_left_out_nothing_stays() -> None:
    text = '*filter\n:FORWARD ACCEPT [0:0]\n:C - [0:0]\n[0:0] -A C -m comment --comment "a\n[0:0] -A FORWARD -j DROP" -j RETURN\nCOMMIT'
    assert of_base_chains(text) == "*filter\n:FORWARD ACCEPT [0:0]\n:C - [0:0]\nCOMMIT"


@pytest.mark.parametrize("name", ['"e', 'e"', '"', "a\u3000b", "a\u2003-j", "a\x85b", "a\x1cb"])
def test_an_interface_may_have_any_of_them_in_its_name(name: str) -> None:
    rules = f"[0:0] -A FORWARD -i {name} -j DROP\n[0:0] -A FORWARD -j RETURN"
    [table] = read_save(HEAD + rules, "iptables", "ip")
    chain = table.chain("FORWARD")
    assert chain is not None
    assert [rule.statements[-1].kind for rule in chain.rules] == ["drop", "return"]
    [match] = [each for each in chain.rules[0].statements if each.kind == "match"]
    assert match.right is not None
    assert match.right.text == name


def test_a_quote_that_never_ends_costs_nothing_more() -> None:
    text = '-A FORWARD -i "e -j DROP\n' * 5000
    assert len(list(logical_lines(text))) == 5000


def test_two_rules_of_one_handle_have_no_text() -> None:
    """nft prints a comment as it is; which of the lines is the rule's is not known."""
    text = 'table ip t {\n\tchain c {\n\t\taccept # handle 5\n\t\tdrop comment "x # handle 5\n\t\tdrop" # handle 6\n\t}\n}\n'
    assert rule_texts(text) == {("ip", "t"): {6: 'drop"'}}

"""Tables that are too large to be read whole: a chain that the packet comes to is asked for, and nothing else."""

from __future__ import annotations

import pytest
from literal_rules import PING, WEB, forwarded, iptables
from msgspec import json
from msgspec.structs import replace

from netprobe.diagnose.change import questions
from netprobe.diagnose.diff import differences
from netprobe.linux.netfilter import listing
from netprobe.linux.netfilter.tools import Printed
from netprobe.model import Chain, ChainQuery, Flow, Namespace, Protocol, Ruleset, Snapshot
from netprobe.rules import HookVerdict, Ruling, traverse
from netprobe.rules.expression import Scene
from netprobe.rules.packet import Surroundings
from netprobe.rules.read.iptables_save import read_chain
from netprobe.rules.rule import fails_at_once
from netprobe.rules.skip import LONG, following

RULES = """
:WEB - [0:0]
:OTHER - [0:0]
[0:0] -A FORWARD -p tcp -j WEB
[0:0] -A FORWARD -j OTHER
[0:0] -A WEB -p tcp -m tcp --dport 80 -j DROP
"""
WEB_CHAIN = "-N WEB\n-A WEB -p tcp -m tcp --dport 80 -j DROP\n"
QUERY = ChainQuery("iptables", "ip", "filter", "WEB")


def partial(text: str = RULES) -> Ruleset:
    """The base chains of a table, and no others."""
    ruleset = iptables(text)
    [table] = ruleset.tables
    chains = tuple(chain for chain in table.chains if chain.hook is not None)
    return replace(ruleset, tables=(replace(table, chains=chains, partial=True),))


def forward(ruleset: Ruleset, flow: Flow = WEB) -> Ruling:
    return traverse(ruleset, "ip", "forward", forwarded(flow))


def test_a_chain_that_the_packet_comes_to_is_asked_for() -> None:
    ruleset = partial()
    ruling = forward(ruleset)
    assert (ruling.verdict, ruling.needs) == (HookVerdict.UNDETERMINED, (QUERY,))
    assert forward(ruleset, PING).needs == (replace(QUERY, chain="OTHER"),)
    read = ruleset.with_chain(QUERY, read_chain(WEB_CHAIN, "WEB", "ip"))
    ruling = forward(read)
    assert ruling.verdict is HookVerdict.DROP
    assert ruling.decision is not None
    assert ruling.decision.object.id == "iptables filter WEB 1"
    again = json.decode(json.encode(read), type=Ruleset)
    assert forward(again) == ruling


def test_both_chains_that_a_die_chooses_from_are_asked_for_at_once() -> None:
    text = ":A - [0:0]\n:B - [0:0]\n-A FORWARD -m statistic --mode random --probability 0.50000000000 -j A\n-A FORWARD -j B"
    assert {each.chain for each in forward(partial(text)).needs if isinstance(each, ChainQuery)} == {"A", "B"}


def test_a_chain_that_could_not_be_read_is_not_an_empty_one() -> None:
    ruling = forward(partial().with_chain(QUERY, Chain("WEB", unread="iptables-nft is not installed")))
    assert (ruling.verdict, ruling.needs) == (HookVerdict.UNDETERMINED, ())
    assert ruling.doubts[0].text == "chain WEB could not be read: iptables-nft is not installed"


def test_a_base_chain_that_could_not_be_read_is_not_an_empty_one() -> None:
    ruleset = partial()
    [table] = ruleset.tables
    chains = tuple(replace(chain, rules=(), unread="it is not there any more") for chain in table.chains)
    assert forward(replace(ruleset, tables=(replace(table, chains=chains),))).verdict is HookVerdict.UNDETERMINED


@pytest.mark.parametrize(
    ("printed", "kind"), [("-j WEB", "jump"), ("-g WEB", "goto"), ("-j DROP", "drop"), ("-j SNAT --to-source 10.0.0.1", "snat")]
)
def test_what_is_no_target_is_a_chain(printed: str, kind: str) -> None:
    [rule] = read_chain(f"-N X\n-A X {printed}\n", "X", "ip").rules
    assert rule.statements[-1].kind == kind


def test_chains_that_one_of_two_readings_did_not_come_to_are_no_difference() -> None:
    base = partial()
    old, new = (
        Snapshot({"a": Namespace("a", ruleset=ruleset)}) for ruleset in (base, base.with_chain(QUERY, read_chain(WEB_CHAIN, "WEB", "ip")))
    )
    assert list(differences(old, new, "a")) == []
    emptied = Snapshot({"a": Namespace("a", ruleset=base.with_chain(QUERY, Chain("WEB")))})
    assert [each.kind for each in differences(new, emptied, "a")] == ["rule"]
    assert QUERY in [getattr(need, "query", None) for need in questions(new, ["a"])]


def test_rules_for_other_destinations_are_passed_over_and_no_others() -> None:
    lines = [f"-A FORWARD -d 10.96.{n >> 8}.{n & 255}/32 -p tcp -j ACCEPT" for n in range(LONG)]
    lines[5:5] = ["-A FORWARD -d 10.0.0.0/8 -j ACCEPT", "-A FORWARD ! -d 10.96.0.9/32 -j ACCEPT", "-A FORWARD -i eth9 -j ACCEPT"]
    [table] = iptables("\n".join(lines)).tables
    chain = table.chain("FORWARD")
    assert chain is not None
    scene = Scene(Ruleset(), table, Surroundings())
    for dst in ("10.96.0.0", "10.96.0.9", "10.96.0.255", "8.8.8.8"):
        packet = forwarded(Flow("10.0.0.2", dst, Protocol.TCP, sport=4000, dport=80, ttl=63, length=60))
        looked_at, at = [], 0
        while (at := following(chain.rules, at, packet)) < len(chain.rules):
            looked_at.append(at)
            at += 1
        holding = [n for n, rule in enumerate(chain.rules) if not fails_at_once(rule, packet, scene)]
        assert set(holding) <= set(looked_at)
        assert len(looked_at) <= 4


def test_of_very_many_rules_of_the_old_engine_the_base_chains_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT DROP [0:0]\n:WEB - [0:0]\n"
        "[1:60] -A PREROUTING -p tcp -j WEB\n[0:0] -A WEB -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n"
        "*filter\n:FORWARD DROP [0:0]\n:PREROUTING - [0:0]\n[0:0] -A FORWARD -j PREROUTING\n[0:0] -A PREROUTING -j ACCEPT\nCOMMIT\n"
    )
    printer = listing.LEGACY["ip"]
    whole = printer.tables(Printed(text.encode()))
    monkeypatch.setattr(listing, "MOST_RULES", 1)
    partial = printer.tables(Printed(text.encode()))
    for table, known in zip(partial, whole, strict=True):
        assert table.partial
        assert table.chains == tuple(chain for chain in known.chains if chain.hook)
    query = ChainQuery("iptables-legacy", "ip", "nat", "WEB")
    packet = replace(forwarded(WEB), state=None)
    assert traverse(Ruleset(tables=tuple(partial)), "ip", "prerouting", packet).needs == (query,)


def test_rules_for_other_destinations_of_ipv6_are_passed_over_as_well() -> None:
    lines = [f"-A FORWARD -d fd00::{n:x}/128 -p tcp -j ACCEPT" for n in range(1, LONG + 1)]
    lines[5:5] = [
        "-A FORWARD -d ::ffff:10.0.0.1/128 -j ACCEPT",
        "-A FORWARD -d fd00::/64 -j ACCEPT",
        "-A FORWARD ! -d fd00::9/128 -j ACCEPT",
    ]
    [table] = iptables("\n".join(lines), family="ip6").tables
    chain = table.chain("FORWARD")
    assert chain is not None
    for dst, own in (("fd00::1", [0, 5, 6, 7]), ("fd00::100", [5, 6, 7, LONG + 2]), ("::ffff:a00:1", [5, 6, 7])):
        packet = forwarded(Flow("fd00:1::2", dst, Protocol.TCP, sport=4000, dport=80, ttl=63, length=60))
        looked_at, at = [], 0
        while (at := following(chain.rules, at, packet)) < len(chain.rules):
            looked_at.append(at)
            at += 1
        assert looked_at == own

"""Reading the rules of a real namespace: complete, honest about what it cannot see, and without leaving a trace."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from own_namespace import own_namespace

from netprobe.lab.lab import Lab
from netprobe.lab.topology import Topology
from netprobe.linux.netfilter import remembered
from netprobe.linux.netfilter import tools as netfilter_tools
from netprobe.linux.netfilter.read import FEW, RulesetReading, ask_set, read_ruleset
from netprobe.model import AskedSet, Ruleset, SetQuery, Statement, Term

pytestmark = pytest.mark.lab

EMPTY = Topology(())
RULES = """
nft add table inet t
nft add chain inet t f { type filter hook forward priority -1 ; policy drop ; }
nft add chain inet t u
nft add set inet t ban { type ipv4_addr ; flags interval ; elements = { 8.8.8.0/24 } ; }
nft add map inet t ports { type inet_service : verdict ; elements = { 80 : drop, 81 : jump u } ; }
nft add rule inet t f ip daddr @ban counter drop
nft add rule inet t f tcp dport vmap @ports
nft add table netdev d
nft add chain netdev d i { type filter hook ingress device lo priority 0 ; }
nft add rule netdev d i ip saddr 1.2.3.4 drop
iptables-nft -A FORWARD -p tcp --dport 80 -m conntrack --ctstate NEW -j DROP
iptables-nft -P FORWARD DROP
iptables-nft -t nat -A POSTROUTING -s 10.0.0.0/16 ! -o lo -j MASQUERADE
ip6tables-nft -A INPUT -p icmpv6 --icmpv6-type 135 -j DROP
ebtables-nft -A FORWARD -p ARP --arp-ip-dst 10.0.0.3 -j DROP
arptables-nft -A INPUT -s 10.0.0.2 -j DROP
iptables-legacy -t mangle -A PREROUTING -s 10.0.0.9 -j DROP
"""


def read() -> Ruleset:
    """In the lab: the rules of `host`."""
    with own_namespace() as fd:
        return read_ruleset(fd, "host")


def read_twice(between: str) -> tuple[set[str], Ruleset]:
    """In the lab: the tools that a second look starts, and what it sees, after these commands."""
    with own_namespace() as fd:
        read_ruleset(fd, "host")
        subprocess.run(["sh", "-ec", between], check=True)
        tools: set[str] = set()
        child = netfilter_tools._Child

        def noted(command: Any) -> Any:
            tools.add(command[0])
            return child(command)

        netfilter_tools._Child = noted  # type: ignore[assignment, misc]
        try:
            with RulesetReading(fd, "host") as reading:
                return tools, reading.ruleset()
        finally:
            netfilter_tools._Child = child  # type: ignore[misc]


def read_in_two_questions(between: str) -> tuple[set[str], Ruleset]:
    """In the lab: the tools that the reading of a second question starts, and what it sees, after these commands."""
    with own_namespace() as fd, RulesetReading(fd, "host") as reading:
        reading.ruleset()
    remembered.forget()
    subprocess.run(["sh", "-ec", between], check=True)
    tools: set[str] = set()
    popen = netfilter_tools.subprocess.Popen

    def noted(command: list[str], *arguments: Any, **more: Any) -> Any:
        tools.add(Path(command[0]).name)
        return popen(command, *arguments, **more)

    with (
        patch.object(netfilter_tools.subprocess, "Popen", noted),
        own_namespace() as fd,
        RulesetReading(fd, "host") as reading,
    ):
        return tools, reading.ruleset()


def ask(query: SetQuery) -> AskedSet:
    """In the lab: one question about a set."""
    with own_namespace() as fd:
        return ask_set(fd, query)


def without(tool: str) -> Ruleset:
    """In the lab: the rules as they are seen when a tool is not installed."""
    is_program = netfilter_tools.is_program
    netfilter_tools.is_program = lambda place: Path(place).name != tool and is_program(place)  # type: ignore[attr-defined]
    try:
        return read()
    finally:
        netfilter_tools.is_program = is_program


def started() -> set[str]:
    """In the lab: the tools that a reading starts."""
    tools: set[str] = set()
    popen = netfilter_tools.subprocess.Popen

    def noted(command: list[str], *arguments: Any, **more: Any) -> Any:
        tools.add(Path(command[0]).name)
        return popen(command, *arguments, **more)

    netfilter_tools.subprocess.Popen = noted  # type: ignore[misc,assignment]
    try:
        read()
    finally:
        netfilter_tools.subprocess.Popen = popen  # type: ignore[misc]
    return tools


def run(lab: Lab, script: str) -> None:
    for line in filter(None, script.strip().splitlines()):
        lab.run(line.split(), check=True)


def whole(lab: Lab) -> str:
    """Everything the tools say, without counters; the names of the old engine's tables too."""
    texts = [lab.run(["nft", "-s", "-a", "list", "ruleset"]).stdout]
    texts += [lab.run(["cat", f"/proc/net/{name}_tables_names"]).stdout for name in ("ip", "ip6", "arp")]
    texts += [lab.run(["iptables-legacy-save", "-t", "mangle"]).stdout] if "mangle" in texts[1] else []
    return re.sub(r"^#.*$", "", "\n".join(texts), flags=re.MULTILINE)


def test_every_engine_is_read_and_nothing_changes(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(EMPTY)
    run(lab, RULES)
    before = whole(lab)
    ruleset = lab.call(read)
    assert whole(lab) == before
    assert ruleset.blind == ()
    assert [(table.engine, table.family, table.name) for table in ruleset.tables] == [
        ("nft", "inet", "t"), ("nft", "netdev", "d"),
        ("iptables", "ip", "filter"), ("iptables", "ip", "nat"), ("iptables", "ip6", "filter"),
        ("ebtables", "bridge", "filter"), ("arptables", "arp", "filter"), ("iptables-legacy", "ip", "mangle"),
    ]  # fmt: skip
    chains = {(table.engine, chain.name): chain for table in ruleset.tables for chain in table.chains}
    forward = chains["nft", "f"]
    assert (forward.hook, forward.priority, forward.policy) == ("forward", -1, "drop")
    assert [rule.text for rule in forward.rules] == ["ip daddr @ban counter drop", "tcp dport vmap @ports"]
    assert all(rule.handle for rule in forward.rules)
    assert chains["nft", "i"].devices == ("lo",)
    assert chains["ebtables", "FORWARD"].priority == -200
    assert chains["iptables-legacy", "PREROUTING"].rules[0].text == "-A PREROUTING -s 10.0.0.9/32 -j DROP"
    kept = chains["iptables", "POSTROUTING"].rules[0]
    assert (kept.text, kept.packets) == ("-A POSTROUTING -s 10.0.0.0/16 ! -o lo -j MASQUERADE", 0)
    assert f"# handle {kept.handle}" in before
    ban, ports = (ruleset.tables[0].set(name) for name in ("ban", "ports"))
    assert ban
    assert ban.elements == (Term("value", "8.8.8.0/24"),)
    assert ports
    assert ports.data == "verdict"


def test_a_namespace_without_rules_has_none_and_starts_no_tool(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(EMPTY)
    assert lab.call(read) == Ruleset(queues=())
    assert lab.call(without, "nft") == Ruleset(queues=())


MIXED = """
iptables-nft -t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 8080 -m comment --comment a -j DNAT --to 10.0.0.1:80
iptables-nft -t nat -A POSTROUTING -s 10.0.0.0/16 ! -o lo -m comment --comment c -j MASQUERADE
iptables-nft -t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j SNAT --to-source 192.0.2.1
iptables-nft -t nat -A POSTROUTING -m physdev --physdev-is-bridged -j ACCEPT
"""


def test_a_table_of_iptables_into_which_somebody_put_a_rule_of_nfts(make_lab: Callable[..., Lab]) -> None:
    """iptables prints it no more ("is incompatible, use 'nft' tool"), and JSON has nothing of its extensions but their names."""
    lab = make_lab(EMPTY)
    run(lab, MIXED + "nft add rule ip nat POSTROUTING ip saddr 10.9.0.0/16 masquerade")
    [table] = lab.call(read).tables
    assert (table.engine, table.name) == ("nft", "nat")
    said = [[(each.kind, each.key, each.value) for each in rule.statements if each.kind != "note"] for rule in table.rules]
    tests = [("match", "fib daddr type", "local"), ("match", "tcp dport", "8080")]
    assert said[0] == [("match", "meta l4proto", "tcp"), *tests, ("dnat", "", "10.0.0.1")]
    assert said[1] == [("match", "meta oifname", "lo"), ("match", "ip saddr", "10.0.0.0/16"), ("masquerade", "", "")]
    assert said[2] == [("match", "", "16384"), ("snat", "", "192.0.2.1")]
    assert said[3] == [("unknown", "", ""), ("accept", "", "")]  # nft has no words for it
    assert said[4] == [("match", "ip saddr", "10.9.0.0/16"), ("masquerade", "", "")]


def test_a_table_of_iptables_names_that_nft_made_stays_nfts(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(EMPTY)
    lab.run(
        ["nft", "-f", "-"], text="table ip nat {\nchain POSTROUTING { type nat hook postrouting priority 100;\nmasquerade\n}\n}", check=True
    )
    [table] = lab.call(read).tables
    assert (table.engine, table.name, table.chains[0].rules[0].text) == ("nft", "nat", "masquerade")
    assert lab.call(started) == {"nft"}  # the tool of xtables might load modules for what it did not make


def test_the_tools_of_what_is_there_are_started(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(EMPTY)
    assert lab.call(started) == set()
    run(lab, "iptables-nft -A FORWARD -s 10.0.0.2 -j DROP")
    assert lab.call(started) == {"iptables-nft-save"}


def test_of_the_same_generation_nothing_is_read_twice(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(EMPTY)
    run(lab, "iptables-nft -A FORWARD -s 10.0.0.2 -j DROP")
    tools, ruleset = lab.call(read_twice, "ip link add d0 type veth peer name d1")
    assert (tools, len(ruleset.tables[0].chains[0].rules)) == (set(), 1)
    tools, ruleset = lab.call(read_twice, "iptables-nft -A FORWARD -s 10.0.0.3 -j DROP")
    assert (tools, len(ruleset.tables[0].chains[0].rules)) == ({"iptables-nft-save"}, 2)


def test_what_changes_by_itself_is_read_twice(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(EMPTY)
    run(lab, "nft add table ip t\nnft add set ip t s { type ipv4_addr ; timeout 1h ; }")
    assert "nft" in lab.call(read_twice, ":")[0]


PLAIN = "nft add table ip t; nft add chain ip t c '{ type filter hook forward priority 0; }'; nft add rule ip t c ip saddr 10.0.0.2 drop"


@pytest.mark.parametrize(
    ("before", "between", "tools", "rules"),
    [
        (PLAIN, "true", set(), ["ip saddr 10.0.0.2 drop"]),
        (PLAIN, "nft add rule ip t c accept", {"nft"}, ["ip saddr 10.0.0.2 drop", "accept"]),
        (PLAIN, "nft flush chain ip t c", {"nft"}, []),
        (PLAIN, "nft delete table ip t; nft add table ip t; nft add chain ip t c", {"nft"}, []),
        (f"{PLAIN}; nft add rule ip t c counter", "true", {"nft"}, ["ip saddr 10.0.0.2 drop", "counter"]),
        (
            f"ip link add d0 type bridge; {PLAIN}; nft add rule ip t c iif d0 drop",
            "ip link set d0 name d1",
            {"nft"},
            ["ip saddr 10.0.0.2 drop", 'iif "d1" drop'],
        ),
    ],
)
def test_a_second_question_reads_what_may_have_changed(
    make_lab: Callable[..., Lab], before: str, between: str, tools: set[str], rules: list[str]
) -> None:
    lab = make_lab(EMPTY)
    lab.run(["sh", "-ec", before], check=True)
    started, ruleset = lab.call(read_in_two_questions, between)
    assert started == tools
    assert [rule.text for rule in ruleset.tables[0].chains[0].rules] == rules


def test_what_a_missing_tool_hides_is_said(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(EMPTY)
    run(lab, RULES)
    blind = lab.call(without, "nft")
    assert [(each.what, each.why) for each in blind.blind] == [("the ruleset of host", "nft is not installed")]
    assert blind.table("iptables", "ip", "filter") is not None
    old = lab.call(without, "iptables-legacy-save")
    assert [each.why for each in old.blind] == ["iptables-legacy-save is not installed"]


def test_without_iptables_nft_still_shows_the_rules(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(EMPTY)
    run(lab, "iptables-nft -A FORWARD -s 10.0.0.2 -j DROP\niptables-nft -A FORWARD -m recent --name x --rcheck -j DROP")
    ruleset = lab.call(without, "iptables-nft-save")
    assert ruleset.blind == ()
    [table] = ruleset.tables
    assert (table.engine, table.name) == ("iptables", "filter")
    plain, opaque = table.chains[0].rules
    assert plain.statements[0] == Statement("match", Term("key", "ip saddr"), "==", Term("value", "10.0.0.2"))
    assert [each.text for each in opaque.statements if each.kind == "unknown"] == ["xt match recent"]


def test_large_sets_are_asked_one_element_at_a_time(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(EMPTY)
    single = ", ".join(f"100.{n >> 8}.{n & 255}.0/25" for n in range(FEW * 4))
    pairs = ", ".join(f"10.0.{n >> 8}.{n & 255} . {n + 1}" for n in range(FEW * 4))
    ranges = ", ".join(f"10.0.{n >> 8}.{n & 255}/31 . {n}-{n + 1}" for n in range(0, FEW * 4, 2))
    lab.run(["nft", "-f", "-"], check=True, text=f"""table inet t {{
        set a {{ type ipv4_addr; flags interval; elements = {{ {single} }}
        }}
        set p {{ type ipv4_addr . inet_service; elements = {{ {pairs} }}
        }}
        set r {{ type ipv4_addr . inet_service; flags interval; elements = {{ {ranges} }}
        }}
        map v {{ type mark : verdict; elements = {{ 5 : drop, 6 : jump u }}
        }}
        map d {{ type ifname : ipv4_addr . inet_service; elements = {{ "eth0" : 10.0.0.9 . 8080 }}
        }}
        chain u {{
        }}
        chain f {{ type filter hook forward priority 0;
            ip saddr @a drop
        }}
    }}""")  # fmt: skip
    [table] = lab.call(read).tables
    assert {each.name: each.elements is not None for each in table.sets} == {
        **dict.fromkeys("apr", False),
        **dict.fromkeys("vd", True),  # the small ones beside them are read
    }

    def member(name: str, *key: str) -> bool:
        asked = lab.call(ask, SetQuery("inet", "t", name, key))
        assert asked.error is None
        return bool(asked.member)

    assert [member("a", "100.0.7.3"), member("a", "100.0.7.127"), member("a", "100.0.7.128"), member("a", "9.9.9.9")] == [
        True,
        True,
        False,
        False,
    ]
    assert [member("p", "10.0.0.3", "4"), member("p", "10.0.0.3", "5")] == [True, False]
    assert [member("r", "10.0.0.3", "3"), member("r", "10.0.0.3", "9")] == [True, False]
    assert lab.call(ask, SetQuery("inet", "t", "v", ("6",))).data == Term("verdict", "jump u")
    assert lab.call(ask, SetQuery("inet", "t", "d", ("eth0",))).data == Term(
        "concat", args=(Term("value", "10.0.0.9"), Term("value", "8080"))
    )
    assert lab.call(ask, SetQuery("inet", "t", "gone", ("1.2.3.4",))).error == "the set is gone"
    assert lab.call(ask, SetQuery("inet", "t", "a", ("1.2.3.4", "80"))).error == "its type is not understood"


def test_the_recent_list_is_read_with_its_ages(make_lab: Callable[..., Lab], privilege: str) -> None:
    lab = make_lab(EMPTY)
    run(lab, "ip link set lo up\niptables-nft -A INPUT -m recent --name seen --set --rsource")
    lab.run(["ping", "-c1", "-W1", "127.0.0.1"], check=True)
    lists = lab.call(read).recent
    if privilege == "rootless":  # the ages need /proc/timer_list, which is for the machine's root
        assert lists == ()
        return
    [found] = lists
    assert (found.name, found.entries[0].address) == ("seen", "127.0.0.1")
    assert 0 <= found.entries[0].ages_ms[0] < 60_000


def test_without_the_privilege_it_is_not_no_rules(user: Any) -> None:
    script = (
        "import os; from netprobe.linux.netfilter.read import RulesetReading\n"
        "r = RulesetReading(0, 'here'); r._outline(); print(r.unseen)"
    )  # fmt: skip
    import sys

    if user.launcher:
        assert user.run([sys.executable, "-c", script]).stdout.strip() == "['CAP_NET_ADMIN is missing']"

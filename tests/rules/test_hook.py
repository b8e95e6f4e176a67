"""The rules of one hook, in order: ids, policies, priorities, jumps, rejects, queues, and what is not understood."""

from __future__ import annotations

import pytest
from literal_rules import (
    DROP,
    PING6,
    SADDR,
    WEB,
    decided,
    forward,
    forwarded,
    iptables,
    nft_forward,
    nft_table,
    payload,
    test,
)

from netprobe.model import Ruleset
from netprobe.rules import HookPacket, HookVerdict, traverse
from netprobe.rules.naming import rule_object


@pytest.mark.parametrize(
    ("engine", "family", "packet", "id"),
    [
        ("iptables", "ip", forwarded(), "iptables filter FORWARD 2"),
        ("iptables-legacy", "ip", forwarded(), "iptables-legacy filter FORWARD 2"),
        ("iptables", "ip6", forwarded(PING6), "ip6tables filter FORWARD 2"),
        ("iptables-legacy", "ip6", forwarded(PING6), "ip6tables-legacy filter FORWARD 2"),
    ],
)
def test_a_rule_is_named_as_its_own_tool_finds_it(engine: str, family: str, packet: HookPacket, id: str) -> None:
    ruling = forward(iptables("-A FORWARD -p tcp -j DROP\n-A FORWARD -i br0 -j DROP", engine, family), packet)
    assert decided(ruling) == ("drop", id, "rule")
    assert ruling.decision
    assert ruling.decision.object.text == "-A FORWARD -i br0 -j DROP"
    assert [each.rule for each in ruling.passed] == [2]


def test_policies_have_ids_too() -> None:
    ruling = forward(iptables("*filter\n:FORWARD DROP [0:0]\nCOMMIT"))
    assert decided(ruling) == ("drop", "iptables filter FORWARD policy", "policy")
    ruling = forward(nft_forward(policy="drop"))
    assert decided(ruling) == ("drop", "nft inet t f policy", "policy")
    assert ruling.decision
    assert ruling.decision.object.text == "type filter hook forward priority 0; policy drop;"


def test_an_nft_rule_is_named_by_its_handle() -> None:
    assert decided(forward(nft_forward([test(SADDR, "10.0.0.3"), DROP], [test(SADDR, "10.0.0.2"), DROP]))) == (
        "drop", "nft inet t f handle 11", "rule",
    )  # fmt: skip


def test_accept_ends_one_base_chain_and_drop_ends_all() -> None:
    both = Ruleset(tables=(*iptables("-A FORWARD -j ACCEPT").tables, *nft_forward([DROP]).tables), queues=())
    assert decided(forward(both)) == ("drop", "nft inet t f handle 10", "rule")


def test_tables_of_all_engines_run_by_priority() -> None:
    early = nft_table({"chain": {"name": "e", "handle": 1, "type": "filter", "hook": "forward", "prio": -10, "policy": "drop"}})
    late = iptables("*filter\n:FORWARD DROP [0:0]\nCOMMIT", "iptables-legacy")
    assert decided(forward(Ruleset(tables=(*late.tables, *early.tables))))[1] == "nft inet t e policy"
    mangle = iptables("*mangle\n:FORWARD DROP [0:0]\nCOMMIT", "iptables-legacy")
    assert decided(forward(Ruleset(tables=(*early.tables, *mangle.tables))))[1] == "iptables-legacy mangle FORWARD policy"


def test_other_families_and_hooks_have_no_say() -> None:
    six = iptables("*filter\n:FORWARD DROP [0:0]\nCOMMIT", family="ip6")
    assert forward(six).verdict is HookVerdict.ACCEPT
    assert forward(six, forwarded(PING6)).verdict is HookVerdict.DROP
    assert traverse(nft_forward([DROP]), "ip", "input", forwarded()).verdict is HookVerdict.ACCEPT
    assert forward(nft_forward([DROP], family="bridge")).verdict is HookVerdict.ACCEPT


def test_an_inet_chain_sees_both_ip_versions() -> None:
    rules = nft_forward([test(payload("ip6", "daddr"), "2001:db8::/32"), DROP])
    assert forward(rules).verdict is HookVerdict.ACCEPT
    assert forward(rules, forwarded(PING6)).verdict is HookVerdict.DROP


JUMPS = """
:FIRST - [0:0]
:SECOND - [0:0]
-A FORWARD {how} FIRST
-A FORWARD -j DROP
-A FIRST -j SECOND
-A FIRST -s 10.0.0.3 -j ACCEPT
-A SECOND {end}
"""


@pytest.mark.parametrize(
    ("how", "end", "expected"),
    [
        ("-j", "-j RETURN", ("drop", "iptables filter FORWARD 2")),
        ("-j", "-j ACCEPT", ("accept", None)),
        ("-j", "-j DROP", ("drop", "iptables filter SECOND 1")),
        ("-g", "-j RETURN", ("accept", None)),  # back from FIRST, which was gone to: the policy decides
        ("-g", "-s 10.0.0.3 -j ACCEPT", ("accept", None)),
        ("-j", "-s 10.0.0.3 -j ACCEPT", ("drop", "iptables filter FORWARD 2")),
    ],
)
def test_jump_goto_and_return(how: str, end: str, expected: tuple[str, str | None]) -> None:
    assert decided(forward(iptables(JUMPS.format(how=how, end=end))))[:2] == expected


def test_chains_that_call_each_other_end_undetermined_not_in_a_loop() -> None:
    loop = iptables(":A - [0:0]\n-A FORWARD -j A\n-A A -j A")  # the kernel refuses this; a damaged recording may hold it
    assert forward(loop).verdict is HookVerdict.UNDETERMINED


def test_docker_isolation_is_found_with_its_owner() -> None:
    ruling = forward(
        iptables("""
        :DOCKER-USER - [0:0]
        :DOCKER-ISOLATION-STAGE-1 - [0:0]
        :DOCKER-ISOLATION-STAGE-2 - [0:0]
        -A FORWARD -j DOCKER-USER
        -A FORWARD -j DOCKER-ISOLATION-STAGE-1
        -A DOCKER-ISOLATION-STAGE-1 -i br0 ! -o br0 -j DOCKER-ISOLATION-STAGE-2
        -A DOCKER-ISOLATION-STAGE-2 -o eth0 -j DROP
        -A DOCKER-USER -j RETURN
        """)
    )
    assert ruling.decision
    assert (ruling.decision.object.id, ruling.decision.object.owner) == ("iptables filter DOCKER-ISOLATION-STAGE-2 1", "docker")
    assert [each.object.id.split(" ", 2)[2] for each in ruling.passed] == [
        "FORWARD 1", "DOCKER-USER 1", "FORWARD 2", "DOCKER-ISOLATION-STAGE-1 1", "DOCKER-ISOLATION-STAGE-2 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "owner"),
    [
        ("-A FORWARD -i docker0 -o docker0 -j DROP", "docker"),
        ("-A FORWARD -i br-0123456789ab -j DROP", None),  # another interface: the rule does not match
        ('-A FORWARD -m comment --comment "kubernetes forwarding rules" -j DROP', "kubernetes"),
        ("-A FORWARD -m comment --comment ufw-note -j DROP", "ufw"),
        ("-A FORWARD -j DROP", None),
    ],
)
def test_owners_show_in_names_and_comments(rule: str, owner: str | None) -> None:
    from netprobe.model import Link

    docker0 = Link(9, "docker0", "bridge")
    ruling = forward(iptables(rule), forwarded(iif=docker0, oif=docker0))
    assert (ruling.decision.object.owner if ruling.decision else None) == owner


@pytest.mark.parametrize(
    ("chain", "rule", "owner"),
    [
        ("DOCKER-USER", "-i eth0 -j DROP", None),
        ("DOCKER-USER", "-j RETURN", "docker"),
        ("CNI-ADMIN", "-s 10.88.0.0/16 -j DROP", None),
        ("FWD_public_direct", "-j DROP", None),
        ("DOCKER", "! -i docker0 -o docker0 -j DROP", "docker"),
        ("INPUT", "-i docker0 -j DROP", None),
        ("INPUT", "-j NETAVARK_INPUT", "podman"),
        ("INPUT", "-i virbr0 -p udp -m udp --dport 53 -j ACCEPT", "libvirt"),
        ("OUTPUT", "-o br-0123456789ab -j DROP", None),
    ],
)
def test_what_people_write_is_theirs_whatever_it_speaks_of(chain: str, rule: str, owner: str | None) -> None:
    """In the chains that programs make for them; about an engine's bridges where engines themselves have no rules."""
    own = "" if chain in ("INPUT", "OUTPUT") else f":{chain} - [0:0]\n"
    made = iptables(f":NETAVARK_INPUT - [0:0]\n{own}-A {chain} {rule}")
    (table,) = made.tables
    (there,) = [each for each in table.chains if each.name == chain]
    assert rule_object(table, there, there.rules[0]).owner == owner


@pytest.mark.parametrize(
    ("how", "kind", "code"),
    [
        ("icmp-port-unreachable", "icmp", 3), ("icmp-admin-prohibited", "icmp", 13), ("icmp-host-prohibited", "icmp", 10),
        ("icmp-net-unreachable", "icmp", 0), ("icmp-proto-unreachable", "icmp", 2), ("tcp-reset", "tcp-reset", 0),
    ],
)  # fmt: skip
def test_a_reject_tells_its_code(how: str, kind: str, code: int) -> None:
    ruling = forward(iptables(f"-A FORWARD -p tcp -j REJECT --reject-with {how}"), forwarded(WEB))
    assert ruling.verdict is HookVerdict.REJECT
    assert ruling.reject
    assert (ruling.reject.kind, ruling.reject.code) == (kind, code)


def test_nft_rejects_in_both_families() -> None:
    rules = nft_forward([{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}])
    four, six = forward(rules).reject, forward(rules, forwarded(PING6)).reject
    assert four
    assert six
    assert ((four.type, four.code), (six.type, six.code)) == ((3, 13), (1, 1))


@pytest.mark.parametrize(
    ("queues", "bypass", "verdict"),
    [((), "", "drop"), ((), " --queue-bypass", "accept"), ((3,), "", "queue"), ((4,), "", "drop"), (None, "", "undetermined")],
)
def test_a_queue_needs_a_listener(queues: tuple[int, ...] | None, bypass: str, verdict: str) -> None:
    rules = iptables(f"-A FORWARD -j NFQUEUE --queue-num 3{bypass}")
    ruling = forward(Ruleset(tables=rules.tables, queues=queues))
    assert ruling.verdict == verdict
    assert verdict != "drop" or decided(ruling)[2] == "queue"


def test_an_unknown_match_makes_it_undetermined_at_that_rule() -> None:
    ruling = forward(iptables("-A FORWARD -i br0 -m string --string x --algo bm -j DROP"))
    assert decided(ruling)[:2] == ("undetermined", "iptables filter FORWARD 1")
    assert [doubt.text for doubt in ruling.doubts] == ["-m string --string x --algo bm"]


@pytest.mark.parametrize(
    "rule",
    ["-i eth0 -m string --string x --algo bm", "-m string --string x --algo bm -s 10.0.0.3", "-p tcp -m string --string x --algo bm"],
)
def test_it_does_not_matter_when_another_match_fails(rule: str) -> None:
    assert decided(forward(iptables(f"-A FORWARD {rule} -j DROP"))) == ("accept", None, None)


def test_it_does_not_matter_when_both_ways_end_alike() -> None:
    assert forward(iptables("-A FORWARD -m string --string x --algo bm -j ACCEPT")).verdict is HookVerdict.ACCEPT
    assert forward(iptables("-A FORWARD -m string --string x --algo bm -j LOG")).verdict is HookVerdict.ACCEPT
    assert decided(forward(iptables("-A FORWARD -m string --string x --algo bm -j DROP\n-A FORWARD -j DROP")))[0] == "drop"


def test_an_unknown_target_of_a_matching_rule() -> None:
    assert forward(iptables("-A FORWARD -p icmp -j CLUSTERIP --new")).verdict is HookVerdict.ACCEPT  # whatever it does, the policy accepts
    assert forward(iptables("-A FORWARD -j ODD\n-A FORWARD -j DROP")).verdict is HookVerdict.DROP


@pytest.mark.parametrize(("name", "verdict"), [("NETMAP", "undetermined"), ("CHECKSUM", "accept")])
def test_a_target_of_iptables_of_which_nft_has_the_name_alone_may_do_anything(name: str, verdict: str) -> None:
    """In a table into which somebody put a rule of nft's; one that never touches a packet's way is known by its name."""
    target = {"xt": {"type": "target", "name": name}}
    assert decided(forward(nft_forward([test(SADDR, "10.0.0.2"), target])))[0] == verdict
    assert decided(forward(nft_forward([test(SADDR, "10.0.0.3"), target])))[0] == "accept"


def test_many_doubts_are_followed_in_linear_time() -> None:
    rules = "\n".join(f"-A FORWARD -m u32 --u32 {n}=1 -j X" for n in range(300))
    ruling = forward(iptables(f":X - [0:0]\n{rules}\n-A X -m bpf --bytecode 1 -j LOG"))
    assert ruling.verdict is HookVerdict.ACCEPT


def test_an_unknown_mark_is_not_guessed() -> None:
    rules = "-A FORWARD -m mark --mark 0x1/0x1 -j DROP"
    assert forward(iptables(rules), forwarded(mark=None)).verdict is HookVerdict.UNDETERMINED
    assert forward(iptables(rules), forwarded(mark=3)).verdict is HookVerdict.DROP


REFUSED4, REFUSED6 = {"type": "icmp", "expr": "host-prohibited"}, {"type": "icmpv6", "expr": "no-route"}


@pytest.mark.parametrize(
    ("what", "four", "six"),
    [
        ({"reject": REFUSED4}, "reject", "accept"),
        ({"reject": REFUSED6}, "accept", "reject"),
        ({"reject": {"type": "icmpx", "expr": "no-route"}}, "reject", "reject"),
        ({"reject": {"type": "tcp reset"}}, "reject", "accept"),
        ({"mangle": {"key": payload("ip", "dscp"), "value": "cs1"}}, "drop", "accept"),
        ({"mangle": {"key": payload("ip6", "hoplimit"), "value": 9}}, "accept", "drop"),
        ({"mangle": {"key": payload("tcp", "dport"), "value": 9}}, "drop", "accept"),
        ({"mangle": {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": 500}}, "drop", "accept"),
        ({"mangle": {"key": {"meta": {"key": "mark"}}, "value": 9}}, "drop", "drop"),
    ],
)
def test_a_step_is_for_what_it_can_be_done_to(what: dict[str, object], four: str, six: str) -> None:
    """nft tests that before it, and does not print the test."""
    ruleset = nft_forward([what, DROP])
    assert [forward(ruleset, each).verdict.value for each in (forwarded(WEB), forwarded(PING6))] == [four, six]


@pytest.mark.parametrize(("depth", "verdict"), [(5, HookVerdict.ACCEPT), (15, HookVerdict.UNDETERMINED)])
def test_chains_that_are_jumped_to_twice_from_the_one_before_are_followed_so_far(depth: int, verdict: HookVerdict) -> None:
    """Each level doubles the rules that a packet comes to, and the kernel allows sixteen."""
    chains = "\n".join(f":C{n} - [0:0]" for n in range(depth + 1))
    calls = "\n".join(f"-A C{n} -j C{n + 1}\n-A C{n} -j C{n + 1}" for n in range(depth))
    ruling = forward(iptables(f"{chains}\n-A FORWARD -j C0\n{calls}"))
    assert ruling.verdict is verdict
    assert [each.text for each in ruling.doubts] == ["the packet comes to too many rules of this hook"] * (depth > 5)

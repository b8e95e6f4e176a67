"""Rulings for literal rulesets: what decides, by which id, and what stays open."""

from __future__ import annotations

import msgspec
import pytest
from literal_rules import ACCEPT, BR0, DROP, ETH0, LO, PING, PING6, WEB, forwarded, iptables, nft_forward, nft_table, payload, test

from netprobe.model import AskedSet, ConntrackEntry, Flow, Protocol, RecentEntry, RecentList, Ruleset, SetQuery
from netprobe.rules import FibAnswer, Fragment, Packet, Reason, Ruling, Surroundings, Verdict, traverse

SADDR, DADDR = payload("ip", "saddr"), payload("ip", "daddr")


def forward(ruleset: Ruleset, packet: Packet | None = None, around: Surroundings | None = None) -> Ruling:
    packet = packet or forwarded()
    return traverse(ruleset, packet.ethertype, "forward", packet, around=around)


def decided(ruling: Ruling) -> tuple[str, str | None, str | None]:
    decision = ruling.decision
    return ruling.verdict.value, decision and decision.object.id, decision and decision.reason.value


# --- ids, policies, order -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "family", "packet", "id"),
    [
        ("iptables", "ip", forwarded(), "iptables filter FORWARD 2"),
        ("iptables-legacy", "ip", forwarded(), "iptables-legacy filter FORWARD 2"),
        ("iptables", "ip6", forwarded(PING6), "ip6tables filter FORWARD 2"),
        ("iptables-legacy", "ip6", forwarded(PING6), "ip6tables-legacy filter FORWARD 2"),
    ],
)
def test_a_rule_is_named_as_its_own_tool_finds_it(engine: str, family: str, packet: Packet, id: str) -> None:
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
    assert forward(six).verdict is Verdict.ACCEPT
    assert forward(six, forwarded(PING6)).verdict is Verdict.DROP
    assert traverse(nft_forward([DROP]), "ip", "input", forwarded()).verdict is Verdict.ACCEPT
    assert forward(nft_forward([DROP], family="bridge")).verdict is Verdict.ACCEPT


def test_an_inet_chain_sees_both_ip_versions() -> None:
    rules = nft_forward([test(payload("ip6", "daddr"), "2001:db8::/32"), DROP])
    assert forward(rules).verdict is Verdict.ACCEPT
    assert forward(rules, forwarded(PING6)).verdict is Verdict.DROP


# --- jumps --------------------------------------------------------------------------------------------------------------------

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
    assert forward(loop).verdict is Verdict.UNDETERMINED


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


# --- rejects and queues -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "kind", "code"),
    [
        ("icmp-port-unreachable", "icmp", 3), ("icmp-admin-prohibited", "icmp", 13), ("icmp-host-prohibited", "icmp", 10),
        ("icmp-net-unreachable", "icmp", 0), ("icmp-proto-unreachable", "icmp", 2), ("tcp-reset", "tcp-reset", 0),
    ],
)  # fmt: skip
def test_a_reject_tells_its_code(how: str, kind: str, code: int) -> None:
    ruling = forward(iptables(f"-A FORWARD -p tcp -j REJECT --reject-with {how}"), forwarded(WEB))
    assert ruling.verdict is Verdict.REJECT
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


# --- what is not understood ---------------------------------------------------------------------------------------------------


def test_an_unknown_match_makes_it_undetermined_at_that_rule() -> None:
    ruling = forward(iptables("-A FORWARD -i br0 -m u32 --u32 0=1 -j DROP"))
    assert decided(ruling)[:2] == ("undetermined", "iptables filter FORWARD 1")
    assert [doubt.text for doubt in ruling.doubts] == ["-m u32 --u32 0=1"]


@pytest.mark.parametrize("rule", ["-i eth0 -m u32 --u32 0=1", "-m u32 --u32 0=1 -s 10.0.0.3", "-p tcp -m string --string x --algo bm"])
def test_it_does_not_matter_when_another_match_fails(rule: str) -> None:
    assert decided(forward(iptables(f"-A FORWARD {rule} -j DROP"))) == ("accept", None, None)


def test_it_does_not_matter_when_both_ways_end_alike() -> None:
    assert forward(iptables("-A FORWARD -m u32 --u32 0=1 -j ACCEPT")).verdict is Verdict.ACCEPT
    assert forward(iptables("-A FORWARD -m u32 --u32 0=1 -j LOG")).verdict is Verdict.ACCEPT
    assert decided(forward(iptables("-A FORWARD -m u32 --u32 0=1 -j DROP\n-A FORWARD -j DROP")))[0] == "drop"


def test_an_unknown_target_of_a_matching_rule() -> None:
    assert forward(iptables("-A FORWARD -p icmp -j CLUSTERIP --new")).verdict is Verdict.ACCEPT  # whatever it does, the policy accepts
    assert forward(iptables("-A FORWARD -j ODD\n-A FORWARD -j DROP")).verdict is Verdict.DROP


def test_many_doubts_are_followed_in_linear_time() -> None:
    rules = "\n".join(f"-A FORWARD -m u32 --u32 {n}=1 -j X" for n in range(300))
    ruling = forward(iptables(f":X - [0:0]\n{rules}\n-A X -m bpf --bytecode 1 -j LOG"))
    assert ruling.verdict is Verdict.ACCEPT


def test_an_unknown_mark_is_not_guessed() -> None:
    rules = "-A FORWARD -m mark --mark 0x1/0x1 -j DROP"
    assert forward(iptables(rules), forwarded(mark=None)).verdict is Verdict.UNDETERMINED
    assert forward(iptables(rules), forwarded(mark=3)).verdict is Verdict.DROP


# --- limits and chance --------------------------------------------------------------------------------------------------------


def test_a_limit_lets_the_first_pass_and_says_what_becomes_of_the_rest() -> None:
    ruling = forward(iptables("-A FORWARD -m limit --limit 1/sec --limit-burst 3 -j ACCEPT\n-A FORWARD -p icmp -j DROP"))
    assert ruling.verdict is Verdict.ACCEPT
    [other] = ruling.alternatives
    assert decided(other)[:2] == ("drop", "iptables filter FORWARD 2")
    [doubt] = other.doubts
    assert (doubt.reason, doubt.decision and doubt.decision.object.id) == (Reason.LIMIT, "iptables filter FORWARD 1")


def test_a_limit_over_drops_only_what_is_too_much() -> None:
    rules = nft_forward([{"limit": {"rate": 10, "per": "second", "burst": 5, "inv": True}}, DROP])
    ruling = forward(rules)
    assert ruling.verdict is Verdict.ACCEPT
    assert decided(ruling.alternatives[0]) == ("drop", "nft inet t f handle 10", "limit")


@pytest.mark.parametrize(
    ("mode", "main", "chance"),
    [
        ("--mode random --probability 0.25", "accept", 0.25), ("--mode nth --every 2 --packet 0", "drop", 0.5),
        ("--mode random --probability 0.90000000000", "drop", 0.9), ("--mode nth --every 10 --packet 3", "accept", 0.1),
    ],
)  # fmt: skip
def test_chance_is_told_with_its_share(mode: str, main: str, chance: float) -> None:
    ruling = forward(iptables(f"-A FORWARD -m statistic {mode} -j DROP"))
    assert ruling.verdict == main
    ways = {ruling.verdict.value, *(each.verdict.value for each in ruling.alternatives)}
    assert ways == {"accept", "drop"}
    assert [doubt.chance for each in ruling.alternatives for doubt in each.doubts] == [pytest.approx(chance)]
    dropped = next(each for each in (ruling, *ruling.alternatives) if each.verdict is Verdict.DROP)
    assert decided(dropped)[2] == "random"


def test_numgen_in_a_verdict_map() -> None:
    key = {"numgen": {"mode": "random", "mod": 10, "offset": 0}}
    ruling = forward(nft_forward([{"vmap": {"key": key, "data": {"set": [[0, DROP], [{"range": [1, 9]}, ACCEPT]]}}}]))
    assert ruling.verdict is Verdict.ACCEPT
    [dropped] = ruling.alternatives
    assert (decided(dropped)[2], dropped.doubts[0].chance) == ("random", pytest.approx(0.1))


@pytest.mark.parametrize(
    ("used", "over", "verdict"), [(0, True, "accept"), (500, True, "drop"), (417, True, "drop"), (500, False, "accept")]
)
def test_an_nft_quota_tells_what_is_used(used: int, over: bool, verdict: str) -> None:
    quota = {"quota": {"val": 500, "val_unit": "bytes", "used": used, "used_unit": "bytes", "inv": over}}
    ruling = forward(nft_forward([quota, DROP]))
    assert ruling.verdict == verdict
    assert verdict != "drop" or decided(ruling)[2] == "quota"


def test_a_quota_that_will_not_last_is_said() -> None:
    ruling = forward(nft_forward([{"quota": {"val": 500, "val_unit": "bytes", "used": 100, "used_unit": "bytes"}}, ACCEPT], policy="drop"))
    assert ruling.verdict is Verdict.ACCEPT
    assert [each.doubts[0].reason for each in ruling.alternatives] == [Reason.QUOTA]


def test_an_iptables_quota_is_known_from_its_rules_counter() -> None:
    ruling = forward(iptables("[2:168] -A FORWARD -m quota --quota 200 -j ACCEPT\n[2:168] -A FORWARD -j DROP"))
    assert decided(ruling)[:2] == ("drop", "iptables filter FORWARD 2")
    assert [(each.object.id, each.reason) for each in ruling.spent] == [("iptables filter FORWARD 1", Reason.QUOTA)]


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ("--rcheck --seconds 600", "drop"), ("--rcheck --seconds 5", "accept"), ("--rcheck --seconds 600 --hitcount 3", "accept"),
        ("--update --hitcount 2", "drop"), ("--rcheck --rdest", "accept"), ("--rcheck --rttl", "accept"), ("--set", "drop"),
    ],
)  # fmt: skip
def test_a_recent_list_as_it_was_read(options: str, verdict: str) -> None:
    rules = iptables(f"-A FORWARD -m recent {options} --name ban --mask 255.255.255.255 -j DROP")
    lists = (RecentList("ban", (RecentEntry("10.0.0.2", (10_000, 20_000), 64),)),)
    assert forward(Ruleset(tables=rules.tables, recent=lists)).verdict == verdict
    assert verdict == "drop" or forward(rules).verdict is Verdict.UNDETERMINED


# --- sets -------------------------------------------------------------------------------------------------------------------------


def banned(elements: list[object] | None) -> Ruleset:
    named = {"set": {"name": "ban", "type": "ipv4_addr", "handle": 3, "flags": ["interval"], "elem": elements}}
    ruleset = nft_forward([test(DADDR, "@ban"), DROP], more=(named,)) if elements is not None else nft_forward([test(DADDR, "@ban"), DROP])
    if elements is not None:
        return ruleset
    from msgspec.structs import replace

    from netprobe.model import NamedSet

    return replace(ruleset, tables=(replace(ruleset.tables[0], sets=(NamedSet("ban", ("ipv4_addr",)),)),))


def test_a_small_set_is_looked_into() -> None:
    assert forward(banned([{"prefix": {"addr": "8.8.8.0", "len": 24}}])).verdict is Verdict.DROP
    assert forward(banned([{"range": ["8.8.8.9", "8.8.8.12"]}])).verdict is Verdict.ACCEPT


def test_a_large_set_is_asked_for() -> None:
    ruleset = banned(None)
    ruling = forward(ruleset)
    query = SetQuery("inet", "t", "ban", ("8.8.8.8",))
    assert (ruling.verdict, ruling.needs) == (Verdict.UNDETERMINED, (query,))
    assert forward(ruleset.with_answer(AskedSet(query, True))).verdict is Verdict.DROP
    assert forward(ruleset.with_answer(AskedSet(query, False))).verdict is Verdict.ACCEPT
    refused = forward(ruleset.with_answer(AskedSet(query, False, error="Operation not permitted")))
    assert (refused.verdict, refused.needs) == (Verdict.UNDETERMINED, ())


def test_verdict_maps_by_interface_name_and_wildcard() -> None:
    def ways(*pairs: list[object]) -> str:
        return forward(nft_forward([{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": list(pairs)}}}])).verdict.value

    assert ways(["br0", DROP], ["eth0", ACCEPT]) == "drop"
    assert ways(["br*", DROP]) == "drop"
    assert ways(["eth0", DROP]) == "accept"
    assert ways(["eth0", ACCEPT], ["*", DROP]) == "drop"


def test_concatenations_with_prefixes_and_ranges() -> None:
    key = {"concat": [SADDR, payload("tcp", "dport")]}
    element = {"concat": [{"prefix": {"addr": "10.0.0.0", "len": 24}}, {"range": [80, 90]}]}
    rules = nft_forward([test(key, {"set": [element]}), DROP])
    assert forward(rules, forwarded(WEB)).verdict is Verdict.DROP
    assert forward(rules).verdict is Verdict.ACCEPT


# --- connection tracking and NAT --------------------------------------------------------------------------------------------------

MASQUERADE = "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE\nCOMMIT"
AROUND = Surroundings(own_address=lambda link, _towards: "203.0.113.2" if link is ETH0 else "10.0.0.1")


def test_masquerade_takes_the_address_of_the_interface_out() -> None:
    ruling = traverse(iptables(MASQUERADE), "ip", "postrouting", forwarded(), around=AROUND)
    assert ruling.packet.flow.src == "203.0.113.2"
    [made] = ruling.translations
    assert (made.kind, made.decision and made.decision.object.id) == ("MASQUERADE", "iptables nat POSTROUTING 1")
    assert made.decision
    assert made.decision.object.kind == "nat-rule"
    assert ruling.packet.connection
    assert ruling.packet.connection.reply == ("8.8.8.8", "203.0.113.2", None, 7)


def test_the_reply_is_translated_back() -> None:
    after = traverse(iptables(MASQUERADE), "ip", "postrouting", forwarded(), around=AROUND).packet
    back = Packet(after.flow.reversed(), iif=ETH0, state="established", reply=True, connection=after.connection)
    ruling = traverse(iptables(MASQUERADE), "ip", "prerouting", back)
    assert ruling.packet.flow.dst == "10.0.0.2"
    assert [each.kind for each in ruling.translations] == ["SNAT undone"]


def test_an_accept_before_the_translation_ends_it() -> None:
    rules = iptables(MASQUERADE.replace("-A POST", "-A POSTROUTING -s 10.0.0.2/32 -j ACCEPT\n-A POST"))
    ruling = traverse(rules, "ip", "postrouting", forwarded(), around=AROUND)
    assert (ruling.packet.flow.src, ruling.translations) == ("10.0.0.2", ())
    assert [each.object.id for each in ruling.passed] == ["iptables nat POSTROUTING 1"]


def test_the_first_of_several_nat_chains_that_translates_wins() -> None:
    def chain(name: str, priority: int, *expressions: object) -> tuple[dict[str, object], ...]:
        head = {"chain": {"name": name, "handle": 1, "type": "nat", "hook": "postrouting", "prio": priority, "policy": "accept"}}
        return head, {"rule": {"chain": name, "handle": 10 + priority, "expr": list(expressions)}}

    rules = nft_table(
        *chain("b", 100, {"snat": {"addr": "1.1.1.1"}}), *chain("a", 90, ACCEPT), *chain("c", 110, {"snat": {"addr": "2.2.2.2"}})
    )
    ruling = traverse(rules, "ip", "postrouting", forwarded())
    assert ruling.packet.flow.src == "1.1.1.1"
    assert [each.chain for each in ruling.passed] == ["a", "b"]


def test_a_drop_in_a_nat_chain_drops() -> None:
    head = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "postrouting", "prio": 90, "policy": "accept"}}
    ruling = traverse(nft_table(head, {"rule": {"chain": "p", "handle": 4, "expr": [DROP]}}), "ip", "postrouting", forwarded())
    assert decided(ruling)[:2] == ("drop", "nft inet t p handle 4")


def test_later_packets_pass_no_nat_rule() -> None:
    entry = ConntrackEntry("icmp", ("10.0.0.2", "8.8.8.8", 7, None), ("8.8.8.8", "203.0.113.2", None, 7))
    ruling = traverse(iptables(MASQUERADE), "ip", "postrouting", forwarded(state="established", connection=entry))
    assert (ruling.packet.flow.src, ruling.passed) == ("203.0.113.2", ())


def test_notrack_keeps_nat_away() -> None:
    rules = Ruleset(
        tables=(*iptables("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j CT --notrack\nCOMMIT").tables, *iptables(MASQUERADE).tables)
    )
    packet = traverse(rules, "ip", "prerouting", forwarded(state=None, oif=None)).packet
    assert packet.state == "untracked"
    ruling = traverse(rules, "ip", "postrouting", packet, around=AROUND)
    assert (ruling.packet.flow.src, ruling.translations) == ("10.0.0.2", ())


def test_a_zone_is_set_before_tracking_looks() -> None:
    zones: list[int] = []

    def track(packet: Packet) -> Packet:
        zones.append(packet.zone)
        return packet

    rules = iptables("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i br0 -j CT --zone 5\nCOMMIT")
    traverse(rules, "ip", "prerouting", forwarded(state=None), around=Surroundings(track=track))
    assert zones == [5]


def test_published_ports_change_destination_and_port() -> None:
    publish = "-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    rules = iptables(f"*nat\n:PREROUTING ACCEPT [0:0]\n{publish}\nCOMMIT")
    packet = Packet(Flow("203.0.113.1", "203.0.113.2", Protocol.TCP, sport=4000, dport=8080), iif=ETH0)
    local = Surroundings(address_type=lambda address, _interface: "local" if address == "203.0.113.2" else "unicast")
    ruling = traverse(rules, "ip", "prerouting", packet, around=local)
    assert (ruling.packet.flow.dst, ruling.packet.flow.dport) == ("172.17.0.2", 80)
    assert ruling.packet.connection
    assert ruling.packet.connection.reply == ("172.17.0.2", "203.0.113.1", 80, 4000)
    assert traverse(rules, "ip", "prerouting", packet).verdict is Verdict.UNDETERMINED  # nobody says what is local


def test_load_balancing_by_chance_names_every_way() -> None:
    head = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    key = {"numgen": {"mode": "random", "mod": 3, "offset": 0}}
    address = {"map": {"key": key, "data": {"set": [[0, "10.0.0.7"], [{"range": [1, 2]}, "10.0.0.8"]]}}}
    ruling = traverse(
        nft_table(head, {"rule": {"chain": "p", "handle": 4, "expr": [{"dnat": {"addr": address}}]}}), "ip", "prerouting", forwarded()
    )
    assert ruling.packet.flow.dst == "10.0.0.8"
    [other] = ruling.alternatives
    assert (other.packet.flow.dst, other.doubts[0].chance) == ("10.0.0.7", pytest.approx(1 / 3))


def test_kubernetes_chooses_a_pod_by_statistic() -> None:
    rules = iptables("""
        *nat
        :PREROUTING ACCEPT [0:0]
        :KUBE-SVC - [0:0]
        :KUBE-SEP-A - [0:0]
        :KUBE-SEP-B - [0:0]
        -A PREROUTING -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC
        -A KUBE-SVC -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-A
        -A KUBE-SVC -j KUBE-SEP-B
        -A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination 10.1.0.5:8080
        -A KUBE-SEP-B -p tcp -m tcp -j DNAT --to-destination 10.1.0.6:8080
    """)
    from msgspec.structs import replace

    ruling = traverse(rules, "ip", "prerouting", forwarded(replace(WEB, dst="10.96.0.10"), state=None))
    assert {ruling.packet.flow.dst, *(each.packet.flow.dst for each in ruling.alternatives)} == {"10.1.0.5", "10.1.0.6"}


# --- where the rules look beyond the packet ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("devices", "verdict"), [(("br0",), "accept"), (("eth1",), "drop"), ((), "drop")])
def test_reverse_path_checks_ask_the_routing_tables(devices: tuple[str, ...], verdict: str) -> None:
    around = Surroundings(fib=lambda _query: FibAnswer("unicast" if devices else "unreachable", devices))
    key = {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}
    ruling = forward(nft_forward([test(key, False), DROP]), around=around)
    assert ruling.verdict == verdict
    assert verdict == "accept" or decided(ruling)[2] == "rpfilter"
    assert forward(iptables("-A FORWARD -m rpfilter --invert -j DROP"), around=around).verdict == verdict
    assert forward(nft_forward([test(key, False), DROP])).verdict is Verdict.UNDETERMINED


def test_fragments_are_seen_before_they_are_put_together() -> None:
    def chain(priority: int) -> Ruleset:
        head = {"chain": {"name": "p", "handle": 1, "type": "filter", "hook": "prerouting", "prio": priority, "policy": "accept"}}
        left = {"&": [payload("ip", "frag-off"), 0x1FFF]}
        track = {"rule": {"chain": "p", "handle": 5, "expr": [test({"ct": {"key": "state"}}, "new", "in")]}}
        return nft_table(head, {"rule": {"chain": "p", "handle": 4, "expr": [test(left, 0, "!="), DROP]}}, track)

    packet = forwarded(fragment=Fragment(1480, False, 3028), state=None)
    early = traverse(chain(-450), "ip", "prerouting", packet)
    assert decided(early) == ("drop", "nft inet t p handle 4", "fragment")
    late = traverse(chain(-300), "ip", "prerouting", packet)
    assert (late.verdict, late.packet.fragment, late.packet.flow.length) == (Verdict.ACCEPT, None, 3028)


def test_a_sender_is_known_only_where_it_sends() -> None:
    rules = iptables("-A OUTPUT -m owner --uid-owner 0 -j DROP")
    out = Packet(PING, oif=ETH0, uid=0)
    assert traverse(rules, "ip", "output", out).verdict is Verdict.DROP
    assert traverse(rules, "ip", "output", Packet(PING, oif=ETH0, uid=1000)).verdict is Verdict.ACCEPT
    assert traverse(rules, "ip", "output", Packet(PING, oif=ETH0)).verdict is Verdict.ACCEPT  # the kernel's own answer


def test_marks_and_ttl_are_carried_on() -> None:
    rules = iptables("""
        *mangle
        :FORWARD ACCEPT [0:0]
        -A FORWARD -j MARK --set-xmark 0x2/0x3
        -A FORWARD -j TTL --ttl-set 1
        -A FORWARD -m mark --mark 0x6 -j DSCP --set-dscp 0x08
    """)
    after = forward(rules, forwarded(mark=5)).packet
    assert (after.mark, after.flow.ttl, after.dscp) == (6, 1, 8)


def test_a_device_chain_is_for_its_device_alone() -> None:
    from netprobe.rules.read.nft_json import KernelChain

    kernel = (KernelChain("netdev", "t", "i", "ingress", 0, "accept", "filter", ("eth0",), 1),)
    rules = nft_table(
        {"chain": {"name": "i", "handle": 1, "type": "filter", "hook": "ingress", "prio": 0, "policy": "accept"}},
        {"rule": {"chain": "i", "handle": 2, "expr": [test(SADDR, "8.8.8.8"), DROP]}},
        family="netdev", chains=kernel,
    )  # fmt: skip
    packet = Packet(PING.reversed(), iif=ETH0)
    assert decided(traverse(rules, "netdev", "ingress", packet, device="eth0"))[1] == "nft netdev t i handle 2"
    assert traverse(rules, "netdev", "ingress", packet, device="eth1").verdict is Verdict.ACCEPT


def test_arp_through_arptables_and_ebtables() -> None:
    from netprobe.rules.read.iptables_save import read_save

    request = Packet(Flow("10.0.0.2", "10.0.0.1", Protocol.ARP, icmp_type=1, src_mac="02:00:00:00:00:02"), iif=BR0)
    rules = Ruleset(tables=tuple(read_save("*filter\n:INPUT ACCEPT\n-A INPUT -j DROP -s 10.0.0.2\n", "arptables", "arp")))
    assert decided(traverse(rules, "arp", "input", request))[:2] == ("drop", "arptables filter INPUT 1")
    text = "*filter\n:FORWARD ACCEPT\n-A FORWARD -p IPv4 -j DROP\n-A FORWARD -p ARP --arp-op Request --arp-ip-dst ! 10.0.0.3 -j DROP\n"
    rules = Ruleset(tables=tuple(read_save(text, "ebtables", "bridge")))
    assert decided(traverse(rules, "bridge", "forward", request))[:2] == ("drop", "ebtables filter FORWARD 2")


def test_loopback_keeps_its_connection() -> None:
    rules = iptables("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m conntrack --ctstate INVALID -j DROP\nCOMMIT")
    entry = ConntrackEntry("icmp", ("127.0.0.1", "127.0.0.1", 7, None), ("127.0.0.1", "127.0.0.1", None, 7))
    assert traverse(rules, "ip", "prerouting", forwarded(iif=LO, connection=entry)).verdict is Verdict.ACCEPT
    assert traverse(rules, "ip", "prerouting", forwarded(state=None)).verdict is Verdict.DROP  # before -200 nothing is tracked


def test_a_ruleset_survives_its_recording() -> None:
    rules = iptables(MASQUERADE)
    assert msgspec.json.decode(msgspec.json.encode(rules), type=Ruleset) == rules

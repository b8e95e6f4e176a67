"""What two runs differ in: everything that a person changed, nothing that changes by itself."""

from __future__ import annotations

import networks
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from networks import edited, relinked, tutorial

from netprobe.causes.catalogue import explain
from netprobe.diagnose.diff import compare, replaced
from netprobe.diagnose.report import diagnose
from netprobe.model import (
    BridgePort,
    Chain,
    FdbEntry,
    InterfaceAddress,
    LinkRef,
    NamedSet,
    Neighbour,
    PolicyRule,
    Report,
    Route,
    Rule,
    Ruleset,
    Snapshot,
    Socket,
    Statement,
    Table,
    Term,
)  # fmt: skip
from netprobe.predict.predict import Prediction, predict


def run(snapshot: Snapshot, **probe: object) -> Report:
    asked = networks.probe(**probe)  # type: ignore[arg-type]
    outcome = predict(snapshot, asked, ask=False)
    assert isinstance(outcome, Prediction)
    return diagnose("why", asked, snapshot, outcome, None, frozenset(), explain)


def without_rules(snapshot: Snapshot) -> Snapshot:
    """The snapshot with every ruleset read, and empty."""
    return replace(snapshot, namespaces={name: replace(n, ruleset=Ruleset()) for name, n in snapshot.namespaces.items()})


HEALTHY = run(without_rules(tutorial()))


def configured(before: Snapshot, after: Snapshot) -> list[tuple[str | None, str, str, str | None, str | None]]:
    found = compare(HEALTHY, HEALTHY, (before, after))
    assert found.configuration is not None
    return [(d.namespace, d.kind, d.name, d.before, d.after) for d in found.configuration]


def test_a_run_does_not_differ_from_itself() -> None:
    found = compare(HEALTHY, HEALTHY, (tutorial(), tutorial()))
    assert found.same
    assert (found.answer, found.configuration, found.once) == ((), (), ())


def test_the_answer_the_cause_and_the_path_are_compared() -> None:
    broken = run(without_rules(edited(tutorial(), "host", sysctls={"net.ipv4.ip_forward": "0"})))
    found = {d.kind: (d.before, d.after) for d in compare(HEALTHY, broken, None).answer}
    assert found["verdict"] == ("reachable", "unreachable")
    assert found["direction"] == (None, "request")
    assert found["cause"] == (None, "forwarding-off at host/br0: net.ipv4.ip_forward")
    assert found["reply"] == ("7 hops", None)


def test_hops_that_are_gone_new_and_changed_are_told_apart() -> None:
    other = run(without_rules(edited(tutorial(), "red", sysctls={"net.ipv4.ip_default_ttl": "32"})))
    found = [d for d in compare(HEALTHY, other, None).answer if d.kind == "request hop"]
    assert len(found) == len(HEALTHY.path.request)
    assert (found[0].name, found[0].before, found[0].after) == (
        "eth0 transmit",
        "10.0.0.2 to 8.8.8.8, ttl 64",
        "10.0.0.2 to 8.8.8.8, ttl 32",
    )
    shorter = replace(HEALTHY, path=replace(HEALTHY.path, request=HEALTHY.path.request[:-1]))
    gone = compare(HEALTHY, shorter, None).answer
    assert [(d.name, d.after) for d in gone] == [("eth0 deliver", None)]
    assert [(d.name, d.before) for d in compare(shorter, HEALTHY, None).answer] == [("eth0 deliver", None)]


def test_another_question_is_a_difference() -> None:
    found = compare(HEALTHY, run(without_rules(tutorial()), dst="203.0.113.1"), None)
    assert ("question", "red to 8.8.8.8 by icmp", "red to 203.0.113.1 by icmp") in [(d.kind, d.before, d.after) for d in found.answer]


def test_without_snapshots_the_configuration_is_not_compared() -> None:
    assert compare(HEALTHY, HEALTHY, None).configuration is None


def test_a_namespace_that_only_one_run_has_read_is_named_and_not_compared() -> None:
    less = Snapshot({n: s for n, s in tutorial().namespaces.items() if n != "c1"}, tutorial().peers)
    found = compare(HEALTHY, HEALTHY, (tutorial(), less))
    assert (found.once, found.same) == (("c1",), True)


RULES = (Rule(1, "-A FORWARD -j ACCEPT"), Rule(2, "-A FORWARD -i br0 -j DROP"))


def filtered(*rules: Rule, policy: str = "accept", sets: tuple[NamedSet, ...] = ()) -> Snapshot:
    chain = Chain("FORWARD", rules, hook="forward", policy=policy)
    return edited(tutorial(), "host", ruleset=Ruleset(tables=(Table("iptables", "ip", "filter", (chain,), sets),)))


def addresses(*members: str, flags: tuple[str, ...] = ()) -> tuple[NamedSet, ...]:
    return (NamedSet("blocked", ("ipv4_addr",), flags=flags, elements=tuple(Term("value", m) for m in members)),)


OWN = networks.host().addresses
FDB = FdbEntry(3, "02:00:00:00:00:01", master=2, state="static")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (tutorial(), relinked(tutorial(), "red", "eth0", up=False), ("red", "link", "eth0", "up", "down")),
        (tutorial(), relinked(tutorial(), "red", "eth0", mtu=1400), ("red", "link", "eth0", "mtu 1500", "mtu 1400")),
        (tutorial(), relinked(tutorial(), "host", "veth0", port=BridgePort(isolated=True)),
         ("host", "bridge-port", "veth0", "state forwarding", "state forwarding isolated")),
        (tutorial(), edited(tutorial(), "host", addresses=(*OWN, InterfaceAddress(4, "192.0.2.1", 24))),
         ("host", "address", "192.0.2.1/24 dev eth0", None, "")),
        (tutorial(), edited(tutorial(), "host", routes=networks.host().routes[:-1]),
         ("host", "route", "0.0.0.0/0", "via 203.0.113.1 dev eth0", None)),
        (tutorial(), edited(tutorial(), "host", routes=(*networks.host().routes, Route("192.0.2.0/24", "blackhole", 100))),
         ("host", "route", "192.0.2.0/24 table 100", None, "blackhole")),
        (tutorial(), edited(tutorial(), "host", rules=(*networks.RULES, PolicyRule(100, 4, table=100, src="10.0.0.2"))),
         ("host", "policy-rule", "IPv4 100: from 10.0.0.2 lookup 100", None, "")),
        (tutorial(), edited(tutorial(), "red", neighbours=(Neighbour(2, "10.0.0.1", "02:de:ad:00:00:01", "permanent"),)),
         ("red", "neighbour", "10.0.0.1 dev eth0", None, "lladdr 02:de:ad:00:00:01 permanent")),
        (edited(tutorial(), "host", fdb=(FDB,)), edited(tutorial(), "host", fdb=(replace(FDB, index=6),)),
         ("host", "fdb-entry", "02:00:00:00:00:01 master br0", "dev veth0 static", "dev vethc1 static")),
        (tutorial(), edited(tutorial(), "host", sysctls={"net.ipv4.ip_forward": "0"}), ("host", "sysctl", "net.ipv4.ip_forward", "1", "0")),
        (tutorial(), edited(tutorial(), "internet", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),)),
         ("internet", "socket", "tcp 0.0.0.0:80", None, "")),
        (filtered(*RULES), filtered(RULES[0]), ("host", "rule", "iptables filter FORWARD 2", "-A FORWARD -i br0 -j DROP", None)),
        (filtered(RULES[0]), filtered(Rule(1, RULES[1].text), Rule(2, RULES[0].text)),
         ("host", "rule", "iptables filter FORWARD 1", None, "-A FORWARD -i br0 -j DROP")),
        (filtered(), filtered(policy="drop"), ("host", "policy", "iptables filter FORWARD policy", "-P FORWARD ACCEPT", "-P FORWARD DROP")),
        (filtered(sets=addresses("10.0.0.7", "10.0.0.8")), filtered(sets=addresses("10.0.0.8", "10.0.0.9")),
         ("host", "set", "iptables ip filter @blocked", "10.0.0.7", "10.0.0.9")),
        (tutorial(), filtered(), ("host", "ruleset", "", "not read", "read")),
    ],
)  # fmt: skip
def test_each_change_is_one_difference_and_its_own(before: Snapshot, after: Snapshot, expected: tuple) -> None:
    assert configured(before, after) == [expected]


def counted(packets: int) -> Rule:
    return Rule(1, f"counter packets {packets} bytes {packets * 84} accept", (Statement("accept"),), packets=packets)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (tutorial(), edited(tutorial(), "red", neighbours=(Neighbour(2, "10.0.0.1", MAC := "02:00:00:00:02:02", "reachable"),))),
        (edited(tutorial(), "red", neighbours=(Neighbour(2, "10.0.0.1", MAC, "reachable"),)),
         edited(tutorial(), "red", neighbours=(Neighbour(2, "10.0.0.1", MAC, "stale"),))),
        (tutorial(), edited(tutorial(), "host", fdb=(FdbEntry(3, MAC, master=2),))),
        (tutorial(), edited(tutorial(), "host", fdb=(FdbEntry(4, "33:33:00:00:00:01", state="permanent"),))),
        (filtered(counted(1)), filtered(counted(900))),
        (filtered(sets=addresses("10.0.0.7", flags=("dynamic",))), filtered(sets=addresses(flags=("dynamic",)))),
        (edited(tutorial(), "host", sysctls={"net.netfilter.nf_conntrack_count": "1"}),
         edited(tutorial(), "host", sysctls={"net.netfilter.nf_conntrack_count": "2"})),
    ],
)  # fmt: skip
def test_what_changes_by_itself_is_no_difference(before: Snapshot, after: Snapshot) -> None:
    assert configured(before, after) == []
    assert configured(after, before) == []


def test_a_new_interface_does_not_bring_its_sysctls_as_differences() -> None:
    links = (*networks.red().links, networks.veth(3, "eth1", "02:00:00:00:01:03", 9, 0))
    sysctls = {**networks.red().sysctls, "net.ipv4.conf.eth1.rp_filter": "1"}
    assert [(d[1], d[2]) for d in configured(tutorial(), edited(tutorial(), "red", links=links, sysctls=sysctls))] == [("link", "eth1")]


def renumbered(index: int | None) -> int | None:
    """The ifindex that red's eth0 gets when its container is made anew."""
    return 42 if index == 2 else index


def test_ifindexes_may_change() -> None:
    red = networks.red()
    moved = replace(
        red, links=(red.links[0], replace(red.links[1], index=42)),
        addresses=tuple(replace(a, index=renumbered(a.index)) for a in red.addresses),
        routes=tuple(replace(r, nexthops=tuple(replace(h, index=renumbered(h.index)) for h in r.nexthops)) for r in red.routes),
    )  # fmt: skip
    anew = relinked(tutorial().with_namespace(moved), "host", "veth0", link=LinkRef(42, 1))
    assert configured(tutorial(), anew) == []


@given(st.lists(st.sampled_from("abcde"), max_size=8), st.lists(st.sampled_from("abcde"), max_size=8))
def test_rules_gone_and_rules_new_account_for_every_change(before: list[str], after: list[str]) -> None:
    def chain(texts: list[str]) -> Snapshot:
        return filtered(*(Rule(n, text) for n, text in enumerate(texts, 1)))

    found = configured(chain(before), chain(after))
    kept = list(before)
    for _, _, name, gone, _ in reversed(found):
        if gone is not None:
            assert kept.pop(int(name.split()[-1]) - 1) == gone
    for _, _, name, _, come in found:
        if come is not None:
            kept.insert(int(name.split()[-1]) - 1, come)
    assert kept == after


def test_pieces_that_differ_are_found_between_ends_that_are_alike() -> None:
    cases = [("abcd", "abcd"), ("abcd", "abXd"), ("", "ab"), ("ab", ""), ("aab", "ab"), ("ab", "aab"), ("abcdef", "bXdeYf"), ("aaa", "aa")]
    for before, after in cases:
        rebuilt, at = [], 0
        for i, j, k, m in replaced(before, after):
            assert before[i:j] != after[k:m]
            rebuilt += [*before[at:i], *after[k:m]]
            at = j
        assert "".join(rebuilt) + before[at:] == after, (before, after)
    assert [*replaced("abcd", "abcd")] == []

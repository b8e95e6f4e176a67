"""The catalogue is complete: one function and one whole page for each code, and no end of a walk without its cause."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from commands import typed
from msgspec.structs import replace

from netprobe.causes import own
from netprobe.causes.catalogue import ASKED, SECTIONS, code_of, explain
from netprobe.diagnose.evidence import Case
from netprobe.model import Confidence, Endpoint, Leg, Object, Observation, Place, Probe, Protocol, Snapshot, Source, Stage, Stop

VOCABULARY = {
    "link-admin-down", "link-no-carrier", "link-missing", "port-not-in-bridge", "port-wrong-bridge", "port-isolated",
    "port-not-forwarding", "port-flood-off", "fdb-wrong-entry", "mac-duplicate", "neigh-no-answer", "neigh-wrong-entry", "arp-disabled",
    "arp-suppressed", "arp-filtered", "nd-filtered", "proxy-arp-off", "neigh-table-full", "addr-missing", "addr-wrong-subnet",
    "addr-wrong-prefix", "addr-is-broadcast", "addr-duplicate", "addr-dad-failed", "ipv6-disabled", "ra-not-accepted", "no-route",
    "route-wrong-nexthop", "route-blackhole", "route-unreachable", "route-prohibit", "route-overlap", "route-loop", "route-wrong-src",
    "route-via-dead-device", "ecmp-dead-nexthop", "rule-prohibit", "rule-wrong-table", "rule-local-missing", "reply-wrong-path",
    "forwarding-off", "rp-filter", "martian-source", "martian-destination", "ttl-expired", "nat-missing", "nat-wrong-match",
    "nat-wrong-address", "nat-bypassed", "nat-not-reversed", "nat-port-exhausted", "nat-redirect-dead", "dnat-missing",
    "dnat-dead-target", "hairpin-nat-missing", "stale-conntrack", "conntrack-full", "conntrack-invalid", "policy-drop",
    "filtered-by-rule", "rejected-by-rule", "rate-limited", "random-drop", "queue-no-listener", "filtered-by-tc", "diverted-by-tc",
    "filtered-by-xdp", "filtered-by-cgroup", "xfrm-policy-block", "qdisc-drop", "mac-not-allowed", "mtu-exceeded", "mtu-blackhole",
    "mtu-l2-mismatch", "frag-dropped", "frag-reassembly", "icmp-echo-ignored", "port-closed", "listener-wrong-address",
    "accept-queue-full", "rcvbuf-full", "reply-wrong-source", "vxlan-vni-mismatch", "vxlan-remote-wrong", "vxlan-port-mismatch",
    "vxlan-fdb-missing", "macvlan-parent-isolated", "macvlan-mode-isolated", "tap-starved", "lost-between-hosts", "unknown",
}  # fmt: skip

KINDS = {"policy-rule", "bridge-port", "fdb-entry", "nat-rule", "tc-filter"}  # of objects
ENGINES = {"iptables-legacy", "ip6tables-legacy", "arptables-legacy", "tables-legacy", "firewall-cmd"}
MESSAGES = {"ipv6-icmp", "echo-request"}  # protocols and messages in the words of firewalls
RULES = [rule for _, rules in SECTIONS for rule in rules]
PACKAGE = Path(__file__).parents[2] / "netprobe"
WALK = sorted([*PACKAGE.glob("predict/*.py"), *PACKAGE.glob("diagnose/*.py")])


def case(stop: Stop | None = None, **more: object) -> Case:
    probe = Probe(Protocol.ICMP, "00", Endpoint("red", "red"), Endpoint("8.8.8.8", address="8.8.8.8"))
    given: dict[str, object] = {"watched": False, "leg": Leg.REQUEST, **more}
    return Case(Snapshot(), probe, None, (), (), (), stop=stop, **given)  # type: ignore[arg-type]


def test_every_code_has_exactly_one_function() -> None:
    assert sorted(code_of(rule) for rule in RULES) == sorted(VOCABULARY)


def test_every_function_is_asked_and_unknown_comes_last() -> None:
    assert {*ASKED, own.unknown} == set(RULES)
    assert own.unknown not in ASKED


@pytest.mark.parametrize("code", sorted(VOCABULARY - {"tap-starved"}))
def test_the_end_of_a_walk_is_explained_by_the_cause_of_its_name(code: str) -> None:
    stop = Stop(code, Place("red", "eth0", Stage.ROUTE), "a sentence", Object("link", "eth0"), proof=("a proof",))
    found = explain(case(stop))
    assert found is not None
    assert (found.code, found.place, found.object, found.summary) == (code, stop.place, stop.object, "a sentence")
    assert "a proof" in [evidence.text for evidence in found.evidence]


def test_the_root_behind_an_end_is_kept() -> None:
    root = Stop("link-admin-down", Place("red", "eth0", Stage.ROUTE), "eth0 is down")
    found = explain(case(Stop("no-route", Place("red", None, Stage.ROUTE), "no route", because=root)))
    assert found is not None
    assert found.because is not None
    assert found.because.code == "link-admin-down"


def test_a_fix_of_the_walk_is_not_replaced() -> None:
    found = explain(
        case(Stop("no-route", Place("red", None, Stage.ROUTE), "no route", commands=(typed("ip route add default via 10.0.0.1"),)))
    )
    assert found is not None
    assert found.fix == ("ip route add default via 10.0.0.1",)


def test_without_any_reason_it_is_unknown_and_says_what_was_seen() -> None:
    found = explain(case(watched=True))
    assert found is not None
    assert (found.code, found.confidence) == ("unknown", Confidence.UNKNOWN)


def test_starved_taps_are_no_fault_of_the_network() -> None:
    starved = Observation(Source.TAP, "starved", "host", 0, text="12 frames lost")
    dropped = Stop("policy-drop", Place("host", None, Stage.FORWARD), "dropped")
    found = explain(replace(case(dropped, watched=True), observations=(starved,)))
    assert found is not None
    assert (found.code, found.place.namespace) == ("tap-starved", "host")


def kebab(source: str) -> set[str]:
    """The literals of a file that look like codes."""
    texts = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", text)}


@pytest.mark.parametrize("file", WALK, ids=lambda file: file.name)
def test_every_code_that_a_walk_can_end_with_is_in_the_catalogue(file: Path) -> None:
    assert kebab(file.read_text()) - KINDS - ENGINES - MESSAGES - {str(stage) for stage in Stage} <= VOCABULARY


def test_the_walk_has_codes_at_all() -> None:
    assert len(set().union(*(kebab(file.read_text()) for file in WALK)) & VOCABULARY) > 30

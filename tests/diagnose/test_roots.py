"""From the place where a packet ends to the object to change, on the tutorial's network with rules, entries and routes."""

from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace
from networks import MAC, edited, relinked, tutorial

from netprobe.causes.catalogue import explain
from netprobe.diagnose.report import diagnose
from netprobe.model import (
    InterfaceAddress,
    Leg,
    Link,
    Neighbour,
    Nexthop,
    PolicyRule,
    Probe,
    Protocol,
    Report,
    Route,
    Ruleset,
    Snapshot,
    Socket,
    Verdict,
    XfrmPolicy,
)
from netprobe.predict.predict import Prediction, predict
from netprobe.rules.read.iptables_save import read_save

MASQUERADE = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
[0:0] -A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE
COMMIT"""


def rules(text: str, family: str = "ip") -> Ruleset:
    return Ruleset(tables=tuple(read_save(text, "iptables", family)), queues=())


def filter_rules(*lines: str, policy: str = "ACCEPT") -> str:
    chains = [":INPUT ACCEPT [0:0]", f":FORWARD {policy} [0:0]", ":OUTPUT ACCEPT [0:0]"]
    return "\n".join(["*filter", *chains, *(f"[0:0] -A {line}" for line in lines), "COMMIT"])


def ruled(*texts: str, name: str = "host", base: Snapshot | None = None) -> Snapshot:
    """A tutorial whose far end knows no way back to 10.0.0.0/16, with these rules in `name` and none elsewhere."""
    snapshot = base or natted()
    for other in snapshot.namespaces:
        if snapshot[other].ruleset is None:
            snapshot = edited(snapshot, other, ruleset=Ruleset(queues=()))
    return edited(snapshot, name, ruleset=rules("\n".join(texts)) if texts else Ruleset(queues=()))


def natted() -> Snapshot:
    routes = (*networks.local("8.8.8.8", "203.0.113.1"), networks.via("203.0.113.0/24", None, 2))
    return edited(tutorial(), "internet", routes=routes)


def asked(snapshot: Snapshot, probe: Probe | None = None) -> Report:
    """The report of `why`: predicted, nothing sent."""
    outcome = predict(snapshot, probe or networks.probe(), ask=False)
    assert isinstance(outcome, Prediction), outcome
    return diagnose("why", probe or networks.probe(), snapshot, outcome, None, frozenset(), explain)


def test_masquerade_is_walked_and_undone_on_the_way_back():
    outcome = predict(ruled(MASQUERADE), networks.probe(), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.reply is not None
    there = [c for h in outcome.request.hops for c in h.changes]
    back = [c for h in outcome.reply.hops for c in h.changes]
    assert [(c.field, c.before, c.after, c.by) for c in there] == [("src", "10.0.0.2", "203.0.113.2", "MASQUERADE")]
    assert [(c.field, c.before, c.after) for c in back] == [("dst", "203.0.113.2", "10.0.0.2")]
    assert outcome.reply.hops[-1].namespace == "red"
    assert outcome.stop is None


WRONG_NETWORK = MASQUERADE.replace("10.0.0.0/16", "172.99.0.0/16")
OTHER_NETWORK = MASQUERADE.replace("10.0.0.0/16", "172.17.0.0/16")  # that of docker0: a rule for others, not a wrong one
TO_A_STRANGER = MASQUERADE.replace("MASQUERADE", "SNAT --to-source 10.0.0.1")
DNAT = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
[0:0] -A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination {}
COMMIT"""
OWN_TABLE = PolicyRule(100, 4, table=100, src="10.0.0.2")


def with_rule(snapshot: Snapshot, name: str, rule: PolicyRule, *routes: Route) -> Snapshot:
    return edited(snapshot, name, rules=(*snapshot[name].rules, rule), routes=(*snapshot[name].routes, *routes))


def web(dst: str = "203.0.113.2", source: str = "internet", port: int = 8080) -> Probe:
    asked = networks.probe(source, dst, Protocol.TCP, source_port=40000)
    return replace(asked, icmp_id=None, destination=replace(asked.destination, port=port))


LISTENING = edited(tutorial(), "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen", queue=(0, 5)),))
PATIENT = {"ip_default_ttl": "1"}


@pytest.mark.parametrize(
    ("snapshot", "probe", "code", "where", "object_id", "direction"),
    [
        (ruled(), None, "nat-missing", "host/eth0", "iptables nat POSTROUTING", Leg.REPLY),
        (ruled(WRONG_NETWORK), None, "nat-wrong-match", "host/eth0", "iptables nat POSTROUTING 1", Leg.REPLY),
        (ruled(OTHER_NETWORK), None, "nat-missing", "host/eth0", "iptables nat POSTROUTING", Leg.REPLY),
        (ruled(TO_A_STRANGER), None, "nat-wrong-address", "host/eth0", "iptables nat POSTROUTING 1", Leg.REPLY),
        (ruled(MASQUERADE, filter_rules("FORWARD -d 8.8.8.8/32 -j DROP")), None, "filtered-by-rule", "host/eth0", "iptables filter FORWARD 1", Leg.REQUEST),
        (ruled(MASQUERADE, filter_rules(policy="DROP")), None, "policy-drop", "host/eth0", "iptables filter FORWARD policy", Leg.REQUEST),
        (ruled(MASQUERADE, filter_rules("FORWARD -i br0 -j ACCEPT", policy="DROP")), None, "policy-drop", "host/br0", "iptables filter FORWARD policy", Leg.REPLY),
        (ruled(MASQUERADE, filter_rules("FORWARD -j REJECT --reject-with icmp-host-prohibited")), None, "rejected-by-rule", "host/eth0", "iptables filter FORWARD 1", Leg.REQUEST),
        (ruled(filter_rules("OUTPUT -d 8.8.8.8/32 -m owner --uid-owner 0 -j DROP"), name="red", base=ruled(MASQUERADE)), None, "filtered-by-rule", "red/eth0", "iptables filter OUTPUT 1", Leg.REQUEST),
        (ruled(DNAT.format("172.17.0.9:80"), base=tutorial()), web(), "dnat-dead-target", "host", "iptables nat PREROUTING 1", Leg.REQUEST),
        (ruled(DNAT.format("172.17.0.3:80").replace("-A PREROUTING", "-A PREROUTING -d 127.0.0.1/32"), base=edited(tutorial(), "host", sockets=())), web(), "dnat-missing", "host/eth0", "iptables nat PREROUTING 1", Leg.REQUEST),
        (with_rule(ruled(MASQUERADE), "host", OWN_TABLE, networks.via("0.0.0.0/0", "203.0.113.77", 4, table=100)), None, "rule-wrong-table", "host", "100: from 10.0.0.2 lookup 100", Leg.REQUEST),
        (edited(ruled(MASQUERADE), "red", neighbours=(Neighbour(2, "10.0.0.1", MAC.format(9, 9), "permanent"),)), None, "neigh-wrong-entry", "red/eth0", "10.0.0.1 dev eth0 lladdr 02:00:00:00:09:09", Leg.REQUEST),
        (edited(ruled(MASQUERADE), "red", sysctls={"net.ipv4.ip_default_ttl": "1"}), None, "ttl-expired", "red/eth0", "net.ipv4.ip_default_ttl", Leg.REQUEST),
        (edited(ruled(MASQUERADE), "red", xfrm=(XfrmPolicy("out", "0.0.0.0/0", "8.8.8.8/32", "block", text="dir out action block"),)), None, "xfrm-policy-block", "red/eth0", "out src 0.0.0.0/0 dst 8.8.8.8/32", Leg.REQUEST),
        (ruled(base=edited(tutorial(), "host", addresses=tuple(replace(a, prefixlen=32) if a.index == 2 else a for a in networks.host().addresses), routes=tuple(r for r in networks.host().routes if r.dst != "10.0.0.0/16"))), None, "addr-wrong-prefix", "host/br0", "10.0.0.1/32 dev br0", Leg.REPLY),
        (relinked(ruled(MASQUERADE), "host", "eth0", mtu=60), networks.probe(df=True), "mtu-exceeded", "host/eth0", "eth0", Leg.REQUEST),
    ],
)  # fmt: skip
def test_the_object_to_change_is_named(snapshot, probe, code, where, object_id, direction):
    report = asked(snapshot, probe)
    cause = report.causes[0]
    place = f"{cause.place.namespace}/{cause.place.interface}" if cause.place.interface else cause.place.namespace
    assert (report.verdict, cause.code, place, report.direction) == (Verdict.UNREACHABLE, code, where, direction)
    assert cause.object is not None
    assert cause.object.id == object_id


def test_a_closed_port_stays_a_closed_port_where_nothing_publishes_it():
    snapshot = ruled(base=edited(tutorial(), "host", sockets=()))
    assert asked(snapshot, web()).causes[0].code == "port-closed"


def test_a_published_port_is_reached_through_its_translation():
    snapshot = ruled(DNAT.format("172.17.0.3:80"), base=LISTENING)
    report = asked(snapshot, web())
    assert report.verdict is Verdict.REACHABLE
    assert {c.by for h in report.path.request for c in h.changes} == {"DNAT"}


def test_rules_that_could_not_be_read_leave_the_question_open():
    from netprobe.model import Blind

    snapshot = edited(ruled(), "host", ruleset=Ruleset(blind=(Blind("the ruleset of host", "CAP_NET_ADMIN is missing"),)))
    report = asked(snapshot)
    assert (report.verdict, report.causes) == (Verdict.UNDETERMINED, ())
    assert report.summary == "could not read the ruleset of host (CAP_NET_ADMIN is missing)"


def test_a_program_on_the_way_is_a_suspect_and_no_verdict():
    snapshot = relinked(ruled(MASQUERADE), "host", "veth0", xdp="generic id 7")
    report = asked(snapshot)
    assert report.verdict is Verdict.UNDETERMINED
    suspected = [(h.namespace, h.interface, s.code) for h in report.path.request for s in h.suspects]
    assert suspected == [("red", "eth0", "filtered-by-xdp"), ("host", "veth0", "filtered-by-xdp")]  # it sees the ARP request, too


def test_the_way_that_would_have_worked_is_asked_of_routes_only_when_it_proves_something():
    """A dead neighbour is no overlap merely because a default route exists as well."""
    report = asked(ruled(MASQUERADE), networks.probe("red", "172.17.0.9"))
    assert report.causes[0].code == "neigh-no-answer"


def test_a_connected_network_that_covers_the_outside_is_an_overlap():
    base = ruled(MASQUERADE)
    bridge = Link(9, "br8", "bridge", MAC.format(2, 9))
    snapshot = edited(base, "host", links=(*base["host"].links, bridge), addresses=(*base["host"].addresses, InterfaceAddress(9, "8.8.8.1", 24)),
                      routes=(*base["host"].routes, Route("8.8.8.0/24", nexthops=(Nexthop(9),), protocol="kernel")))  # fmt: skip
    cause = asked(snapshot).causes[0]
    assert (cause.code, cause.place.interface) == ("route-overlap", "br8")

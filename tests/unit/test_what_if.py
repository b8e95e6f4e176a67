"""Questions answered by the model as things would be after some commands; of a snapshot, which is read bit by bit or all at once."""

from __future__ import annotations

from collections.abc import Sequence

import networks
import pytest
from msgspec.structs import replace

from netprobe.engine.recorded import Recorded, Unrecorded
from netprobe.engine.what_if import WhatIf
from netprobe.errors import WrongQuestion
from netprobe.model import (
    ConntrackEntry,
    FindPeer,
    Flow,
    FoundConnection,
    FoundPeer,
    Need,
    Neighbour,
    Protocol,
    ReadNamespace,
    Ruleset,
    Snapshot,
)
from netprobe.question import Question


def tutorial() -> Snapshot:
    """The tutorial's network, whose rulesets were read, and are empty."""
    found = networks.tutorial()
    return replace(found, namespaces={name: replace(each, ruleset=Ruleset()) for name, each in found.namespaces.items()})


class BitByBit(Recorded):
    """Reads what it is asked for, and no more."""

    def __init__(self, whole: Snapshot) -> None:
        super().__init__([whole])
        self.whole = whole

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        for need in needs:
            if isinstance(need, ReadNamespace):
                snapshot = snapshot.with_namespace(self.whole[need.name])
            if isinstance(need, FindPeer):
                found = next(p.peer for p in self.whole.peers if (p.namespace, p.nsid) == (need.namespace, need.nsid))
                snapshot = replace(snapshot, peers=(*snapshot.peers, FoundPeer(need.namespace, need.nsid, found)))
        return snapshot


TURNS = [
    ("ip link set veth0 down", "red", "8.8.8.8", "link-admin-down"),
    ("ip link set veth0 down", "c1", "10.0.0.2", "link-admin-down"),
    ("ip netns exec red ip link set eth0 down", "c1", "10.0.0.2", "link-admin-down"),
    ("ip link del veth0", "red", "8.8.8.8", "link-missing"),
    ("ip -n internet link del eth0", "red", "8.8.8.8", None),
    ("ip -n red route del default", "red", "8.8.8.8", "no-route"),
    ("ip link set vethc1 nomaster", "c1", "c2", "port-not-in-bridge"),
    ("sysctl -w net.ipv4.ip_forward=0", "red", "8.8.8.8", "forwarding-off"),
    ("ip rule add pref 1 to 8.8.8.8 prohibit", "red", "8.8.8.8", "rule-prohibit"),
    ("ip -n c2 addr del 172.17.0.3/16 dev eth0", "c1", "172.17.0.3", None),
    ("bridge link set dev vethc1 state disabled", "c1", "c2", "port-not-forwarding"),
    ("ip link set vethc1 netns red", "c1", "c2", None),
    ("tc qdisc add dev eth0 root pfifo limit 0", "red", "8.8.8.8", "qdisc-drop"),
]  # fmt: skip


@pytest.mark.parametrize("world", [BitByBit, lambda whole: Recorded([whole])], ids=["bit by bit", "all at once"])
@pytest.mark.parametrize(("line", "source", "target", "code"), TURNS, ids=[f"{row[0]}: {row[1]} {row[2]}" for row in TURNS])
def test_a_change_breaks_what_it_is_about(world, line: str, source: str, target: str, code: str | None) -> None:
    model = WhatIf(world(tutorial()), [line])
    question = Question(source, target, "ping")
    assert model.as_it_is(question).report.verdict == "reachable"
    report = model.as_it_would_be(question).report
    assert report.verdict == "unreachable", report.summary
    assert code is None or report.causes[0].code == code, report.causes


@pytest.mark.parametrize("line", [row[0] for row in TURNS if row[1] == "red"])
def test_what_it_is_not_about_stays(line: str) -> None:
    model = WhatIf(Recorded([tutorial()]), [line])
    assert model.as_it_would_be(Question("c1", "172.17.0.3", "ping")).report.verdict == "reachable"


def test_commands_are_tried_one_after_the_other() -> None:
    question = Question("red", "8.8.8.8", "ping")
    lines = ["ip link set veth0 down", "ip link set veth0 up"]
    assert WhatIf(Recorded([tutorial()]), lines).as_it_would_be(question).report.verdict == "reachable"
    both = ["ip link set veth0 name lan0", "ip link set lan0 nomaster"]
    assert WhatIf(Recorded([tutorial()]), ["ip link set veth0 down", *both]).as_it_would_be(question).report.verdict == "unreachable"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("reboot", "'reboot' is not known"),
        ("ip link set veth9 down", "does not know what it does in host"),
        ("ip -n nowhere link set eth0 down", "no namespace nowhere"),
        ("ip -n red route del 9.9.9.9", "in red"),
        ("sysctl -w net.ipv4.neigh.eth0.mcast_solicit=0", "does not look at net.ipv4.neigh.eth0.mcast_solicit in host"),
        ("ip link set veth0 alias x", "is not known"),
        ("ip link add veth0 type bridge", "in host"),
        ("ip link set veth0 netns nowhere", "no namespace nowhere"),
        ("tc qdisc add dev eth0 parent 1:1 netem loss 1%", "in host"),
        ("ip -n 8.8.8.8 link set eth0 down", "8.8.8.8 is no namespace"),
    ],
)
def test_what_the_model_cannot_carry_out_is_an_error(line: str, why: str) -> None:
    with pytest.raises(WrongQuestion) as raised:
        WhatIf(Recorded([tutorial()]), ["ip link set veth0 up", line])
    assert why in str(raised.value)


def test_a_station_with_another_mac_is_asked_for_it() -> None:
    """What c1 has learned of c2 is learned anew, what a person wrote down stays."""
    whole, c1 = tutorial(), tutorial()["c1"]
    entry = Neighbour(2, "172.17.0.3", whole["c2"].links[1].mac, "reachable")
    lines = ["ip -n c2 link set eth0 address 02:00:00:00:99:09"]
    question = Question("c1", "172.17.0.3", "ping")
    for state, verdict in (("reachable", "reachable"), ("permanent", "unreachable")):
        known = whole.with_namespace(replace(c1, neighbours=(replace(entry, state=state),)))
        assert WhatIf(Recorded([known]), lines).as_it_would_be(question).report.verdict == verdict


def test_a_saved_run_answers_for_what_it_has_read_alone() -> None:
    whole = tutorial()
    part = Recorded([Snapshot({name: whole[name] for name in ("red", "host")}, whole.peers)])
    model = WhatIf(part)
    assert model.as_it_is(Question("red", "10.0.0.1", "ping")).report.verdict == "reachable"
    with pytest.raises(Unrecorded, match="holds nothing of internet"):
        model.as_it_is(Question("red", "8.8.8.8", "ping"))
    with pytest.raises(WrongQuestion, match="no namespace rde"):
        model.as_it_is(Question("rde", "8.8.8.8", "ping"))


def test_several_saved_runs_are_one_world() -> None:
    whole = tutorial()
    parts = [Snapshot({name: whole[name] for name in names}, whole.peers) for names in (("red", "host"), ("internet", "host"))]
    assert WhatIf(Recorded(parts)).as_it_is(Question("red", "8.8.8.8", "ping")).report.verdict == "reachable"


def test_a_probe_stays_what_it_was() -> None:
    """The destination was c2's address when it was asked; that it is gone is the answer, and no wrong question."""
    model = WhatIf(Recorded([tutorial()]), ["ip -n c2 addr del 172.17.0.3/16 dev eth0"])
    report = model.as_it_would_be(Question("c1", "c2", "ping")).report
    assert (report.verdict, report.probe.destination.address) == ("unreachable", "172.17.0.3")


def test_a_connection_is_no_cause_where_the_packet_took_no_step() -> None:
    """Seen failing: a tracked connection was known, and the sender's own namespace had no route."""
    flow = Flow("10.0.0.2", "8.8.8.8", Protocol.UDP, 4001, 53)
    entry = ConntrackEntry("udp", ("10.0.0.2", "8.8.8.8", 4001, 53), ("8.8.8.8", "10.0.0.2", 53, 4001))
    whole = replace(tutorial(), connections=(FoundConnection("host", flow, (entry,)),))
    model = WhatIf(Recorded([whole]), ["ip -n red addr del 10.0.0.2/32 dev eth0"])
    question = Question("red", "8.8.8.8", "ping", "udp", 53, source_port=4001)
    assert model.as_it_would_be(question).report.verdict == "unreachable"

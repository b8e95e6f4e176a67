"""What a fix changes, as values beside its lines and words: `changes` of a cause."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from networks import edited, tutorial

from netprobe import codec
from netprobe.diagnose.changes import with_changes
from netprobe.engine import replay
from netprobe.lab.faults import FAULTS
from netprobe.model import Blank, Cause, Command, Object, Place, Probe, Report, Ruleset, Snapshot, Stage, Verdict
from netprobe.rules.read.iptables_save import read_save
from netprobe.saved import load

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"
SAVED = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i br0 -j DROP\nCOMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n"
PLACE = Place("host", None, Stage.ROUTE)


def ruled() -> Snapshot:
    tables = tuple(read_save(SAVED, "iptables", "ip"))
    return edited(tutorial(), "host", ruleset=Ruleset(tables=tables, queues=()))


def reported(probe: Probe, *causes: Cause, blockers: tuple[Cause, ...] = (), snapshot: Snapshot | None = None) -> Report:
    report = Report("why", probe, Verdict.UNREACHABLE, "", causes=causes, blockers=blockers)
    return with_changes(report, snapshot or ruled())


def changed(*commands: Command, thing: Object | None = None) -> list[tuple[str, str, str, str | None, str | None]]:
    from networks import probe

    [cause] = reported(probe(), Cause("x", PLACE, "", thing, commands=commands)).causes
    return [(each.kind, each.id, each.namespace, each.before, each.after) for each in cause.changes]


def command(line: str) -> Command:
    return Command(tuple(line.split()))


CHANGES = [
    ("sysctl -w net.ipv4.ip_forward=0", ("sysctl", "net.ipv4.ip_forward", "1", "0")),
    ("sysctl -w net.ipv4.neigh.default.gc_thresh3=4096", ("sysctl", "net.ipv4.neigh.default.gc_thresh3", None, "4096")),
    ("ip link set dev br0 down", ("link", "br0", "up", "down")),
    ("ip link set dev veth0 master docker0", ("link", "veth0", "master br0", "master docker0")),
    ("bridge link set dev veth0 isolated on", ("bridge-port", "veth0", "state forwarding", "state forwarding isolated")),
    ("ip address add 10.0.0.7/16 dev br0", ("address", "10.0.0.7/16 dev br0", None, "10.0.0.7/16 dev br0")),
    ("ip address del 10.0.0.1/16 dev br0", ("address", "10.0.0.1/16 dev br0", "10.0.0.1/16 dev br0", None)),
    ("ip route replace default via 203.0.113.9 dev eth0",
     ("route", "default via 203.0.113.1 dev eth0", "via 203.0.113.1 dev eth0", "via 203.0.113.9 dev eth0")),
    ("ip route add blackhole 8.8.8.8/32", ("route", "blackhole 8.8.8.8/32", None, "blackhole")),
    ("ip rule add pref 9 from all lookup 7", ("policy-rule", "9: from all lookup 7", None, "9: from all lookup 7")),
    ("ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:99 dev br0 nud permanent",
     ("neighbour", "10.0.0.2 dev br0 lladdr 02:00:00:00:00:99", None, "lladdr 02:00:00:00:00:99 permanent")),
    ("bridge fdb append 02:00:00:00:00:99 dev veth0 master static",
     ("fdb-entry", "02:00:00:00:00:99 dev veth0 master", None, "dev veth0 static")),
    ("iptables -D FORWARD -i br0 -j DROP", ("rule", "iptables filter FORWARD 1", "-A FORWARD -i br0 -j DROP", None)),
    ("iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
     ("nat-rule", "iptables nat POSTROUTING 1", None, "-A POSTROUTING -o eth0 -j MASQUERADE")),
    ("iptables -P FORWARD DROP", ("policy", "iptables filter FORWARD policy", "-P FORWARD ACCEPT", "-P FORWARD DROP")),
    ("conntrack -D -p udp -s 10.0.0.2 -d 8.8.8.8", ("conntrack", "-p udp -s 10.0.0.2 -d 8.8.8.8", "-p udp -s 10.0.0.2 -d 8.8.8.8", None)),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), CHANGES, ids=[line for line, _ in CHANGES])
def test_a_command_changes_one_object(line, expected) -> None:
    kind, id, before, after = expected
    assert changed(command(line)) == [(kind, id, "host", before, after)]


def test_what_the_reader_must_fill_in_is_not_carried_out() -> None:
    """The words tell the object; the next command is carried out all the same."""
    there = Command.of("ip", "address", "add", Blank("ADDRESS", ""), "dev", "br0")
    assert changed(there, command("ip link set dev br0 down")) == [
        ("address", "ADDRESS dev br0", "host", None, "ADDRESS dev br0"),
        ("link", "br0", "host", "up", "down"),
    ]


def test_each_command_meets_what_those_before_it_left() -> None:
    """The second one takes away what the first one made."""
    add, gone = command("ip route add 9.9.9.9/32 via 203.0.113.1 dev eth0"), command("ip route del 9.9.9.9/32")
    told = [(before, after) for _, _, _, before, after in changed(add, gone)]
    assert told == [(None, "via 203.0.113.1 dev eth0"), ("via 203.0.113.1 dev eth0", None)]


def test_what_changes_no_configuration_is_no_change() -> None:
    assert changed(command("docker start c1"), Command.look("ip", "neigh", "show"), command("systemctl start nginx")) == []


def test_an_object_that_the_walk_forgot_is_the_causes_own() -> None:
    """A learned neighbour is left out where configurations are compared."""
    entry = Object("neighbour", "10.0.0.2 dev br0 lladdr 02:00:00:00:00:99", "10.0.0.2 dev br0 lladdr 02:00:00:00:00:99 STALE")
    assert changed(command("ip neigh del 10.0.0.2 dev br0"), thing=entry) == [("neighbour", entry.id, "host", entry.text, None)]


def test_a_blocker_changes_what_is_left_when_the_cause_is_mended() -> None:
    from networks import probe

    one, other = (Cause("x", PLACE, "", commands=(command(line),)) for line in
                  ("ip route add blackhole 8.8.8.8/32", "ip route del blackhole 8.8.8.8/32"))  # fmt: skip
    [blocker] = reported(probe(), one, blockers=(other,)).blockers
    assert [(each.before, each.after) for each in blocker.changes] == [("blackhole", None)]


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_every_recording_tells_its_changes(name) -> None:
    """One or more of each command that mends, in JSON too; and what is taken away is the object that is named."""
    _, run = load(str(RECORDINGS / f"{name}.pcapng"))
    assert run is not None
    report = replay(run).report
    read = json.loads(codec.report_to_json(report))
    for cause in (*report.causes[:1], *report.alternatives, *report.blockers):
        mending = [each for each in cause.commands if not each.looks]
        assert len(cause.changes) >= len(mending)
        assert all(each.before != each.after for each in cause.changes)
    if report.causes:
        assert len(read["causes"][0]["changes"]) == len(report.causes[0].changes)

"""It worked before: what has changed since then is said, and stands first among the repairs that let the probe pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from networks import edited, probe, relinked, tutorial

from netprobe.causes.catalogue import explain
from netprobe.diagnose.apply import mend
from netprobe.diagnose.report import diagnose
from netprobe.diagnose.since import changed, since
from netprobe.engine import replay
from netprobe.model import Cause, Changed, Command, Earlier, Neighbour, Place, Report, Ruleset, Snapshot, Socket, Stage, Verdict
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.render import words
from netprobe.rules.read.iptables_save import read_save
from netprobe.saved import load

SAMPLES = Path(__file__).parents[2] / "captures/samples"


def after(snapshot: Snapshot, *lines: str) -> Snapshot:
    """The network after these commands, each `NAMESPACE: WORDS`."""
    commands = tuple(Command(tuple(words.split()), name) for name, _, words in (line.partition(": ") for line in lines))
    found = mend(snapshot, Cause("", Place(None, None, Stage.ROUTE), "", commands=commands))
    assert found is not None, lines
    return replace(found, answers=())


def objects(before: Snapshot, now: Snapshot) -> list[tuple[str, str, str, str | None, str | None]]:
    found = since(Earlier("a.pcapng", 7, "14:02", before), now, None)
    return [(each.kind, each.id, each.namespace, each.before, each.after) for each in found.changed]


def reported(before: Snapshot | None, now: Snapshot, source: str = "red", dst: str = "8.8.8.8") -> Report:
    earlier = Earlier("a.pcapng", 7, "14:02", before) if before is not None else None
    found = predict(now, probe(source, dst), ask=False)
    assert isinstance(found, Prediction)
    return diagnose("why", found.probe, now, found, None, frozenset(), explain, earlier)


DIFFERENCES = [
    ("red: ip route del default via 10.0.0.1 dev eth0",
     ("route", "default via 10.0.0.1 dev eth0", "red", "via 10.0.0.1 dev eth0", None)),
    ("red: ip route replace default via 10.0.0.77 dev eth0 onlink",
     ("route", "default via 10.0.0.77 dev eth0", "red", "via 10.0.0.1 dev eth0", "via 10.0.0.77 dev eth0")),
    ("host: ip route add blackhole 8.8.8.8/32 table 7", ("route", "blackhole 8.8.8.8/32 table 7", "host", None, "blackhole")),
    ("host: sysctl -w net.ipv4.ip_forward=0", ("sysctl", "net.ipv4.ip_forward", "host", "1", "0")),
    ("host: ip link set dev veth0 nomaster", ("link", "veth0", "host", "master br0", "")),
    ("host: ip address del 172.17.0.1/16 dev docker0", ("address", "172.17.0.1/16 dev docker0", "host", "", None)),
    ("host: ip rule add pref 100 from all lookup 100", ("policy-rule", "100: from all lookup 100", "host", None, "")),
    ("red: ip neigh add 10.0.0.1 lladdr 02:00:00:00:00:99 dev eth0",
     ("neighbour", "10.0.0.1 dev eth0 lladdr 02:00:00:00:00:99", "red", None, "lladdr 02:00:00:00:00:99 permanent")),
]  # fmt: skip


@pytest.mark.parametrize(("line", "found"), DIFFERENCES, ids=[line for line, _ in DIFFERENCES])
def test_what_has_changed_is_an_object_with_the_id_that_a_cause_has(line: str, found: tuple[str, str, str, str | None, str | None]) -> None:
    assert found in objects(tutorial(), after(tutorial(), line))


def test_what_comes_and_goes_by_itself_has_not_changed() -> None:
    now = edited(tutorial(), "red", neighbours=(Neighbour(2, "10.0.0.1", "02:00:00:00:02:02", "reachable"),))
    now = edited(now, "host", sockets=(Socket("udp", "0.0.0.0", 40123, "unconnected"),))
    before = edited(tutorial(), "host", sockets=())
    assert objects(before, now) == []


def test_a_listener_that_is_gone_has_changed() -> None:
    before = edited(tutorial(), "host", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    assert objects(before, edited(tutorial(), "host", sockets=())) == [("socket", "tcp 0.0.0.0:80", "host", "", None)]


def test_what_one_run_has_not_read_is_not_gone() -> None:
    before = edited(tutorial(), "host", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    assert objects(before, tutorial()) == []  # sockets: not looked at
    lost = edited(tutorial(), "red", routes=(), unread={"routes": "EPERM"})
    assert objects(tutorial(), lost) == []
    alone = Snapshot({"red": tutorial()["red"]})
    assert objects(tutorial(), alone) == []


def test_the_sysctls_that_ip_forward_sets_along_are_not_told() -> None:
    keys = {"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.forwarding": "1", "net.ipv4.conf.eth0.forwarding": "1"}
    before = edited(tutorial(), "host", sysctls=keys)
    found = objects(before, after(before, "host: sysctl -w net.ipv4.ip_forward=0"))
    assert [id for _, id, *_ in found] == ["net.ipv4.ip_forward"]


MENDED = [
    "red: ip route del default via 10.0.0.1 dev eth0",
    "red: ip route replace default via 10.0.0.77 dev eth0 onlink",
    "host: ip link set dev veth0 nomaster",
    "host: ip link set dev veth0 down",
    "host: ip link set dev eth0 down",
    "host: bridge link set dev veth0 state 0",
    "host: sysctl -w net.ipv4.ip_forward=0",
    "host: ip route add blackhole 8.8.8.8/32",
    "host: ip route add 8.8.8.8/32 dev docker0",
    "host: ip rule del pref 32766 from all lookup main",
    "host: ip address del 10.0.0.1/16 dev br0",
    "internet: ip route del 10.0.0.0/16 via 203.0.113.2 dev eth0",
    "red: ip neigh add 10.0.0.1 lladdr 02:00:00:00:00:99 dev eth0",
    "host: iptables -P FORWARD DROP",
    "host: iptables -I FORWARD 1 -d 8.8.8.8/32 -j DROP",
    "host: iptables -D FORWARD 2",
]


def ruled() -> Snapshot:
    """The tutorial with a filter in the host that needs its second rule."""
    lines = ("-A FORWARD -s 172.17.0.0/16 -j ACCEPT", "-A FORWARD -s 10.0.0.0/16 -j ACCEPT", "-A FORWARD -d 10.0.0.0/16 -j ACCEPT",
             "-A FORWARD -s 10.1.0.0/16 -j DROP")  # fmt: skip
    text = "\n".join(["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", *lines, "COMMIT"])
    found = edited(tutorial(), "host", ruleset=Ruleset(tables=tuple(read_save(text, "iptables", "ip")), queues=()))
    for name in ("red", "internet"):
        found = edited(found, name, ruleset=Ruleset(queues=()))
    return found


@pytest.mark.parametrize("line", MENDED)
def test_what_was_changed_is_put_back(line: str) -> None:
    """The first repair brings back the very configuration, as far as the probe can tell: nothing that has changed is left."""
    before = ruled()
    if "-P FORWARD" in line:
        before = after(before, "host: iptables -D FORWARD 3")  # the answers hang on the policy
    if "-D FORWARD" in line:
        before = after(before, "host: iptables -A FORWARD -s 10.0.0.0/8 -j DROP", "host: iptables -D FORWARD 4")
    now = after(before, line)
    report = reported(before, now)
    mended = mend(now, report.causes[0])
    assert mended is not None, report.causes[0]
    typed = "ip route" in line  # other routes come back as the kernel makes them, and not as they are written here
    left = [each for each in changed(before, mended) if typed or each.kind != "route"]
    assert left == [], report.causes[0]
    assert report.since is not None
    assert report.since.changed
    assert report.causes[0].place.namespace == line.partition(":")[0]


def test_of_two_repairs_the_one_that_changed_comes_first() -> None:
    """Who lacks a route is told apart by what was there: without the earlier run the default route is as good as any."""
    twin = ("red: ip route del default via 10.0.0.1 dev eth0", "red: ip route add 8.8.8.8/32 via 10.0.0.1 dev eth0 onlink")
    before = after(tutorial(), *twin)
    now = after(before, "red: ip route del 8.8.8.8/32 via 10.0.0.1 dev eth0")
    then = reported(before, now).causes[0]
    assert then.commands[0].words[3] == "8.8.8.8/32"
    assert reported(None, now).causes[0].commands[0].words[3] != "8.8.8.8/32"


def test_what_changed_and_does_not_help_is_no_cause() -> None:
    now = after(tutorial(), "host: ip link set dev docker0 down", "red: ip route del default via 10.0.0.1 dev eth0")
    report = reported(tutorial(), now)
    assert report.causes[0].place.namespace == "red"
    assert report.since is not None
    assert {each.namespace for each in report.since.changed} >= {"red", "host"}


def test_a_good_answer_says_nothing_of_before() -> None:
    report = reported(ruled(), after(ruled(), "host: ip link set dev docker0 down"))
    assert report.verdict is Verdict.REACHABLE
    assert report.since is None


def test_a_link_that_comes_up_gets_the_route_that_went_with_it() -> None:
    now = after(tutorial(), "red: ip link set dev eth0 down", "red: ip link set dev eth0 up", "red: ip link set dev eth0 down")
    report = reported(tutorial(), now)
    lines = [" ".join(command.words) for command in report.causes[0].commands]
    assert lines[0] == "ip link set dev eth0 up"
    assert any(line.startswith("ip route add default via 10.0.0.1 dev eth0") for line in lines[1:])


def test_both_things_that_were_changed_are_named_one_after_the_other() -> None:
    now = after(ruled(), "host: sysctl -w net.ipv4.ip_forward=0", "host: ip link set dev veth0 nomaster")
    first = reported(ruled(), now).causes[0]
    mended = mend(now, first)
    assert mended is not None
    then = reported(ruled(), mended).causes[0]
    assert {first.code, then.code} == {"forwarding-off", "port-not-in-bridge"}
    assert mend(mended, then) is not None


def test_a_change_is_said_in_words() -> None:
    gone = Changed("route", "default via 10.0.0.1 dev eth0", namespace="red", before="via 10.0.0.1 dev eth0")
    assert words.changed(gone) == "route default via 10.0.0.1 dev eth0 of red gone"
    assert words.changed(Changed("sysctl", "net.ipv4.ip_forward", namespace="host", before="1", after="0")) == (
        "sysctl net.ipv4.ip_forward of host 0 (was 1)"
    )
    port = Changed("link", "veth0", namespace="host", before="master br0", after="")
    assert words.changed(port) == "link veth0 of host without master br0"
    cable = Changed("link", "eth0", namespace="host", before="", after="no carrier")
    assert words.changed(cable) == "link eth0 of host now no carrier"
    assert words.changed(Changed("policy-rule", "100: from all lookup 7", namespace="red", after="")) == (
        "policy rule 100: from all lookup 7 of red new"
    )


def test_a_link_without_a_setting_that_it_had() -> None:
    now = relinked(tutorial(), "host", "veth0", mtu=1400)
    assert objects(tutorial(), now) == [("link", "veth0", "host", "mtu 1500", "mtu 1400")]


def test_of_two_recordings_the_rule_that_is_gone_is_put_back() -> None:
    """The samples: a trace that passed, and the same question without its translation."""
    _, good = load(str(SAMPLES / "trace-red-8.8.8.8.pcapng"))
    _, broken = load(str(SAMPLES / "no-masquerade.pcapng"))
    assert good is not None
    assert broken is not None
    report = replay(replace(broken, earlier=Earlier("good.pcapng", good.started_ns, "14:02", good.snapshot))).report
    assert report.since is not None
    gone = [each for each in report.since.changed if each.after is None]
    assert [(each.kind, each.namespace, each.text) for each in gone] == [
        ("nat-rule", "host", 'oifname "br0" masquerade'),
        ("nat-rule", "host", 'oifname "eth0" masquerade'),
    ]
    assert report.causes[0].code == "nat-missing"
    assert report.causes[0].commands[0].words == ("nft", "add", "rule", "inet", "lab", "postrouting", "oifname", '"eth0"', "masquerade")

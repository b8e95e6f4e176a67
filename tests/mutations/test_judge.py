"""The measure's own judgement: what counts as named, what is run of a printed fix, what a trial adds up to. No network is needed."""

from __future__ import annotations

import socket
from dataclasses import replace
from unittest.mock import patch

import pytest
from mutations.draw import _RARE, FAMILIES, draw
from mutations.flows import Flow, flow
from mutations.measure import Lost, agrees, misses, outcome, summary, summary_of_doubles
from mutations.mutation import Mutation, known, shell
from mutations.page import kept_from, put_into, section
from mutations.programs import deaf
from mutations.repair import follow, lines
from mutations.restoring import _missing, remade
from mutations.segments import questions
from mutations.settings import SETTINGS
from mutations.sight import _MOVES, Sight, differences
from mutations.trial import Trial, all_stand

from netprobe.lab.topology import Interface, LabBridge, LabMacvlan, Topology, Veth

TRIAL = Trial(
    draw_text="--seed 1 --only 0", family="links", network="tutorial", warm=True, quiet=False,
    mutations=("link-down: ip link set br0 down",), kinds=("link-down",), asked="red 8.8.8.8",
    verdict="unreachable", code="link-admin-down", thing="host: link br0", why="unreachable",
    named=(True,), listed=(False,), met=(True,), along=(False,), consequence=False, repair="done", wrapped=False, mended=True, rounds=1,
    harmed=(), hurt=(),
    seconds=0.2, why_seconds=0.1, log="",
)  # fmt: skip


def said(code: str, namespace: str, kind: str = "", id: str = "", interface: str | None = None) -> dict[str, object]:
    """A cause as the JSON has it."""
    thing = {"kind": kind, "id": id, "text": ""} if kind else None
    return {"code": code, "place": {"namespace": namespace, "interface": interface, "stage": "route"}, "object": thing}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("red 8.8.8.8", Flow("red", "8.8.8.8")),
        ("red 8.8.8.8+80", Flow("red", "8.8.8.8", "tcp", 80)),
        ("c1 172.17.0.3+53/udp", Flow("c1", "172.17.0.3", "udp", 53)),
        ("c1 172.17.0.3+53/udp from 4000", Flow("c1", "172.17.0.3", "udp", 53, None, 4000)),
        ("pc fd00:2::10 1400 bytes", Flow("pc", "fd00:2::10", "icmp", None, 1400)),
        ("pc fd00:2::10+80", Flow("pc", "fd00:2::10", "tcp", 80)),
    ],
)
def test_a_flow_is_read_and_written(text: str, meant: Flow) -> None:
    assert flow(text) == meant
    assert str(meant) == text


def test_a_flow_is_asked_as_people_ask() -> None:
    assert flow("c1 172.17.0.3 by eth0").question("trace") == ("arping", "c1/eth0", "172.17.0.3")
    assert flow("pc fd00:2::10 1400 bytes").question("why") == ("why", "pc", "fd00:2::10", "-p", "icmp", "-s", "1400", "--df")
    assert flow("a 10.0.0.1+53/udp from 4000").question("trace")[3:] == ("-p", "udp", "-P", "53", "--source-port", "4000")


@pytest.mark.parametrize(
    ("cause", "named"),
    [
        (said("x", "red", "address", "10.0.0.1/24 dev eth0"), True),
        (said("x", "blue", "address", "10.0.0.1/24 dev eth0"), False),
        (said("x", "red", "route", "10.0.0.1/24 dev eth0"), False),
        (said("x", "red", "address", "10.0.0.10/24 dev eth0"), False),
        (said("x", "red", "address", "110.0.0.1/24 dev eth0"), False),
        (said("x", "red", "address", "10.0.0.1.5 dev eth0"), False),
        (said("gone", "red"), True),
        (said("gone", "blue"), False),
        (said("x", "red", "address", "dev eth0"), False),
    ],
)
def test_an_object_is_named_by_namespace_kind_and_words(cause: dict[str, object], named: bool) -> None:
    assert known("red", "address link", "10.0.0.1", codes="gone").is_named_by(cause) is named


def test_any_of_its_names_will_do() -> None:
    changed = Mutation("x", (), (), (known("r1", "sysctl", "net.ipv4.ip_forward"), known("r1", "sysctl", "net.ipv4.conf.all.forwarding")))
    assert changed.is_named_by(said("forwarding-off", "r1", "sysctl", "net.ipv4.conf.all.forwarding"))
    assert not changed.is_named_by(said("forwarding-off", "r1", "sysctl", "net.ipv4.conf.eth0.forwarding"))


def test_where_a_change_may_show() -> None:
    changed = Mutation("x", (shell("red", "ip link del eth0"),), (), (known("host", "link", "veth0"),))
    assert changed.namespaces == {"red", "host"}


def fixed(*texts: str, commands: list[dict[str, object]] | None = None, namespace: str = "red") -> list[tuple[str | None, bool, bool]]:
    cause = {"code": "x", "place": {"namespace": namespace}, "fix": list(texts), "commands": commands or []}
    return [(line.namespace, line.blank, line.is_command) for line in lines(cause)]


def test_a_line_runs_where_it_says() -> None:
    assert fixed("ip netns exec red ip link set eth0 up") == [(None, False, True)]
    assert fixed("ip -n red link set eth0 up") == [(None, False, True)]
    assert fixed("nsenter -t 4711 -n ip link set eth0 up") == [(None, False, True)]


def test_a_line_that_does_not_say_it_runs_where_its_comment_or_the_place_is() -> None:
    assert fixed("ip link set eth0 up   # in blue") == [("blue", False, True)]
    assert fixed("ip link set eth0 up   # in blue: it was down") == [("blue", False, True)]
    assert fixed("ip link set eth0 up") == [("red", False, True)]
    assert fixed("ip link set eth0 up", namespace="host") == [(None, False, True)]
    assert fixed("ip link set eth0 up   # in host") == [(None, False, True)]
    assert fixed("ip link set eth0 up", commands=[{"words": ["ip"], "namespace": "c1", "blanks": []}]) == [("c1", False, True)]
    assert fixed("ip link set eth0 up", commands=[{"words": ["ip"], "namespace": "c1", "enter": None}]) == [("c1", False, True)]
    assert fixed("ip link set eth0 up", commands=[{"words": ["ip"], "namespace": "c1", "enter": []}]) == [(None, False, True)]


@pytest.mark.parametrize(
    ("line", "blank"),
    [
        ("ip route add default via GATEWAY", True),
        ("ip address add 10.0.0.1/LENGTH dev eth0", True),
        ("ip address add <address> dev eth0", True),
        ("iptables -t nat -A POSTROUTING -s 10.0.0.0/16 -j MASQUERADE", False),
        ("iptables -D FORWARD 1   # the rule of DOCKER-USER", False),
    ],
)
def test_words_for_the_reader_are_seen(line: str, blank: bool) -> None:
    assert fixed(line)[0][1] is blank


def test_a_report_that_marks_its_blanks_is_believed() -> None:
    assert fixed("ip link set BR0 up", commands=[{"words": ["ip", "link", "set", "BR0", "up"], "blanks": []}])[0][1] is False
    assert fixed("ip link set eth0 up", commands=[{"words": ["ip", "link", "set", "eth0", "up"], "blanks": [3]}])[0][1] is True


@pytest.mark.parametrize(
    ("text", "command", "became"),
    [
        ("ip route add default via GATEWAY", {}, "open"),
        ("# fill in GATEWAY: ip route add default via GATEWAY", {"words": ["ip"], "blanks": [5], "enter": []}, "open"),
        ("# look: ip neigh show", {"words": ["ip"], "blanks": [], "looks": True, "enter": []}, "looks"),
        ("ip neigh show dev eth0   # in red", {}, "looks"),
        ("ip netns exec red ss -lntp", {}, "looks"),
        ("# start the program that listens", {}, "open"),
    ],
)
def test_what_is_not_run(text: str, command: dict[str, object], became: str) -> None:
    assert follow({"fix": [text], "commands": [command], "place": {"namespace": "host"}}).outcome == became
    assert follow({"fix": []}).outcome == "none"


def test_what_is_run_is_judged_by_its_exit_code() -> None:
    assert follow({"fix": ["true", "true"], "place": {"namespace": "host"}}).outcome == "done"
    refused = follow({"fix": ["true", "echo no >&2; exit 3", "true"], "place": {"namespace": "host"}})
    assert (refused.outcome, refused.said[-1]) == ("refused", "echo no >&2; exit 3 -> 3 no")


def test_advice_is_no_command() -> None:
    assert fixed("# start the program that listens") == [(None, False, False)]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "named"),
        ({"named": (False,), "listed": (True,)}, "listed"),
        ({"named": (False,)}, "another repair"),
        ({"named": (False,), "mended": False}, "misleading"),
        ({"named": (False,), "mended": False, "repair": "open"}, "misleading"),
        ({"named": (False,), "mended": False, "repair": "open", "consequence": True}, "consequence"),
        ({"named": (False,), "mended": False, "consequence": True}, "misleading"),
        ({"named": (False,), "code": "unknown"}, "unknown"),
        ({"verdict": "reachable", "code": ""}, "missed"),
        ({"verdict": "exit 70: a bug", "code": ""}, "crashed"),
        ({"quiet": True, "verdict": "exit 70: a bug", "code": ""}, "crashed"),
        ({"quiet": True, "verdict": "reachable", "why": "reachable"}, "quiet"),
        ({"quiet": True}, "wolf"),
        ({"quiet": True, "verdict": "undetermined"}, "wolf"),
    ],
)
def test_an_outcome_in_one_word(changes: dict[str, object], word: str) -> None:
    assert outcome(replace(TRIAL, **changes)) == word  # type: ignore[arg-type]


def test_why_agrees_when_it_says_what_the_wire_says() -> None:
    assert agrees(TRIAL)
    assert not agrees(replace(TRIAL, why="undetermined"))
    assert not agrees(replace(TRIAL, quiet=True))


def test_the_summary_counts() -> None:
    rows = [TRIAL, replace(TRIAL, named=(False,), mended=False, rounds=0), replace(TRIAL, quiet=True, verdict="reachable", why="reachable")]
    rows.append(replace(TRIAL, harmed=("red 10.0.0.1",), seconds=3.0))
    table = {line[:52].strip(): line[53:] for line in summary(rows)}
    assert table["trials in which something broke"] == "3"
    assert table["changed object named first"] == "2 of 3 (67%)"
    assert table["misleading"] == "1 of 3 (33%)"
    assert table["mended by the first fix as printed, of all"] == "2 of 3 (67%)"
    assert table["... and everything else that worked works again"] == "1 of 3 (33%)"
    assert table["cries of wolf"] == "0"
    assert table["seconds, median and worst"] == "0.20 s, 3.00 s"


def test_the_misses_are_grouped_and_can_be_repeated() -> None:
    wrong = replace(TRIAL, named=(False,), mended=False, code="no-route")
    told = "\n".join(misses([TRIAL, wrong, replace(wrong, draw_text="--seed 1 --only 7"), Lost(9, "no attempt came to anything")]))
    assert "misleading: link-down -> no-route (2)" in told
    assert "--seed 1 --only 7" in told
    assert "lost 9" in told
    assert told.count("--only 0") == 1


def test_of_two_changes_both_must_be_found() -> None:
    two = replace(TRIAL, kinds=("link-down", "link-mtu"), named=(True, False), listed=(False, True), met=(True, True), along=(False, False))
    one = replace(two, listed=(False, False), met=(True, False), rounds=0, repair="open")
    told = list(summary_of_doubles([two, one, replace(two, listed=(False, False), rounds=2)]))
    assert told[2].endswith("1 of 3 (33%)")
    assert told[3].endswith("2 of 3 (67%)")
    assert "of two: one found, not mended (open): link-down + link-mtu -> link-admin-down (1)" in "\n".join(misses([two, one]))
    went = replace(one, rounds=2, along=(False, True))
    told = list(summary_of_doubles([went, replace(went, rounds=0), two]))
    assert told[3].endswith("1 of 3 (33%)")
    assert told[4].endswith("2 of 3 (67%)")


def test_what_went_with_one_of_two_misleads_nobody_where_all_is_mended_after_it() -> None:
    """A renamed interface loses its IPv6 address; giving that back mends one of two, and the flow works after both."""
    alone = replace(TRIAL, named=(False,), listed=(False,), met=(False,), along=(True,), mended=False, rounds=2)
    two = replace(
        alone, kinds=("link-renamed", "link-down"), named=(False, False), listed=(False, False), met=(False, True), along=(True, False)
    )
    assert outcome(two) == "another repair"
    assert outcome(replace(two, rounds=0)) == "misleading"
    assert outcome(replace(two, along=(False, False))) == "misleading"
    assert outcome(alone) == "misleading"


def test_the_page_keeps_what_is_not_ours_and_takes_the_new_section() -> None:
    new = "\n".join(section([TRIAL], [], [], 4, "here"))
    once = put_into("# Accuracy\n\ntext\n", new)
    assert once.startswith("# Accuracy\n\ntext\n\n## One object at random\n")
    assert put_into(once, new) == once
    assert put_into("# Accuracy\n\ntext" + kept_from(once), new) == once
    assert kept_from("# Accuracy\n") == ""
    assert "| changed object named first | 1 of 1 (100%) |" in new
    assert "| links | 1 | 1 | 1 |" in new


def test_a_draw_repeats_and_another_index_is_another() -> None:
    assert draw(5, 3, 2) == draw(5, 3, 2)
    assert len({(draw(5, index, 0).setting.name, draw(5, index, 0).family) for index in range(60)}) > 30
    assert {draw(5, index, 0).family for index in range(400)} == set(FAMILIES)


def test_the_settings_are_distinct() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        assert len(set(setting.flows)) == len(setting.flows) > 3
        assert {one.source for one in setting.flows} <= {"host", *setting.spaces}


def test_rare_objects_are_looked_for_where_they_are() -> None:
    assert set().union(*_RARE.values()) <= {setting.name for setting in SETTINGS}
    drawn = [draw(5, index, 0) for index in range(400)]
    assert {each.setting.name for each in drawn if each.family == "sets"} == set(_RARE["sets"])
    assert {each.setting for each in drawn} == set(SETTINGS)


def test_differences_are_lines_that_came_and_went() -> None:
    assert list(differences({"red": "a\nb\n"}, {"red": "b\nc\n"})) == ["red: - a", "red: + c"]


def test_what_moves_by_itself_is_no_difference() -> None:
    early, late = ("2: eth0@if3: <BROADCAST,UP{}> mtu 1500 state {} x expires {} y".format(*each) for each in (
        (",LOWER_UP", "UP", "12sec"), ("", "LOWERLAYERDOWN", "9sec")))  # fmt: skip
    assert _MOVES.sub("", early) == _MOVES.sub("", late)
    assert _MOVES.sub("", early) != _MOVES.sub("", early.replace("1500", "1400"))


def test_what_is_missing_leaves_out_a_links_own_line() -> None:
    before = "LINKS\n2: eth0\nROUTES\ndefault via 10.0.0.1\n"
    assert _missing(before, "LINKS\n9: eth0\nROUTES\n") == ["default via 10.0.0.1"]


def test_a_change_that_takes_another_along_is_no_second_one() -> None:
    looks = [{"a": "addr 1\n"}, {"a": "addr 1\nneigh 2 PERMANENT\n"}, {"a": ""}]
    assert not all_stand(looks)
    assert all_stand([*looks[:2], {"a": "neigh 2 PERMANENT\n"}])
    assert all_stand([{"a": "route 1\nroute 2\n"}, {"a": "route 2\n"}, {"a": ""}])
    looks = [{"a": "2: eth0: up\ndefault dev eth0 \n"}, {"a": "2: eth0: up\n"}, {"a": ""}]
    assert not all_stand(looks)  # the interface goes, and the route would have gone with it
    assert all_stand([*looks[:2], {"a": "2: eth0: down\n"}])


def test_a_server_that_hears_one_device_knows_its_sockets_still() -> None:
    """It would end at its first question otherwise, which is another fault than the one that was made."""
    with patch.object(socket, "socket", deaf("lo")), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        assert isinstance(opened, socket.socket)
        assert opened.getsockopt(socket.SOL_SOCKET, 25, 16).rstrip(b"\0") == b"lo"


def test_what_was_changed_is_known_by_the_new_name_of_its_interface() -> None:
    dropped = Mutation("bpf-drops", (), (), (known("pc", "tc-filter", "eth0"), known("pc", "qdisc", "10.0.0.2/24 dev eth0")))
    renamed = Mutation("link-renamed", (), (), (known("pc", "link", "eth0"),), renamed=("pc", "eth0", "new9"))
    cause = said("filtered-by-tc", "pc", "tc-filter", "new9 ingress")
    assert not dropped.is_named_by(cause)
    assert dropped.behind([dropped, renamed]).is_named_by(cause)
    assert not dropped.behind([replace(renamed, renamed=("red", "eth0", "new9"))]).is_named_by(cause)


@pytest.mark.parametrize(("name", "below"), [("host", {"link": "eth0"}), ("nas", {"link_index": 7})])
def test_a_macvlan_is_made_again_on_the_interface_below_however_ip_names_it(name: str, below: dict[str, object]) -> None:
    """By its name in the same namespace, by its index in another one."""
    link = {
        "ifname": "shim",
        "address": "02:00:00:00:00:09",
        "mtu": 1500,
        "linkinfo": {"info_kind": "macvlan", "info_data": {"mode": "bridge"}},
    }
    sight = Sight(("host", "nas"))
    with patch.object(Sight, "links", [("host", {"ifname": "lo", "ifindex": 1}), ("host", {"ifname": "eth0", "ifindex": 7}), (name, link)]):
        made = remade(sight, name, {**link, **below})
    assert "link add link eth0 name shim" in str(made[0])


def test_who_can_ask_whom_by_arp() -> None:
    """The stations of a bridge ask each other and it; a macvlan and its parent do not hear each other."""
    red = Veth(Interface("red", "eth0", ("10.0.0.2/32",)), Interface("host", "veth0", master="br0"))
    blue = Veth(Interface("blue", "eth0", ("10.0.0.3/16",)), Interface("host", "veth1", master="br0"))
    pc = Veth(Interface("pc", "eth0", ("10.0.0.4/16",)), Interface("host", "eth0", ("10.0.0.5/16",)))
    links = (
        LabBridge(Interface("host", "br0", ("10.0.0.1/16",))),
        red,
        blue,
        pc,
        LabMacvlan(Interface("tv", "eth0", ("10.0.0.6/16",)), "eth0"),
    )
    asked = [str(each) for each in questions(Topology(("red", "blue", "pc", "tv"), links))]
    beside_the_bridge = ["host 10.0.0.2 by br0", "host 10.0.0.3 by br0", "red 10.0.0.1 by eth0", "red 10.0.0.3 by eth0"]
    assert asked[:4] == beside_the_bridge
    assert {each for each in asked if each.startswith(("pc", "tv"))} == {
        "pc 10.0.0.5 by eth0",
        "pc 10.0.0.6 by eth0",
        "tv 10.0.0.4 by eth0",
    }

"""The map of a lab is right edge by edge, compared with what iproute2 says in each namespace; names are texts in every format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wired
from asking import Done, ask, ask_program, once

from netprobe.lab.lab import Lab
from netprobe.lab.topology import (
    Interface,
    LabBridge,
    LabFdbEntry,
    LabMacvlan,
    LabRoute,
    LabVxlan,
    Rules,
    Sysctl,
    Topology,
    Veth,
)

pytestmark = pytest.mark.lab

NAT = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.18.0.0/16 ! -o front -j MASQUERADE
-A POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER ! -i front -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80
COMMIT
"""
SNAT = """table ip own {
  chain post {
    type nat hook postrouting priority 100;
    ip saddr 172.19.0.0/16 oifname "eth0" snat to 203.0.113.2
  }
}
"""
RESOLVER = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER_OUTPUT - [0:0]
:DOCKER_POSTROUTING - [0:0]
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:42081
-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport 42081 -j SNAT --to-source :53
COMMIT
"""
OTHERS = """table ip t {
  chain c {
    type nat hook postrouting priority 100;
    ip daddr != 127.0.0.11 masquerade
  }
}
"""
NETWORK = Topology(
    namespaces=("c1", "c2", "db", "inner", "node2", "far", "internet", "lan", "alone"),
    links=(
        LabBridge(Interface("host", "front", ("172.18.0.1/16", "fd00:18::1/64"))),
        LabBridge(Interface("host", "back", ("172.19.0.1/16",))),
        Veth(Interface("c1", "eth0", ("172.18.0.2/16", "fd00:18::2/64")), Interface("host", "veth1", master="front")),
        Veth(Interface("c2", "eth0", ("172.18.0.3/16",)), Interface("host", "veth2", master="front")),
        Veth(Interface("db", "eth0", ("172.18.0.99/16",)), Interface("host", "vdb0", master="front")),
        Veth(Interface("db", "eth1", ("172.19.0.2/16",)), Interface("host", "vdb1", master="back")),
        Veth(Interface("inner", "eth0", ("10.9.0.2/24",)), Interface("c2", "in", ("10.9.0.1/24",))),
        Veth(Interface("host", "eth0", ("203.0.113.2/24",)), Interface("internet", "eth0", ("203.0.113.1/24",))),
        Veth(Interface("host", "eth1", ("10.0.0.1/24",)), Interface("node2", "eth0", ("10.0.0.2/24",))),
        Veth(Interface("host", "a"), Interface("host", "b", up=False)),
        LabVxlan(Interface("host", "vxlan42", master="front"), 42, "10.0.0.1", "10.0.0.2", underlay="eth1"),
        LabBridge(Interface("node2", "br0", ("172.18.0.254/16",))),
        LabVxlan(Interface("node2", "vxlan42", master="br0"), 42, "10.0.0.2", "10.0.0.1", underlay="eth0"),
        LabVxlan(Interface("node2", "vxlan43"), 43, "10.0.0.2", "10.0.0.1"),
        LabVxlan(Interface("host", "vxlan50"), 50, "10.0.0.1"),
        LabVxlan(Interface("node2", "vxlan50"), 50, "10.0.0.2"),
        Veth(Interface("far", "eth0", ("172.18.0.200/16",)), Interface("node2", "p1", master="br0")),
        LabMacvlan(Interface("lan", "eth0", ("203.0.113.77/24",)), "eth0"),
    ),
    routes=(
        LabRoute("host", via="203.0.113.1"), LabRoute("c1", via="172.18.0.1"), LabRoute("c2", via="172.18.0.1"),
        LabRoute("inner", via="10.9.0.1"), LabRoute("db", via="172.19.0.1"),
    ),
    fdb=(
        LabFdbEntry("host", "vxlan50", "00:00:00:00:00:00", "10.0.0.2"),
        LabFdbEntry("node2", "vxlan50", "00:00:00:00:00:00", "10.0.0.1"),
    ),
    sysctls=(Sysctl("host", "net.ipv4.ip_forward", "1"),),
    rules=(
        Rules("host", "iptables", NAT), Rules("host", "nft", SNAT), Rules("c1", "iptables", RESOLVER), Rules("c2", "iptables", RESOLVER),
        Rules("c2", "nft", OTHERS),
    ),
)  # fmt: skip
NAMES = ["host", *NETWORK.namespaces]


@pytest.fixture
def network(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab(NETWORK)


def runner(lab: Lab) -> wired.Run:
    return lambda name, argv: lab.run(argv, namespace=name, check=True).stdout


def told(done: Done) -> dict[str, Any]:
    assert (done.code, done.stderr) == (0, ""), done.told
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def space(found: dict[str, Any], name: str) -> dict[str, Any]:
    [one] = [each for each in found["spaces"] if each["name"] == name]
    return dict(one)


def test_edge_by_edge(network: Lab) -> None:
    links, numbers = wired.looked_at(runner(network), NAMES, "host")
    found = told(ask(network, "map", "-o", "json"))
    after, numbers_after = wired.looked_at(runner(network), NAMES, "host")
    assert (wired.edges(after, numbers_after), wired.addresses(after)) == (wired.edges(links, numbers), wired.addresses(links))
    assert numbers_after == numbers, "it gave a namespace a number"
    assert {each["name"] for each in found["spaces"]} == set(NAMES)
    truth = wired.edges(links, numbers)
    assert wired.of_map(found) == truth
    assert {kind for kind, _ in truth} == {"cable", "port", "on"}
    assert wired.of_map(found, "tunnel") == {
        ("tunnel", frozenset(("host/vxlan42", "node2/vxlan42"))), ("tunnel", frozenset(("host/vxlan50", "node2/vxlan50"))),
    }  # fmt: skip
    assert wired.addresses_of_map(found) == wired.addresses(links)
    assert {end: each["up"] for end, each in interfaces(found).items()} == {
        f"{name}/{link['ifname']}": "UP" in link["flags"] for name, those in links.items() for link in those
    }
    default_routes(network, found)
    translation(found)
    cut(network, truth)
    as_text(network)
    with_a_path(network)


def interfaces(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{each['name']}/{one['name']}": one for each in found["spaces"] for one in each["interfaces"]}


def default_routes(lab: Lab, found: dict[str, Any]) -> None:
    shown = {end: [hop["via"] for hop in each["gateways"]] for end, each in interfaces(found).items() if each["gateways"]}
    truth: dict[str, list[str]] = {}
    for name in NAMES:
        for route in json.loads(lab.run(["ip", "-j", "route", "show", "default"], namespace=name, check=True).stdout or "[]"):
            truth.setdefault(f"{name}/{route['dev']}", []).append(route["gateway"])
    assert shown == truth
    assert interfaces(found)["c1/eth0"]["gateways"] == [{"via": "172.18.0.1", "namespace": "host"}]
    assert interfaces(found)["host/eth0"]["gateways"] == [{"via": "203.0.113.1", "namespace": "internet"}]


def translation(found: dict[str, Any]) -> None:
    rules = {(each["kind"], each["source"], each["out"], each["service"], each["to"], *each["inside"], *each["leaves"])
             for each in space(found, "host")["translations"]}  # fmt: skip
    assert rules == {
        ("MASQUERADE", "172.18.0.0/16", "!front", "", "", "front", "eth0"),
        ("SNAT", "172.19.0.0/16", "eth0", "", "203.0.113.2", "back", "eth0"),
        ("DNAT", "", "", "tcp 8080", "172.18.0.2:80", "eth0", "front"),
    }
    elsewhere = {each["name"]: each["translations"] for each in found["spaces"] if each["translations"] and each["name"] != "host"}
    assert {name: [(rule["kind"], rule["destination"]) for rule in rules] for name, rules in elsewhere.items()} == {
        "c2": [("MASQUERADE", "!127.0.0.11")],
    }  # fmt: skip


def cut(lab: Lab, truth: set[wired.Edge]) -> None:
    """With endpoints there is what is connected with them, and the way out."""
    of_inner = told(ask(lab, "map", "inner", "-o", "json"))
    names = {each["name"] for each in of_inner["spaces"]}
    assert names == {"inner", "c2", "host", "c1", "db", "node2", "far", "internet", "lan"}
    ends = set(interfaces(of_inner))
    assert {"inner/eth0", "c2/in", "c2/eth0", "host/front", "host/eth0"} < ends
    assert not {"host/back", "host/vdb1", "db/eth1", "host/a", "host/lo"} & ends
    assert wired.of_map(of_inner) == {(kind, both) for kind, both in truth if both <= ends}
    assert [each["kind"] for each in space(of_inner, "host")["translations"]] == ["DNAT", "MASQUERADE"]
    assert {each["name"] for each in told(ask(lab, "map", "alone", "-o", "json"))["spaces"]} == {"alone"}
    assert {each["name"] for each in told(ask(lab, "map", "db/eth1", "-o", "json"))["spaces"]} == {"db", "host", "internet", "lan"}
    assert told(ask(lab, "map", "203.0.113.77", "-o", "json"))["asked"] == ["203.0.113.77"]
    wrong = ask(lab, "map", "198.51.100.77")
    assert wrong.code == 2
    assert "no namespace that can be seen has the address 198.51.100.77" in wrong.stderr


def as_text(lab: Lab) -> None:
    shown = ask(lab, "map").stdout
    for line in ("├─ veth1  ── c1/eth0  172.18.0.2/16  fd00:18::2/64  netns", "lan/eth0  macvlan mode bridge  203.0.113.77/24",
                 "back  bridge  172.19.0.1/16", "DNAT tcp 8080 → 172.18.0.2:80 from any but front (eth0)", "tunnel to node2/vxlan42",
                 "alone  netns  no interface besides lo"):  # fmt: skip
        assert line in shown, shown


def with_a_path(lab: Lab) -> None:
    done = ask(lab, "map", "--highlight", "c1", "203.0.113.1", "-o", "json")
    path = told(done)["path"]
    ends = [f"{each['namespace']}/{each['interface']}" for each in path["ends"]]
    assert ends == ["c1/eth0", "host/veth1", "host/front", "host/eth0", "internet/eth0"]
    assert (path["verdict"], path["stop"]) == ("reachable", None)
    lab.run(["ip", "link", "set", "veth1", "down"], check=True)
    path = told(ask(lab, "map", "--highlight", "c1", "203.0.113.1", "-o", "json"))["path"]
    assert path["verdict"] == "unreachable"
    assert path["stop"]["interface"] in ("veth1", "eth0")
    assert re.search(r"c1 → 203\.0\.113\.1: unreachable \[[a-z-]+\]", ask(lab, "map", "--highlight", "c1", "203.0.113.1").stdout)


@once
def test_formats_and_options(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(NETWORK)
    assert ask(lab, "map", "-o", "svg").stdout.startswith("<svg ")
    assert ask(lab, "map", "-o", "html").stdout.startswith("<!DOCTYPE html>")
    assert ask(lab, "map", "-o", "dot").stdout.startswith("graph wiring {")
    assert ask(lab, "map", "-o", "mermaid", "--all").stdout.startswith("flowchart LR\n")
    without = told(ask(lab, "map", "--exclude", "c1", "-o", "json"))
    assert "c1" not in {each["name"] for each in without["spaces"]}
    assert interfaces(without)["host/veth1"]["unseen"]
    assert ask(lab, "map", "nobody").code == 2
    assert ask(lab, "map", "--highlight", "c1", "nobody.invalid").code in (2, 3)


@once
def test_the_page_shows_what_is_printed(lab: Lab) -> None:
    page = (Path(__file__).parents[2] / "docs/map.md").read_text()
    [shown] = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert ask_program(lab, "map", environment={"COLUMNS": "100"}).stdout == shown


@once
def test_the_picture_of_the_page_is_what_is_drawn(fresh_lab: Lab) -> None:
    """Made by `netprobe map --highlight red 8.8.8.8 -o svg --out docs/map.svg`, where the fault forward-drop is."""
    fresh_lab.inject("forward-drop")
    drawn = ask(fresh_lab, "map", "--highlight", "red", "8.8.8.8", "-o", "svg").stdout
    assert drawn == (Path(__file__).parents[2] / "docs/map.svg").read_text()


@once
@pytest.mark.thorough
def test_three_hundred_on_a_bridge(make_lab: Callable[..., Lab]) -> None:
    """Edge by edge as few of them are, and readable all the same."""
    links = (
        LabBridge(Interface("host", "front", ("10.0.0.1/16",))),
        *(Veth(Interface(f"c{n}", "eth0"), Interface("host", f"veth{n}", master="front")) for n in range(1, 301)),
    )
    lab = make_lab(Topology(namespaces=tuple(f"c{n}" for n in range(1, 301)), links=links))
    found = told(ask_program(lab, "map", "-o", "json"))
    assert wired.of_map(found) == {
        *(("cable", frozenset((f"c{n}/eth0", f"host/veth{n}"))) for n in range(1, 301)),
        *(("port", frozenset((f"host/veth{n}", "host/front"))) for n in range(1, 301)),
    }
    shown = ask(lab, "map").stdout
    assert "   └─ 297 more of front (c4 … c300)" in shown
    assert len(shown.splitlines()) < 10
    assert "c299/eth0" in ask(lab, "map", "c299").stdout


HOSTILE = ["e;id>pwn", "$(id>pwn)", "-x", "e\x1b[m;x", '"]-->x[', "<b>&amp;", "a\\nb", "\\N", "{{x}}", "\u202e;id"]


@once
def test_hostile_interfaces(make_lab: Callable[..., Lab]) -> None:
    """Names that the kernel allows, and aliases, are texts in every format."""
    lab = make_lab(Topology(namespaces=("red",), links=tuple(Veth(Interface("red", name), Interface("host", f"p{n}"))
                                                             for n, name in enumerate(HOSTILE))))  # fmt: skip
    lab.run(["ip", "link", "set", "dev", "p0", "alias", '"]; a -> b <script>\x1b[2J'], check=True)
    found = told(ask(lab, "map", "-o", "json"))
    assert {each["name"] for each in space(found, "red")["interfaces"]} - {"lo"} == set(HOSTILE)
    for output in ("text", "svg", "html", "dot", "mermaid", "json"):
        shown = ask(lab, "map", "-o", output).stdout
        assert "\x1b" not in shown
        assert "<script" not in shown or output in ("text", "dot", "json")
        assert all(line.isprintable() for line in shown.splitlines())


@once
def test_what_a_question_opened_is_called_as_before(make_lab: Callable[..., Lab]) -> None:
    """A map with a path asks first: what that opened is listed by who has its name, and by nothing that nobody can type."""
    lab = make_lab(NETWORK)
    plain, after = (told(ask(lab, "map", "-o", "json", *words)) for words in ((), ("--highlight", "c1", "internet")))
    assert after["path"]["verdict"] == "reachable"
    assert plain["spaces"] == after["spaces"]

"""A file becomes values: scalars stay the text that was written, lists and groups become pairs."""

from __future__ import annotations

from netprobe.expectations.expectation import Expectation
from netprobe.expectations.read import expectations
from netprobe.question import Question

CODES = ("port-closed", "filtered-by-rule")


def read(text: str) -> list[Expectation]:
    return list(expectations(text.encode(), "net.yaml", CODES))


def pairs(text: str) -> list[tuple[str, str]]:
    return [(each.question.source, each.question.destination) for each in read(text)]


def test_what_is_not_said_is_as_on_the_command_line() -> None:
    [found] = read("expect:\n- {from: red, to: 8.8.8.8}\n")
    assert found.question == Question("red", "8.8.8.8", "ping")
    assert (str(found.at), found.reachable, found.wanted) == ("net.yaml:2:3", True, "reachable")


def test_scalars_are_text() -> None:
    assert pairs("expect:\n- {from: [no, 1e3, 08, 0x10, 2026-11-28, 'null'], to: [on]}\n") == [
        (name, "on") for name in ("no", "1e3", "08", "0x10", "2026-11-28", "null")
    ]


def test_lists_and_groups_make_pairs_without_one_with_itself() -> None:
    text = "endpoints: {web: docker:web}\ngroups: {front: [web, b], all: [front, c]}\nexpect:\n- {from: front, to: [all, docker:web]}\n"
    assert pairs(text) == [("docker:web", "b"), ("docker:web", "c"), ("b", "docker:web"), ("b", "c")]


def test_each_port_is_asked() -> None:
    found = read("expect:\n- {from: a, to: b, protocol: udp, port: [53, 123]}\n")
    assert [(each.question.protocol, each.question.port, each.asked) for each in found] == [
        ("udp", 53, "a → b udp 53"), ("udp", 123, "a → b udp 123"),
    ]  # fmt: skip


def test_every_key_of_an_expectation() -> None:
    [found] = read("""
endpoints: {gw: host}
expect:
- name: out
  from: red
  to: 8.8.8.8
  is: reachable
  protocol: icmp
  ip: 4
  size: 1400
  df: true
  count: 3
  nat: {source: 203.0.113.2, destination: "[2001:db8::1]:80"}
  via: [gw, internet/eth0]
  max_rtt: 5ms
""")
    assert found.question == Question("red", "8.8.8.8", "ping", "icmp", version=4, size=1400, df=True, count=3)
    assert (found.name, found.via, found.max_rtt_ns) == ("out", ("host", "internet/eth0"), 5_000_000)
    assert (found.nat_source, found.nat_destination, found.untranslated) == ("203.0.113.2", "[2001:db8::1]:80", False)


def test_what_blocks() -> None:
    [found] = read("expect:\n- {from: a, to: b, is: blocked, cause: filtered-by-rule, by: iptables filter FORWARD 1}\n")
    assert (found.reachable, found.cause, found.by) == (False, "filtered-by-rule", "iptables filter FORWARD 1")
    assert found.wanted == "blocked by iptables filter FORWARD 1"


def test_arping() -> None:
    [found] = read("expect:\n- name: one c2\n  arping: {from: c1, to: c2, unique: true, mac: 02:42:ac:11:00:03}\n")
    assert found.question == Question("c1", "c2", "arping", "arp")
    assert (found.name, found.unique, found.mac, found.wanted) == ("one c2", True, "02:42:ac:11:00:03", "answered by one station")


def test_the_protocol_that_is_asked_is_said() -> None:
    found = read("expect:\n- {from: a, to: ['b:80', 'b:53/udp', b]}\n")
    assert [each.protocol for each in found] == ["tcp", "udp", "icmp"]

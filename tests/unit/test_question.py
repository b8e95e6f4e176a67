"""Options that do not go together are errors with the right command; none is taken and ignored."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal, get_args

import click
import pytest
from msgspec.structs import replace

from netprobe.cli import run_line
from netprobe.cli.parameters import EXPECT, PROBE, FirewallMark
from netprobe.errors import WrongQuestion
from netprobe.model import Endpoint, Protocol
from netprobe.model import protocol as protocols
from netprobe.question import Question, check_options, check_port, check_source, check_target, check_version
from netprobe.session import question as of_options

ASKED = Question("red", "8.8.8.8")


@pytest.mark.parametrize(
    ("source", "options", "why", "hint"),
    [
        (Endpoint("red:80", "red", port=80), {}, "a source has no port", "--source-port 80"),
        (Endpoint("red/udp", "red", protocol="udp"), {}, "a source has no port or protocol", "-p udp"),
        (Endpoint("red@10.0.0.2", "red", address="10.0.0.2"), {"source_address": "10.0.0.9"}, "10.0.0.2.*10.0.0.9", "one of them"),
    ],
)
def test_a_source(source, options, why, hint):
    with pytest.raises(WrongQuestion, match=why) as error:
        check_source(replace(ASKED, source=source.endpoint, **options), source)
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("target", "options", "why"),
    [
        (Endpoint("8.8.8.8:81", address="8.8.8.8", port=81), {"port": 80}, "says 81, -P says 80"),
        (Endpoint("8.8.8.8:81/udp", address="8.8.8.8", port=81, protocol="udp"), {"protocol": "tcp"}, "says udp, -p says tcp"),
    ],
)
def test_a_destination(target, options, why):
    with pytest.raises(WrongQuestion, match=why):
        check_target(replace(ASKED, destination=target.endpoint, **options), target)


@pytest.mark.parametrize(
    ("protocol", "options", "port", "why", "hint"),
    [
        (Protocol.ICMP, {"destination": "8.8.8.8:80"}, 80, "ICMP has no ports", "netprobe trace red 8.8.8.8:80 -p tcp"),
        (Protocol.ICMP, {"destination": "c1:80/icmp"}, 80, "ICMP has no ports", "netprobe trace red c1:80 -p tcp"),
        (Protocol.ICMPV6, {"port": 80}, 80, "ICMPv6 has no ports", "netprobe trace red 8.8.8.8 -p tcp -P 80"),
        (Protocol.ARP, {"port": 80}, 80, "ARP has no ports", "-p tcp -P 80"),
        (Protocol.ICMP, {"source_port": 1024}, None, "--source-port has no meaning for ICMP", "UDP or TCP"),
        (Protocol.TCP, {"size": 100}, 80, "--size has no meaning for TCP", "ICMP or UDP"),
        (Protocol.TCP, {"size": 0}, 80, "--size has no meaning for TCP", "ICMP or UDP"),
        (Protocol.ARP, {"ttl": 3}, None, "--ttl has no meaning for ARP", "ICMP, UDP or TCP"),
        (Protocol.ND, {"df": False}, None, "--df has no meaning for neighbour discovery", "ICMP, UDP or TCP"),
    ],
)
def test_an_option_that_the_protocol_has_no_use_for(protocol, options, port, why, hint):
    with pytest.raises(WrongQuestion, match=why) as error:
        check_options(replace(ASKED, **options), protocol, port)
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("protocol", "options", "port"),
    [
        (Protocol.ICMP, {"size": 1400, "ttl": 3, "df": True}, None),
        (Protocol.UDP, {"size": 8, "source_port": 1024, "port": 53}, 53),
        (Protocol.TCP, {"source_port": 1024, "df": True, "ttl": 9}, 443),
        (Protocol.ARP, {"count": 3, "mark": 5}, None),
    ],
)
def test_what_goes_together(protocol, options, port):
    check_options(replace(ASKED, **options), protocol, port)
    check_source(replace(ASKED, source_address="10.0.0.2"), Endpoint("red@10.0.0.2", "red", address="10.0.0.2"))
    check_target(replace(ASKED, port=80, protocol="tcp"), Endpoint("8.8.8.8:80/tcp", address="8.8.8.8", port=80, protocol="tcp"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("trace -4 -6 red 8.8.8.8", "-4 and -6 contradict each other"),
        ("trace --no-witness red 8.8.8.8", "no such option"),
        ("trace -o yaml red 8.8.8.8", "'yaml' is not one of"),
        ("trace --zone red 8.8.8.8", "no such option --zone"),
        ("arping --ttl 3 red 8.8.8.8", "no such option --ttl; did you mean --out"),
        ("trace -c x red 8.8.8.8", "'x' is not a number"),
        ("trace --mark 0x100000000 red 8.8.8.8", "is not in the range"),
        ("trace -w run.pcapng --captures folder red 8.8.8.8", "-w and --captures are two places"),
        ("trace -w run.pcapng --out ./run.pcapng red 8.8.8.8", "-w and --out name the same file"),
        ("explain --list no-route", "--list and CODE contradict"),
        ("demo --list --shell", "--list and --shell contradict"),
        ("demo --list --break no-masquerade", "--list and --break contradict"),
        ("--host red explain no-route", "--host has no meaning for explain"),
        ("--tool-path /usr/sbin show FILE", "--tool-path has no meaning for show"),
        ("trace red", "missing argument 'DST[:PORT]'"),
        ("completion", "missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish"),
        ("trace -i soon red 8.8.8.8", "'soon' is not a duration"),
        ("trace -W 0 red 8.8.8.8", "'0' leaves no time for an answer"),
        ("ping -W 0ms red 8.8.8.8", "'0ms' leaves no time for an answer"),
    ],
)
def test_the_command_line_says_so_in_one_voice(capsys, line, why):
    assert run_line(line.split()) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("netprobe: ")
    assert why in said[0]
    assert len(said) <= 2


@pytest.mark.parametrize(
    "line", ["trace red 8.8.8.8 --out", "trace red 8.8.8.8 -w", "ls --out", "demo --break", "explain -o", "why a b -P"]
)
def test_an_option_without_its_value_leads_to_the_page_of_its_command(capsys, line):
    assert run_line(line.split()) == 2
    said = capsys.readouterr().err
    assert "requires an argument" in said
    assert said.splitlines()[1] == f"  What can be written: netprobe {line.split()[0]} --help"


def test_a_mark_is_written_as_the_tools_print_it():
    assert [FirewallMark(0, 0xFFFFFFFF).convert(text, None, None) for text in ("16", "0x10", "0XfF")] == [16, 16, 255]


def test_an_earlier_run_is_no_part_of_the_question() -> None:
    assert of_options("trace", "red", "8.8.8.8", {"since": "good.pcapng"}) == Question("red", "8.8.8.8")


def test_the_options_know_the_protocols_of_the_table() -> None:
    """They name them themselves: `--help` loads no model."""
    assert [*get_args(protocols.Word)] == [*protocols.ASKED]
    for options, words in ((PROBE, [*protocols.ASKED]), (EXPECT, [*protocols.ASKED_FAR])):
        command = click.Command("ask")
        for decorate in options:
            decorate(command)
        [protocol] = (each for each in command.params if each.name == "protocol")
        assert isinstance(protocol.type, click.Choice)
        assert [*protocol.type.choices] == words


@pytest.mark.parametrize(
    ("asked", "address", "wrong"),
    [(None, "::1", None), (4, "8.8.8.8", None), (6, "::1", None), (6, "8.8.8.8", "8.8.8.8 is an IPv4"), (4, "::1", "::1 is an IPv6")],
)
def test_an_address_of_the_other_ip_version(asked: Literal[4, 6] | None, address: str, wrong: str | None) -> None:
    with pytest.raises(WrongQuestion, match=wrong) if wrong else nullcontext():
        check_version(replace(ASKED, version=asked), address)


@pytest.mark.parametrize(
    ("protocol", "port", "is_wrong"), [("tcp", None, True), ("udp", None, True), ("tcp", 80, False), ("icmp", None, False)]
)
def test_a_protocol_with_ports_needs_one(protocol: str, port: int | None, is_wrong: bool) -> None:
    with pytest.raises(WrongQuestion, match=f"{protocol.upper()} needs a port") if is_wrong else nullcontext():
        check_port(ASKED, Protocol(protocol), port)

"""The grammar of endpoints, by table and by generated text."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.endpoint import KINDS, PROTOCOLS, Named, check_pair, parse, source_address
from netprobe.errors import WrongQuestion
from netprobe.model import Protocol


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red", {"name": "red"}),
        ("host", {"name": "host"}),
        ("1e5", {"name": "1e5"}),
        ("--help", {"name": "--help"}),
        ("-4", {"name": "-4"}),
        ("123", {"name": "123"}),
        ("a name", {"name": "a name"}),
        ("\x1b[31mred", {"name": "\x1b[31mred"}),
        ("r\udce9d", {"name": "r\udce9d"}),
        ("café", {"name": "café"}),
        ("a" * 255, {"name": "a" * 255}),
        ("red:80", {"name": "red", "port": 80}),
        ("red:80/udp", {"name": "red", "port": 80, "protocol": Protocol.UDP}),
        ("docker:80", {"kind": "docker", "name": "80"}),
        ("docker:c1", {"kind": "docker", "name": "c1"}),
        ("netns:red", {"kind": "netns", "name": "red"}),
        ("lxc:a/eth0", {"kind": "lxc", "name": "a", "interface": "eth0"}),
        ("pid:123", {"kind": "pid", "name": "123"}),
        ("pid:123:80", {"kind": "pid", "name": "123", "port": 80}),
        ("pod:default/web", {"kind": "pod", "name": "default/web"}),
        ("pod:default/web/eth0:80", {"kind": "pod", "name": "default/web", "interface": "eth0", "port": 80}),
        ("path:/proc/7/ns/net", {"kind": "path", "name": "/proc/7/ns/net"}),
        ("path:/proc/7/task/9/ns/net/eth0", {"kind": "path", "name": "/proc/7/task/9/ns/net", "interface": "eth0"}),
        ("path:/run/netns/red@10.0.0.2:80", {"kind": "path", "name": "/run/netns/red", "address": "10.0.0.2", "port": 80}),
        ("path:/a file:with@all", {"kind": "path", "name": "/a file:with@all"}),
        ("c1/eth0", {"name": "c1", "interface": "eth0"}),
        ("c1/eth0.100", {"name": "c1", "interface": "eth0.100"}),
        ("c1/a\u3000b", {"name": "c1", "interface": "a\u3000b"}),  # only ASCII's blanks are forbidden (dev_valid_name)
        ("c1/tcp", {"name": "c1", "interface": "tcp"}),
        ("c1/123456789012345", {"name": "c1", "interface": "123456789012345"}),
        ("c1//red", {"name": "c1", "nested": ("red",)}),
        ("c1//red//blue/eth0:9", {"name": "c1", "nested": ("red", "blue"), "interface": "eth0", "port": 9}),
        ("docker:c1//red@10.0.0.2", {"kind": "docker", "name": "c1", "nested": ("red",), "address": "10.0.0.2"}),
        ("c1@10.0.0.2", {"name": "c1", "address": "10.0.0.2"}),
        ("c1@fd00:0:0::2", {"name": "c1", "address": "fd00::2"}),
        ("c1@[fd00::2]:80/tcp", {"name": "c1", "address": "fd00::2", "port": 80, "protocol": Protocol.TCP}),
        ("c1/eth0@10.0.0.2:80", {"name": "c1", "interface": "eth0", "address": "10.0.0.2", "port": 80}),
        ("8.8.8.8", {"ip": "8.8.8.8"}),
        ("8.8.8.8:53", {"ip": "8.8.8.8", "port": 53}),
        ("8.8.8.8/icmp", {"ip": "8.8.8.8", "protocol": Protocol.ICMP}),
        ("10.0.0.5:5432/tcp", {"ip": "10.0.0.5", "port": 5432, "protocol": Protocol.TCP}),
        ("2001:DB8:0::1", {"ip": "2001:db8::1"}),
        ("[2001:db8::1]:443", {"ip": "2001:db8::1", "port": 443}),
        ("[2001:db8::1]", {"ip": "2001:db8::1"}),
        ("[2001:db8::1]/udp", {"ip": "2001:db8::1", "protocol": Protocol.UDP}),
        ("fe80::1%eth0", {"ip": "fe80::1", "interface": "eth0"}),
        ("[fe80::1%eth0]:80", {"ip": "fe80::1", "interface": "eth0", "port": 80}),
        ("c1@fe80::2%eth0", {"name": "c1", "address": "fe80::2", "interface": "eth0"}),
        ("c1/eth0@[fe80::2%eth0]:80", {"name": "c1", "address": "fe80::2", "interface": "eth0", "port": 80}),
        ("example.org", {"name": "example.org"}),
        ("example.org:443", {"name": "example.org", "port": 443}),
    ],
)
def test_what_is_written(text: str, expected: dict[str, object]) -> None:
    assert parse(text) == Named(text, **expected)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "missing"),
        ("a\0b", "no name can have"),
        ("\ud800", "no name can have"),
        (".", "can have that name"),
        ("..", "can have that name"),
        ("a" * 256, "can have that name"),
        ("é" * 128, "can have that name"),
        (":80", "name is missing"),
        ("/eth0", "name is missing"),
        ("@10.0.0.2", "name is missing"),
        ("netns:", "behind the colon"),
        ("pid:one", "not a process id"),
        ("pid:-1", "not a process id"),
        ("path:relative", "begins with a slash"),
        ("pod:web", "name is missing"),
        ("red:http", "not a port"),
        ("red:0", "not a port"),
        ("red:65536", "not a port"),
        ("red:٣", "not a port"),
        ("foo:bar", "kind"),
        ("red:80:81", "not a port"),
        ("red:80/sctp", "not a protocol"),
        ("c1/", "name of an interface"),
        ("c1/..", "name of an interface"),
        ("c1/1234567890123456", "name of an interface"),
        ("c1/a b", "name of an interface"),
        ("c1//", "behind //"),
        ("c1//..", "can have that name"),
        ("c1@", "source address"),
        ("c1@red", "source address"),
        ("c1:80@10.0.0.2", "port stands last"),
        ("8.8.8.8/24", "that is a network"),
        ("::/0", "that is a network"),
        ("8.8.8.256", "not an IP address"),
        ("8.8.8.8:", "not a port"),
        ("8.8.8.8:53/tcp/x", "not a protocol"),
        ("[::1", "not closed"),
        ("[red]:80", "not an IP address"),
        ("[::1]80", "does not belong"),
        ("http://example.org/x", "URL"),
        ("8.8.8.8%eth0", "link-local address only"),
        ("2001:db8::1%eth0", "link-local address only"),
        ("169.254.0.1%eth0", "link-local address only"),
        ("fe80::1%", "name of an interface"),
        ("fe80::1%a/b", "name of an interface"),
        ("fe80::1%1234567890123456", "name of an interface"),
        ("c1@10.0.0.2%eth0", "link-local address only"),
        ("c1/eth0@fe80::2%eth1", "two interfaces"),
        ("c1/eth 0", "cannot be the name of an interface"),
    ],
)
def test_what_cannot_be_meant(text: str, why: str) -> None:
    with pytest.raises(WrongQuestion, match=why) as caught:
        parse(text)
    assert caught.value.hint.startswith("Write ")


def test_the_hint_is_what_was_meant() -> None:
    for text, instead in (("c1/eth0@if3", "c1/eth0"), ("https://example.org/a", "example.org"), ("10.0.0.0/8", "10.0.0.0")):
        with pytest.raises(WrongQuestion) as caught:
            parse(text)
        assert caught.value.hint == f"Write {instead}"


@pytest.mark.parametrize("text", ["example.org", "example.org:80", "a.b.c.example", "nas.", "localhost", "_srv.example.org"])
def test_may_be_a_host_name(text: str) -> None:
    assert parse(text).may_be_host


@pytest.mark.parametrize(
    "text",
    [
        "red",
        "red/eth0",
        "netns:example.org",
        "example.org//red",
        "a b.c",
        "-.-",
        "example.org@10.0.0.1",
        "é.fr",
        "1.2.3",
        "0x7f.1",
        "1.0x",
        "7f.0X7F",
        "1.",
    ],
)
def test_is_no_host_name(text: str) -> None:
    assert not parse(text).may_be_host


names = st.from_regex(r"[a-zA-Z0-9_.\x1b\udce9 -]{1,40}", fullmatch=True).filter(lambda name: name not in (".", "..") and not _is_ip(name))
interfaces = st.from_regex(r"[a-z][a-z0-9.@-]{0,14}", fullmatch=True).filter(lambda name: "@" not in name)
addresses = st.ip_addresses().map(str)
ports = st.integers(1, 65535)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text.split(".")) == 4 and text.replace(".", "").isdigit()
    return True


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Z", "C"]), max_size=60))
def test_any_text_is_an_endpoint_or_a_wrong_question(text: str) -> None:
    try:
        named = parse(text)
    except WrongQuestion:
        return
    assert bool(named.name) != (named.ip is not None)
    assert named.port is None or 0 < named.port < 65536


@given(
    st.sampled_from([None, *(kind for kind in KINDS if kind not in ("pid", "path", "pod"))]),
    names,
    st.lists(names, max_size=2),
    st.none() | interfaces,
    st.none() | addresses,
    st.none() | ports,
    st.none() | st.sampled_from(list(PROTOCOLS)),
)
def test_parts_come_back(
    kind: str | None, name: str, nested: list[str], interface: str | None, address: str | None, port: int | None, protocol: str | None
) -> None:
    text = f"{kind}:{name}" if kind else name
    text += "".join(f"//{inner}" for inner in nested)
    text += f"/{interface}" if interface else ""
    if address:
        text += f"@[{address}]" if ":" in address and port else f"@{address}"
    if port:
        text += f":{port}" + (f"/{protocol}" if protocol else "")
    found = parse(text)
    assert (found.kind, found.name, found.nested, found.interface, found.address, found.port) == (
        kind, name, tuple(nested), interface, address, port,
    )  # fmt: skip
    assert found.protocol == (protocol if port else None)


@given(addresses, st.none() | ports, st.none() | st.sampled_from(list(PROTOCOLS)))
def test_addresses_come_back(address: str, port: int | None, protocol: str | None) -> None:
    text = f"[{address}]" if ":" in address and port else address
    text += (f":{port}" if port else "") + (f"/{protocol}" if protocol else "")
    assert parse(text) == Named(text, ip=address, port=port, protocol=PROTOCOLS[protocol] if protocol else None)


@pytest.mark.parametrize(
    ("text", "expected"), [("10.0.0.2", ("10.0.0.2", None)), ("FD00::2", ("fd00::2", None)), ("fe80::2%eth0", ("fe80::2", "eth0"))]
)
def test_a_source_address(text: str, expected: tuple[str, str | None]) -> None:
    assert source_address(text) == expected


@pytest.mark.parametrize("text", ["foo", "", "1.2.3", "10.0.0.2/24", "10.0.0.2%eth0", "fe80::2%", "\udcff", "1" * 10_000, "[fd00::2]"])
def test_no_source_address(text: str) -> None:
    with pytest.raises(WrongQuestion):
        source_address(text)


@pytest.mark.parametrize(
    ("source", "destination", "why"),
    [
        (None, "255.255.255.255", "the broadcast address"),
        (None, "224.0.0.1", "a multicast address"),
        (None, "ff02::1", "a multicast address"),
        (None, "0.0.0.0", "the unspecified address"),
        (None, "::", "the unspecified address"),
        (None, "::ffff:1.2.3.4", "1.2.3.4 written as IPv6"),
        ("0.0.0.0", "8.8.8.8", "no packet is sent from it"),
        ("224.0.0.1", "8.8.8.8", "no packet is sent from it"),
        ("255.255.255.255", "8.8.8.8", "no packet is sent from it"),
        ("fd00::1", "8.8.8.8", "one is IPv4 and the other IPv6"),
        ("10.0.0.2", "2001:db8::1", "one is IPv4 and the other IPv6"),
    ],
)
def test_no_packet_goes_between_these(source: str | None, destination: str, why: str) -> None:
    with pytest.raises(WrongQuestion, match=why):
        check_pair(source, destination, destination)


@pytest.mark.parametrize(
    ("source", "destination"), [(None, "8.8.8.8"), ("10.0.0.2", "240.0.0.1"), ("fe80::1", "fe80::2"), (None, "10.0.0.255"), ("::1", "::1")]
)
def test_packets_go_between_these(source: str | None, destination: str) -> None:
    check_pair(source, destination, destination)

"""Sets of ipset(8) by value: each type's dimensions, and what cannot be known."""

from __future__ import annotations

import pytest
from literal_rules import ETH0, PING, WEB, decided, forward, forwarded, iptables
from msgspec.structs import replace

from netprobe.model import Flow, IpSet, IpSetEntry
from netprobe.rules.packet import Fragment

E = IpSetEntry


def ruled(named: IpSet, match: str, flow: Flow = WEB, *more: IpSet) -> str:
    """The verdict on a packet that is dropped where it is in the set `s`."""
    rules = replace(iptables(f"-A FORWARD -m set {match} -j DROP"), ipsets=(named, *more))
    return decided(forward(rules, replace(forwarded(flow), oif=ETH0)))[0]


@pytest.mark.parametrize(
    ("kind", "entry", "sides", "verdict"),
    [
        ("hash:ip", E("8.8.8.8"), "dst", "drop"),
        ("hash:ip", E("8.8.8.8"), "src", "accept"),
        ("hash:ip", E("10.0.0.2"), "src", "drop"),
        ("bitmap:ip", E("8.8.8.1-8.8.8.9"), "dst", "drop"),
        ("bitmap:ip", E("8.8.8.9-8.8.8.19"), "dst", "accept"),
        ("hash:net", E("8.8.0.0/16"), "dst", "drop"),
        ("hash:net", E("8.9.0.0/16"), "dst", "accept"),
        ("hash:ip,port", E("8.8.8.8", ports=(80, 80), protocol=6), "dst,dst", "drop"),
        ("hash:ip,port", E("8.8.8.8", ports=(80, 80), protocol=17), "dst,dst", "accept"),
        ("hash:ip,port", E("8.8.8.8", ports=(80, 80), protocol=6), "dst,src", "accept"),
        ("hash:ip,port", E("8.8.8.8", ports=(80, 80), protocol=6), "dst", "accept"),
        ("hash:ip,port,ip", E("8.8.8.8", "10.0.0.2", (80, 80), 6), "dst,dst,src", "drop"),
        ("hash:ip,port,net", E("8.8.8.8", "10.1.0.0/16", (80, 80), 6), "dst,dst,src", "accept"),
        ("hash:net,net", E("10.0.0.0/8", "8.8.0.0/16"), "src,dst", "drop"),
        ("hash:net,net", E("10.0.0.0/8", "8.8.0.0/16"), "dst,src", "accept"),
        ("bitmap:port", E(ports=(80, 90)), "dst", "drop"),
        ("bitmap:port", E(ports=(81, 90)), "dst", "accept"),
        ("hash:net,iface", E("8.8.0.0/16", interface="eth0"), "dst,dst", "drop"),
        ("hash:net,iface", E("8.8.0.0/16", interface="br0"), "dst,dst", "accept"),
        ("hash:ip,mark", E("8.8.8.8", mark=0), "dst,dst", "drop"),
        ("hash:ip,mark", E("8.8.8.8", mark=7), "dst,dst", "accept"),
        ("hash:mac", E(mac="02:00:00:00:00:01"), "src", "undetermined"),  # the frame is not known here
        ("bitmap:ip,mac", E("10.0.0.2"), "src,src", "drop"),
        ("hash:net,iface", E("8.8.0.0/16", interface="eth0", physdev=True), "dst,dst", "accept"),
        ("hash:new", E("8.8.8.8"), "dst", "undetermined"),
    ],
)
def test_each_type(kind: str, entry: IpSetEntry, sides: str, verdict: str) -> None:
    assert ruled(IpSet("s", kind, 4 if entry.first else None, entries=(entry,)), f"--match-set s {sides}") == verdict


def test_a_set_that_was_not_read_leaves_it_open() -> None:
    assert ruled(IpSet("s", "hash:ip", 4), "--match-set s dst") == "undetermined"
    assert ruled(IpSet("other", "hash:ip", 4, entries=()), "--match-set s dst") == "undetermined"
    assert ruled(IpSet("s", "hash:ip", 4, entries=(E("8.8.8.8"),)), "--match-set s dst --packets-gt 3") == "undetermined"
    assert ruled(IpSet("s", "hash:ip", 4, entries=(E("8.8.8.9"),)), "--match-set s dst --packets-gt 3") == "accept"


def test_an_empty_set_holds_nobody() -> None:
    assert ruled(IpSet("s", "hash:ip", 4, entries=()), "--match-set s dst") == "accept"
    assert ruled(IpSet("s", "hash:ip", 4, entries=()), "! --match-set s dst") == "drop"


def test_a_set_of_the_other_ip_version_holds_nobody() -> None:
    assert ruled(IpSet("s", "hash:net", 6, entries=(E("::/0"),)), "--match-set s dst") == "accept"


def test_a_netmask_makes_networks_of_addresses() -> None:
    for mask, verdict in ((24, "drop"), (32, "accept")):
        assert ruled(IpSet("s", "hash:ip", 4, mask, (E("8.8.8.0"),)), "--match-set s dst") == verdict


def test_the_longest_prefix_decides() -> None:
    entries = (E("8.0.0.0/8", nomatch=True), E("8.8.0.0/16"), E("8.8.8.0/24", nomatch=True))
    assert ruled(IpSet("s", "hash:net", 4, entries=entries), "--match-set s dst") == "accept"
    assert ruled(IpSet("s", "hash:net", 4, entries=entries[:2]), "--match-set s dst") == "drop"


def test_lists_hold_what_one_of_their_sets_holds() -> None:
    one, two = IpSet("a", "hash:ip", 4, entries=(E("192.0.2.1"),)), IpSet("b", "hash:ip", 4, entries=(E("8.8.8.8"),))
    both = IpSet("s", "list:set", entries=(E(name="a"), E(name="b")))
    assert ruled(both, "--match-set s dst", WEB, one, two) == "drop"
    assert ruled(both, "--match-set s dst", WEB, one, replace(two, entries=None)) == "undetermined"
    assert ruled(replace(both, entries=(E(name="s"),)), "--match-set s dst") == "undetermined", "a list in itself"


def test_icmp_has_no_ports() -> None:
    assert ruled(IpSet("s", "bitmap:port", entries=(E(ports=(1, 65535)),)), "--match-set s dst", PING) == "accept"


@pytest.mark.parametrize(
    ("ports", "protocol", "verdict"), [((0x0800, 0x0800), 1, "drop"), ((0, 0), 1, "accept"), ((0x0800, 0x0800), 6, "accept")]
)
def test_an_echo_has_its_type_and_code_for_a_port(ports: tuple[int, int], protocol: int, verdict: str) -> None:
    named = IpSet("s", "hash:ip,port", 4, entries=(E("8.8.8.8", ports=ports, protocol=protocol),))
    assert ruled(named, "--match-set s dst,dst", PING) == verdict


def test_what_has_no_port_is_in_no_set_of_ports() -> None:
    ports = IpSet("s", "bitmap:port", entries=(E(ports=(0, 65535)),))
    assert ruled(ports, "--match-set s dst", PING) == "accept"
    rules = replace(iptables("-A FORWARD -m set --match-set s dst -j DROP"), ipsets=(ports,))
    assert decided(forward(rules, forwarded(WEB, fragment=Fragment(1480, False))))[0] == "accept"


def test_an_output_packet_is_in_no_set_of_macs() -> None:
    rules = replace(
        iptables("-A FORWARD -m set --match-set s src -j DROP"), ipsets=(IpSet("s", "hash:mac", entries=(E(mac="02:00:00:00:00:01"),)),)
    )
    assert decided(forward(rules, forwarded(WEB, iif=None)))[0] == "accept"

"""Where the rules look beyond the packet: routes, fragments, senders, devices, ARP."""

from __future__ import annotations

import msgspec
import pytest
from literal_rules import (
    ACCEPT,
    BR0,
    DROP,
    ETH0,
    LO,
    MASQUERADE,
    PING,
    SADDR,
    WEB,
    decided,
    forward,
    forwarded,
    iptables,
    nft_forward,
    nft_table,
    payload,
    test,
)
from msgspec.structs import replace

from netprobe.model import ConntrackEntry, Flow, Protocol, Ruleset
from netprobe.rules import FibAnswer, Fragment, HookPacket, HookVerdict, Reason, Surroundings, traverse


@pytest.mark.parametrize(("devices", "verdict"), [(("br0",), "accept"), (("eth1",), "drop"), ((), "drop")])
def test_reverse_path_checks_ask_the_routing_tables(devices: tuple[str, ...], verdict: str) -> None:
    around = Surroundings(fib=lambda _query: FibAnswer("unicast" if devices else "unreachable", devices))
    key = {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}
    ruling = forward(nft_forward([test(key, False), DROP]), around=around)
    assert ruling.verdict == verdict
    assert verdict == "accept" or decided(ruling)[2] == "rpfilter"
    assert forward(iptables("-A FORWARD -m rpfilter --invert -j DROP"), around=around).verdict == verdict
    assert forward(nft_forward([test(key, False), DROP])).verdict is HookVerdict.UNDETERMINED


def test_fragments_are_seen_before_they_are_put_together() -> None:
    def chain(priority: int) -> Ruleset:
        head = {"chain": {"name": "p", "handle": 1, "type": "filter", "hook": "prerouting", "prio": priority, "policy": "accept"}}
        left = {"&": [payload("ip", "frag-off"), 0x1FFF]}
        track = {"rule": {"chain": "p", "handle": 5, "expr": [test({"ct": {"key": "state"}}, "new", "in")]}}
        return nft_table(head, {"rule": {"chain": "p", "handle": 4, "expr": [test(left, 0, "!="), DROP]}}, track)

    packet = forwarded(fragment=Fragment(1480, False, 3028), state=None)
    early = traverse(chain(-450), "ip", "prerouting", packet)
    assert decided(early) == ("drop", "nft inet t p handle 4", "fragment")
    late = traverse(chain(-300), "ip", "prerouting", packet)
    assert (late.verdict, late.packet.fragment, late.packet.flow.length) == (HookVerdict.ACCEPT, None, 3028)


def test_a_sender_is_known_only_where_it_sends() -> None:
    rules = iptables("-A OUTPUT -m owner --uid-owner 0 -j DROP")
    out = HookPacket(PING, oif=ETH0, uid=0)
    assert traverse(rules, "ip", "output", out).verdict is HookVerdict.DROP
    assert traverse(rules, "ip", "output", HookPacket(PING, oif=ETH0, uid=1000)).verdict is HookVerdict.ACCEPT
    assert traverse(rules, "ip", "output", HookPacket(PING, oif=ETH0)).verdict is HookVerdict.ACCEPT  # the kernel's own answer


def test_marks_and_ttl_are_carried_on() -> None:
    rules = iptables("""
        *mangle
        :FORWARD ACCEPT [0:0]
        -A FORWARD -j MARK --set-xmark 0x2/0x3
        -A FORWARD -j TTL --ttl-set 1
        -A FORWARD -m mark --mark 0x6 -j DSCP --set-dscp 0x08
    """)
    after = forward(rules, forwarded(mark=5)).packet
    assert (after.mark, after.flow.ttl, after.tos) == (6, 1, 0x20)


def test_a_device_chain_is_for_its_device_alone() -> None:
    from netprobe.rules.read.nft_json import KernelChain

    kernel = (KernelChain("netdev", "t", "i", "ingress", 0, "accept", "filter", ("eth0",), 1),)
    rules = nft_table(
        {"chain": {"name": "i", "handle": 1, "type": "filter", "hook": "ingress", "prio": 0, "policy": "accept"}},
        {"rule": {"chain": "i", "handle": 2, "expr": [test(SADDR, "8.8.8.8"), DROP]}},
        family="netdev", chains=kernel,
    )  # fmt: skip
    packet = HookPacket(PING.reversed(), iif=ETH0)
    assert decided(traverse(rules, "netdev", "ingress", packet, device="eth0"))[1] == "nft netdev t i handle 2"
    assert traverse(rules, "netdev", "ingress", packet, device="eth1").verdict is HookVerdict.ACCEPT


def test_arp_through_arptables_and_ebtables() -> None:
    from netprobe.rules.read.iptables_save import read_save

    request = HookPacket(Flow("10.0.0.2", "10.0.0.1", Protocol.ARP, icmp_type=1, src_mac="02:00:00:00:00:02"), iif=BR0)
    rules = Ruleset(tables=tuple(read_save("*filter\n:INPUT ACCEPT\n-A INPUT -j DROP -s 10.0.0.2\n", "arptables", "arp")))
    assert decided(traverse(rules, "arp", "input", request))[:2] == ("drop", "arptables filter INPUT 1")
    text = "*filter\n:FORWARD ACCEPT\n-A FORWARD -p IPv4 -j DROP\n-A FORWARD -p ARP --arp-op Request --arp-ip-dst ! 10.0.0.3 -j DROP\n"
    rules = Ruleset(tables=tuple(read_save(text, "ebtables", "bridge")))
    assert decided(traverse(rules, "bridge", "forward", request))[:2] == ("drop", "ebtables filter FORWARD 2")


def test_loopback_keeps_its_connection() -> None:
    rules = iptables("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m conntrack --ctstate INVALID -j DROP\nCOMMIT")
    entry = ConntrackEntry("icmp", ("127.0.0.1", "127.0.0.1", 7, None), ("127.0.0.1", "127.0.0.1", None, 7))
    assert traverse(rules, "ip", "prerouting", forwarded(iif=LO, connection=entry)).verdict is HookVerdict.ACCEPT
    assert traverse(rules, "ip", "prerouting", forwarded(state=None)).verdict is HookVerdict.DROP  # before -200 nothing is tracked


def test_a_ruleset_survives_its_recording() -> None:
    rules = iptables(MASQUERADE)
    assert msgspec.json.decode(msgspec.json.encode(rules), type=Ruleset) == rules


def test_the_ingress_of_inet_sees_no_arp() -> None:
    """nft_do_chain_inet_ingress; netdev's sees everything."""
    base = {"chain": {"name": "i", "handle": 1, "type": "filter", "hook": "ingress", "prio": 0, "policy": "drop", "dev": "eth0"}}
    asked = HookPacket(Flow("10.0.0.1", "10.0.0.2", Protocol.ARP), iif=ETH0)
    for family, arp in (("inet", HookVerdict.ACCEPT), ("netdev", HookVerdict.DROP)):
        rules = nft_table(base, family=family)
        assert traverse(rules, "netdev", "ingress", asked, device="eth0").verdict is arp
        assert traverse(rules, "netdev", "ingress", replace(asked, flow=PING), device="eth0").verdict is HookVerdict.DROP


@pytest.mark.parametrize(("listens", "xt", "nft"), [(True, "accept", "accept"), (None, "accept", "accept"), (False, "drop", "drop")])
def test_a_proxy_that_listens_gets_the_packet(listens: bool | None, xt: str, nft: str) -> None:
    """Without one xt_TPROXY drops; at nft_tproxy the rule ends, and the policy decides."""
    around = Surroundings(proxied=lambda _: listens)
    arriving = HookPacket(WEB, iif=BR0, state="new")
    lines = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j TPROXY --on-port 8080 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1\nCOMMIT"
    ruling = traverse(iptables(lines), "ip", "prerouting", arriving, around=around)
    assert (ruling.verdict, ruling.packet.mark) == (xt, 0 if listens is False else 1)
    assert ruling.packet.proxy == (None if listens is False else ("0.0.0.0", 8080))
    assert ruling.decision is None or ruling.decision.reason is Reason.PROXY
    base = {"chain": {"name": "p", "handle": 1, "type": "filter", "hook": "prerouting", "prio": -150, "policy": "drop"}}
    rule = {"rule": {"chain": "p", "handle": 9, "expr": [{"tproxy": {"port": 8080}}, ACCEPT]}}
    ruling = traverse(nft_table(base, rule, family="ip"), "ip", "prerouting", arriving, around=around)
    assert (ruling.verdict, ruling.packet.proxy) == (nft, None if listens is False else (None, 8080))


@pytest.mark.parametrize(
    ("op", "words", "verdict"),
    [("in", "dnat", "drop"), ("in", "snat", "accept"), ("!=", "dnat", "drop"), ("==", "dnat", "accept")],
)
def test_a_connection_that_is_translated_has_more_in_its_status_than_that(op: str, words: str, verdict: str) -> None:
    """`ct status != dnat` compares all of it: IPS_DST_NAT_DONE is set as well (nf_nat_setup_info), and so it holds."""
    entry = ConntrackEntry("tcp", ("10.0.0.2", "10.0.0.9", 40000, 80), ("10.0.0.3", "10.0.0.2", 80, 40000))
    rules = nft_forward([test({"ct": {"key": "status"}}, words, op), DROP])
    assert forward(rules, forwarded(connection=entry)).verdict == verdict

"""Rules that would accept the packet but for one word, which is likely where the rule as it is written is for nothing that comes."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial, via
from test_mistyped import of_tcp
from test_repair_whole import ask, chosen, said

from netprobe.model import Chain, Link, Route, Rule, Ruleset, Snapshot, Socket, Table
from netprobe.model.lookup import where
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.nft_text import rule_statements

STATES = "FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"


def filtering(*lines: str) -> Ruleset:
    return iptables("\n".join(("*filter", ":INPUT DROP [0:0]", ":FORWARD DROP [0:0]", *(f"-A {each}" for each in lines), "COMMIT", "")))


def firewall(*lines: str) -> Snapshot:
    return edited(tutorial(), "host", ruleset=filtering(*lines))


OUT = "FORWARD -i br0 -o eth0 -j ACCEPT"  # put in front of all, where nothing is likely


@pytest.mark.parametrize(
    ("rules", "fix"),
    [
        # what is accepted behind would be accepted already
        ((STATES, "FORWARD -o br0 -j ACCEPT", "FORWARD -d 10.0.0.0/16 -i eth0 -o br0 -j ACCEPT"), "-R FORWARD 2 -i br0 -j ACCEPT"),
        ((STATES, "FORWARD -o br0 -j ACCEPT"), f"-I {OUT}"),
        ((STATES, "FORWARD -i eth0 -j ACCEPT", "FORWARD -i eth0 -p tcp -j ACCEPT"), "-R FORWARD 2 -o eth0 -j ACCEPT"),
        ((STATES, "FORWARD -i eth0 -p icmp -j ACCEPT", "FORWARD -i eth0 -p tcp -j ACCEPT"), f"-I {OUT}"),  # is for another part
        # that network is not behind that interface
        ((STATES, "FORWARD -d 10.0.0.0/16 -o eth0 -j ACCEPT"), "-R FORWARD 2 -s 10.0.0.0/16 -o eth0 -j ACCEPT"),
        ((STATES, "FORWARD -d 10.0.0.0/16 -j ACCEPT"), f"-I {OUT}"),
        # answers that nothing else accepts
        (("FORWARD -m conntrack --ctstate RELATED -j ACCEPT", OUT), "-R FORWARD 1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    ],
)
def test_a_side_or_a_state_is_another_than_was_meant(rules: tuple[str, ...], fix: str) -> None:
    assert said(chosen(firewall(*rules), ask("red", "8.8.8.8"))) == [f"host: iptables {fix}"]


@pytest.mark.parametrize(
    ("rule", "fix", "listening"),
    [
        ("FORWARD -p udp -m udp --dport 8000:8100 -j ACCEPT", "-R FORWARD 2 -p tcp -m tcp --dport 8000:8100 -j ACCEPT", ("tcp",)),
        ("FORWARD -p udp -m udp --dport 8000:8100 -j ACCEPT", "-I FORWARD -i br0 -o eth0 -j ACCEPT", ("tcp", "udp")),
        (
            "FORWARD ! -d 8.8.8.8/32 -p tcp -m tcp --dport 8080 -j ACCEPT",
            "-R FORWARD 2 -d 8.8.8.8/32 -p tcp -m tcp --dport 8080 -j ACCEPT",
            ("tcp",),
        ),
        ("FORWARD ! -d 8.8.8.0/24 -p tcp -m tcp --dport 8080 -j ACCEPT", "-I FORWARD -i br0 -o eth0 -j ACCEPT", ("tcp",)),
        ("FORWARD -p tcp -m tcp --sport 8080 -j ACCEPT", "-R FORWARD 2 -p tcp -m tcp --dport 8080 -j ACCEPT", ("tcp",)),
    ],
)
def test_a_service_is_another_than_was_meant(rule: str, fix: str, listening: tuple[str, ...]) -> None:
    states = {"tcp": "listen", "udp": "unconnected"}
    network = edited(firewall(STATES, rule), "internet", sockets=tuple(Socket(each, "0.0.0.0", 8080, states[each]) for each in listening))
    assert said(chosen(network, of_tcp("red", "8.8.8.8", 8080))) == [f"host: iptables {fix}"]


def test_on_a_port_that_is_assigned_the_other_protocol_may_be_meant() -> None:
    """DNS is for both, and QUIC beside HTTPS."""
    rule = "FORWARD -p udp -m udp --dport 443 -j ACCEPT"
    network = edited(firewall(STATES, rule), "internet", sockets=(Socket("tcp", "0.0.0.0", 443, "listen"),))
    assert said(chosen(network, of_tcp("red", "8.8.8.8", 443))) == [f"host: iptables -I {OUT}"]


def filtering_by_nft(*texts: str) -> Snapshot:
    rules = tuple(Rule(n, text, tuple(rule_statements(text)), handle=n + 3) for n, text in enumerate(texts, start=1))
    chains = (Chain("forward", rules, "forward", 0, "filter", "drop"),)
    return edited(tutorial(), "host", ruleset=Ruleset(tables=(Table("nft", "inet", "pf", chains),)))


@pytest.mark.parametrize(
    "how", ["-m ttl --ttl-gt 64", "-m length --length 1000:1500", "-m pkttype --pkt-type multicast", "-m conntrack --ctdir REPLY"]
)
def test_no_rule_but_one_asks_how_a_packet_was_sent(how: str) -> None:
    for alike, fix in (((), "-R FORWARD 2 -i br0 -o eth0 -j ACCEPT"), ((f"FORWARD -i docker0 {how} -j ACCEPT",), f"-I {OUT}")):
        rules = (STATES, f"FORWARD -i br0 -o eth0 {how} -j ACCEPT", *alike)
        assert said(chosen(firewall(*rules), ask("red", "8.8.8.8"))) == [f"host: iptables {fix}"]


@pytest.mark.parametrize("how", ["ip ttl > 64", "meta length 1000-1500", "ct direction reply", "meta pkttype multicast", "ip dscp cs1"])
def test_no_rule_of_nft_but_one_asks_how_a_packet_was_sent(how: str) -> None:
    there = filtering_by_nft("ct state established,related accept", f'oifname "eth0" {how} accept', 'oifname "docker0" accept')
    assert said(chosen(there, ask("red", "8.8.8.8"))) == ['host: nft replace rule inet pf forward handle 5 oifname "eth0" accept']


@pytest.mark.parametrize("network", ["10.0.0.2/32", "10.0.0.2/31"])
def test_what_comes_to_the_namespace_itself_is_for_one_of_its_addresses(network: str) -> None:
    """Those of the stations that ask are no goals there."""
    found = said(chosen(firewall(f"INPUT -d {network} -j ACCEPT"), ask("red", "10.0.0.1")))
    assert found == [f"host: iptables -R INPUT 1 -s {network} -j ACCEPT"]


@pytest.mark.parametrize(
    ("spared", "fix"),
    [
        ("eth0", "-t nat -R POSTROUTING 1 -s 172.17.0.0/16 -o eth0 -j MASQUERADE"),
        ("docker0", None),  # what stays there
    ],
)
def test_a_translation_spares_no_interface_but_that_of_its_senders(spared: str, fix: str | None) -> None:
    rule = f"-A POSTROUTING -s 172.17.0.0/16 ! -o {spared} -j MASQUERADE"
    network = edited(tutorial(), "host", ruleset=iptables(f"*nat\n:POSTROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n"))
    found = predict(network, ask("c1", "8.8.8.8"), ask=False)
    assert isinstance(found, Prediction)
    assert found.passes is (fix is None)
    assert fix is None or said(chosen(network, ask("c1", "8.8.8.8"))) == [f"host: iptables {fix}"]


@pytest.mark.parametrize("turned", [True, False])
def test_what_is_led_back_to_a_station_is_from_those_beside_it(turned: bool) -> None:
    """All others are answered by the router, unless the station knows no way back to them."""
    to_c1 = "-A POSTROUTING ! -s 172.17.0.0/16 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE"
    lead = "-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2"
    rules = iptables(f"*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n{lead}\n{to_c1}\nCOMMIT\n")
    routes = where(tutorial()["c1"].routes, is_default=False) if not turned else tutorial()["c1"].routes
    listening = edited(tutorial(), "c1", routes=tuple(routes), sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    there = edited(listening, "host", ruleset=rules)
    fix = said(chosen(there, of_tcp("c2", "203.0.113.2", 80)))
    assert (fix == [f"host: iptables -t nat -R POSTROUTING 1 {to_c1.partition('! ')[2]}"]) is turned


@pytest.mark.parametrize("door", ['iifname "br0" ', ""])
@pytest.mark.parametrize("named", ["ip daddr 172.17.0.2 tcp dport 8080", "ip daddr . tcp dport { 172.17.0.2 . 8080, 172.17.0.3 . 8081 }"])
def test_a_translation_for_a_station_does_not_spare_the_only_way_in_to_it(door: str, named: str) -> None:
    """c1 keeps nothing of red's network: it answers who has an address of the host's."""
    texts = {"prerouting": f"{door}tcp dport 8080 dnat to 172.17.0.2", "postrouting": f'iifname != "br0" {named} masquerade'}
    chains = tuple(
        Chain(hook, (Rule(1, text, tuple(rule_statements(text)), handle=at),), hook, -100, "nat")
        for at, (hook, text) in enumerate(texts.items(), start=4)
    )
    led = edited(tutorial(), "host", ruleset=Ruleset(tables=(Table("nft", "ip", "pf", chains),)))
    routes = (*tutorial()["c1"].routes, Route("10.0.0.0/16", "blackhole"))
    there = edited(led, "c1", routes=routes, sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    found = said(chosen(there, of_tcp("red", "10.0.0.1", 8080)))
    assert (found == [f'host: nft replace rule ip pf postrouting handle 5 iifname == "br0" {named} masquerade']) is bool(door)


def test_who_has_no_address_to_send_from_is_told_so_beside_a_translation() -> None:
    translating = iptables("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n")
    there = edited(tutorial(), "host", addresses=(), ruleset=translating)
    assert chosen(there, ask("host", "8.8.8.8")).stop.code == "addr-missing"


@pytest.mark.parametrize(
    ("other", "there", "fix"),
    [
        ("-d 172.17.0.2/32 -p tcp -m tcp --dport 8080", {"c1": 22}, "-R INPUT 1 -i br0 -p tcp -m tcp --dport 8080 -j ACCEPT"),
        ("-d 172.17.0.2/32 -p tcp -m tcp --dport 8080", {"c1": 8080}, "-I INPUT -i br0 -p tcp --dport 8080 -j ACCEPT"),
        ("-d 172.17.0.2/32 -p tcp -m tcp --dport 8080", {"c2": 22}, "-I INPUT -i br0 -p tcp --dport 8080 -j ACCEPT"),
        ("-p udp -m udp --dport 8080", {"c1": 22}, "-I INPUT -i br0 -p tcp --dport 8080 -j ACCEPT"),
        ("-d 172.17.0.2/32 -p udp -m udp --dport 8080", {"c1 udp": 22}, "-I INPUT -i br0 -p tcp --dport 8080 -j ACCEPT"),
    ],
)
def test_two_rules_have_the_port_of_each_other(other: str, there: dict[str, int], fix: str) -> None:
    """One lets 22 in to the host, where a program is on 8080; the other leads 8080 on to a container."""
    network = firewall("INPUT -i br0 -p tcp -m tcp --dport 22 -j ACCEPT", f"FORWARD {other} -j ACCEPT")
    for each, port in {"host": 8080, **there}.items():
        name, _, protocol = each.partition(" ")
        waiting = Socket(protocol, "0.0.0.0", port, "unconnected") if protocol else Socket("tcp", "0.0.0.0", port, "listen")
        network = edited(network, name, sockets=(waiting,))
    assert said(chosen(network, of_tcp("red", "10.0.0.1", 8080))) == [f"host: iptables {fix}"]


@pytest.mark.parametrize(
    ("rule", "fix"),
    [
        ("-s 172.17.0.0/16 -o br0 -j MASQUERADE", "-R POSTROUTING 1 -s 172.17.0.0/16 -o eth0 -j MASQUERADE"),
        ("-s 172.19.0.0/16 -o br0 -j MASQUERADE", None),  # of others
        (
            "-o br0 -m iprange --src-range 172.17.0.1-172.17.0.9 -j MASQUERADE",
            "-R POSTROUTING 1 -o eth0 -m iprange --src-range 172.17.0.1-172.17.0.9 -j MASQUERADE",
        ),
        ("-o br0 -m iprange --src-range 172.17.1.1-172.17.1.9 -j MASQUERADE", None),
        ("-s 172.17.0.0/16 -o eth1 -j MASQUERADE", None),  # which leads to all the world as well
    ],
)
def test_a_translation_for_the_way_out_is_for_the_interface_by_which_that_is(rule: str, fix: str | None) -> None:
    nat = iptables(f"*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING {rule}\nCOMMIT\n")
    host = tutorial()["host"]
    second = Link(9, "eth1", "veth", "02:00:00:00:02:09")
    routes = (*host.routes, via("0.0.0.0/0", "198.51.100.1", 9, metric=20))
    network = edited(tutorial(), "host", ruleset=nat, links=(*host.links, second), routes=routes)
    private = tuple(each for each in network["internet"].routes if not each.dst.startswith("10."))
    network = edited(network, "internet", routes=private)
    found = said(chosen(network, ask("c1", "8.8.8.8")))
    assert found[0] == f"host: iptables -t nat {fix}" if fix else not any("-R" in line for line in found)


@pytest.mark.parametrize(
    ("led", "fix"),
    [
        (("INPUT -j out",), "-R out 1 -i br0 -j ACCEPT"),
        (("INPUT -i docker0 -j out", "FORWARD -i docker0 -j out"), "-I INPUT -i br0 -p icmp -j ACCEPT"),  # there it is for something
        (("FORWARD -j out",), "-I INPUT -i br0 -p icmp -j ACCEPT"),
        (("OUTPUT -o docker0 -j ACCEPT",), "-I INPUT -i br0 -p icmp -j ACCEPT"),  # generated rulesets have chains that nothing leads to
    ],
)
def test_what_goes_out_is_for_nothing_where_only_what_comes_in_is_led_there(led: tuple[str, ...], fix: str) -> None:
    lines = ("*filter", ":INPUT DROP [0:0]", ":FORWARD ACCEPT [0:0]", ":out - [0:0]", *(f"-A {each}" for each in led))
    rules = iptables("\n".join((*lines, "-A out -o br0 -j ACCEPT", "COMMIT", "")))
    assert said(chosen(edited(tutorial(), "host", ruleset=rules), ask("red", "10.0.0.1"))) == [f"host: iptables {fix}"]

"""Chains that nothing leads to: one that asks for something of the packet was lost, one that lets all through tells nothing."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial
from predict.networks import probe
from test_beside import chosen, lines
from test_roots import MASQUERADE, ruled

from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.candidates import orphans
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Stop
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

LED = "iptables -I FORWARD -i br0 -j lan"
CASES = [
    (("-A lan -s 10.0.0.0/16 -j ACCEPT",), LED),
    (("-A lan -j ACCEPT",), None),  # ufw has such chains for each policy, and uses one
    (("-A lan -s 10.0.0.0/16 -j ACCEPT", "-A wan -i eth0 -p icmp -j ACCEPT"), None),
    (("-A lan -s 10.0.0.0/16 -j ACCEPT", "-A wan -j ACCEPT"), LED),
]


@pytest.mark.parametrize(("rules", "line"), CASES)
def test_a_jump_is_put_back_to_the_one_that_was_for_such_packets(rules: tuple[str, ...], line: str | None) -> None:
    """The chain of the containers is led to, and so is a part of the same ruleset."""
    heads = ":FORWARD DROP [0:0]\n:lan - [0:0]\n:wan - [0:0]\n:containers - [0:0]\n"
    led = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i docker0 -j containers\n"
    every = "\n".join((*rules, "-A containers -s 172.17.0.0/16 -j ACCEPT"))
    snapshot = edited(tutorial(), "host", ruleset=iptables(f"*filter\n{heads}{led}{every}\nCOMMIT\n"))
    cause = chosen(snapshot, "red", "8.8.8.8")
    assert (lines(cause)[0] == LED) is (line is not None)
    assert cause.code == "policy-drop"


STATES = "FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
OUT = ("OUT -p icmp -j ACCEPT", "OUT -j REJECT --reject-with icmp-port-unreachable")


def cause(*lines: str) -> Stop:
    """What stands first when red asks the internet, and the host has chains of a firewall of zones."""
    head = ("*filter", ":FORWARD DROP [0:0]", ":FROM - [0:0]", ":OUT - [0:0]", ":OTHER - [0:0]")
    saved = "\n".join((*head, *(f"-A {line}" for line in lines), "COMMIT", ""))
    snapshot = ruled(MASQUERADE, saved)
    lost = predict(snapshot, probe(), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    return choice.choose(snapshot, lost, lost.stop).stop


@pytest.mark.parametrize(("led", "is_put_back"), [("FORWARD", True), ("INPUT", False)])
def test_a_chain_was_led_to_from_where_the_one_is_that_is_called_like_it(led: str, is_put_back: bool) -> None:
    """As OpenWrt has zones: zone_lan is for what comes in, and zone_lan_forward for what is handed on."""
    chains = ("zone_lan", "zone_wan", "input_wan", "zone_lan_more", "zone_lan_last", "zone_wan_more", "zone_wan_ok", "more")
    heads = ("*filter", ":INPUT ACCEPT [0:0]", ":FORWARD DROP [0:0]", *(f":{each} - [0:0]" for each in chains))
    more = ("FORWARD -j zone_lan_more", "zone_lan_more -j zone_wan_ok", "zone_lan_more -j zone_lan_last", "zone_lan_last -j more")
    jumps = (STATES, f"{led} -i docker0 -j zone_lan", *more)
    own = ("zone_wan_more -j input_wan", "zone_wan -j input_wan", "zone_wan -p icmp -j ACCEPT")  # nothing leads to them
    rules = ("zone_lan -s 172.17.0.0/16 -j ACCEPT", "more -s 172.17.0.0/16 -j ACCEPT", *own)
    saved = "\n".join((*heads, *(f"-A {line}" for line in (*jumps, *rules)), "COMMIT", ""))
    found = chosen(edited(tutorial(), "host", ruleset=iptables(saved)), "red", "8.8.8.8")
    assert found.object is not None
    assert (found.object.id == "iptables filter zone_wan") is is_put_back
    assert (found.object.id == "iptables filter FORWARD policy") is not is_put_back


@pytest.mark.parametrize(
    ("lines", "fix"),
    [
        ((STATES, "FORWARD -i br0 -j FROM", "FORWARD -j OTHER", *OUT), "FROM -o eth0 -j OUT"),
        ((STATES, "FORWARD -j OTHER", *OUT), "FORWARD -i br0 -o eth0 -j OUT"),
        ((STATES, "FORWARD -j OTHER", OUT[0]), "FORWARD -i br0 -j OUT"),
    ],
)
def test_a_chain_that_lets_nothing_else_pass_is_led_to_for_what_it_is_about(lines: tuple[str, ...], fix: str) -> None:
    assert [" ".join(each.words) for each in cause(*lines).commands] == [f"iptables -I {fix}"]


@pytest.mark.parametrize("lost", ["lan", "guests"])
def test_a_zone_leads_to_chains_of_its_own_where_another_one_does(lost: str) -> None:
    """As OpenWrt has them: forward_lan leads to drop_to_lan, so that forward_guests has lost none of lan's."""
    chains = ("forward_lan", "forward_guests", "drop_to_lan", "drop_to_guests", f"accept_to_{lost}")
    heads = ("*filter", ":FORWARD DROP [0:0]", *(f":{each} - [0:0]" for each in chains))
    doors = ("FORWARD -i docker0 -j forward_lan", "FORWARD -i br0 -j forward_guests")
    ways = ("forward_lan -j drop_to_lan", "forward_guests -j drop_to_guests")
    ends = ("drop_to_lan -o docker0 -j DROP", "drop_to_guests -o docker0 -j DROP", f"accept_to_{lost} -o eth0 -j ACCEPT")
    saved = "\n".join((*heads, *(f"-A {line}" for line in (STATES, *doors, *ways, *ends)), "COMMIT", ""))
    found = chosen(edited(tutorial(), "host", ruleset=iptables(saved)), "red", "8.8.8.8")
    assert found.object is not None
    assert found.object.id == ("iptables filter FORWARD policy" if lost == "lan" else "iptables filter accept_to_guests")


@pytest.mark.parametrize(("asks", "is_put_back"), [("-i br0 -s 10.0.0.0/16", True), ("-o br0 -s 10.0.0.0/16", False)])
def test_what_comes_to_a_namespace_itself_goes_out_of_nothing(asks: str, is_put_back: bool) -> None:
    heads = ("*filter", ":INPUT DROP [0:0]", ":lan - [0:0]", ":others - [0:0]")
    lines = ("INPUT -i docker0 -j others", "others -s 172.17.0.0/16 -j ACCEPT", f"lan {asks} -j ACCEPT")
    saved = "\n".join((*heads, *(f"-A {line}" for line in lines), "COMMIT", ""))
    snapshot = edited(tutorial(), "host", ruleset=iptables(saved))
    lost = predict(snapshot, probe("red", "10.0.0.1"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert bool([*orphans.candidates(Loss.of(snapshot, lost, lost.stop))]) is is_put_back


LOST = "*nat\n:POSTROUTING ACCEPT [0:0]\n:of_lan - [0:0]\n:of_containers - [0:0]\n{rules}\nCOMMIT\n"
SPARED = "-A {chain} -d {network} -j ACCEPT\n-A {chain} -j MASQUERADE\n"


@pytest.mark.parametrize("of_the_lan", ["-d 10.0.0.0/16", "-s 10.0.0.0/16", ""])
def test_a_chain_that_gives_another_source_is_for_the_network_of_which_it_speaks(of_the_lan: str) -> None:
    """The one of the containers would do as well, and is none for the others; one that speaks of no network is for all."""
    spared = f"-A of_lan {of_the_lan} -j ACCEPT\n" if of_the_lan.startswith("-d") else ""
    own = "" if spared else f"{of_the_lan} "
    rules = f"{SPARED.format(chain='of_containers', network='172.17.0.0/16')}{spared}-A of_lan {own}-j MASQUERADE"
    snapshot = ruled(LOST.format(rules=rules))
    lost = predict(snapshot, probe(), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    stop = choice.choose(snapshot, lost, lost.stop).stop
    asked = " -s 10.0.0.0/16" if of_the_lan else ""
    said = [" ".join(each.words) for each in stop.commands]
    assert (stop.code, said) == ("nat-missing", [f"iptables -t nat -I POSTROUTING{asked} -j of_lan"])

"""What one thing more would lead past, though two are plainly wrong; what is taken away though a program is missing behind it."""

from __future__ import annotations

from diagnose.test_repair_whole import after, ask, chosen, lost, said
from diagnose.test_two_at_once import named
from diagnose.test_two_by_two import square
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial

from netprobe.diagnose.repair import choice
from netprobe.model import Protocol, Ruleset, Snapshot
from netprobe.rules.read.iptables_save import read_save


def ruled(snapshot: Snapshot, name: str, table: str, *lines: str) -> Snapshot:
    """The network with these lines of iptables-save in a namespace."""
    text = "\n".join((f"*{table}", *lines, "COMMIT", ""))
    return edited(snapshot, name, ruleset=Ruleset(tables=tuple(read_save(text, "iptables", "ip"))))


def test_two_that_restore_stand_before_one_that_adds() -> None:
    """By the other router the server would need a route; its own address is what has another length."""
    network = after(
        square(),
        "server: sysctl -w net.ipv4.conf.eth0.rp_filter=0",
        "server: ip address del 172.16.2.10/24 dev eth1",
        "server: ip address add 172.16.2.10/30 dev eth1",
    )
    network = ruled(network, "r2", "filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", "-A FORWARD -j DROP")
    assert said(chosen(network, ask("pc", "192.0.2.80")))[0] == "server: ip address add 172.16.2.10/24 dev eth1"


def test_what_is_missing_alone_is_added() -> None:
    network = after(square(), "server: ip route del default via 172.16.2.1 dev eth1")
    assert said(chosen(network, ask("pc", "192.0.2.80")))[0].startswith("server: ip route add default via")


def test_a_rule_that_alters_the_packet_is_taken_away_though_no_program_waits_for_it() -> None:
    shortened = ruled(
        edited(tutorial(), "c1", sockets=()), "red", "mangle", ":POSTROUTING ACCEPT [0:0]", "-A POSTROUTING -j TTL --ttl-set 1"
    )
    asked = probe("red", "172.17.0.2", Protocol.TCP)
    asked = replace(asked, destination=replace(asked.destination, port=80))
    found = choice.choose(shortened, *lost(shortened, asked))
    assert said(found) == ["red: iptables -t mangle -D POSTROUTING -j TTL --ttl-set 1"]


def test_a_route_that_has_led_to_the_destination_is_not_what_loses_its_answer() -> None:
    """Another station has the same address, behind a longer way; the first one says nothing any more."""
    network = tutorial()
    for name in ("c1", "c2"):
        network = after(network, f"{name}: ip address add 192.0.2.53/32 dev lo")
    network = after(network, "host: ip route add 192.0.2.53/32 via 172.17.0.2", "host: ip route add 192.0.2.53/32 via 172.17.0.3 metric 9")
    network = ruled(network, "c1", "filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT DROP [0:0]")
    found = chosen(network, ask("red", "192.0.2.53"))
    assert found.stop.code == "policy-drop"
    assert said(found)[0].startswith("c1: iptables -I OUTPUT")


def test_an_address_to_which_a_route_leads_is_not_taken_away_from_who_lacks_a_way_back() -> None:
    """Another station has the same address, behind a longer way; the first one has lost its router, and says nothing any more."""
    network = tutorial()
    for name in ("c1", "c2"):
        network = after(network, f"{name}: ip address add 192.0.2.53/32 dev lo")
    network = after(network, "host: ip route add 192.0.2.53/32 via 172.17.0.2", "host: ip route add 192.0.2.53/32 via 172.17.0.3 metric 9")
    network = after(network, "c1: ip route del default via 172.17.0.1 dev eth0")
    network = ruled(network, "c1", "filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT DROP [0:0]")
    assert [each[0].partition(" -")[0] for each in named(network, "red", "192.0.2.53")] == [
        "c1: ip route add default via 172.17.0.1", "c1: iptables",
    ]  # fmt: skip

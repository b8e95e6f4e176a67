"""Where a published port leads: to a program that listens elsewhere, shuts itself in or is not there, to a station that has moved."""

from __future__ import annotations

import pytest
from literal_rules import nft_table, payload
from predict.networks import edited, relinked, tutorial
from test_published import DOCKER, SERVICE, TO_LOCAL, cause, fix, nat, network, web

from netprobe.model import Ruleset, Socket
from netprobe.rules.read.iptables_save import read_save

PORTS = [
    ((web(8000),), ":8000"),
    ((web(8000), web(9000)), None),  # which of them is not known
    ((web(8000, "127.0.0.1"),), None),  # nobody gets there from outside
]


@pytest.mark.parametrize(("listening", "to"), PORTS)
def test_a_program_that_listens_on_another_port(listening: tuple[Socket, ...], to: str | None) -> None:
    said = cause(network(TO_LOCAL, DOCKER, listening=listening), "internet", "203.0.113.2", 8080)
    led = [line.rpartition(" ")[2] for line in fix(said) if "-R DOCKER 1" in line]
    assert said.code == "dnat-dead-target"
    assert led == ([f"172.17.0.2{to}"] if to is not None else [])


def test_where_programs_listen_is_told_but_for_those_that_only_their_station_reaches() -> None:
    """Docker's name server is one of these."""
    said = cause(network(TO_LOCAL, DOCKER, listening=(web(8000), web(9000), web(46183, "127.0.0.11"))), "internet", "203.0.113.2", 8080)
    assert [line.rpartition("/")[2] for line in said.proof if " listens on " in line] == ["80", "8000", "9000"]


def test_a_port_to_which_another_rule_leads_is_taken() -> None:
    other = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.2:8000"
    said = cause(network(TO_LOCAL, DOCKER, other, listening=(web(8000),)), "internet", "203.0.113.2", 8080)
    assert not any("-R DOCKER" in line for line in fix(said))


@pytest.mark.parametrize("element", [[9090, {"concat": ["172.17.0.2", 9000]}], [9000, "172.17.0.2"]])
def test_a_port_to_which_an_element_of_a_map_leads_is_taken_as_well(element: list[object]) -> None:
    """Of two programs the other one is meant."""
    head = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -90, "policy": "accept"}}
    to = {"dnat": {"family": "ip", "addr": {"map": {"key": payload("tcp", "dport"), "data": {"set": [element]}}}}}
    table = nft_table(head, {"rule": {"chain": "p", "handle": 4, "expr": [to]}}, family="ip")
    rules = Ruleset(tables=(*read_save(nat(TO_LOCAL, DOCKER), "iptables", "ip"), *table.tables))
    snapshot = edited(network(listening=(web(8000), web(9000))), "host", ruleset=rules)
    assert fix(cause(snapshot, "internet", "203.0.113.2", 8080))[0].endswith("--to-destination 172.17.0.2:8000")


SHUT_IN = [
    (Socket("tcp", "127.0.0.1", 80, "listen"), "listener-wrong-address"),  # as many development servers do
    (Socket("tcp", "0.0.0.0", 80, "listen", interface=1), "listener-wrong-address"),
    (Socket("tcp", "172.17.0.9", 80, "listen"), "dnat-dead-target"),
]


@pytest.mark.parametrize(("program", "code"), SHUT_IN)
def test_a_program_that_shuts_itself_in_is_no_fault_of_the_rule_that_leads_there(program: Socket, code: str) -> None:
    assert cause(network(TO_LOCAL, DOCKER, listening=(program,)), "internet", "203.0.113.2", 8080).code == code


BY_HAND = "-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport {} -j DNAT --to-destination 172.17.0.2{}"


@pytest.mark.parametrize(("port", "to", "code"), [(80, "", "port-closed"), (80, ":80", "port-closed"), (8080, ":80", "dnat-dead-target")])
def test_a_rule_that_says_at_which_station_a_port_is_and_no_more_is_not_at_fault(port: int, to: str, code: str) -> None:
    snapshot = network(BY_HAND.format(port, to))
    assert cause(snapshot, "internet", "203.0.113.2", port).code == code


@pytest.mark.parametrize(("port", "to", "first"), [(8080, ":80", "iptables -t nat -R PREROUTING 1"), (8080, ":81", "ss -lntp")])
def test_a_port_that_is_led_to_another_station_than_the_only_one_that_has_it(port: int, to: str, first: str) -> None:
    """red is on another network of host than where the rule leads; where nobody has the port, it is looked for, and no rule deleted."""
    snapshot = edited(network(BY_HAND.format(port, to)), "red", sockets=(web(80),))
    said = cause(snapshot, "internet", "203.0.113.2", port)
    assert said.code == "dnat-dead-target"
    assert fix(said)[0].startswith(first)


def test_a_program_that_is_missing_behind_a_published_port_hides_no_other_fault() -> None:
    """Where an engine leads is where its container is to listen: no detour is taken for another port's sake."""
    rules = (
        TO_LOCAL,
        "-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
    )
    snapshot = relinked(network(*rules, listening=(web(81),)), "host", "vethc1", master=2)
    assert cause(snapshot, "c1", "203.0.113.2", 8080).code == "port-wrong-bridge"
    back = relinked(snapshot, "host", "vethc1", master=5)
    said = cause(back, "c1", "203.0.113.2", 8080)
    assert (said.code, fix(said)) == ("dnat-dead-target", ["ss -lntp"])


def test_a_redirection_to_a_program_that_shuts_itself_in_has_translated_the_packet_and_is_no_rule_for_others() -> None:
    redirect = "-A PREROUTING -i br0 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 80"
    snapshot = edited(network(redirect), "host", sockets=(Socket("tcp", "127.0.0.2", 80, "listen"),))
    snapshot = edited(snapshot, "internet", sockets=())  # without the rule nothing answers either
    said = cause(snapshot, "red", "8.8.8.8", 80)
    assert (said.code, said.object and said.object.id) == ("listener-wrong-address", "tcp 127.0.0.2:80")


@pytest.mark.parametrize("rule", ["REDIRECT --to-ports 3128", "DNAT --to-destination 172.17.0.2:3128"])
def test_a_proxy_that_listens_for_itself_alone_is_what_is_wrong_although_nobody_needs_it(rule: str) -> None:
    """Without the rule the far server would answer; the rule does what it is for, and the program does not."""
    rules = network(f"-A PREROUTING -i br0 -p tcp -m tcp --dport 80 -j {rule}")
    there = "host" if "REDIRECT" in rule else "c1"
    for address, code in (("127.0.0.1", "listener-wrong-address"), ("10.9.9.9", CODES[rule.split()[0]])):
        snapshot = edited(rules, there, sockets=(Socket("tcp", address, 3128, "listen"),))
        said = cause(edited(snapshot, "internet", sockets=(web(80),)), "red", "8.8.8.8", 80)
        assert (said.code, said.place.namespace) == (code, there if address == "127.0.0.1" else "host")


CODES = {"REDIRECT": "nat-redirect-dead", "DNAT": "dnat-dead-target"}


def test_who_is_led_to_an_address_of_its_own() -> None:
    """What comes back to it has its own address as its source."""
    rule = "-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 8.8.8.8:443"
    said = cause(edited(network(rule), "internet", sockets=()), "internet", "203.0.113.2", 8080)
    assert (said.code, said.thing.id) == ("dnat-dead-target", "iptables nat PREROUTING 1")


@pytest.mark.parametrize(("target", "line"), [("8.8.8.8", "-R KUBE-SERVICES 1"), ("172.17.0.3", "ss -lntp")])
def test_a_service_of_this_machine_that_leads_to_a_far_one(target: str, line: str) -> None:
    """To a station beside its engine leads because it is there, whatever listens."""
    rule = f"-A KUBE-SERVICES -d 10.43.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination {target}:6443"
    snapshot = edited(network("-A PREROUTING -j KUBE-SERVICES", rule), "host", sockets=(web(6443),))
    found = fix(cause(edited(edited(snapshot, "internet", sockets=()), "c2", sockets=()), "red", "10.43.0.1", 443))
    assert line in found[0]
    assert ("10.0.0.1:6443" in found[0]) == (target == "8.8.8.8")


def test_a_dead_target_far_away_moved_within_its_own_network() -> None:
    """red is on no network of containers; c1 listens beside the address that host asks for. What is translated needs no owner."""
    off = SERVICE.replace("172.17.0.2", "172.17.0.9")
    snapshot = edited(tutorial(), "red", ruleset=Ruleset(tables=read_save(nat("-A OUTPUT -j KUBE-SERVICES", off), "iptables", "ip")))
    said = cause(edited(snapshot, "c1", sockets=(web(8080),)), "red", "10.96.0.20", 80)
    assert (said.code, said.object and said.object.id) == ("dnat-dead-target", "iptables nat KUBE-SERVICES 1")
    assert fix(said) == [f"iptables -t nat -R KUBE-SERVICES 1 {SERVICE.removeprefix('-A KUBE-SERVICES ')}"]

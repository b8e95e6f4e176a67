"""A published address or port that does not get this packet, and what translates its source: one rule is off, and named."""

from __future__ import annotations

import networks
import pytest
from literal_rules import iptables, nft_table, payload, test
from msgspec.structs import replace
from predict.networks import edited, probe, relinked, tutorial, with_link_locals

from netprobe.diagnose.apply import mend
from netprobe.diagnose.repair import blame, choice
from netprobe.diagnose.repair.candidates import lacking
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import (
    Cause,
    Chain,
    Command,
    InterfaceAddress,
    Nexthop,
    Place,
    Protocol,
    Route,
    Rule,
    Ruleset,
    Snapshot,
    Socket,
    Stage,
    Stop,
    Table,
)
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save
from netprobe.rules.read.nft_text import rule_statements

SERVICE = "-A KUBE-SERVICES -d 10.96.0.20/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8080"
MASQUERADE = "-A POSTROUTING -d 172.17.0.2/32 -p tcp -m tcp --dport 8080 -j MASQUERADE"
DOCKER = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
TO_LOCAL = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"


def nat(*rules: str) -> str:
    chains = ("PREROUTING ACCEPT", "INPUT ACCEPT", "OUTPUT ACCEPT", "POSTROUTING ACCEPT", "DOCKER -", "KUBE-SERVICES -")
    return "\n".join(("*nat", *(f":{chain} [0:0]" for chain in chains), *rules, "COMMIT", ""))


def network(*rules: str, six: tuple[str, ...] = (), listening: tuple[Socket, ...] = ()) -> Snapshot:
    """The tutorial's network with these rules of the host's iptables, and programs in c1."""
    tables = (*read_save(nat(*rules), "iptables", "ip"), *(read_save(nat(*six), "iptables", "ip6") if six else ()))
    snapshot = edited(tutorial(), "host", ruleset=Ruleset(tables=tables), sockets=())
    return edited(snapshot, "c1", sockets=listening)


def cause(snapshot: Snapshot, source: str, dst: str, port: int) -> Stop:
    """What stands first when a TCP connection to this port fails."""
    asked = probe(source, dst, Protocol.TCP, source_port=40000)
    lost = predict(snapshot, replace(asked, destination=replace(asked.destination, port=port)), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    return choice.choose(snapshot, lost, lost.stop).stop


def fix(stop: Stop) -> list[str]:
    return [" ".join(command.words) for command in stop.commands]


def web(port: int, address: str = "0.0.0.0") -> Socket:
    return Socket("tcp", address, port, "listen")


def test_a_chain_of_services_is_led_to_from_the_host_itself_too() -> None:
    snapshot = network("-A PREROUTING -j KUBE-SERVICES", SERVICE, MASQUERADE, listening=(web(8080),))
    said = cause(snapshot, "host", "10.96.0.20", 80)
    assert (said.code, said.object and said.object.id) == ("dnat-missing", "iptables nat KUBE-SERVICES 1")
    assert fix(said) == ["iptables -t nat -A OUTPUT -j KUBE-SERVICES"]


def test_a_jump_for_an_interface_is_copied_without_it() -> None:
    snapshot = network("-A PREROUTING -i br0 -j KUBE-SERVICES", SERVICE, MASQUERADE, listening=(web(8080),))
    assert fix(cause(snapshot, "host", "10.96.0.20", 80)) == ["iptables -t nat -A OUTPUT -j KUBE-SERVICES"]


def test_an_address_that_a_rule_publishes_for_an_interface_that_is_not_there() -> None:
    rule = "-A PREROUTING -d 169.254.169.254/32 -i cali+ -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8181"
    to = "-A POSTROUTING -d 172.17.0.2/32 -p tcp -m tcp --dport 8181 -j MASQUERADE"
    said = cause(network(rule, to, listening=(web(8181),)), "red", "169.254.169.254", 80)
    assert (said.code, said.place.namespace) == ("dnat-missing", "host")
    assert fix(said) == ["iptables -t nat -A PREROUTING -p tcp -d 169.254.169.254 --dport 80 -j DNAT --to-destination 172.17.0.2:8181"]


def test_an_address_that_no_rule_speaks_of_is_published_by_none() -> None:
    """A rule for port 80 of another address is no reason to lead this one there."""
    snapshot = network("-A PREROUTING -j KUBE-SERVICES", SERVICE, MASQUERADE, listening=(web(8080),))
    assert cause(snapshot, "host", "10.96.0.21", 80).code == "no-route"


def test_a_rule_before_it_lets_the_packet_pass() -> None:
    """Since Docker 28.0 what comes from a routed bridge returns first."""
    snapshot = network(TO_LOCAL, "-A DOCKER -i br0 -j RETURN", DOCKER, listening=(web(80),))
    said = cause(snapshot, "red", "203.0.113.2", 8080)
    assert (said.code, said.object and said.object.id) == ("dnat-missing", "iptables nat DOCKER 1")
    assert fix(said) == ["iptables -t nat -D DOCKER -i br0 -j RETURN"]


def with_ipv6(snapshot: Snapshot) -> Snapshot:
    lines = (
        "internet: ip address add 2001:db8::1/64 dev eth0",
        "internet: ip -6 route add default via 2001:db8::2 dev eth0",
        "host: ip address add 2001:db8::2/64 dev eth0",
        "host: ip address add fd00:17::1/64 dev docker0",
        "host: sysctl -w net.ipv6.conf.all.forwarding=1",
        "c1: ip address add fd00:17::2/64 dev eth0",
        "c1: ip -6 route add default via fd00:17::1 dev eth0",
    )
    commands = tuple(Command(tuple(words.split()), name) for name, _, words in (line.partition(": ") for line in lines))
    after = mend(with_link_locals(snapshot), Cause("", Place(None, None, Stage.ROUTE), "", commands=commands))
    assert after is not None
    return after


def test_a_port_that_is_published_in_the_other_ip_version() -> None:
    snapshot = with_ipv6(network(TO_LOCAL, DOCKER, listening=(web(80, "::"),)))
    said = cause(snapshot, "internet", "2001:db8::2", 8080)
    assert (said.code, said.object and said.object.id) == ("dnat-missing", "iptables nat DOCKER 1")
    assert fix(said) == ["ip6tables -t nat -A PREROUTING -p tcp -d 2001:db8::2 --dport 8080 -j DNAT --to-destination [fd00:17::2]:80"]


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


def test_a_published_port_of_the_loopback_needs_a_source_that_is_answered() -> None:
    rule = "-A OUTPUT -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    snapshot = network(rule, listening=(web(80),))
    sysctls = {**snapshot["host"].sysctls, "net.ipv4.conf.docker0.route_localnet": "1"}
    said = cause(edited(snapshot, "host", sysctls=sysctls), "host", "127.0.0.1", 8080)
    assert (said.code, said.place.namespace) == ("nat-missing", "host")
    assert fix(said) == ["iptables -t nat -A POSTROUTING -s 127.0.0.0/8 -o docker0 -j MASQUERADE"]


def test_what_route_localnet_holds_back_is_not_for_a_translation_to_mend() -> None:
    rule = "-A OUTPUT -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    own = "-A POSTROUTING -o docker0 -m addrtype --src-type LOCAL -j MASQUERADE"
    said = cause(network(rule, own, listening=(web(80),)), "host", "127.0.0.1", 8080)
    assert said.code.startswith("martian-")
    assert fix(said) == ["sysctl -w net.ipv4.conf.docker0.route_localnet=1"]


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


def own_service(*more: str) -> Snapshot:
    """A service's address on both hosts, as kube-proxy's dummy interface has it, and its one program on the far one."""
    service = "-A OUTPUT -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 203.0.113.1:8080"
    snapshot = network(service, *more)
    for name in ("host", "internet"):
        lo = Route("10.96.0.10/32", "local", 255, (Nexthop(1),), scope="host")
        addresses = (*snapshot[name].addresses, InterfaceAddress(1, "10.96.0.10", 32))
        snapshot = edited(snapshot, name, addresses=addresses, routes=(*snapshot[name].routes, lo))
    return edited(snapshot, "internet", sockets=(web(8080),), ruleset=Ruleset(queues=()))


def test_a_service_that_a_host_has_itself_is_asked_with_a_source_that_only_the_far_one_could_answer() -> None:
    said = cause(own_service(), "host", "10.96.0.10", 80)
    assert (said.code, said.place.namespace) == ("nat-missing", "host")
    assert fix(said) == ["iptables -t nat -A POSTROUTING -s 10.96.0.10 -o eth0 -j MASQUERADE"]


def test_with_another_source_it_is_answered() -> None:
    asked = probe("host", "10.96.0.10", Protocol.TCP, source_port=40000)
    asked = replace(asked, destination=replace(asked.destination, port=80))
    outcome = predict(own_service("-A POSTROUTING -s 10.96.0.10/32 -o eth0 -j MASQUERADE"), asked, ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.passes


def outside(rule: str) -> Snapshot:
    """The network with this rule of the host, and a route of the other side as the kernel makes it of an address."""
    snapshot = network(rule, listening=(web(80),))
    routes = (replace(route, protocol="kernel" if route.gateways == [None] else "boot") for route in snapshot["internet"].routes)
    return edited(snapshot, "internet", routes=tuple(routes))


@pytest.mark.parametrize("written", ["203.0.113.50/32", "203.0.113.50"])
def test_an_address_that_a_rule_translates_belongs_to_the_router(written: str) -> None:
    """One address outside for one container inside: without it nobody answers who asks for that."""
    snapshot = outside(f"-A PREROUTING -d {written} -j DNAT --to-destination 172.17.0.2")
    said = cause(snapshot, "internet", "203.0.113.50", 80)
    assert (said.code, said.place.namespace, said.place.interface) == ("addr-missing", "host", "eth0")
    assert fix(said) == ["ip address add 203.0.113.50/24 dev eth0"]


def test_a_rule_for_a_whole_network_tells_of_no_address() -> None:
    snapshot = outside("-A PREROUTING -d 203.0.113.0/24 -j DNAT --to-destination 172.17.0.2")
    assert cause(snapshot, "internet", "203.0.113.50", 80).code == "neigh-no-answer"


def with_a_map(*ports: int, to: object = "172.17.0.2") -> Snapshot:
    """The host publishes c1's ports by a map of nft; c1 listens on both."""
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    elements = [[port, to] for port in ports]
    data = ["ipv4_addr", "inet_service"] if to != "172.17.0.2" else "ipv4_addr"
    named = {"map": {"name": "ports", "handle": 2, "type": "inet_service", "map": data, "elem": elements}}
    led = {"dnat": {"addr": {"map": {"key": payload("tcp", "dport"), "data": "@ports"}}}}
    rule = {"rule": {"chain": "p", "handle": 3, "expr": [test({"fib": {"result": "type", "flags": ["daddr"]}}, "local"), led]}}
    listening = tuple(web(port) for port in (8080, 8443))
    snapshot = edited(tutorial(), "host", ruleset=nft_table(chain, named, rule, family="ip"), sockets=())
    return edited(snapshot, "c1", sockets=listening)


def test_a_port_that_the_map_of_published_ports_lacks() -> None:
    found = cause(with_a_map(8443), "internet", "203.0.113.2", 8080)
    assert found.code == "dnat-missing"
    assert [" ".join(map(str, each.words)) for each in found.commands] == ["nft add element ip t ports { 8080 : 172.17.0.2 }"]


@pytest.mark.parametrize(("c1", "c2"), [((8443,), (8080,)), ((8443,), (8080, 8443))])
def test_a_map_of_addresses_leads_to_another_station_and_to_no_other_port(c1: tuple[int, ...], c2: tuple[int, ...]) -> None:
    """c1 listens on the other one of its two ports, to which such a map cannot lead: the kernel refuses what is no address."""
    network = edited(with_a_map(8080), "c1", sockets=tuple(map(web, c1)))
    found = cause(edited(network, "c2", sockets=tuple(map(web, c2))), "internet", "203.0.113.2", 8080)
    lines = ["nft delete element ip t ports { 8080 }", "nft add element ip t ports { 8080 : 172.17.0.3 }"]
    assert (found.code, fix(found)) == ("dnat-dead-target", lines)


def test_an_element_has_the_port_of_a_program_apart() -> None:
    snapshot = with_a_map(8080, 8443, to={"concat": ["172.17.0.2", 9090]})
    found = cause(edited(snapshot, "c1", sockets=(web(8000),)), "internet", "203.0.113.2", 8080)
    assert fix(found) == [
        "nft delete element ip t ports { 8080 }",
        "nft add element ip t ports { 8080 : 172.17.0.2 . 8000 }",
    ]


def test_a_map_of_published_ports_in_which_nothing_is_left() -> None:
    """Who was published no rule tells any more."""
    found = cause(with_a_map(), "internet", "203.0.113.2", 8080)
    assert (found.code, found.thing.id) == ("dnat-missing", "nft ip t ports")
    assert [" ".join(map(str, each.words)) for each in found.commands] == ["nft add element ip t ports { 8080 : TARGET }"]


@pytest.mark.parametrize(("address", "code"), [("203.0.113.2", "dnat-missing"), ("203.0.113.7", "port-closed")])
def test_an_address_that_is_there_to_be_led_on_by_a_mark(address: str, code: str) -> None:
    """And nothing marks this packet."""
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    named = {"map": {"name": "backs", "handle": 2, "type": "mark", "map": "ipv4_addr", "elem": [[1, "172.17.0.2"]]}}
    led = {"dnat": {"addr": {"map": {"key": {"meta": {"key": "mark"}}, "data": "@backs"}}}}
    rule = {"rule": {"chain": "p", "handle": 3, "expr": [test(payload("ip", "daddr"), address), led]}}
    snapshot = edited(tutorial(), "host", ruleset=nft_table(chain, named, rule, family="ip"), sockets=())
    assert cause(snapshot, "internet", "203.0.113.2", 8080).code == code


def test_a_port_that_a_map_has_and_the_rule_does_not_ask_for() -> None:
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    known = {"set": [[8080, "172.17.0.2"], [8443, "172.17.0.2"]]}
    led = {"dnat": {"addr": {"map": {"key": payload("tcp", "dport"), "data": known}}}}
    asked = [test(payload("ip", "daddr"), "203.0.113.2"), test(payload("tcp", "dport"), {"set": [77, 8443]}), led]
    rules = nft_table(chain, {"rule": {"chain": "p", "handle": 3, "expr": asked}}, family="ip")
    snapshot = edited(tutorial(), "host", ruleset=rules, sockets=())
    found = [cause(snapshot, "internet", "203.0.113.2", port).code for port in (8080, 8081)]
    assert found == ["dnat-missing", "port-closed"]


def test_what_lets_all_pass_before_the_map_that_leads_to_the_rule_that_publishes() -> None:
    chains = [{"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}]
    chains += [{"chain": {"name": "web", "handle": 2}}]
    ports = {"set": [[8080, {"goto": {"target": "web"}}]]}
    rules = [[{"accept": None}], [{"vmap": {"key": payload("tcp", "dport"), "data": ports}}]]
    objects = [*chains, *({"rule": {"chain": "p", "handle": 3 + n, "expr": rule}} for n, rule in enumerate(rules))]
    led = {"rule": {"chain": "web", "handle": 9, "expr": [{"dnat": {"addr": "172.17.0.2"}}]}}
    snapshot = edited(tutorial(), "host", ruleset=nft_table(*objects, led, family="ip"), sockets=())
    said = cause(edited(snapshot, "c1", sockets=(web(8080),)), "internet", "203.0.113.2", 8080)
    assert (said.code, fix(said)) == ("dnat-missing", ["nft delete rule ip t p handle 3"])


@pytest.mark.parametrize(("asked", "count"), [("172.17.0.2", 0), ("203.0.113.2", 1)])
def test_a_map_of_who_hands_on_what_is_for_a_station_lacks_nothing(asked: str, count: int) -> None:
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    named = {"map": {"name": "m", "handle": 2, "type": "inet_service", "map": "verdict", "elem": [[22, {"drop": None}]]}}
    rule = {"rule": {"chain": "p", "handle": 3, "expr": [{"vmap": {"key": payload("tcp", "dport"), "data": "@m"}}]}}
    led = {"rule": {"chain": "web", "handle": 9, "expr": [{"dnat": {"addr": "172.17.0.9"}}]}}
    rules = nft_table(chain, {"chain": {"name": "web", "handle": 4}}, named, rule, led, family="ip")
    snapshot = edited(edited(tutorial(), "host", ruleset=rules, sockets=()), "c1", sockets=())
    probing = probe("red", asked, Protocol.TCP, source_port=40000)
    lost = predict(snapshot, replace(probing, destination=replace(probing.destination, port=8080)), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert len([*lacking.candidates(Loss.of(snapshot, lost, lost.stop))]) == count


def test_a_loopback_that_is_led_elsewhere_wants_its_setting() -> None:
    """The rule does what it is for: what leaves with a loopback's address is refused, unless route_localnet is on."""
    rule = "-A OUTPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80"
    listening = edited(tutorial(), "red", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    ruled = edited(listening, "host", ruleset=iptables(f"*nat\n:OUTPUT ACCEPT [0:0]\n{rule}\nCOMMIT"), sockets=())
    asked = probe("host", "127.0.0.1", Protocol.TCP, source_port=40000)
    lost = predict(ruled, replace(asked, destination=replace(asked.destination, port=8080)), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert lost.stop.code == "martian-source"
    assert blame.blamed(Loss.of(ruled, lost, lost.stop)) is None


def test_who_is_led_to_an_address_of_its_own() -> None:
    """What comes back to it has its own address as its source."""
    rule = "-A PREROUTING -d 203.0.113.2/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 8.8.8.8:443"
    said = cause(edited(network(rule), "internet", sockets=()), "internet", "203.0.113.2", 8080)
    assert (said.code, said.thing.id) == ("dnat-dead-target", "iptables nat PREROUTING 1")


def test_who_drops_where_addresses_are_translated_has_no_exceptions() -> None:
    """It would be one for each connection."""
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "drop"}}
    asked = [test(payload("tcp", "dport"), 22), {"dnat": {"addr": "172.17.0.2", "port": 22}}]
    rules = nft_table(chain, {"rule": {"chain": "p", "handle": 3, "expr": asked}}, family="ip")
    snapshot = edited(tutorial(), "host", ruleset=rules, sockets=(web(8080),))
    assert fix(cause(snapshot, "internet", "203.0.113.2", 8080)) == ["nft chain ip t p { policy accept; }"]


@pytest.mark.parametrize("held", [(), ("192.0.2.7",)])
def test_an_address_that_the_set_of_published_addresses_lacks(held: tuple[str, ...]) -> None:
    """kube-proxy publishes ports of nodes at the addresses of a set."""
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    named = {"set": {"name": "nodes", "handle": 2, "type": "ipv4_addr", "elem": [*held]}}
    rule = {
        "rule": {"chain": "p", "handle": 3, "expr": [test(payload("ip", "daddr"), "@nodes"), {"dnat": {"addr": "172.17.0.2", "port": 80}}]}
    }
    snapshot = edited(tutorial(), "host", ruleset=nft_table(chain, named, rule, family="ip"), sockets=())
    found = cause(edited(snapshot, "c1", sockets=(web(80),)), "internet", "203.0.113.2", 8080)
    assert (found.code, found.place.stage, fix(found)) == ("dnat-missing", Stage.PREROUTING, ["nft add element ip t nodes { 203.0.113.2 }"])


@pytest.mark.parametrize(("family", "word"), [("ip", "dnat to"), ("inet", "dnat ip to")])
def test_a_port_that_nft_publishes_for_another_address(family: str, word: str) -> None:
    """As netavark does it: in a chain that is jumped to, a mark first, the translation after it."""
    base = {"chain": {"name": "PREROUTING", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    jumped = {"chain": {"name": "HOSTPORT", "handle": 2}}
    meant = [test(payload("ip", "daddr"), "127.0.0.1"), test(payload("tcp", "dport"), 8080)]
    rules = [
        ("PREROUTING", [test({"fib": {"result": "type", "flags": ["daddr"]}}, "local"), {"jump": {"target": "HOSTPORT"}}]),
        ("HOSTPORT", [*meant, {"mangle": {"key": {"meta": {"key": "mark"}}, "value": 8192}}]),
        ("HOSTPORT", [*meant, {"dnat": {"family": "ip", "addr": "172.17.0.2", "port": 80}}]),
    ]
    made = [{"rule": {"chain": chain, "handle": 10 + n, "expr": rule}} for n, (chain, rule) in enumerate(rules)]
    snapshot = edited(tutorial(), "host", ruleset=nft_table(base, jumped, *made, family=family), sockets=())
    found = cause(edited(snapshot, "c1", sockets=(web(80),)), "internet", "203.0.113.2", 8080)
    assert (found.code, found.thing.id) == ("dnat-missing", f"nft {family} t HOSTPORT handle 12")
    assert fix(found) == [f"nft insert rule {family} t PREROUTING ip daddr 203.0.113.2 tcp dport 8080 {word} 172.17.0.2:80"]


@pytest.mark.parametrize(
    "asked",
    ["--sport 8080", "-m multiport --dports 80,8080 -s 10.99.0.0/16", "--dport 8000:8090 -s 10.99.0.0/16", "! --dport 8080"],
)
def test_a_rule_speaks_of_a_port_among_others_or_by_mistake(asked: str) -> None:
    rule = f"-A PREROUTING -p tcp -m tcp {asked} -j DNAT --to-destination 172.17.0.2:80"
    said = cause(network(rule, listening=(web(80),)), "red", "203.0.113.2", 8080)
    assert (said.code, said.object and said.object.id) == ("dnat-missing", "iptables nat PREROUTING 1")
    assert fix(said) == ["iptables -t nat -A PREROUTING -p tcp -d 203.0.113.2 --dport 8080 -j DNAT --to-destination 172.17.0.2:80"]


def test_a_port_that_is_redirected_for_others() -> None:
    rule = "-A PREROUTING -s 10.99.0.0/16 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128"
    snapshot = edited(network(rule), "host", sockets=(web(3128),))
    said = cause(snapshot, "red", "203.0.113.2", 80)
    assert (said.code, said.object and said.object.id) == ("dnat-missing", "iptables nat PREROUTING 1")
    assert fix(said) == ["iptables -t nat -A PREROUTING -p tcp -d 203.0.113.2 --dport 80 -j REDIRECT --to-ports 3128"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [("-i br0 --sport 80", "dnat-missing"), ("-i gone0 --dport 80", "dnat-missing"), ("-i docker0 --dport 80", "port-closed")],
)
def test_what_a_proxy_does_not_get_by_a_rule_that_is_off(asked: str, code: str) -> None:
    """The rule is for whatever comes in by an interface, to no destination in particular; for another interface it is as it should be."""
    door, ports = asked.rsplit(" ", 2)[0], " ".join(asked.rsplit(" ", 2)[1:])
    rule = f"-A PREROUTING {door} -p tcp -m tcp {ports} -j REDIRECT --to-ports 3128"
    snapshot = edited(edited(network(rule), "host", sockets=(web(3128),)), "internet", sockets=())
    said = cause(snapshot, "red", "8.8.8.8", 80)
    assert (said.code, "REDIRECT" in " ".join(fix(said))) == (code, code == "dnat-missing")


def test_who_was_led_to_a_host_that_publishes_for_others() -> None:
    """The engine of a virtual machine publishes what the machine's host leads there, and its rule has come to be for others only."""
    outer = "-A PREROUTING -d 8.8.8.8/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 203.0.113.2:8080"
    inner = "-A PREROUTING -s 10.99.0.0/16 -d 203.0.113.2/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    snapshot = network(inner, listening=(web(80),))
    red = Ruleset(tables=tuple(read_save(nat(outer.replace("PREROUTING", "OUTPUT")), "iptables", "ip")))
    said = cause(edited(edited(snapshot, "red", ruleset=red), "internet", sockets=()), "red", "8.8.8.8", 80)
    assert (said.code, said.place.namespace) == ("dnat-missing", "host")
    assert fix(said) == ["iptables -t nat -A PREROUTING -p tcp -d 203.0.113.2 --dport 8080 -j DNAT --to-destination 172.17.0.2:80"]


def test_what_a_host_refuses_for_itself_and_publishes_for_others() -> None:
    rule = "-A PREROUTING -s 10.99.0.0/16 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    closed = read_save("*filter\n:INPUT DROP [0:0]\nCOMMIT\n", "iptables", "ip")
    snapshot = network(rule, listening=(web(80),))
    tables = snapshot["host"].tables
    said = cause(edited(snapshot, "host", ruleset=Ruleset(tables=(*tables, *closed))), "red", "203.0.113.2", 8080)
    assert (said.code, said.place.namespace) == ("dnat-missing", "host")


@pytest.mark.parametrize(("listening", "code"), [((), "dnat-missing"), ((web(443),), "policy-drop")])
def test_a_port_that_the_map_lacks_and_the_host_neither_opens_nor_serves(listening: tuple[Socket, ...], code: str) -> None:
    """To open the host's own input would bring nobody to a program."""
    named = {"name": "ports", "type": "inet_service", "map": "ipv4_addr", "elem": [[80, "172.17.0.2"]]}
    led = {"dnat": {"addr": {"map": {"key": payload("tcp", "dport"), "data": "@ports"}}}}
    chain = {"name": "pre", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}
    inner = {"name": "inp", "handle": 2, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}
    rules = nft_table({"map": named}, {"chain": chain}, {"chain": inner}, {"rule": {"chain": "pre", "handle": 3, "expr": [led]}})
    snapshot = edited(tutorial(), "host", ruleset=rules, sockets=listening)
    said = cause(snapshot, "red", "203.0.113.2", 443)
    assert (said.code, said.place.namespace) == (code, "host")


@pytest.mark.parametrize(
    ("back", "fix_"),
    [
        (
            "-A PREROUTING -d 10.101.0.0/31 -i eth0 -j NETMAP --to 172.17.0.0/24",
            "iptables -t nat -R PREROUTING 1 -d 10.101.0.0/24 -i eth0 -j NETMAP --to 172.17.0.0/24",
        ),
        ("-A PREROUTING -j RETURN", "iptables -t nat -I PREROUTING -d 10.101.0.0/24 -i eth0 -j NETMAP --to 172.17.0.0/24"),
    ],
)
def test_a_network_that_leaves_as_another_one_is_led_back(back: str, fix_: str) -> None:
    snapshot = network(back, "-A POSTROUTING -s 172.17.0.0/24 -o eth0 -j NETMAP --to 10.101.0.0/24", listening=(web(80),))
    routes = (networks.via("10.101.0.0/24", "203.0.113.2", 2), *snapshot["internet"].routes)
    said = cause(edited(snapshot, "internet", routes=routes), "internet", "10.101.0.2", 80)
    assert (said.code, said.place.namespace, fix(said)) == ("dnat-missing", "host", [fix_])


@pytest.mark.parametrize(("target", "line"), [("8.8.8.8", "-R KUBE-SERVICES 1"), ("172.17.0.3", "ss -lntp")])
def test_a_service_of_this_machine_that_leads_to_a_far_one(target: str, line: str) -> None:
    """To a station beside its engine leads because it is there, whatever listens."""
    rule = f"-A KUBE-SERVICES -d 10.43.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination {target}:6443"
    snapshot = edited(network("-A PREROUTING -j KUBE-SERVICES", rule), "host", sockets=(web(6443),))
    found = fix(cause(edited(edited(snapshot, "internet", sockets=()), "c2", sockets=()), "red", "10.43.0.1", 443))
    assert line in found[0]
    assert ("10.0.0.1:6443" in found[0]) == (target == "8.8.8.8")


BY_PORT = "tcp dport vmap { 80 : goto web, 443 : goto web }"


@pytest.mark.parametrize(
    ("door", "asked", "line"),
    [
        ('iifname "ens3" ', 80, f'nft replace rule ip nat pre handle 1 iifname "br0" {BY_PORT}'),
        ('iifname "docker0" ', 80, "nft insert rule ip nat pre position 1 tcp dport 80 goto web"),
        ("ip saddr 10.9.0.0/24 ", 443, "nft insert rule ip nat pre position 1 tcp dport 443 goto web"),
        ('iifname "ens3" ', 81, None),
    ],
)
def test_a_port_that_a_map_leads_to_what_publishes_but_not_for_this_packet(door: str, asked: int, line: str | None) -> None:
    rules = [(Rule(1, f"{door}{BY_PORT}", tuple(rule_statements(f"{door}{BY_PORT}")), handle=1),)]
    rules += [(Rule(1, "dnat to 172.17.0.2", tuple(rule_statements("dnat to 172.17.0.2")), handle=2),)]
    chains = (Chain("pre", rules[0], "prerouting", -100, "nat"), Chain("web", rules[1]))
    snapshot = edited(network(listening=(web(80), web(443))), "host", ruleset=Ruleset(tables=(Table("nft", "ip", "nat", chains),)))
    said = cause(snapshot, "red", "10.0.0.1", asked)
    assert (said.code, fix(said)) == (("dnat-missing", [line]) if line else ("port-closed", fix(said)))


def test_a_dead_target_far_away_moved_within_its_own_network() -> None:
    """red is on no network of containers; c1 listens beside the address that host asks for. What is translated needs no owner."""
    off = SERVICE.replace("172.17.0.2", "172.17.0.9")
    snapshot = edited(tutorial(), "red", ruleset=Ruleset(tables=read_save(nat("-A OUTPUT -j KUBE-SERVICES", off), "iptables", "ip")))
    said = cause(edited(snapshot, "c1", sockets=(web(8080),)), "red", "10.96.0.20", 80)
    assert (said.code, said.object and said.object.id) == ("dnat-dead-target", "iptables nat KUBE-SERVICES 1")
    assert fix(said) == [f"iptables -t nat -R KUBE-SERVICES 1 {SERVICE.removeprefix('-A KUBE-SERVICES ')}"]


def test_an_answer_from_another_port_is_none() -> None:
    """A rule of the asker's own gives the answer another source port, and no socket waits for that."""
    line = "tcp sport 8080 tcp sport set 9999"
    changing = Chain("pre", (Rule(1, line, tuple(rule_statements(line)), handle=5),), "prerouting", -300, "filter")
    snapshot = edited(network(listening=(web(8080),)), "red", ruleset=Ruleset(tables=(Table("nft", "ip", "odd", (changing,)),)))
    said = cause(snapshot, "red", "172.17.0.2", 8080)
    assert (said.code, fix(said)) == ("nat-wrong-address", ["nft delete rule ip odd pre handle 5"])

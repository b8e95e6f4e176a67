"""A published address or port that does not get this packet: the rule that publishes it is off, stands too late, or speaks of another."""

from __future__ import annotations

import networks
import pytest
from literal_rules import nft_table, payload, test
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial, with_link_locals

from netprobe.diagnose.apply import mend
from netprobe.diagnose.repair import choice
from netprobe.model import Cause, Command, Place, Protocol, Ruleset, Snapshot, Socket, Stage, Stop
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save

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


def test_who_drops_where_addresses_are_translated_has_no_exceptions() -> None:
    """It would be one for each connection."""
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "drop"}}
    asked = [test(payload("tcp", "dport"), 22), {"dnat": {"addr": "172.17.0.2", "port": 22}}]
    rules = nft_table(chain, {"rule": {"chain": "p", "handle": 3, "expr": asked}}, family="ip")
    snapshot = edited(tutorial(), "host", ruleset=rules, sockets=(web(8080),))
    assert fix(cause(snapshot, "internet", "203.0.113.2", 8080)) == ["nft chain ip t p { policy accept; }"]


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

"""What is published, and from which source it is asked and answered: loopbacks, services of both hosts, answers of another port."""

from __future__ import annotations

from literal_rules import iptables
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial
from test_published import cause, fix, network, web

from netprobe.diagnose.repair import blame
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Chain, InterfaceAddress, Nexthop, Protocol, Route, Rule, Ruleset, Snapshot, Socket, Table
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.nft_text import rule_statements


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


def test_an_answer_from_another_port_is_none() -> None:
    """A rule of the asker's own gives the answer another source port, and no socket waits for that."""
    line = "tcp sport 8080 tcp sport set 9999"
    changing = Chain("pre", (Rule(1, line, tuple(rule_statements(line)), handle=5),), "prerouting", -300, "filter")
    snapshot = edited(network(listening=(web(8080),)), "red", ruleset=Ruleset(tables=(Table("nft", "ip", "odd", (changing,)),)))
    said = cause(snapshot, "red", "172.17.0.2", 8080)
    assert (said.code, fix(said)) == ("nat-wrong-address", ["nft delete rule ip odd pre handle 5"])

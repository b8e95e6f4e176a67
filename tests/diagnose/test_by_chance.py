"""A service with two endpoints, of which one is nobody's: some connections pass, and others do not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial
from test_published import MASQUERADE, network, web
from test_roots import asked

from netprobe.model import Protocol, Ruleset, Snapshot, Socket, Verdict
from netprobe.rules.read.iptables_save import read_save

CHANCE = "-m statistic --mode random --probability 0.50000000000"


def service(*endpoints: str) -> Snapshot:
    """Two endpoints: the first for one half of the connections, the second for the others."""
    to = [f"-j DNAT --to-destination {each}" for each in endpoints]
    chain = (f"-A KUBE-SERVICES -d 10.96.0.20/32 -p tcp -m tcp --dport 80 {CHANCE} {to[0]}",
             f"-A KUBE-SERVICES -d 10.96.0.20/32 -p tcp -m tcp --dport 80 {to[1]}")  # fmt: skip
    found = network("-A PREROUTING -j KUBE-SERVICES", "-A OUTPUT -j KUBE-SERVICES", *chain, MASQUERADE, listening=(web(8080),))
    for name in ("red", "c1", "internet"):
        found = edited(found, name, ruleset=Ruleset())
    return found


def why(snapshot: Snapshot, source: str) -> tuple[Verdict, str, list[str]]:
    one = probe(source, "10.96.0.20", Protocol.TCP, source_port=40000)
    report = asked(snapshot, replace(one, destination=replace(one.destination, port=80)))
    cause = report.causes[0] if report.causes else None
    return report.verdict, cause.code if cause else "", [" ".join(each.words) for each in cause.commands] if cause else []


LIVING, DEAD = "172.17.0.2:8080", "172.17.0.77:8080"


@pytest.mark.parametrize("source", ["host", "red"])
@pytest.mark.parametrize("order", [(LIVING, DEAD), (DEAD, LIVING)])
def test_the_endpoint_that_nobody_is(source: str, order: tuple[str, str]) -> None:
    verdict, code, fix = why(service(*order), source)
    assert (verdict, code) == (Verdict.INTERMITTENT, "dnat-dead-target")
    [command] = fix
    assert command.startswith("iptables -t nat -R KUBE-SERVICES")
    assert command.endswith(LIVING)


@pytest.mark.parametrize("source", ["host", "red"])
def test_both_live(source: str) -> None:
    assert why(service(LIVING, LIVING), source)[0] is Verdict.REACHABLE


def test_neither_lives() -> None:
    assert why(service(DEAD, DEAD), "host")[0] is Verdict.UNREACHABLE


@pytest.mark.parametrize("one", ["-m statistic --mode nth --every 1000 --packet 900", CHANCE])
def test_what_lets_pass_by_chance_is_not_said_once_more(one: str) -> None:
    """Neither moved nor copied it would let more pass than it does."""
    rules = ("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", f"-d 172.17.0.2/32 -p udp {one} -m udp --dport 53 -j ACCEPT")
    text = "\n".join(("*filter", ":FORWARD DROP [0:0]", *(f"-A FORWARD {rule}" for rule in rules), "COMMIT", ""))
    snapshot = edited(tutorial(), "host", ruleset=Ruleset(tables=tuple(read_save(text, "iptables", "ip")), queues=()))
    for name in ("red", "c1"):
        snapshot = edited(snapshot, name, ruleset=Ruleset(), sockets=(Socket("udp", "0.0.0.0", 53, "unconnected"),))
    sent = probe("red", "172.17.0.2", Protocol.UDP, source_port=40000)
    report = asked(snapshot, replace(sent, destination=replace(sent.destination, port=53)))
    assert report.verdict is Verdict.INTERMITTENT
    said = [" ".join(command.words) for cause in (*report.causes, *report.alternatives) for command in cause.commands]
    assert said[0].startswith("iptables -I FORWARD")
    assert not any("statistic" in line for line in said)

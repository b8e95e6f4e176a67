"""What is offered against a firewall that lets nothing through: an exception for this traffic, and the model says that it is enough."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, probe, tutorial
from test_roots import MASQUERADE, filter_rules, ruled

from netprobe.diagnose.apply import mend
from netprobe.model import Command, Nexthop, Place, Protocol, Ruleset, Snapshot, Socket, Stage, Stop
from netprobe.predict.allow import without_limit
from netprobe.predict.predict import Prediction, predict
from netprobe.rules.read.iptables_save import read_save

FROM_RED = ("-i", "br0", "-o", "eth0", "-j", "ACCEPT")
BACK = ("-i", "eth0", "-o", "br0", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT")
LIMITED = "FORWARD -i br0 -m limit --limit 1/min --limit-burst 2 -j ACCEPT"


def firewall(*lines: str, policy: str = "ACCEPT") -> Snapshot:
    """The tutorial's network, whose host has these rules, and this policy of FORWARD."""
    return ruled(MASQUERADE, filter_rules(*lines, policy=policy))


def stopped(snapshot: Snapshot) -> Stop:
    outcome = predict(snapshot, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    return outcome.stop or next(suspect for hop in outcome.request.hops for suspect in hop.suspects)


def words(stop: Stop) -> list[tuple[str, ...]]:
    return [command.words for command in stop.commands]


def passes(snapshot: Snapshot, stop: Stop) -> bool:
    mended = mend(snapshot, stop)
    assert mended is not None
    outcome = predict(mended, probe(), ask=False)
    assert isinstance(outcome, Prediction)
    return outcome.passes and not any(hop.suspects for hop in outcome.request.hops)


def test_a_policy_gets_an_exception_for_both_ways() -> None:
    snapshot = firewall(policy="DROP")
    stop = stopped(snapshot)
    assert (stop.code, words(stop)) == ("policy-drop", [("iptables", "-I", "FORWARD", *FROM_RED), ("iptables", "-I", "FORWARD", *BACK)])
    assert passes(snapshot, stop)


def test_a_way_back_that_is_open_needs_none() -> None:
    snapshot = firewall("FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT", policy="DROP")
    stop = stopped(snapshot)
    assert words(stop) == [("iptables", "-I", "FORWARD", *FROM_RED)]
    assert passes(snapshot, stop)


def shut(*lines: str) -> Snapshot:
    """The tutorial's network, whose red lets nothing in or out by itself."""
    head = ("*filter", ":INPUT DROP [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT DROP [0:0]")
    saved = "\n".join((*head, *(f"-A {line}" for line in lines), "COMMIT", ""))
    return edited(ruled(MASQUERADE, filter_rules()), "red", ruleset=Ruleset(tables=tuple(read_save(saved, "iptables", "ip"))))


def test_who_is_locked_in_and_out_is_let_out_and_answered() -> None:
    """As after iptables -F where both policies are DROP."""
    asked, answered = ("-o", "eth0", "-p", "icmp"), ("-i", "eth0", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
    stop = stopped(shut())
    assert words(stop) == [("iptables", "-I", "OUTPUT", *asked, "-j", "ACCEPT"), ("iptables", "-I", "INPUT", *answered, "-j", "ACCEPT")]
    assert passes(shut(), stop)


def test_who_lets_answers_in_is_let_out_alone() -> None:
    stop = stopped(shut("INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"))
    assert [each[2] for each in words(stop)] == ["OUTPUT"]


def test_an_answer_alone_is_let_in_as_an_answer() -> None:
    snapshot = firewall("FORWARD -i br0 -j ACCEPT", policy="DROP")
    stop = stopped(snapshot)
    assert words(stop) == [("iptables", "-I", "FORWARD", *BACK)]
    assert passes(snapshot, stop)


def to_itself(hook: str, *lines: str) -> Snapshot:
    """The tutorial's network, whose container lets nothing through this hook, and serves itself on loopback."""
    closed = filter_rules(*lines).replace(f":{hook} ACCEPT", f":{hook} DROP")
    snapshot = ruled(closed, name="red")
    return edited(snapshot, "red", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.2"])
@pytest.mark.parametrize(("hook", "door"), [("OUTPUT", "-o"), ("INPUT", "-i")])
def test_what_a_machine_says_to_itself_passes_both_ways_over_loopback(hook: str, door: str, address: str) -> None:
    """A kill switch without `-o lo`: an exception for the port of the question would not let the answer pass."""
    asked = probe("red", address, Protocol.TCP, source_port=40000)
    asked = replace(asked, destination=replace(asked.destination, port=80))
    snapshot = to_itself(hook)
    eth0 = {each.dst: replace(each, nexthops=(Nexthop(2),)) for each in snapshot["red"].routes if each.dst == "10.0.0.2/32"}
    snapshot = edited(snapshot, "red", routes=tuple(eth0.get(each.dst, each) for each in snapshot["red"].routes))  # as the kernel lists it
    lost = predict(snapshot, asked, ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert words(lost.stop) == [("iptables", "-I", hook, door, "lo", "-j", "ACCEPT")]
    mended = mend(snapshot, lost.stop)
    assert mended is not None
    outcome = predict(mended, asked, ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.passes


def test_who_is_let_out_is_let_out_as_it_is_there() -> None:
    """Its destination has another port by then: the table nat stands before the table filter."""
    led = "\n".join(["*nat", ":OUTPUT ACCEPT [0:0]", "-A OUTPUT -p tcp --dport 8080 -j DNAT --to-destination 8.8.8.8:80", "COMMIT"])
    snapshot = ruled(led, filter_rules().replace(":OUTPUT ACCEPT", ":OUTPUT DROP"), name="red", base=ruled(MASQUERADE, filter_rules()))
    asked = probe(protocol=Protocol.TCP, source_port=40000)
    lost = predict(snapshot, replace(asked, destination=replace(asked.destination, port=8080)), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert words(lost.stop) == [("iptables", "-I", "OUTPUT", "-o", "eth0", "-p", "tcp", "--dport", "80", "-j", "ACCEPT")]


def test_an_answer_that_is_not_tracked_is_none_of_a_connection() -> None:
    raw = "\n".join(["*raw", ":PREROUTING ACCEPT [0:0]", "[0:0] -A PREROUTING -j NOTRACK", "COMMIT"])
    snapshot = ruled(raw, filter_rules(policy="DROP"), base=tutorial())
    stop = stopped(snapshot)
    back = ("-i", "eth0", "-o", "br0", "-m", "conntrack", "--ctstate", "UNTRACKED", "-j", "ACCEPT")
    assert words(stop) == [("iptables", "-I", "FORWARD", *FROM_RED), ("iptables", "-I", "FORWARD", *back)]
    assert passes(snapshot, stop)


def test_a_rule_that_ends_a_chain_for_everything_is_a_policy() -> None:
    snapshot = firewall("FORWARD -i docker0 -j ACCEPT", "FORWARD -j DROP")
    stop = stopped(snapshot)
    assert words(stop)[0] == ("iptables", "-I", "FORWARD", *FROM_RED)
    assert passes(snapshot, stop)


@pytest.mark.parametrize("lines", [("FORWARD -j DROP",), ("FORWARD -j DROP", "FORWARD -i docker0 -j ACCEPT"), ("FORWARD -i br0 -j DROP",)])
def test_any_other_rule_is_taken_away(lines: tuple[str, ...]) -> None:
    snapshot = firewall(*lines)
    stop = stopped(snapshot)
    assert words(stop) == [("iptables", "-D", "FORWARD", *lines[0].split()[1:])]
    assert passes(snapshot, stop)


def with_chains(*lines: str) -> Snapshot:
    """The tutorial's network, whose host has these rules, and the chains that they name beside FORWARD."""
    made = sorted({line.split()[0] for line in lines} - {"FORWARD"})
    declared = "".join(f":{chain} - [0:0]\n" for chain in made)
    return ruled(MASQUERADE, filter_rules(*lines).replace(":OUTPUT", f"{declared}:OUTPUT"))


REFUSE = ("refuse -j DROP", "log-refuse -m pkttype --pkt-type broadcast -j refuse", "log-refuse -j refuse")


@pytest.mark.parametrize("refuse", [REFUSE[:1], REFUSE])
def test_an_exception_stands_where_the_others_do_and_not_in_the_chain_that_only_refuses(refuse: tuple[str, ...]) -> None:
    """NixOS, OpenWrt, ufw: a chain of its own does what a policy would do."""
    name = refuse[-1].split()[0]
    snapshot = with_chains("FORWARD -j wall", "wall -i docker0 -j ACCEPT", f"wall -j {name}", *refuse)
    stop = stopped(snapshot)
    assert (stop.object and stop.object.id) == "iptables filter refuse 1"
    assert words(stop)[0] == ("iptables", "-I", "wall", *FROM_RED)
    assert passes(snapshot, stop)


def test_a_chain_that_only_refuses_and_is_led_to_by_some_is_no_policy() -> None:
    snapshot = with_chains("FORWARD -i br0 -j refuse", "FORWARD -i docker0 -j ACCEPT", "FORWARD -o docker0 -j refuse", "refuse -j DROP")
    assert words(stopped(snapshot)) == [("iptables", "-D", "refuse", "-j", "DROP")]


def test_what_is_refused_between_interfaces_where_something_is_accepted() -> None:
    """Docker's own last rule for a network: the exception is as narrow as the one for the published port."""
    snapshot = with_chains(
        "FORWARD -o eth0 -j DOCKER",
        "DOCKER -d 8.8.4.4/32 -i br0 -o eth0 -p tcp -m tcp --dport 80 -j ACCEPT",
        "DOCKER -i br0 -o eth0 -j DROP",
    )
    stop = stopped(snapshot)
    assert words(stop) == [("iptables", "-I", "DOCKER", "-i", "br0", "-o", "eth0", "-p", "icmp", "-j", "ACCEPT")]
    assert passes(snapshot, stop)


def test_twins_go_together() -> None:
    snapshot = firewall("FORWARD -i br0 -j DROP", "FORWARD -i docker0 -j ACCEPT", "FORWARD -i br0 -j DROP", "FORWARD -j ACCEPT")
    stop = stopped(snapshot)
    assert words(stop) == [("iptables", "-D", "FORWARD", "-i", "br0", "-j", "DROP")] * 2
    assert passes(snapshot, stop)


@pytest.mark.parametrize(
    "limit",
    [
        "limit rate 10/second", "limit rate over 500/second", "limit rate over 1 mbytes/second burst 5 packets",
        "quota 25 bytes", "quota over 25 mbytes used 7 bytes",
    ],
)  # fmt: skip
def test_a_rule_of_nft_is_left_without_its_limit(limit: str) -> None:
    assert without_limit(f"tcp dport 22 {limit} accept") == "tcp dport 22 accept"


def test_a_limit_is_taken_off_the_rule_that_accepts() -> None:
    snapshot = firewall("FORWARD -i docker0 -j ACCEPT", LIMITED, "FORWARD -i br0 -j DROP")
    stop = stopped(snapshot)
    limited = tuple(LIMITED.split()[1:])
    assert stop.code == "rate-limited"
    assert words(stop) == [("iptables", "-I", "FORWARD", "2", "-i", "br0", "-j", "ACCEPT"), ("iptables", "-D", "FORWARD", *limited)]
    assert passes(snapshot, stop)


def test_a_rule_that_drops_what_is_too_much_is_taken_away() -> None:
    snapshot = firewall("FORWARD -i br0 -m connlimit --connlimit-above 0 --connlimit-mask 0 --connlimit-saddr -j DROP")
    stop = stopped(snapshot)
    assert [each[:3] for each in words(stop)] == [("iptables", "-D", "FORWARD")]
    assert passes(snapshot, stop)


def test_nothing_is_promised_of_a_rule_that_is_no_longer_there() -> None:
    snapshot = firewall("FORWARD -i br0 -j DROP")
    stop = stopped(snapshot)
    assert mend(firewall("FORWARD -i docker0 -j DROP"), stop) is None
    assert mend(snapshot, replace(stop, place=replace(stop.place, namespace="red"))) is None


@pytest.mark.parametrize(("table", "chain"), [("mangle", "FORWARD"), ("mangle", "PREROUTING"), ("raw", "PREROUTING")])
def test_a_policy_where_nothing_is_filtered_is_turned(table: str, chain: str) -> None:
    """What it stops for this packet it stops for all."""
    ready = tutorial()
    for name in ready.namespaces:
        ready = edited(ready, name, ruleset=Ruleset())
    policy = Command(("iptables", "-t", table, "-P", chain, "DROP"), "host")
    snapshot = mend(ready, Stop("", Place(None, None, Stage.ROUTE), "", commands=(policy,)))
    assert snapshot is not None
    stop = stopped(snapshot)
    assert (stop.code, words(stop)) == ("policy-drop", [("iptables", "-t", table, "-P", chain, "ACCEPT")])
    assert passes(snapshot, stop)

"""After the first cause: what else is in the way, and whether the probe would pass once all of it is mended."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import networks
import pytest
from msgspec.structs import replace
from networks import edited, relinked, tutorial

from netprobe.causes.catalogue import explain
from netprobe.diagnose import blockers
from netprobe.diagnose.apply import mend
from netprobe.diagnose.blockers import look, with_outlook
from netprobe.diagnose.hints import gateway, usual_length
from netprobe.diagnose.repair.several import Searches
from netprobe.diagnose.report import diagnose
from netprobe.diagnose.supposed import supposed
from netprobe.engine.clock import Clock
from netprobe.engine.rounds import foretell
from netprobe.model import (
    Agreement,
    BridgePort,
    Cause,
    Chain,
    Command,
    FindMacvlans,
    FoundPeer,
    InterfaceAddress,
    LinkRef,
    Need,
    Place,
    Protocol,
    ReadNamespace,
    Report,
    Route,
    Ruleset,
    Snapshot,
    Socket,
    Stage,
    Table,
)
from netprobe.model.engines import ContainerEngines
from netprobe.predict.fixes import with_address
from netprobe.predict.peers import mutual
from netprobe.predict.predict import Prediction, predict

PASSES = "after this fix the probe should pass (predicted)"
ALL_PASS = "after this fix and those of what stands behind it the probe should pass (predicted)"


def read(snapshot: Snapshot) -> Snapshot:
    """The snapshot with every ruleset that is not there yet read, and empty."""
    return replace(snapshot, namespaces={n: replace(s, ruleset=s.ruleset or Ruleset()) for n, s in snapshot.namespaces.items()})


def foretold(report: Report, known: Snapshot, searches: Searches | None = None) -> Report:
    """The report with what stands behind its cause, by what was read."""
    return with_outlook(report, look(report, known, explain, None, None if searches is None else lambda: searches))


def lacking(report: Report, known: Snapshot, searches: Searches, asked: tuple[Need, ...] = ()) -> tuple[Need, ...]:
    """What would have to be read for that, besides what was asked before."""
    found = look(report, known, explain, None, lambda: searches, asked)
    assert found is not None
    return found.needs


def told(snapshot: Snapshot) -> Report:
    known = read(snapshot)
    outcome = predict(known, networks.probe(), ask=False)
    assert isinstance(outcome, Prediction)
    return foretold(diagnose("why", outcome.probe, known, outcome, None, frozenset(), explain), known)


OFF = {"net.ipv4.ip_forward": "0"}
DROP = Ruleset(tables=(Table("iptables", "ip", "filter", (Chain("FORWARD", hook="forward", policy="drop"),)),))
BLACKHOLE = (*networks.host().routes, Route("8.8.8.8/32", "blackhole"))
NO_RETURN = (*networks.local("8.8.8.8", "203.0.113.1"), networks.via("203.0.113.0/24", None, 2))


@pytest.mark.parametrize(
    ("snapshot", "codes", "notes"),
    [
        (tutorial(), [], ()),
        (edited(tutorial(), "host", sysctls=OFF), ["forwarding-off"], (PASSES,)),
        (edited(tutorial(), "host", ruleset=DROP), ["policy-drop"], (PASSES,)),
        (edited(tutorial(), "internet", routes=NO_RETURN), ["nat-missing"], (PASSES,)),
        (relinked(tutorial(), "host", "veth0", port=BridgePort(state="blocking")), ["port-not-forwarding"], (PASSES,)),
        (relinked(tutorial(), "host", "veth0", master=None, port=None), ["port-not-in-bridge"], (PASSES,)),
        (edited(tutorial(), "host", sysctls=OFF, ruleset=DROP, routes=BLACKHOLE),
         ["route-blackhole", "forwarding-off", "policy-drop"], (ALL_PASS,)),
        (edited(tutorial(), "red", routes=networks.local("10.0.0.2")), ["no-route"], (PASSES,)),
    ],
)  # fmt: skip
def test_the_causes_in_the_order_in_which_they_show(snapshot: Snapshot, codes: list[str], notes: tuple[str, ...]) -> None:
    report = told(snapshot)
    assert [cause.code for cause in (*report.causes, *report.blockers)] == codes
    assert report.notes == notes


def test_an_interface_that_is_switched_on_again_gets_its_route_back() -> None:
    """The gateway is in sight, so that the fix is complete."""
    red = replace(networks.red(), addresses=(InterfaceAddress(2, "10.0.0.2", 16),), routes=networks.local())
    report = told(relinked(tutorial().with_namespace(red), "red", "eth0", up=False, carrier=False))
    assert [cause.code for cause in (report.causes[0], *report.blockers)] == ["link-admin-down"]
    assert [command.words[-1] for command in report.causes[0].commands] == ["up", "10.0.0.1"]
    assert report.notes == (PASSES,)


def test_a_program_that_is_missing_is_started_by_no_command_of_ours() -> None:
    """There is no fix to be foretold about, but what the port lacks."""
    known = read(edited(tutorial(), "internet", sockets=()))
    probe = networks.probe(protocol=Protocol.TCP, source_port=40000)
    probe = replace(probe, destination=replace(probe.destination, port=80))
    outcome = predict(known, probe, ask=False)
    assert isinstance(outcome, Prediction)
    found = foretold(diagnose("why", outcome.probe, known, outcome, None, frozenset(), explain), known)
    assert found.causes[0].code == "port-closed"
    assert found.notes == ("once a program answers there the probe should pass (predicted)",)


def test_where_the_packet_did_not_do_what_was_predicted_nothing_is_foretold() -> None:
    report = told(edited(tutorial(), "host", sysctls=OFF))
    odd = replace(report, agreement=Agreement.DISAGREE, notes=())
    assert foretold(odd, read(tutorial())) == odd


def test_what_was_never_read_ends_the_look_ahead() -> None:
    """Behind the mended forwarding lies a namespace that the first walk did not need."""
    snapshot = read(edited(tutorial(), "host", sysctls=OFF))
    report = told(snapshot)
    less = Snapshot({n: s for n, s in snapshot.namespaces.items() if n != "internet"}, snapshot.peers)
    again = foretold(replace(report, blockers=(), notes=()), less)
    assert (again.blockers, again.notes) == ((), ())


def test_a_fix_that_does_not_help_is_not_listed_again() -> None:
    """all.rp_filter is set loose, the interface's own stays strict: the same check, another sysctl - and that one is listed."""
    strict = {"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "1", "net.ipv4.conf.eth0.rp_filter": "1"}
    report = told(edited(tutorial(), "host", sysctls=strict, routes=(*networks.host().routes, networks.via("10.0.0.2/32", None, 5))))
    ids = [cause.object.id for cause in (*report.causes, *report.blockers) if cause.object]
    assert len(ids) == len(set(ids))


def test_that_nobody_answers_is_not_foretold() -> None:
    """The model holds what the first walk needed: who is missing in it may be there all the same."""
    nowhere = edited(tutorial(), "host", sysctls=OFF, routes=(*networks.host().routes, networks.via("8.8.8.0/24", "203.0.113.77", 4)))
    report = told(nowhere)
    assert [cause.code for cause in report.causes] == ["forwarding-off"]
    assert not {"neigh-no-answer", "unknown"} & {cause.code for cause in report.blockers}


@pytest.mark.parametrize(
    ("name", "dst", "expected"),
    [("c1", "8.8.8.8", "172.17.0.1"), ("internet", "10.0.0.2", "203.0.113.2"), ("red", "8.8.8.8", None), ("nowhere", "8.8.8.8", None)],
)
def test_the_gateway_in_sight(name: str, dst: str, expected: str | None) -> None:
    found = gateway(tutorial(), name, dst)
    assert (found.via if found is not None else None) == expected


@pytest.mark.parametrize(("name", "address", "expected"), [("red", "10.0.0.2", 16), ("host", "172.17.0.1", 16), ("red", "192.0.2.1", None)])
def test_the_length_that_the_others_on_the_network_have(name: str, address: str, expected: int | None) -> None:
    assert usual_length(tutorial(), name, address) == expected


def test_who_owns_the_destination_needs_not_forward() -> None:
    found = gateway(edited(tutorial(), "host", sysctls=OFF), "c1", "203.0.113.2")
    assert found is not None
    assert found.via == "172.17.0.1"


def test_a_host_that_does_not_forward_is_no_gateway() -> None:
    assert gateway(edited(tutorial(), "host", sysctls=OFF), "c1", "8.8.8.8") is None


def test_the_far_end_of_a_cable_is_known_from_either_side() -> None:
    """Only the host was asked who is at the other end; red's side follows from it."""
    less = replace(tutorial(), peers=tuple(found for found in tutorial().peers if found.namespace == "host"))
    assert set(mutual(less).peers) == set(tutorial().peers)
    assert mutual(tutorial()) == tutorial()
    moved = relinked(less, "red", "eth0", link=LinkRef(99, 0))
    assert FoundPeer("red", 0, "host") not in mutual(moved).peers


def test_a_saved_run_that_is_shown_again_looks_ahead_too() -> None:
    from netprobe.engine import replay
    from netprobe.model import Run

    snapshot = read(edited(tutorial(), "host", sysctls=OFF, ruleset=DROP))
    shown = replay(Run(told(snapshot), snapshot)).report
    assert [cause.code for cause in (*shown.causes, *shown.blockers)] == ["forwarding-off", "policy-drop"]
    assert shown.notes == (ALL_PASS,)


def test_behind_a_program_that_is_missing_there_may_be_more() -> None:
    """Who starts it would find that its answer has no way back."""
    silent = edited(edited(tutorial(), "internet", routes=NO_RETURN, sockets=()), "red", sockets=())
    asked = networks.probe("red", "8.8.8.8", Protocol.TCP, source_port=40000)
    known = read(silent)
    outcome = predict(known, replace(asked, destination=replace(asked.destination, port=80)), ask=False)
    assert isinstance(outcome, Prediction)
    report = diagnose("why", outcome.probe, known, outcome, None, frozenset(), explain)
    found = foretold(report, known)
    assert [cause.code for cause in (*found.causes, *found.blockers)] == ["port-closed", "nat-missing"]
    assert found.notes == ("once a program answers there and after the fixes of what stands behind it the probe should pass (predicted)",)


@pytest.mark.parametrize(("lying", "codes"), [(2304, ["nat-missing", "rcvbuf-full"]), (0, ["nat-missing"])])
def test_a_program_that_leaves_datagrams_lying_stands_behind_what_is_mended(lying: int, codes: list[str]) -> None:
    """There is room for more, so that the walk does not end there."""
    program = Socket("udp", "8.8.8.8", 53, "unconnected", queue=(lying, 212992))
    known = read(edited(edited(tutorial(), "internet", routes=NO_RETURN, sockets=(program,)), "red", sockets=()))
    asked = networks.probe("red", "8.8.8.8", Protocol.UDP, source_port=40000)
    outcome = predict(known, replace(asked, destination=replace(asked.destination, port=53)), ask=False)
    assert isinstance(outcome, Prediction)
    found = foretold(diagnose("why", outcome.probe, known, outcome, None, frozenset(), explain), known)
    assert [cause.code for cause in (*found.causes, *found.blockers)] == codes


def changed(*lines: str) -> Snapshot:
    """The tutorial's network after these commands, each `NAMESPACE: WORDS`."""
    commands = tuple(Command(tuple(words.split()), name) for name, _, words in (line.partition(": ") for line in lines))
    network = mend(tutorial(), Cause("", Place(None, None, Stage.ROUTE), "", commands=commands))
    assert network is not None
    return read(network)


def searched(known: Snapshot, looks: Searches, dst: str = "8.8.8.8") -> Report:
    outcome = predict(known, networks.probe(dst=dst), ask=False)
    assert isinstance(outcome, Prediction)
    return diagnose("why", outcome.probe, known, outcome, None, frozenset(), explain, None, lambda: looks)


def test_what_stands_behind_a_fix_whose_words_are_for_the_reader() -> None:
    """Any address that would do is tried; that the probe passes then is not promised, nor its way shown."""
    known, looks = changed("red: ip link del eth0", "host: sysctl -w net.ipv4.ip_forward=0"), Searches()
    report = searched(known, looks)
    told = foretold(report, known, looks)
    assert [cause.code for cause in (told.causes[0], *told.blockers)] == ["link-missing", "forwarding-off"]
    assert (told.notes, told.path.request) == (report.notes, report.path.request)


def test_what_only_the_supposed_words_brought_is_not_in_the_way() -> None:
    """Nobody has 8.8.4.4: the one router beside who is at the end would send it back, and does not lead there either."""
    known, looks = read(tutorial()), Searches()
    report = searched(known, looks, "8.8.4.4")
    told = foretold(report, known, looks)
    assert (told.causes[0].code, told.causes[0].place.namespace) == ("no-route", "internet")
    assert any(command.blanks for command in told.causes[0].commands)
    assert told.blockers == ()


def test_an_address_of_which_nothing_is_known_is_not_supposed() -> None:
    """Those beside have one of another IP version, of which it may not be at all."""
    blank = (with_address(tutorial()["red"].link_named("eth0")),)
    assert supposed(tutorial(), blank, "red") == blank
    known = (with_address(tutorial()["red"].link_named("eth0"), "10.0.0.9"),)
    assert supposed(tutorial(), known, "red") != known


def test_what_the_search_for_the_next_cause_lacks_is_asked_for() -> None:
    """The router has lost the address on which its way out rests; who is at the other end of its cable tells which."""
    known, looks = changed("red: ip route del default via 10.0.0.1 dev eth0", "host: ip address del 203.0.113.2/24 dev eth0"), Searches()
    known = replace(known, engines=ContainerEngines())
    near = replace(known, namespaces={name: each for name, each in known.namespaces.items() if name != "internet"})
    assert ReadNamespace("internet") in lacking(searched(near, looks), near, looks)
    told = foretold(searched(known, looks), known, looks)
    assert [(cause.code, cause.place.namespace) for cause in told.blockers] == [("addr-missing", "host")]


def test_a_look_ahead_that_is_to_be_repeated_searches_for_no_cause() -> None:
    """What it lacks is read first; the model that nobody has read whole is no place to look for what is wrong."""
    known, looks = changed("host: sysctl -w net.ipv4.ip_forward=0"), Searches()
    report = searched(known, looks, "203.0.113.77")
    with patch.object(blockers, "diagnose", side_effect=AssertionError):
        assert lacking(report, known, looks)


class Idle:
    """A world of which nothing new is ever learnt."""

    def __init__(self) -> None:
        self.asked: list[tuple[Need, ...]] = []

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        self.asked.append(tuple(needs))
        return snapshot


@pytest.mark.parametrize("dst", ["8.8.8.8", "203.0.113.77"])
def test_a_look_ahead_is_taken_again_where_something_was_asked_alone(dst: str) -> None:
    known, clock, world = replace(changed("host: sysctl -w net.ipv4.ip_forward=0"), engines=ContainerEngines()), Clock(), Idle()
    report = searched(known, clock.searches(), dst)
    with patch.object(blockers, "_look", wraps=blockers._look) as look_ahead:
        told, _ = foretell(world, report, known, clock, None)  # type: ignore[arg-type]
    assert look_ahead.call_count == 1 + len(world.asked)
    assert bool(world.asked) == (dst != "8.8.8.8")
    assert told == foretold(report, known, clock.searches())


def test_who_may_stand_on_a_segment_that_the_packet_did_not_come_to_is_asked_for() -> None:
    """Nobody in sight has the address; a macvlan of a namespace that nobody has come to may."""
    known, looks = changed("host: sysctl -w net.ipv4.ip_forward=0"), Searches()
    report = searched(known, looks, "203.0.113.77")
    assert report.causes[0].code == "forwarding-off"
    wanted = lacking(report, known, looks)
    assert FindMacvlans("internet", 2) in wanted
    assert FindMacvlans("internet", 2) not in lacking(report, known, looks, wanted)  # it cannot be told


def test_what_was_read_since_a_fix_was_tried_counts_for_what_stands_behind_it() -> None:
    """The address of red is for the reader to know; who is at the far end of the host's cable was read after the first cause was found."""
    known, looks = changed("red: ip address del 10.0.0.2/32 dev eth0", "host: ip address del 203.0.113.2/24 dev eth0"), Searches()
    known = replace(known, engines=ContainerEngines())
    near = replace(known, namespaces={name: each for name, each in known.namespaces.items() if name != "internet"})
    report = searched(near, looks)
    told = foretold(report, known, looks)
    assert [(cause.code, cause.place.namespace) for cause in told.blockers] == [("addr-missing", "host")]

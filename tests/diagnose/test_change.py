"""A loss is believed when what it was concluded from is still so: worlds whose second reading differs from the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import networks
import pytest
from msgspec.structs import replace
from networks import edited

from netprobe.diagnose.change import CHANGED, changes
from netprobe.engine import ask, replay
from netprobe.errors import CannotLook
from netprobe.model import (
    AskedRoute,
    AskEngines,
    AskRoute,
    Blind,
    Endpoint,
    FdbEntry,
    FindBare,
    FindMacvlans,
    FindOthers,
    FindPeer,
    FoundMacvlans,
    FoundPeer,
    InterfaceAddress,
    Leg,
    Need,
    Neighbour,
    Observation,
    PolicyRule,
    ReadNamespace,
    RouteAnswer,
    RouteQuery,
    Ruleset,
    Run,
    Snapshot,
    Socket,
    Source,
    Table,
    Verdict,
    Watch,
    XfrmPolicy,
)
from netprobe.model.engines import ContainerEngines
from netprobe.predict import fib
from netprobe.question import Question

Next = Callable[["World"], int]


def whole() -> Snapshot:
    snapshot = networks.tutorial()
    for name in snapshot.namespaces:
        snapshot = edited(snapshot, name, ruleset=Ruleset(queues=()))
    return snapshot


def cut() -> Snapshot:
    """red has lost its interface, and with it address and route."""
    red = networks.red()
    return edited(whole(), "red", links=red.links[:1], addresses=red.addresses[:1], routes=networks.local())


def routeless() -> Snapshot:
    """host has lost its default route."""
    return edited(whole(), "host", routes=tuple(route for route in networks.host().routes if route.dst != "0.0.0.0/0"))


class World:
    """Networks one after the other: `now` says which one is there, given what was asked so far."""

    def __init__(self, states: Sequence[Snapshot], now: Next, seen: Sequence[Observation] = ()) -> None:
        self.states, self.now, self.seen = states, now, seen
        self.asked: list[Need] = []
        self.sent = False
        self.later: list[Need] = []

    def reading(self, limit_ns: int) -> AbstractContextManager[Any]:  # noqa: ARG002 - the seam's signature
        return nullcontext(nullcontext)

    def resolve(self, text: str, inside: Endpoint | None = None) -> Endpoint:
        return Endpoint(text, text) if inside is None else Endpoint(text, address=text)

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        for need in needs:
            self.asked.append(need)
            state = self.states[min(self.now(self), len(self.states) - 1)]
            if self.sent:
                self.later.append(need)
            snapshot = _read(state, snapshot, need)
        return snapshot

    def observe(self, watch: Watch, settled: object) -> tuple[Observation, ...]:  # noqa: ARG002 - the world's face
        self.sent = True
        return tuple(self.seen) or (Observation(Source.SOCKET, "sent", "red", 0, None, None, Leg.REQUEST, 0, watch.probe.flow()),)


def _read(state: Snapshot, snapshot: Snapshot, need: Need) -> Snapshot:
    if isinstance(need, ReadNamespace):
        return snapshot.with_namespace(state[need.name])
    if isinstance(need, AskRoute):
        found = fib.lookup(state[need.namespace], need.query)
        leg = found.leg
        answer = RouteAnswer(found.error) if found.error else RouteAnswer(None, found.type, None, leg and leg.index, leg and leg.via)
        return replace(snapshot, answers=(*snapshot.answers, AskedRoute(need.namespace, need.query, answer)))
    if isinstance(need, FindPeer):
        peer = next(p.peer for p in state.peers if (p.namespace, p.nsid) == (need.namespace, need.nsid))
        return replace(snapshot, peers=(*snapshot.peers, FoundPeer(need.namespace, need.nsid, peer)))
    if isinstance(need, AskEngines):
        return replace(snapshot, engines=ContainerEngines())
    if isinstance(need, FindBare | FindOthers):
        return snapshot
    assert isinstance(need, FindMacvlans)
    return replace(snapshot, macvlans=(*snapshot.macvlans, FoundMacvlans(need.namespace, need.index)))


def once_sent(world: World) -> int:
    return int(world.sent)


def always(_: World) -> int:
    return 0


def refused() -> tuple[Observation, ...]:
    return (Observation(Source.SOCKET, "refused", "red", 0, None, None, Leg.REQUEST, 0, text="ENETUNREACH"),)


def answered() -> tuple[Observation, ...]:
    return (Observation(Source.SOCKET, "answered", "red", 9, None, None, Leg.REPLY, 0),)


def run(world: World, *, send: bool = True) -> Run:
    return ask(world, Question("red", "8.8.8.8", "trace" if send else "why", send=send))


def the_note(found: Run) -> str:
    notes = [note for note in found.report.notes if note.startswith(CHANGED)]
    return notes[0] if notes else ""


@pytest.mark.parametrize("send", [True, False])
def test_an_interface_vanishes_between_its_reading_and_the_kernels_answer(send: bool) -> None:
    """The tables have link and route, the kernel's answer has none: it is not the route that is missing."""
    found = run(World((whole(), cut()), lambda world: int(len(world.asked) > 1), refused()), send=send)
    assert [cause.code for cause in found.report.causes[:1]] == ["link-missing"]
    assert "link eth0 of red is gone" in the_note(found)


@pytest.mark.parametrize("seen", [(), refused()], ids=["lost", "refused"])
def test_an_interface_vanishes_before_the_probe_is_sent(seen: tuple[Observation, ...]) -> None:
    found = run(World((whole(), cut()), once_sent, seen))
    assert (found.report.verdict, found.report.causes[0].code) == (Verdict.UNREACHABLE, "link-missing")
    assert "link eth0 of red is gone" in the_note(found)
    assert found.snapshot["red"] == cut()["red"]


def test_a_route_comes_back_after_the_loss() -> None:
    found = run(World((routeless(), whole()), once_sent, refused()))
    assert (found.report.verdict, found.report.causes) == (Verdict.UNDETERMINED, ())
    assert "route 0.0.0.0/0 of host is new" in the_note(found)
    assert CHANGED in found.report.summary
    again = replay(found).report
    assert (again.verdict, again.causes, again.summary, again.notes) == (Verdict.UNDETERMINED, (), found.report.summary, found.report.notes)


def test_a_route_that_went_and_came_back_in_between() -> None:
    """Both readings of the tables are the same; only what the kernel answered in between tells."""

    def now(world: World) -> int:
        return int(not world.sent and isinstance(world.asked[-1], AskRoute))

    found = run(World((whole(), routeless()), now, refused()))
    assert found.report.verdict is Verdict.UNDETERMINED
    assert not found.report.causes
    assert "route to 8.8.8.8 of host was" in the_note(found)


def test_a_change_elsewhere_does_not_take_the_cause_away() -> None:
    other = edited(routeless(), "internet", addresses=networks.internet().addresses[:-1])
    found = run(World((routeless(), other), once_sent, refused()))
    assert found.report.causes[0].code == "no-route"
    assert the_note(found) == ""


def test_a_network_that_never_holds_still() -> None:
    states = (routeless(), cut()) * 50
    found = run(World(states, lambda world: sum(isinstance(need, ReadNamespace) for need in world.later), refused()))
    assert found.report.verdict is Verdict.UNDETERMINED
    assert not found.report.causes


def test_a_namespace_that_cannot_be_read_again() -> None:
    gone = edited(routeless(), "host", links=(), addresses=(), routes=(), unread={"links": "No such device"})
    found = run(World((routeless(), gone), once_sent, refused()))
    assert found.report.verdict is Verdict.UNDETERMINED
    assert not found.report.causes
    assert "namespace host could not be read again (No such device)" in the_note(found)


@pytest.mark.parametrize("send", [False, True])
def test_a_namespace_that_could_never_be_read_has_not_changed(send: bool) -> None:
    """As for want of CAP_SYS_ADMIN: it is no change that it cannot be read the second time, either."""
    closed = edited(whole(), "host", links=(), addresses=(), routes=(), unread={"links": "Operation not permitted"})
    found = run(World((closed,), always), send=send)
    assert found.report.verdict in (Verdict.UNDETERMINED, Verdict.UNREACHABLE if send else Verdict.UNDETERMINED)
    assert "changed" not in found.report.summary
    assert not found.report.notes


def test_a_tap_that_could_not_be_opened_saw_nothing_and_denies_nothing() -> None:
    blind = Observation(Source.TAP, "blind", "host", 0, text="no tap: Too many open files")
    found = run(World((whole(),), always, (*answered(), blind)))
    assert "host" not in found.tapped
    assert {hop.observed for hop in found.report.path.request if hop.namespace == "host"} == {None}
    assert [(spot.what, spot.why) for spot in found.report.blind] == [("no tap: Too many open files", "in host")]


def test_a_working_run_reads_nothing_after_it() -> None:
    world = World((whole(),), always, answered())
    assert run(world).report.verdict is Verdict.REACHABLE
    assert world.later == []


def test_a_broken_run_reads_each_namespace_once_more() -> None:
    world = World((routeless(),), always, refused())
    found = run(world)
    assert (found.report.verdict, found.report.causes[0].code) == (Verdict.UNREACHABLE, "no-route")
    assert the_note(found) == ""
    read = [need.name for need in world.later if isinstance(need, ReadNamespace)]
    assert [read.count(name) for name in ("red", "host")] == [1, 1]
    beside = {"internet", "c1", "c2"}  # read for what else could be the cause, and once more as well
    assert {name: read.count(name) for name in set(read) - {"red", "host"}} == dict.fromkeys(beside, 2)


def test_what_is_learned_and_what_programs_open_is_no_change() -> None:
    before = whole()
    sockets = (Socket("udp", "0.0.0.0", 5353, "unconnected"),)
    after = edited(before, "host", neighbours=(Neighbour(4, "203.0.113.1", None, "failed"),), sockets=sockets,
                   fdb=(FdbEntry(3, networks.MAC.format(1, 2), 2),))  # fmt: skip
    moved = edited(after, "host", fdb=(FdbEntry(6, networks.MAC.format(1, 2), 2),))
    assert changes(before, after, ("host",)) == changes(after, moved, ("host",)) == ()
    to_itself = edited(before, "host", neighbours=(Neighbour(1, "0.0.0.0", "00:00:00:00:00:00", "noarp"),))
    assert changes(before, to_itself, ("host",)) == (), "the kernel notes whom it talks to on a device that asks nobody"
    made = edited(before, "host", neighbours=(Neighbour(4, "203.0.113.1", networks.MAC.format(9, 9), "permanent"),))
    assert [each.kind for each in changes(before, made, ("host",))] == ["neighbour"]


def test_one_that_cannot_look_again_concludes_nothing() -> None:
    class Closed(World):
        def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
            if self.sent and snapshot == Snapshot(moment=snapshot.moment):
                raise CannotLook("gone")
            return super().read(snapshot, needs)

    found = run(Closed((routeless(), cut()), once_sent, refused()))
    assert (found.report.verdict, found.report.causes) == (Verdict.UNDETERMINED, ())


def test_what_could_not_be_read_either_time_is_no_change() -> None:
    closed = edited(routeless(), "host", links=(), addresses=(), routes=(), unread={"links": "not permitted"})
    assert changes(closed, closed, ("host",)) == ()
    assert [each.kind for each in changes(routeless(), closed, ("host",))] == ["namespace"]


def test_rules_that_cannot_be_read_again_are_not_gone() -> None:
    """They are unread: neither do they no longer translate, nor does what follows from that."""
    rules = Ruleset(tables=(Table("nft", "inet", "lab"),), queues=())
    before, after = (edited(routeless(), "host", ruleset=each) for each in (rules, Ruleset((Blind("the ruleset of host", "no nft"),))))
    assert [(each.kind, each.after) for each in changes(before, after, ("host",))] == [("namespace", "could not be read again (no nft)")]
    assert changes(after, after, ("host",)) == ()


def test_what_the_kernel_adds_by_itself_is_no_change() -> None:
    """A link-local address comes a second after its interface; a probe by IPv4 has nothing to do with IPv6 at all."""
    own = InterfaceAddress(2, "fe80::1", 64, scope="link")
    wide = InterfaceAddress(2, "fd00::1", 64)
    before = routeless()
    for extra, versions, kinds in ((own, {4}, []), (own, {6}, []), (wide, {4}, []), (wide, {6}, ["address"]), (wide, {4, 6}, ["address"])):
        after = edited(before, "host", addresses=(*before["host"].addresses, extra))
        assert [each.kind for each in changes(before, after, ("host",), versions)] == kinds
    gone = edited(before, "host", addresses=())
    assert "address" in [each.kind for each in changes(before, gone, ("host",), {4})]
    assert changes(before, gone, ("host",), {6}) == ()


def test_a_link_local_network_on_one_more_interface_is_no_change() -> None:
    """The routes of fe80::/64 stand side by side; one that went is a change."""
    one = edited(whole(), "host", routes=(*whole()["host"].routes, networks.via("fe80::/64", None, 2, metric=256)))
    two = edited(one, "host", routes=(*one["host"].routes, networks.via("fe80::/64", None, 4, metric=256)))
    assert changes(one, two, ("host",), {6}) == ()
    assert [each.kind for each in changes(two, one, ("host",), {6})] == ["route"]


def test_of_policy_rules_ipsec_and_sysctls_only_those_of_the_probes_version_count() -> None:
    before = whole()
    host = before["host"]
    new: dict[str, tuple[object, str]] = {
        "rules": (PolicyRule(5, 6, table=7), "policy-rule"),
        "xfrm": (XfrmPolicy("out", "fd00::/64", "::/0", "block"), "xfrm"),
    }
    for field, (value, kind) in new.items():
        after = edited(before, "host", **{field: (*(getattr(host, field) or ()), value)})
        assert changes(before, after, ("host",), {4}) == ()
        assert [each.kind for each in changes(before, after, ("host",), {6})] == [kind]
    after = edited(before, "host", sysctls={**host.sysctls, "net.ipv6.conf.eth0.accept_ra": "0"})
    assert changes(before, after, ("host",), {4}) == ()
    assert [each.kind for each in changes(before, after, ("host",), {6})] == ["sysctl"]


def test_a_change_of_the_other_version_does_not_hide_an_answer_of_the_kernel() -> None:
    """The tables are the same, the kernel's answer is not: somebody changed a route and changed it back."""
    query = RouteQuery("10.0.0.2", "8.8.8.8")

    def answering(via: str, snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, answers=(AskedRoute("red", query, RouteAnswer(index=2, via=via)),))

    red = whole()["red"]
    other = edited(whole(), "red", addresses=(*red.addresses, InterfaceAddress(2, "fd00::1", 64)),
                   routes=(*red.routes, networks.via("fd00::/64", None, 2)))  # fmt: skip
    before = answering("10.0.0.1", whole())
    for after in (answering("10.0.0.9", whole()), answering("10.0.0.9", other)):
        assert [(each.kind, each.name) for each in changes(before, after, ("red",), {4})] == [("route", "to 8.8.8.8")]
    learned = AskedRoute("red", query, RouteAnswer(index=2, via="10.0.0.1", mtu=1400))
    assert changes(before, replace(whole(), answers=(learned,)), ("red",), {4}) == (), "a path MTU that the probe has taught the kernel"

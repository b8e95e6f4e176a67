"""A packet through the rules of one hook, of all engines, in the order of their priorities. Pure.

Where a rule leaves room (a limit, chance, an expression not understood) both ways are followed: the first
ending is the main one, the others tell whether the doubt matters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from netprobe.model import Chain, ChainQuery, Rule, Ruleset, Statement, Table

from .expression import Scene
from .merge import merged
from .naming import policy_decision, rule_decision
from .nat import decided, done, names, remembered
from .packet import HookPacket, Surroundings, first_entry, whole
from .reject import queues, rejection
from .rule import NEXT, RuleBranch, branches, fails_at_once
from .ruling import Decision, Doubt, HookVerdict, Reason, Ruling, Translation
from .schedule import Step, steps
from .skip import following

MOST_WAYS = 512  # ways through one hook that are followed; with more the answer is undetermined
DEEPEST = 64  # jumps within each other; the kernel allows 16


def traverse(
    ruleset: Ruleset,
    family: str,
    hook: str,
    packet: HookPacket,
    *,
    device: str | None = None,
    around: Surroundings | None = None,
) -> Ruling:
    """What the rules of `hook` do to `packet`.

    `family`: "ip" or "ip6" at an IP hook (inet chains included), "bridge", "arp", or "netdev" with `device`
    at ingress and egress. `hook`: prerouting, input, forward, output, postrouting, ingress, egress. At
    prerouting and output the packet goes through connection tracking on the way: `around.track` finds its
    connection, or else what the packet says already holds, or it is new.
    """
    found = steps(ruleset, family, hook, device)
    if packet.ethertype == "arp":  # inet's ingress sees IP alone (nft_do_chain_inet_ingress)
        found = [step for step in found if step.table is None or step.table.family != "inet"]
    return _Traversal(ruleset, found, hook, around or Surroundings(), packet).ruling()


class _Frame(NamedTuple):
    """A place in a chain: the number, from 0, of the next rule there."""

    chain: Chain
    next: int


class _Position(Struct, frozen=True, gc=False):
    """A packet somewhere in the rules, and how it came there.

    `bound`: a rule of this hook has translated it. `entered`: as it came to this step. `rerouted`: as the
    kernel has looked for a way for it anew.
    """

    step: int
    packet: HookPacket
    frames: tuple[_Frame, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    passed: tuple[Decision, ...] = ()
    counted: tuple[Decision, ...] = ()
    spent: tuple[Decision, ...] = ()
    translations: tuple[Translation, ...] = ()
    bound: bool = False
    entered: HookPacket | None = None
    rerouted: HookPacket | None = None

    def onward(self) -> _Position:
        """At the next step of the hook."""
        return replace(self, step=self.step + 1, frames=(), entered=None)

    def past(self, chain: Step) -> _Position:
        """Behind a base chain that accepts it."""
        changed = self.entered is not None and _routed_by(self.entered) != _routed_by(self.packet)
        return replace(self.onward(), rerouted=self.packet if chain.reroutes and changed else self.rerouted)

    def end(self, verdict: HookVerdict, decision: Decision | None = None) -> Ruling:
        """The end of this way."""
        return Ruling(
            verdict, self.packet, decision, passed=self.passed, counted=self.counted,
            translations=self.translations, spent=self.spent,
            doubts=self.doubts, rerouted=self.rerouted,
        )  # fmt: skip

    def place(self) -> tuple[object, ...]:
        """What decides how this way goes on: two ways with the same place end alike."""
        frames = tuple((id(chain), number) for chain, number in self.frames)
        return self.step, frames, self.packet, self.bound, self.entered, self.rerouted


def _routed_by(packet: HookPacket) -> tuple[object, ...]:
    """What of a packet a chain compares before and after it (nf_route_table_hook4)."""
    return packet.flow.src, packet.flow.dst, packet.mark, packet.tos


# A chain may be jumped to twice from the one before, and so on: the rules double with each of sixteen levels.
MOST_RULES = 500_000  # that are asked on one way, and how many of them one that holds counts for
A_MATCH = 50
_TOO_MANY = Doubt(Reason.UNKNOWN, "the packet comes to too many rules of this hook")


class _Traversal(Struct):
    """The ways of one packet through one hook."""

    ruleset: Ruleset
    steps: list[Step]
    hook: str
    around: Surroundings
    packet: HookPacket
    waiting: deque[_Position] = field(default_factory=deque)
    endings: list[Ruling] = []
    seen: set[tuple[object, ...]] = set()
    left: int = MOST_RULES

    def ruling(self) -> Ruling:
        """The ruling of the whole hook."""
        main = self._followed(_Position(0, self._before_tracking()))
        while self.waiting:
            if len(self.seen) > MOST_WAYS:
                doubt = Doubt(Reason.UNKNOWN, "too many ways through these rules", decision=main.decision)
                return replace(main, verdict=HookVerdict.UNDETERMINED, doubts=(doubt,))
            self.endings.append(self._followed(self.waiting.popleft()))
        return merged(main, self.endings)

    def _before_tracking(self) -> HookPacket:
        """Rules before priority -200 see a packet without connection; one that comes over lo has kept its
        own.
        """
        tracked_here = any(step.kind == "conntrack" for step in self.steps)
        over_lo = self.packet.iif is not None and self.packet.iif.kind == "loopback"
        return (
            replace(self.packet, state=None, connection=None) if tracked_here and not over_lo else self.packet
        )

    # --- from step to step
    # ---------------------------------------------------------------------------------------------------

    def _followed(self, state: _Position) -> Ruling:
        """One way to its end. Others that open on it wait their turn."""
        self.left = MOST_RULES
        while state.step < len(self.steps):
            found = self._stepped(state)
            if isinstance(found, Ruling):
                return found
            state = found
        return state.end(HookVerdict.ACCEPT)

    def _stepped(self, state: _Position) -> _Position | Ruling:
        step = self.steps[state.step]
        if step.table is not None and step.chain is not None:
            if step.kind == "nat-chain" and not state.frames and not self._translatable(state):
                return state.onward()
            return self._through(state, step.table, step.chain)
        if step.kind == "defrag":
            return replace(state.onward(), packet=whole(state.packet))
        if step.kind == "conntrack":
            return replace(state.onward(), packet=self._tracked(state.packet))
        if step.kind == "nat":
            return self._remembered(state.onward())
        return (
            replace(state.onward(), packet=done(state.packet, self.hook))
            if self._translatable(state)
            else state.onward()
        )

    def _translatable(self, state: _Position) -> bool:
        """NAT rules see the first packet of a connection, and only until one of them has translated it."""
        return state.packet.state == "new" and not state.bound and not decided(state.packet, self.hook)

    def _tracked(self, packet: HookPacket) -> HookPacket:
        if packet.state is not None:  # untracked by a rule, or over lo
            return packet
        if self.around.track is not None:
            return self.around.track(packet)
        state = self.packet.state or "new"
        connection = self.packet.connection or (first_entry(packet) if state == "new" else None)
        return replace(packet, state=state, connection=connection, reply=self.packet.reply)

    def _remembered(self, state: _Position) -> _Position:
        """What the connection of a later packet says, done at the NAT hook."""
        if state.packet.state not in ("established", "related"):
            return state
        after, name = remembered(state.packet, self.hook)
        made = (Translation(name, state.packet, after),) if name else ()
        return replace(
            state,
            packet=after,
            translations=state.translations + made,
            rerouted=self._sent_elsewhere(state, after),
        )

    def _sent_elsewhere(self, state: _Position, after: HookPacket) -> HookPacket | None:
        """What is sent is routed anew where NAT gives it another destination (nf_nat_ipv4_local_fn)."""
        moved = self.hook == "output" and after.flow.dst != state.packet.flow.dst
        return after if moved else state.rerouted

    # --- within a base chain
    # -------------------------------------------------------------------------------------------------

    def _through(self, state: _Position, table: Table, base: Chain) -> _Position | Ruling:
        """A base chain, from where the packet stands in it to its verdict."""
        if base.unread:
            return replace(state, doubts=(*state.doubts, _unread(table, base.name))).end(
                HookVerdict.UNDETERMINED
            )
        scene = Scene(self.ruleset, table, self.around)
        if not state.frames:
            state = replace(state, entered=state.packet)
        frames = list(state.frames) or [_Frame(base, 0)]
        while frames:
            chain, index = frames.pop()
            while (index := following(chain.rules, index, state.packet)) < len(chain.rules):
                rule = chain.rules[index]
                index += 1
                self.left -= 1
                if fails_at_once(rule, state.packet, scene):  # as most do
                    continue
                ways = branches(rule, state.packet, scene, self.hook)
                if len(ways) == 1 and not ways[0].matched:
                    state = self._missed(state, table, chain, rule, ways[0])
                    continue
                self.left -= A_MATCH
                if self.left < 0:
                    return replace(state, doubts=(*state.doubts, _TOO_MANY)).end(HookVerdict.UNDETERMINED)
                here = replace(state, frames=(*frames, _Frame(chain, index)))
                found = self._forked(here, table, chain, rule, ways)
                if isinstance(found, Ruling) or found.step != state.step:
                    return found
                state, frames = found, list(found.frames)
                break
        if base.policy == "accept" or base.hook is None:
            return state.past(self.steps[state.step])
        return state.end(HookVerdict.DROP, policy_decision(table, base, self.hook))

    def _missed(self, state: _Position, table: Table, chain: Chain, rule: Rule, way: RuleBranch) -> _Position:
        """Past a rule that does not hold; what it set before it failed stays set (nft), and a quota used up
        is remembered.
        """
        if way.packet is not state.packet:
            state = replace(state, packet=way.packet)
        if not (way.spent or way.counted):
            return state
        decision = rule_decision(table, chain, rule, self.hook)
        spent = (*state.spent, decision) if way.spent else state.spent
        return replace(
            state, spent=spent, counted=(*state.counted, decision) if way.counted else state.counted
        )

    def _forked(
        self, state: _Position, table: Table, chain: Chain, rule: Rule, ways: list[RuleBranch]
    ) -> _Position | Ruling:
        """The main way on from a rule; the others are put aside, unless one like it was seen before."""
        decision = rule_decision(table, chain, rule, self.hook)
        main, *others = [self._taken(state, table, way, decision, main=not n) for n, way in enumerate(ways)]
        for other in others:
            if isinstance(other, Ruling):
                self.endings.append(other)
            elif (place := other.place()) not in self.seen:
                self.seen.add(place)
                self.waiting.append(other)
        return main

    def _taken(
        self, state: _Position, table: Table, way: RuleBranch, decision: Decision, main: bool
    ) -> _Position | Ruling:
        """The state after one branch of a rule, or the end."""
        if way.doubt is not None and (not main or way.doubt.ignorance):
            state = replace(state, doubts=(*state.doubts, replace(way.doubt, decision=decision)))
        counted = (*state.counted, decision) if way.counted else state.counted
        passed = (*state.passed, decision) if way.matched else state.passed
        if way.action == "translate":
            return self._translated(replace(state, counted=counted, passed=passed), way, decision)
        state = replace(state, packet=way.packet, counted=counted, passed=passed)
        return (
            state
            if way.action == NEXT
            else self._verdict(state, table, way.statement or Statement(way.action), decision)
        )

    def _translated(self, state: _Position, way: RuleBranch, decision: Decision) -> _Position:
        kind = names(way.statement.kind) if way.statement else ""
        made = Translation(kind, state.packet, way.packet, way.target.ports if way.target else None, decision)
        rerouted = self._sent_elsewhere(state, way.packet)
        self.waiting.extend(self._by_the_old_engine(state, decision))
        state = replace(state, packet=way.packet, bound=True, rerouted=rerouted)
        return replace(state.onward(), translations=(*state.translations, made))

    def _by_the_old_engine(self, state: _Position, decision: Decision) -> Iterator[_Position]:
        """What a chain of iptables-legacy translates, where one of nf_tables with the same priority does as
        well: the one registered last comes first, and which that is cannot be seen.
        """
        own = self.steps[state.step]
        for number, step in enumerate(self.steps):
            if number > state.step and step.table and step.chain and _may_come_first(step, own):
                text = (
                    f"{step.table.engine} translates the packet as well, and which comes first is not known"
                )
                doubt = Doubt(Reason.UNKNOWN, text, decision=decision)
                asked = replace(state, step=number, packet=state.entered or state.packet, frames=())
                found = self._through(replace(asked, doubts=(doubt,)), step.table, step.chain)
                if isinstance(found, _Position) and found.bound:
                    yield found

    def _verdict(
        self, state: _Position, table: Table, statement: Statement, decision: Decision
    ) -> _Position | Ruling:
        kind = statement.kind
        if kind in ("jump", "goto"):
            target = table.chain(statement.target)
            if target is None or target.unread or len(state.frames) > DEEPEST:
                doubt = replace(_unread(table, statement.target), decision=decision)
                return replace(state, doubts=(*state.doubts, doubt)).end(HookVerdict.UNDETERMINED, decision)
            kept = state.frames if kind == "jump" else state.frames[:-1]
            return replace(state, frames=(*kept, _Frame(target, 0)))
        if kind == "return":
            return replace(state, frames=state.frames[:-1])
        if kind == "accept":
            return state.past(self.steps[state.step])
        if kind == "queue":
            return self._queued(state, statement, decision)
        if kind == "reject":
            return replace(state.end(HookVerdict.REJECT, decision), reject=rejection(statement, state.packet))
        return replace(state.end(HookVerdict(kind), decision), diverted=statement.target)

    def _queued(self, state: _Position, statement: Statement, decision: Decision) -> _Position | Ruling:
        """Without a listener the packet is dropped, or accepted with `bypass`; with one the listener
        decides.
        """
        if self.ruleset.queues is None:
            doubt = Doubt(
                Reason.UNKNOWN, "whether a program listens on the queue is not known", decision=decision
            )
            return replace(state, doubts=(*state.doubts, doubt)).end(HookVerdict.UNDETERMINED, decision)
        if any(number in self.ruleset.queues for number in queues(statement)):
            return state.end(HookVerdict.QUEUE, decision)
        return state.onward() if "bypass" in statement.options else state.end(HookVerdict.DROP, decision)


def _may_come_first(step: Step, other: Step) -> bool:
    """Whether a NAT chain of the old engine has the priority of one of nf_tables (nf_hook_entries_grow)."""
    if step.kind != "nat-chain" or other.kind != "nat-chain" or step.chain is None or other.chain is None:
        return False
    old = [each.table is not None and each.table.engine.endswith("-legacy") for each in (step, other)]
    return old == [True, False] and step.chain.priority == other.chain.priority


def _unread(table: Table, name: str) -> Doubt:
    """Why nobody knows what the rules of a chain do: it was not read yet, could not be, or is not there."""
    chain = table.chain(name)
    if chain is not None and chain.unread:
        return Doubt(Reason.UNKNOWN, f"chain {name} could not be read: {chain.unread}")
    if chain is None and table.partial:
        query = ChainQuery(table.engine, table.family, table.name, name)
        return Doubt(Reason.UNKNOWN, f"chain {name} was not read", need=query)
    return Doubt(Reason.UNKNOWN, f"chain {name} is not there")

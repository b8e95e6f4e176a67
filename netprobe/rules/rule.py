"""One rule applied to one packet: the ways it can go on, the main one first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Rule, Statement, Term

from .conditions import CONDITIONS, holds
from .expression import Scene, matches
from .mangle import changed, has_header
from .naming import TRANSLATIONS
from .nat import Target, by_chance, choices, rewritten, targets
from .packet import HookPacket
from .reject import is_for
from .ruling import Doubt, Reason

NEXT = "next"  # the rule after this one
VERDICTS = frozenset(("accept", "drop", "return", "jump", "goto", "reject", "queue", "stolen"))
_REFUSING = frozenset(("drop", "reject"))
SPENDABLE = frozenset(("quota", "limit", "hashlimit", "connlimit"))

TESTS = frozenset(("match", "unknown", *CONDITIONS))


class RuleBranch(Struct, frozen=True, gc=False):
    """One way on: `action` a verdict, "translate" or NEXT; `statement` the one that says so; `matched` the
    rule held.

    `doubt` is why this way is not certain, None when it is the only one. `spent`: but for a quota used up it
    would have decided. `counted`: the packet came as far as the rule's counter.
    """

    action: str
    packet: HookPacket
    statement: Statement | None = None
    target: Target | None = None
    doubt: Doubt | None = None
    matched: bool = True
    counted: bool = True
    spent: bool = False


def branches(rule: Rule, packet: HookPacket, scene: Scene, hook: str) -> list[RuleBranch]:
    """The ways a packet goes on at a rule, in the order of their likelihood; one that nothing is known
    against comes first.
    """
    passage = _Passage(rule, packet, scene, hook)
    for statement in rule.statements:
        step = _STEPS.get(statement.kind)
        found = step(passage, statement) if step is not None else None
        if found is not None:
            return found
    return [passage.missed()] if passage.spent else passage.weighed([RuleBranch(NEXT, passage.packet)])


class _Passage:
    """A packet on its way through the statements of one rule: what it is now, what is in doubt, and what
    goes on past the rule.

    `otherwise` is the packet as it was before the first doubt.
    """

    def __init__(self, rule: Rule, packet: HookPacket, scene: Scene, hook: str) -> None:
        self.rule, self.scene, self.hook = rule, scene, hook
        self.packet = self.otherwise = packet
        self.doubts: list[Doubt] = []
        self.spent = self.counted = False

    # What each kind of statement does: the branches where the rule ends with it, None where it goes on.

    def test(self, statement: Statement) -> list[RuleBranch] | None:
        answer = _answer(statement, self.rule, self.packet, self.scene)
        if isinstance(answer, Doubt):
            self.doubts.append(answer)
            return self._ends([RuleBranch("drop", self.packet)]) if "ends" in statement.options else None
        if not answer and statement.kind not in SPENDABLE:
            return [self.missed()]
        if not answer:
            self.spent = True
        return None

    def change(self, statement: Statement) -> list[RuleBranch] | None:
        if not self.doubts and (drawn := self.drawn(statement)):
            return drawn
        after = changed(statement, self.packet, self.scene)
        if after is None:
            return [self.missed()]
        self._becomes(after)
        return None

    def drawn(self, statement: Statement) -> list[RuleBranch]:
        """The ways on from a change whose value is drawn by lot, one for each value; none where it is not."""
        if statement.right is None or statement.right.kind != "map" or not by_chance(statement.right):
            return []
        found: list[RuleBranch] = []
        rest = self.rule.statements[self.rule.statements.index(statement) + 1 :]
        values = list(choices(statement.right, self.packet, self.scene))
        for share, data in values:
            if not isinstance(data, Term):
                return []
            doubt = _chance(share, len(values), self.rule.text)
            here = replace(self.rule, statements=(replace(statement, right=data), *rest))
            ways = branches(here, self.packet, self.scene, self.hook)
            found += [replace(way, doubt=way.doubt or doubt, counted=True) for way in ways]
        return found

    def give(self, statement: Statement) -> list[RuleBranch] | None:
        ours = has_header(statement.options.get("family", ""), self.packet)  # nft_tproxy_eval
        given = _proxied(statement, self.packet, self.scene) if ours else None
        if given is not None:
            self._becomes(given)
            return None
        if "drop" in statement.options:  # xt_TPROXY drops what it has no socket for
            return self.weighed([RuleBranch("drop", self.packet)])
        return [self.missed()]  # nft_tproxy ends the rule

    def note(self, statement: Statement) -> None:
        self.counted = self.counted or statement.text == "counter"

    def decide(self, statement: Statement) -> list[RuleBranch]:
        if statement.kind == "reject" and not is_for(statement, self.packet):
            return [self.missed()]
        return self._ends([RuleBranch(statement.kind, self.packet, statement)])

    def translate(self, statement: Statement) -> list[RuleBranch]:
        return self._ends(_translations(statement, self.packet, self.hook, self.scene))

    def choose(self, statement: Statement) -> list[RuleBranch]:
        found = _verdicts(statement, self.packet, self.scene)
        return self._ends(found) if found or self.spent else [self.missed()]

    def _becomes(self, packet: HookPacket) -> None:
        self.packet = packet
        if not self.doubts:
            self.otherwise = packet

    def _ends(self, found: list[RuleBranch]) -> list[RuleBranch]:
        """A rule that only refuses what is too much has let the packet pass as it should."""
        lets = any(way.action not in _REFUSING for way in found)
        return [replace(self.missed(), spent=lets)] if self.spent else self.weighed(found)

    def missed(self) -> RuleBranch:
        """Past a rule that does not hold to its end."""
        return _missed(self.otherwise, self.counted)

    def weighed(self, found: list[RuleBranch]) -> list[RuleBranch]:
        """The ways on, in the order of their likelihood."""
        return _weighed(found, self.otherwise, self.doubts)


_Step = Callable[[_Passage, Statement], list[RuleBranch] | None]
_STEPS: dict[str, _Step] = {
    **dict.fromkeys(TESTS, _Passage.test),
    **dict.fromkeys(("set", "notrack"), _Passage.change),
    "tproxy": _Passage.give,
    "note": _Passage.note,
    **dict.fromkeys(VERDICTS, _Passage.decide),
    **dict.fromkeys(TRANSLATIONS, _Passage.translate),
    "vmap": _Passage.choose,
}


def _proxied(statement: Statement, packet: HookPacket, scene: Scene) -> HookPacket | None:
    """The packet given to a proxy's socket; None where there is no such socket."""
    address, port = _value(statement.right), _value(statement.port)
    given = replace(packet, proxy=(address, int(port) if port is not None else None))
    looks = scene.around.proxied
    return None if looks is not None and looks(given) is False else given


def _value(term: Term | None) -> str | None:
    return term.text if term is not None and term.kind == "value" else None


def fails_at_once(rule: Rule, packet: HookPacket, scene: Scene) -> bool:
    """Whether the first thing that a rule tests does not hold: nothing has happened then, and nothing is in
    doubt.
    """
    first = rule.statements[0] if rule.statements else None
    return first is not None and first.kind == "match" and matches(first, packet, scene) is False


def _missed(packet: HookPacket, counted: bool) -> RuleBranch:
    return RuleBranch(NEXT, packet, matched=False, counted=counted)


def _answer(statement: Statement, rule: Rule, packet: HookPacket, scene: Scene) -> bool | Doubt:
    if statement.kind == "match":
        return matches(statement, packet, scene)
    if statement.kind == "unknown":
        return Doubt(Reason.UNKNOWN, statement.text)
    return holds(statement, rule, packet, scene)


def _weighed(found: list[RuleBranch], otherwise: HookPacket, doubts: list[Doubt]) -> list[RuleBranch]:
    """With doubts there is a second way: past the rule.

    It is the main one unless all doubts are likely to hold.
    """
    if not doubts:
        return found or [_missed(otherwise, counted=True)]
    sure = all(doubt.likely for doubt in doubts)
    if all(branch.action == NEXT and branch.packet == otherwise for branch in found):
        return [RuleBranch(NEXT, otherwise, matched=sure, counted=sure)]
    worst = min(doubts, key=_comfort)
    held = [branch if branch.doubt else replace(branch, doubt=worst) for branch in found]
    missed = [RuleBranch(NEXT, otherwise, doubt=worst, matched=False, counted=False)]
    return held + missed if sure else missed + held


def _comfort(doubt: Doubt) -> int:
    """The less, the worse: what is not known, what hardly holds, what probably does."""
    return 0 if doubt.ignorance else 1 + doubt.likely


def _translations(statement: Statement, packet: HookPacket, hook: str, scene: Scene) -> list[RuleBranch]:
    found = list(targets(statement, packet, hook, scene))
    made = []
    for target in found:
        doubt = _chance(target.chance, len(found), statement.text) or target.doubt
        made.append(RuleBranch("translate", rewritten(packet, target, hook), statement, target, doubt))
    return made


def _chance(share: float | None, count: int, text: str) -> Doubt | None:
    if share is None or count <= 1:
        return None
    return Doubt(Reason.RANDOM, text, likely=share >= 0.5, chance=share)


def _verdicts(statement: Statement, packet: HookPacket, scene: Scene) -> list[RuleBranch]:
    """What a verdict map says; of an unknown key all that it could say."""
    if statement.left is None or statement.right is None:
        return []
    found: list[RuleBranch] = []
    chosen = list(choices(Term("map", args=(statement.left, statement.right)), packet, scene))
    for share, data in chosen:
        if isinstance(data, Doubt):
            found += _any_verdict(statement, packet, data)
        elif data is not None:
            found.append(_said(data, packet, _chance(share, len(chosen), statement.text)))
    return found


def _any_verdict(statement: Statement, packet: HookPacket, doubt: Doubt) -> Iterator[RuleBranch]:
    """Past the rule, or whatever else stands in the map."""
    assert statement.right is not None
    yield RuleBranch(NEXT, packet, doubt=doubt, matched=False)
    data = dict.fromkeys(pair.args[1] for pair in statement.right.args if pair.kind == "pair")
    for each in data or (Term("verdict", "drop"), Term("verdict", "accept")):
        yield _said(each, packet, doubt)


def _said(data: Term, packet: HookPacket, doubt: Doubt | None) -> RuleBranch:
    """A verdict term as a branch: "drop", "jump NAME"."""
    action, _, target = data.text.partition(" ")
    action = NEXT if action == "continue" else action
    return RuleBranch(action, packet, Statement(action, target=target), doubt=doubt)


__all__ = ["NEXT", "RuleBranch", "branches", "fails_at_once"]

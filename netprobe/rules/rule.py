"""One rule applied to one packet: the ways it can go on, the main one first."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Rule, Statement, Term

from .conditions import CONDITIONS, holds
from .expression import Scene, matches
from .mangle import changed
from .nat import Target, choices, rewritten, targets
from .packet import HookPacket
from .ruling import Doubt, Reason

NEXT = "next"  # the rule after this one
VERDICTS = frozenset(("accept", "drop", "return", "jump", "goto", "reject", "queue", "stolen"))
SPENDABLE = frozenset(("quota", "limit", "hashlimit", "connlimit"))
TRANSLATIONS = frozenset(("snat", "dnat", "masquerade", "redirect", "netmap"))
ENDINGS = VERDICTS | TRANSLATIONS | {"vmap"}
TESTS = frozenset(("match", "unknown", *CONDITIONS))


class RuleBranch(Struct, frozen=True):
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
    doubts: list[Doubt] = []
    spent = counted = False
    now = before_doubt = packet
    for statement in rule.statements:
        kind = statement.kind
        if kind in TESTS:
            answer = _answer(statement, rule, now, scene)
            if answer is False:
                if kind not in SPENDABLE:
                    return [_missed(before_doubt, counted)]
                spent = True
            if isinstance(answer, Doubt):
                doubts.append(answer)
        elif kind in ("set", "notrack"):
            after = changed(statement, now, scene)
            if after is None:
                return [_missed(before_doubt, counted)]
            now, before_doubt = after, before_doubt if doubts else after
        elif kind == "tproxy":
            given = _proxied(statement, now, scene)
            if given is None:  # xt_TPROXY drops what it has no socket for; for nft_tproxy the rule ends there
                ended = [RuleBranch("drop", now)] if "drop" in statement.options else []
                return _weighed(ended, before_doubt, doubts) if ended else [_missed(before_doubt, counted)]
            now, before_doubt = given, before_doubt if doubts else given
        elif kind == "note":
            counted = counted or statement.text == "counter"
        elif spent and kind in ENDINGS:
            return [_missed(before_doubt, counted, spent=True)]
        elif kind in VERDICTS:
            return _weighed([RuleBranch(kind, now, statement)], before_doubt, doubts)
        elif kind in TRANSLATIONS:
            return _weighed(_translations(statement, now, hook, scene), before_doubt, doubts)
        elif kind == "vmap":
            found = _verdicts(statement, now, scene)
            return _weighed(found, before_doubt, doubts) if found else [_missed(before_doubt, counted)]
    return (
        [_missed(before_doubt, counted)] if spent else _weighed([RuleBranch(NEXT, now)], before_doubt, doubts)
    )


def _proxied(statement: Statement, packet: HookPacket, scene: Scene) -> HookPacket | None:
    """The packet given to a proxy's socket; None where there is no such socket."""
    address, port = (
        term.text if term is not None and term.kind == "value" else None
        for term in (statement.right, statement.port)
    )
    given = replace(packet, proxy=(address, int(port) if port is not None else None))
    return None if scene.around.proxied is not None and scene.around.proxied(given) is False else given


def fails_at_once(rule: Rule, packet: HookPacket, scene: Scene) -> bool:
    """Whether the first thing that a rule tests does not hold: nothing has happened then, and nothing is in
    doubt.
    """
    first = rule.statements[0] if rule.statements else None
    return first is not None and first.kind == "match" and matches(first, packet, scene) is False


def _missed(packet: HookPacket, counted: bool, spent: bool = False) -> RuleBranch:
    """Past a rule that does not hold to its end."""
    return RuleBranch(NEXT, packet, matched=False, counted=counted, spent=spent)


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
    worst = next(
        (doubt for doubt in doubts if doubt.ignorance),
        next((doubt for doubt in doubts if not doubt.likely), doubts[0]),
    )
    held = [branch if branch.doubt else replace(branch, doubt=worst) for branch in found]
    missed = [RuleBranch(NEXT, otherwise, doubt=worst, matched=False, counted=False)]
    return held + missed if sure else missed + held


def _translations(statement: Statement, packet: HookPacket, hook: str, scene: Scene) -> list[RuleBranch]:
    found = list(targets(statement, packet, hook, scene))
    made = []
    for target in found:
        doubt = _chance(target.chance, len(found), statement.text) or target.doubt
        made.append(RuleBranch("translate", rewritten(packet, target, hook), statement, target, doubt))
    return made


def _chance(share: float | None, count: int, text: str) -> Doubt | None:
    return (
        Doubt(Reason.RANDOM, text, likely=share >= 0.5, chance=share)
        if share is not None and count > 1
        else None
    )


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

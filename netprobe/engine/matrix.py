"""Who reaches whom: plan, sweep, then one search for the cause for each group of pairs that fail alike."""

from __future__ import annotations

import time
from collections.abc import Sequence

from netprobe.errors import Interrupted, WrongQuestion, for_want_of_resources
from netprobe.model import Blind, Endpoint, Protocol
from netprobe.model.matrix import VERDICTS, Matrix, Member, PairGroup, PairState, Plan, Sweep
from netprobe.model.report import Verdict
from netprobe.question import MatrixQuestion

from .groups import Search, grouped
from .plan import aims
from .world import MatrixWorld, Progress, World

TOO_FEW = WrongQuestion("a matrix needs two endpoints at least", "See `netprobe ls`.")
_LEAVES_ENTRIES = "the neighbour entries that the run made stay until they age: CAP_NET_ADMIN is missing"


def ask_matrix(world: MatrixWorld, question: MatrixQuestion, progress: Progress) -> Matrix:
    """Answer for all pairs.

    Raises WrongQuestion, NotPermitted or CannotLook; Interrupted for a Ctrl-C, with the matrix so far.
    """
    started = time.monotonic_ns()
    with for_want_of_resources():
        members, blind, version = _members(world, question)
        plan = _plan(question, members, version)
        search = Search(world, plan)
        swept = world.sweep(plan, progress, search.prepared)
        groups, explained = grouped(plan, swept, search)
    notes = (*swept.notes, *((_LEAVES_ENTRIES,) if swept.kept else ()))
    for at, state in enumerate(swept.states):
        if state != PairState.ANSWERED:
            swept.rtt_ns[at] = 0
    verdicts = _verdicts(plan, swept, groups)
    matrix = Matrix(
        plan.protocol, plan.version, plan.port, members, _overall(verdicts), verdicts, swept.rtt_ns, groups,
        complete=explained and not swept.interrupted, retried=swept.retried,
        took_ns=time.monotonic_ns() - started, blind=(*blind, *swept.blind), notes=notes,
        sampled=swept.sampled,
    )  # fmt: skip
    if not matrix.complete:
        raise Interrupted(sum(map(matrix.count, Verdict)), matrix)
    return matrix


def _members(
    world: MatrixWorld, question: MatrixQuestion
) -> tuple[tuple[Member, ...], tuple[Blind, ...], int]:
    """Those that can be asked, what could not be looked at, and the IP version: 4 unless nobody has it."""
    endpoints = _resolved(world, question.endpoints)
    if len(endpoints) < 2:
        raise TOO_FEW
    groups = question.groups or ("",) * len(endpoints)
    for version in (question.version,) if question.version else (4, 6):
        found = world.members(endpoints, groups, version)
        able = tuple(each for each in found if isinstance(each, Member) and each.addresses)
        if len(able) > 1:
            break
    blind = tuple(each for each in found if isinstance(each, Blind))
    bare = [each for each in found if isinstance(each, Member) and not each.addresses]
    blind += tuple(Blind(each.endpoint, f"it has no IPv{version} address") for each in bare)
    if blind and not question.lenient:
        raise WrongQuestion(f"{blind[0].what}: {blind[0].why}", "Leave it out, or write -4 or -6.")
    if len(able) < 2:
        raise TOO_FEW
    return able, blind, version


def _resolved(world: World, texts: Sequence[str]) -> tuple[Endpoint, ...]:
    """The endpoints, each once."""
    found: dict[tuple[str | None, str | None, str | None], Endpoint] = {}
    for text in texts:
        endpoint = world.resolve(text)
        if endpoint.namespace is None:
            raise WrongQuestion(
                f"{text} is no place to send from",
                "Each endpoint of a matrix is a namespace or a container; see `netprobe ls`.",
            )
        if endpoint.port is not None or endpoint.protocol is not None:
            raise WrongQuestion(f"{text}: the port of a matrix is one for all", "Write -p and -P.")
        found.setdefault((endpoint.namespace, endpoint.interface, endpoint.address), endpoint)
    return tuple(found.values())


def _plan(question: MatrixQuestion, members: tuple[Member, ...], version: int) -> Plan:
    protocol = _protocol(question, version)
    if protocol.has_ports and question.port is None:
        raise WrongQuestion(f"{protocol.upper()} needs a port", "Add -P PORT.")
    if not protocol.has_ports and question.port is not None:
        raise WrongQuestion(f"{protocol.upper()} has no ports", "Leave the port out, or ask by TCP: -p tcp")
    if not protocol.is_swept:
        raise WrongQuestion(f"a matrix by {protocol.called} is not made yet", "Ask by -p icmp.")
    four = version == 4
    plan = Plan(
        protocol, members, aims(members, protocol), 4 if four else 6, question.port, question.timeout_ns
    )
    if next(plan.pairs(), None) is None:
        raise WrongQuestion(
            "no two of them are on one network: ARP does not pass a router", "Ask by -p icmp."
        )
    return plan


def _protocol(question: MatrixQuestion, version: int) -> Protocol:
    named = question.protocol or ("tcp" if question.port is not None else "icmp")
    six = {"icmp": Protocol.ICMPV6, "arp": Protocol.ND} if version == 6 else {}
    return six.get(named) or Protocol(named)


_WORST_FIRST = (Verdict.UNREACHABLE, Verdict.INTERMITTENT, Verdict.UNDETERMINED, Verdict.REACHABLE)


def _overall(verdicts: Sequence[bytes]) -> Verdict:
    """The worst of all pairs, unless it is not known of any."""
    present = {VERDICTS[code] for row in verdicts for code in set(row)}
    return next((verdict for verdict in _WORST_FIRST if verdict in present), Verdict.UNDETERMINED)


def _verdicts(plan: Plan, swept: Sweep, groups: Sequence[PairGroup]) -> tuple[bytes, ...]:
    """A byte a pair: what answered is reachable, the others are as their group says; the rest was not asked,
    or not to its end.
    """
    count = len(plan.members)
    codes = bytearray(count * count)
    for at, state in enumerate(swept.states):
        if state == PairState.ANSWERED:
            codes[at] = VERDICTS.index(Verdict.REACHABLE)
    for group in groups:
        code = VERDICTS.index(group.verdict)
        for i, j in group.pairs:
            codes[i * count + j] = code
    return tuple(bytes(codes[start : start + count]) for start in range(0, count * count, count))

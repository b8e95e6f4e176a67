"""What the kernel answered to lookups, where a change does not touch it. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import AskedRoute, Namespace, Snapshot
from netprobe.model.lookup import column, those_not_in
from netprobe.predict import fib


def still_answered(before: Snapshot, after: Snapshot) -> Snapshot:
    """`after` with what the kernel answered to lookups whose decision a change does not touch.

    A refusal may rest on a sysctl, and a source on the addresses.
    """
    known = set(after.answers)
    kept = (each for each in those_not_in(before.answers, known) if _still_holds(before, after, each))
    return replace(after, answers=(*after.answers, *kept))


def _still_holds(before: Snapshot, after: Snapshot, asked: AskedRoute) -> bool:
    then, now = before[asked.namespace], after[asked.namespace]
    if then == now:  # it was forgotten on purpose
        return False
    if asked.answer is None or asked.answer.error is not None or then.addresses != now.addresses:
        return False
    if any(fib.prefers_temporary(then, i) != fib.prefers_temporary(now, i) for i in _indexes(then)):
        return False
    return fib.lookup(then, asked.query) == fib.lookup(now, asked.query)


def _indexes(namespace: Namespace) -> set[int]:
    """The interfaces that send from temporary addresses, if they are told to."""
    return {*column(filter(fib.is_temporary, namespace.addresses), "index")}

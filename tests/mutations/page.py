"""The section of docs/accuracy.md that a run of this measure writes; the rest of the page is left as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mutations.draw import FAMILIES
from mutations.measure import Lost, outcome, rows_of, rows_of_doubles
from mutations.settings import SETTINGS
from mutations.trial import Trial

HEADING = "## One object at random"

_ABOUT = """\
The catalogues above hold faults that somebody thought of. Here nobody does: a network that works is built, what its namespaces
have is read from the kernel (links, addresses, routes, policy rules, neighbours, settings, bridge ports and their entries, rules
of every table and family, sets, connections, queues, programs, sockets), and one object, drawn by a seed, is changed in the
living kernel. That it changed is read back. Real programs (ping, a TCP connection, a datagram that is sent back) then try each
of some ten pairs; netprobe is asked about one that no longer gets through. The truth costs nothing: the object is known, and
undoing the change mends. Half of the networks have just carried all this traffic, from the others what they learned was flushed.

* *Named*: `causes[0]` is about the changed object: its namespace, its kind, its name. *Listed*: another cause, a blocker or an
  alternative is. *Another repair*: something else is named, and its fix mends.
* *Mended*: the fix is executed line by line, as printed, in the shell that netprobe is started from; then real programs try again.
  Lines with a word for the reader to fill in, or that only look, need knowledge of the reader; nothing of such a fix is run.
* *Misleading*: something else is named, and its fix does not mend, or is left to the reader.
* A trial in which the change broke nothing is kept now and then: there anything but "reachable" is a cry of wolf.

`scripts/accuracy --mutations N --seed S` measures it, `--only INDEX` repeats one trial and tells all that happened in it."""


Rows = Sequence[Trial | Lost]


def section(single: Rows, double: Rows, by_arp: Rows, seed: int, machine: str) -> Iterator[str]:
    """The whole section, its figures of this run."""
    more = [f", `--{what} {len(rows)}`" for what, rows in (("doubles", double), ("arpings", by_arp)) if rows]
    yield from (HEADING, "", *_ABOUT.splitlines(), "")
    yield f"Measured with `--mutations {len(single)} --seed {seed}`{''.join(more)} {machine},"
    yield f"{len(SETTINGS)} networks, {len(FAMILIES)} families of objects."
    yield from _table("one change", rows_of(single))
    if double:
        yield from _table("two changes at once", rows_of_doubles(double))
    if by_arp:
        yield from _table("one change, and arping(8) and `netprobe arping` ask who has an address beside", rows_of(by_arp))
    yield from ("", "| family | broke something | named first | mended |", "|---|--:|--:|--:|")
    broken = [trial for trial in single if isinstance(trial, Trial) and not trial.quiet]
    counts, named, mended = (
        Counter(trial.family for trial in some)
        for some in (broken, [each for each in broken if outcome(each) == "named"], [each for each in broken if each.mended])
    )
    yield from (f"| {family} | {counts[family]} | {named[family]} | {mended[family]} |" for family in FAMILIES)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from ("", f"| {title} | |", "|---|--:|")
    yield from (f"| {subject} | {value} |" for subject, value in rows)


def put_into(page: str, section: str) -> str:
    """A page with this section at its end, in the place of an older one."""
    return page.partition(f"\n{HEADING}\n")[0].rstrip("\n") + "\n\n" + section + "\n"


def kept_from(page: str) -> str:
    """The section of an older page, or nothing."""
    _, found, after = page.partition(f"\n{HEADING}\n")
    return f"{found}{after}" if found else ""

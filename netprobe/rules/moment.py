"""The clock as rules look at it: iptables' time match and nft's `meta time`, `meta hour` and `meta day`.

Kernel: net/netfilter/xt_time.c, nft_meta.c. Both count in UTC; nft prints dates and hours in the time zone of
the reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from netprobe.model import Moment, Statement
from netprobe.model.pattern import pattern

_DAY = 86400
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_DATE = pattern(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")
_HOUR = pattern(r"\b(\d\d?):(\d\d)(?::(\d\d))?")


def numbered(text: str) -> str:
    """A literal with its dates as seconds since 1970 and its hours as seconds of a day."""
    dated = _DATE.sub(lambda found: str(_seconds(*found.groups())), text)
    return _HOUR.sub(lambda found: str(_of_day(found[0])), dated)


def _seconds(day: str, hour: str) -> int:
    return int(datetime.fromisoformat(f"{day}T{hour}+00:00").timestamp())


def _of_day(text: str) -> int:
    hour, minute, second = (*map(int, text.split(":")), 0)[:3]
    return hour * 3600 + minute * 60 + second


def weekday(seconds: int) -> int:
    """The day of the week, Sunday 0."""
    return (4 + seconds // _DAY) % 7


def holds(statement: Statement, now: Moment | None) -> bool | None:
    """Whether iptables' time match holds; None for what is not known: the kernel's own time zone, intervals
    over midnight that count as one. Raises ValueError for what is no time.
    """
    options, negated = statement.options, statement.op == "!="
    both = {"weekdays", "monthdays"} <= options.keys()
    if now is None or _UNCLEAR & options.keys() or (negated and both):
        return None
    days = _listed(options, now.seconds)
    return _within(options, now.seconds) and days in (None, not negated)


_UNCLEAR = {"kerneltz", "contiguous"}


def _within(options: Mapping[str, str], seconds: int) -> bool:
    """Between the dates, and between the hours, which may lie around midnight."""
    start, stop, low, high = (int(numbered(options.get(each, bound))) for each, bound in _BOUNDS)
    of_day = seconds % _DAY
    if not start <= seconds <= stop:
        return False
    return low <= of_day <= high if low <= high else of_day >= low or of_day <= high


_BOUNDS = (
    ("datestart", "1970-01-01T00:00:00"),
    ("datestop", "2038-01-19T03:14:07"),
    ("timestart", "00:00:00"),
    ("timestop", "23:59:59"),
)


def _listed(options: Mapping[str, str], seconds: int) -> bool | None:
    """Whether today is one of the days that are listed; None where none are."""
    words = [options[each].split(",") for each in ("weekdays", "monthdays") if each in options]
    today = {_DAYS[weekday(seconds)], str(datetime.fromtimestamp(seconds, UTC).day)}
    return all(today & set(each) for each in words) if words else None

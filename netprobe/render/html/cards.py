"""What a hop says on a card of the swim lanes: its texts, made safe and as short as the card; pure."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Agreement, Endpoint, Hop, Leg, Report, Stage, Verdict
from netprobe.render import words
from netprobe.render.escape import safe
from netprobe.render.headline import REFUSALS
from netprobe.render.marks import Fate, known_cause
from netprobe.render.rows import Row, rows

from .widths import abridged, bold, mono, plain, shortened, wrapped

TITLE, UNDER, REMARK, DETAIL = bold(12), plain(11), bold(11), mono(10.5)
PADDING, SIGN, LEAST = 10, 14, 88  # pixels
MOST = 400  # cards of a picture; the table has all hops
_LINES, _LINES_LOST = 4, 6
OUTSIDE = ""  # the lane of what cannot be seen


class Card(Struct, frozen=True):
    """One card: its lane, its lines from top to bottom, and how the packet fared here.

    `remark` says beside the colour what it means, `full` is everything in one line, `inside` the outer
    addresses of the tunnel that the packet is in when it leaves.
    """

    lane: str
    title: str
    remark: str
    under: str
    lines: tuple[str, ...]
    fate: Fate
    full: str
    width: float
    pointed: bool = False
    inside: str = ""

    @property
    def is_shortened(self) -> bool:
        """Whether something of it is in its full text alone."""
        return any("…" in text for text in (self.title, self.under, *self.lines))

    @property
    def look(self) -> str:
        """Its classes in the style sheet."""
        return look(self.fate) + (" pointed" if self.pointed else "")


def look(fate: Fate) -> str:
    """The class of a fate in the style sheet."""
    return fate.name.lower().replace("_", "-")


def cards(report: Report, leg: Leg, room: float) -> list[Card]:
    """A card for each hop of a direction, none wider than `room`; one more for a far end out of sight."""
    shown = rows(report, leg)
    made = [_card(report, row, room) for row in shown[:MOST]]
    if not made or len(shown) > MOST:
        return made
    if leg is Leg.REQUEST and is_outside(shown[-1].hop, report.probe.destination):
        return [*made, _outside(report.probe.destination, _arrived(report, made[-1].fate), room)]
    if leg is Leg.REPLY and comes_from_outside(shown[0].hop, report.probe.destination):
        return [_outside(report.probe.destination, made[0].fate, room), *made]
    return made


def is_outside(last: Hop, end: Endpoint) -> bool:
    """Whether a way goes on behind its last hop, to where nothing can be seen."""
    return end.namespace is None and last.stage in (Stage.TRANSMIT, Stage.EXIT)


def comes_from_outside(first: Hop, end: Endpoint) -> bool:
    """Whether a reply has come a way before its first hop."""
    return end.namespace is None and first.stage is Stage.RECEIVE


def _arrived(report: Report, last: Fate) -> Fate:
    """What is known of the far end: an answer says that the request arrived."""
    if last in (Fate.LOST, Fate.NOT_REACHED, Fate.EXPECTED):
        return Fate.EXPECTED if last is Fate.EXPECTED else Fate.NOT_REACHED
    return Fate.PASSED if report.received or report.path.reply else Fate.UNKNOWN


def _outside(end: Endpoint, fate: Fate, room: float) -> Card:
    name = safe(end.host_name or end.endpoint)
    fate = Fate.PASSED if fate is Fate.TRANSLATED else fate
    address = safe(end.address or "")
    lines = (address,) if address not in name else ()
    said = (name, "", "destination", lines)
    return _measured(OUTSIDE, said, fate, f"{name}, out of sight", room)


def _card(report: Report, row: Row, room: float) -> Card:
    hop = row.hop
    title = f"{hop.n} {hop.interface or row.step}"
    most = _LINES_LOST if row.mark is Fate.LOST else _LINES
    lines = wrapped(safe(row.what), room - 2 * PADDING, most, DETAIL)
    full = f"{hop.n} {row.where} {row.step}: {row.what}"
    inside = f"in {words.flow(hop.flow.outer)}" if hop.flow.outer is not None else ""
    said = (safe(title), _remark(report, row), safe(_step(row)), tuple(lines))
    made = _measured(hop.namespace, said, row.mark, full, room)
    return replace(made, pointed=row.pointed, inside=safe(inside))


def _step(row: Row) -> str:
    """The step and its time; the step of a hop without interface is its title."""
    decided = words.kind(row.hop.object.kind) if row.hop.object is not None else ""
    step = row.step if row.hop.interface else decided
    return ", ".join(filter(None, (step, row.time and f"{row.time} µs")))


def _remark(report: Report, row: Row) -> str:
    """What is said of a hop beside its colour."""
    if row.pointed:
        return "the cause is here"
    return lost(report).upper() if row.mark is Fate.LOST else ""


def lost(report: Report) -> str:
    """What becomes of the packet where it ends."""
    cause = known_cause(report)
    code = cause.code if cause is not None else ""
    if report.verdict is Verdict.INTERMITTENT:
        return "some lost"
    if report.agreement is Agreement.PREDICTED_ONLY:
        return "stops here"
    if code in REFUSALS:
        return "refused here"
    return "rejected here" if code == "rejected-by-rule" else "lost here"


def _measured(
    lane: str, said: tuple[str, str, str, tuple[str, ...]], fate: Fate, full: str, room: float
) -> Card:
    """A card as wide as its longest line, and no wider than there is room."""
    title, remark, under, lines = said
    inner = room - 2 * PADDING
    title, under = abridged(title, inner - SIGN, TITLE), shortened(under, inner, UNDER)
    widest = max(TITLE(title) + SIGN, REMARK(remark), UNDER(under), *map(DETAIL, lines), 0)
    width = min(room, max(LEAST, round(widest + 2 * PADDING + 1)))
    return Card(lane, title, remark, under, lines, fate, full, width)

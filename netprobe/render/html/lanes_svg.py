"""The swim lanes drawn as SVG: bands, tunnels, arrows, cards; and what the signs on them mean."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.model import Leg, Report, Stage
from netprobe.render.escape import safe
from netprobe.render.marks import Fate

from .cards import OUTSIDE, PADDING, Card, cards, look, lost
from .elements import NOTHING, Markup, element, stacked, together
from .lanes import NAME_ABOVE, SIDE, Band, Lanes, PlacedCard, Way, lanes, widest
from .widths import abridged, bold, mono

_NAMES, _NOTES = bold(12), mono(10.5)
_NAME_ROOM = 86

MEANINGS = {
    Fate.PASSED: "passed", Fate.TRANSLATED: "address translated", Fate.NOT_REACHED: "not reached",
    Fate.UNKNOWN: "not known", Fate.EXPECTED: "expected",
}  # fmt: skip


def pictures(report: Report, leg: Leg, width: int) -> list[Markup]:
    """The way of one direction in pictures so many pixels wide; none where there is no way."""
    return [
        element(
            "svg", drawing(drawn), width=width, height=drawn.height, viewBox=f"0 0 {width} {drawn.height}"
        )
        for drawn in laid(report, leg, width)
    ]  # fmt: skip


def laid(report: Report, leg: Leg, width: int) -> list[Lanes]:
    """Where the lanes and cards of one direction stand; a namespace has one colour in both."""
    made = {each: cards(report, each, widest(width)) for each in Leg}
    order = dict.fromkeys(card.lane for each in Leg for card in made[each])
    return lanes(made[leg], width, report.probe.source.namespace or OUTSIDE, _end(report), [*order])


def _end(report: Report) -> str:
    """The namespace that is asked for: that of the address, where it was not asked for by a name."""
    named = report.probe.destination.namespace
    there = (hop.namespace for hop in report.path.request if hop.stage is Stage.DELIVER)
    return named or next(there, OUTSIDE)


def drawing(drawn: Lanes) -> Markup:
    """The inside of the picture."""
    return stacked(
        *(_band(band, drawn.width) for band in drawn.bands),
        _tunnels(drawn.ways),
        *_arrows(drawn.ways),
        *(_card(each) for each in drawn.standing),
    )


def _band(band: Band, width: int) -> Markup:
    name = safe(band.name) if band.name else "outside"
    beside = width >= SIDE
    room = _NAME_ROOM if beside else width * 0.6
    shown = abridged(name, room, _NAMES)
    outside = "" if band.name else " outside"
    x, y = (14, band.y + 24) if beside else (14, band.y + 18)
    at = (14, y + 16) if beside else (round(22 + _NAMES(shown)), y)
    return element(
        "g",
        element("title", name) if shown != name else NOTHING,
        element("rect", class_=f"band tint{band.tint}{outside}", x=1, y=band.y, width=width - 2,
                height=band.height, rx=8),
        element("text", shown, class_="name", x=x, y=y),
        element("text", band.note, class_="note", x=at[0], y=at[1]) if _fits(band, beside) else NOTHING,
    )  # fmt: skip


def _fits(band: Band, beside: bool) -> bool:
    return bool(band.note) and (not beside or band.height > NAME_ABOVE + 20)


def _tunnels(ways: Sequence[Way]) -> Markup:
    """A pipe around each arrow on which the packet is inside another one."""
    line = "".join(way.line for way in ways if way.inside)
    return element("path", class_="tunnel", d=line) if line else NOTHING


def _arrows(ways: Sequence[Way]) -> list[Markup]:
    """All arrows that look alike are one path, and so are their heads."""
    drawn = []
    for fate in dict.fromkeys(way.look for way in ways):
        alike = [way for way in ways if way.look == fate]
        drawn.append(element("path", class_=f"way {fate}", d="".join(way.line for way in alike)))
        drawn.append(element("path", class_=f"head {fate}", d="".join(way.head for way in alike)))
    return drawn


def _card(standing: PlacedCard) -> Markup:
    card, x, y = standing.card, standing.x, standing.y
    width = round(card.width)
    said = [("remark", card.remark), ("under", card.under), *(("detail", line) for line in card.lines)]
    shown = [(class_, text) for class_, text in said if text]
    lines = [
        element("text", text, class_=class_, x=x + PADDING, y=y + 34 + 14 * at)
        for at, (class_, text) in enumerate(shown)
    ]
    return element(
        "g",
        element("title", _full(card)) if card.is_shortened or card.inside else NOTHING,
        _envelope(standing) if card.inside else NOTHING,
        element("rect", x=x, y=y, width=width, height=standing.height, rx=6),
        element("text", card.title, class_="head", x=x + PADDING, y=y + 19),
        element("text", card.fate.value[0], class_="sign", x=x + width - 9, y=y + 19),
        *lines,
        class_=f"card {card.look}",
    )


def _envelope(standing: PlacedCard) -> Markup:
    """The packet around the packet: a second frame."""
    return element(
        "rect", class_="envelope", x=standing.x - 4, y=standing.y - 4,
        width=round(standing.card.width) + 8, height=standing.height + 8, rx=9,
    )  # fmt: skip


def _full(card: Card) -> str:
    return f"{card.full}; {card.inside}" if card.inside else card.full


def legend(report: Report, *legs: Leg) -> Markup:
    """What the signs of these pictures mean, those that are there."""
    made = [card for leg in legs for card in cards(report, leg, widest(SIDE))]
    fates = [fate for fate in Fate if any(card.fate is fate for card in made)]
    said = [_sign(report, fate) for fate in fates]
    said += [_key("tunnel", "▣", "inside a tunnel")] if any(card.inside for card in made) else []
    return element("p", *said, class_="legend") if said else NOTHING


def _sign(report: Report, fate: Fate) -> Markup:
    return _key(look(fate), fate.value[0], lost(report) if fate is Fate.LOST else MEANINGS[fate])


def _key(class_: str, sign: str, meaning: str) -> Markup:
    return together(element("span", element("b", sign), " ", meaning, class_=f"key {class_}"), " ")

"""A whole page: one file that fetches nothing, and what all pages have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .elements import NOTHING, Markup, element, stacked
from .style import PAGE

# what a browser may do with it: nothing but show it
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
WIDE, MEDIUM, NARROW = 1080, 700, 330  # pixels of a picture: a screen, half of one or paper, a phone


def page(title: str, *parts: str) -> str:
    """The file."""
    head = stacked(
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(f"\n{PAGE}")),
    )
    inner = element("body", NEWLINE, stacked(*parts), NEWLINE)
    whole = element(
        "html", NEWLINE, element("head", NEWLINE, head, NEWLINE), NEWLINE, inner, NEWLINE, lang="en"
    )
    return f"<!DOCTYPE html>\n{whole}\n"


NEWLINE = Markup("\n")


def heading(command: str, asked: str, ending: str, colour: str, beside: str = "") -> Markup:
    """What was asked, and how it ended."""
    return element(
        "header",
        element("p", "netprobe ", command, class_="what"),
        element("h1", asked),
        element(
            "p",
            element("span", ending, class_=f"badge {colour}"),
            element("span", beside, class_="asked") if beside else NOTHING,
        ),
    )


def section(title: str, *parts: str) -> Markup:
    """A part of the page with its heading; nothing where it says nothing."""
    return (
        element("section", element("h2", title), NEWLINE, stacked(*parts), NEWLINE) if any(parts) else NOTHING
    )


def paragraphs(lines: Iterable[str], class_: str | None = None) -> Markup:
    """Lines, a paragraph each."""
    return stacked(*(element("p", line, class_=class_) for line in lines if line))


def listed(lines: Iterable[str]) -> Markup:
    """Lines as a list; nothing where there are none."""
    items = [element("li", line) for line in lines]
    return element("ul", *items) if items else NOTHING


def defined(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Words with what is said of them; those of which nothing is said are left out."""
    said = [(word, text) for word, text in pairs if text]
    return element("dl", *(stacked(element("dt", word), element("dd", text)) for word, text in said))


def table(heads: Sequence[str], rows: Iterable[Markup], class_: str) -> Markup:
    """Rows under their heads; nothing where there are none. A head of "#" or "µs" is one of numbers."""
    body = stacked(*rows)
    if not body:
        return NOTHING
    cells = [element("th", head, class_="n" if head in ("#", "µs") else None, scope="col") for head in heads]
    return element(
        "table", element("thead", element("tr", *cells)), element("tbody", NEWLINE, body), class_=class_
    )


def typed(lines: Iterable[str]) -> Markup:
    """Commands, each to be copied as a whole."""
    return stacked(*(element("pre", element("code", line), class_="typed") for line in lines))


def at_each_width(draw: Callable[[int], Sequence[Markup]], label: str, long: bool = False) -> Markup:
    """Pictures for screens, paper and phones; which are seen is for the style sheet to say. Where there is
    a `long` row of them they are drawn for a phone alone, and stand beside each other on a screen.
    """
    drawn = ((NARROW, "flow"),) if long else ((WIDE, "wide"), (MEDIUM, "medium"), (NARROW, "narrow"))
    made = [(class_, draw(width)) for width, class_ in drawn]
    return stacked(
        *(
            element("div", stacked(*pictures), class_=class_, role="img", aria_label=label)
            for class_, pictures in made
            if pictures
        )
    )

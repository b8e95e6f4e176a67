"""Pages and pictures as Chromium shows them: nothing cut, nothing on something else, nothing fetched, nothing run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sample_matrices
import sample_pages
import sample_reports
import sample_wirings
from browser import CHROMIUM, MISSING, Browser, browser

from netprobe.render.html.check import html as check_page
from netprobe.render.html.matrix import html as matrix_page
from netprobe.render.html.picture import svg
from netprobe.render.html.report import html
from netprobe.render.wiring_html import wiring_html
from netprobe.saved import load

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)

PROJECT = Path(__file__).parents[2]
LAYOUT = Path(__file__).with_name("layout.js").read_text()
WIDTHS = (400, 1400)
MORE_WIDTHS = (320, 732, 1112)
RECORDINGS = PROJECT / "tests/faults/recordings"
PAGES: dict[str, Callable[[], str]] = {
    **{name: lambda report=report: html(report) for name, report in sample_reports.ALL.items()},
    **{f"matrix-{name}": lambda matrix=matrix: matrix_page(matrix) for name, matrix in sample_matrices.SHOWN.items()},
    **{name: lambda report=report: html(report) for name, report in sample_pages.REPORTS.items()},
    "check": lambda: check_page(sample_pages.CHECK),
    "matrix-with-a-way": lambda: matrix_page(sample_pages.MATRIX),
    **{f"map-{name}": lambda wiring=wiring: wiring_html(wiring) for name, wiring in sample_wirings.SMALL.items()},
    "map-large": lambda: wiring_html(sample_wirings.crowd(40)),
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as made:
        yield made


def assert_well_laid(chromium: Browser, file: Path, widths: tuple[int, ...], looks: tuple[bool, ...] = (False, True)) -> None:
    for width in widths:
        for dark in looks:
            chromium.open(file, width, dark=dark)
            assert chromium.ask(LAYOUT) == [], f"{file.name} at {width}"
            assert chromium.requests == [file.as_uri()]
            assert chromium.complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_laid(chromium: Browser, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name}.html"
    file.write_text(PAGES[name](), encoding="utf-8")
    assert_well_laid(chromium, file, WIDTHS)


@pytest.mark.parametrize("name", [*sample_reports.ALL, *sample_pages.REPORTS])
def test_a_picture_is_well_laid(chromium: Browser, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name}.svg"
    file.write_text(svg({**sample_reports.ALL, **sample_pages.REPORTS}[name]), encoding="utf-8")
    chromium.open(file, 1400)
    assert chromium.ask(LAYOUT) == []
    assert (chromium.requests, chromium.complaints) == ([file.as_uri()], [])


@pytest.mark.thorough
@pytest.mark.parametrize("recording", sorted(RECORDINGS.glob("*.pcapng")), ids=lambda path: path.stem)
def test_the_page_of_a_recording_is_well_laid(chromium: Browser, tmp_path: Path, recording: Path) -> None:
    file = tmp_path / f"{recording.stem}.html"
    file.write_text(html(load(str(recording))[0]), encoding="utf-8")
    assert_well_laid(chromium, file, MORE_WIDTHS, (False,))


def test_what_overlaps_is_found(chromium: Browser, tmp_path: Path) -> None:
    """The check of the layout itself."""
    file = tmp_path / "bad.html"
    card = '<g class="card"><rect width="40" height="20"/><text y="15">much longer than its box</text></g>'
    file.write_text(
        f"<!DOCTYPE html><body><svg width='300' height='60'>{card}<text x='20' y='15'>on it</text></svg>"
        "<p style='width:2000px'>wide</p><p style='position:absolute;top:60px'>over</p><p style='position:absolute;top:60px'>over</p>"
    )
    chromium.open(file, 400)
    wrong = " | ".join(chromium.ask(LAYOUT))
    for what in ("text on text", "outside of its box", "wider than the window"):
        assert what in wrong


SCHEMES = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"


def test_a_page_is_light_or_dark_as_the_reader_wishes(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(html(sample_reports.HEALTHY), encoding="utf-8")
    chromium.open(file, 1400)
    light = chromium.ask(SCHEMES)
    chromium.open(file, 1400, dark=True)
    assert chromium.ask(SCHEMES) != light
    assert light[0] == "rgb(255, 255, 255)"


def test_a_page_can_be_printed(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(html(sample_reports.FORWARD_DROP), encoding="utf-8")
    chromium.open(file, 1400, dark=True)
    assert chromium.printed().startswith(b"%PDF-")
    chromium.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert chromium.ask(SCHEMES)[0] == "rgb(255, 255, 255)"


RAN = """[window.ran ?? null, [...document.querySelectorAll("*")]
  .flatMap(e => [...e.attributes].map(a => a.name)).filter(a => a.startsWith("on"))]"""


@pytest.mark.parametrize("kind", sample_pages.HOSTILE)
def test_a_hostile_page_runs_nothing(chromium: Browser, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "hostile.html"
    file.write_text(sample_pages.HOSTILE[kind](), encoding="utf-8")
    chromium.open(file, 1400)
    assert chromium.ask(RAN) == [None, []]
    tags = set(chromium.ask("[...new Set([...document.querySelectorAll('*')].map(e => e.localName))]"))
    assert tags <= sample_pages.TAGS
    assert (chromium.requests, chromium.complaints) == ([file.as_uri()], [])
    assert chromium.ask(LAYOUT) == []


def test_a_script_that_gets_in_would_not_run(chromium: Browser, tmp_path: Path) -> None:
    """The policy of the page is the second wall."""
    file = tmp_path / "page.html"
    smuggled = "<script>window.ran = 1</script><img src='https://192.0.2.1/x.png'/></body>"
    file.write_text(html(sample_reports.HEALTHY).replace("</body>", smuggled), encoding="utf-8")
    chromium.open(file, 1400)
    assert chromium.ask("window.ran ?? null") is None
    assert len(chromium.complaints) == 2

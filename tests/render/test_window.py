"""The pictures of terminals in the README: scripts/window.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sample_reports

from netprobe.render.text import arping, text

FILE = Path(__file__).parents[2] / "scripts/window.py"
SPEC = importlib.util.spec_from_file_location("window", FILE)
assert SPEC is not None
assert SPEC.loader is not None
WINDOW = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(WINDOW)


def drawn(name: str, **look: object) -> str:
    report = sample_reports.ALL[name]
    return (arping if report.command == "arping" else text)(report, **look)  # type: ignore[arg-type]


def test_a_window(golden):
    golden("forward-drop.window.svg", WINDOW.window(drawn("forward-drop", width=96, colour=True), "netprobe trace red 8.8.8.8"))


@pytest.mark.parametrize("name", sorted(sample_reports.ALL))
def test_windows_are_xml_and_say_all(name):
    picture = WINDOW.window(drawn(name, width=96, colour=True), 'netprobe "trace" <red> & \x1b[1m')
    texts = [element.text for element in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == 'netprobe "trace" <red> & \\x1b[1m'
    words = " ".join(texts[1:]).split()
    assert words == drawn(name, width=96).split()

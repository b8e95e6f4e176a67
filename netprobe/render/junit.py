"""JUnit XML, as CI systems read it: suites of cases, each with what became of it.

The elements and attributes are those of Ant's schema, in the order that Jenkins' and GitLab's readers
take; a case may have properties, as pytest writes them. Names come from the network: they are made safe
(`escape`) before XML's own escaping, which knows nothing of characters that XML forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from msgspec import Struct

from .escape import lines, safe


class Ending(StrEnum):
    """What became of a case; PASSED has no element of its own."""

    PASSED = "passed"
    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


class JunitCase(Struct, frozen=True):
    """One case: `message` is one line, `text` what is behind it, of several lines. `seconds` it took.

    `kind` is the type of a failure or an error: a cause's code.
    """

    name: str
    classname: str = ""
    seconds: float = 0.0
    ending: Ending = Ending.PASSED
    message: str = ""
    kind: str = ""
    text: str = ""
    properties: tuple[tuple[str, str], ...] = ()


class JunitSuite(Struct, frozen=True):
    """Cases under one name, a file's for example."""

    name: str
    cases: tuple[JunitCase, ...]
    properties: tuple[tuple[str, str], ...] = ()


def junit(suites: Sequence[JunitSuite]) -> str:
    """The document, which ends with a newline."""
    cases = [case for suite in suites for case in suite.cases]
    root = Element("testsuites", {"name": "netprobe", **_counts(cases)})
    for suite in suites:
        element = SubElement(root, "testsuite", {"name": safe(suite.name), **_counts(suite.cases)})
        _add_properties(element, suite.properties)
        for case in suite.cases:
            _add(element, case)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, "unicode") + "\n"


def _counts(cases: Sequence[JunitCase]) -> dict[str, str]:
    endings = [case.ending for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(endings.count(Ending.FAILURE)),
        "errors": str(endings.count(Ending.ERROR)),
        "skipped": str(endings.count(Ending.SKIPPED)),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _add(suite: Element, case: JunitCase) -> None:
    said = {"name": safe(case.name), "classname": safe(case.classname), "time": f"{case.seconds:.3f}"}
    element = SubElement(suite, "testcase", said)
    _add_properties(element, case.properties)
    if case.ending is Ending.PASSED:
        return
    kind = {"type": safe(case.kind)} if case.kind else {}
    ending = SubElement(element, case.ending.value, {"message": safe(case.message), **kind})
    ending.text = "\n".join(lines(case.text))


def _add_properties(element: Element, properties: Sequence[tuple[str, str]]) -> None:
    if not properties:
        return
    inner = SubElement(element, "properties")
    for name, value in properties:
        SubElement(inner, "property", {"name": safe(name), "value": safe(value)})

"""JUnit XML is read back by another library, whatever the names hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped

from netprobe.render.escape import safe
from netprobe.render.junit import Ending, JunitCase, JunitSuite, junit

CASES = (
    JunitCase("red → 8.8.8.8", "net.yaml", 0.25),
    JunitCase("c1 → c2", "net.yaml", 0.5, Ending.FAILURE, 'c2 <drops> "it"', "filtered-by-rule", "hop 1\nhop 2 & more", (("cause", "x"),)),
    JunitCase("c1 → c3", "net.yaml", 0.125, Ending.ERROR, "no c3", "error"),
    JunitCase("c1 → c4", "net.yaml", 0, Ending.SKIPPED, "not known"),
)


def test_it_is_read_back() -> None:
    read = JUnitXml.fromstring(junit([JunitSuite("net.yaml", CASES, (("host", "h1"),))]).encode())
    [suite] = list(read)
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == ("net.yaml", 4, 1, 1, 1)
    passed, failed, error, skipped = list(suite)
    assert (passed.name, passed.classname, passed.time, passed.is_passed) == ("red → 8.8.8.8", "net.yaml", 0.25, True)
    [failure] = failed.result
    assert isinstance(failure, Failure)
    assert (failure.message, failure.type, failure.text) == ('c2 <drops> "it"', "filtered-by-rule", "hop 1\nhop 2 & more")
    assert isinstance(error.result[0], Error)
    assert isinstance(skipped.result[0], Skipped)
    assert (read.tests, read.failures, read.time) == (4, 1, 0.875)


def test_properties_of_a_case_are_read_back() -> None:
    read = JUnitXml.fromstring(junit([JunitSuite("s", CASES)]).encode())
    case = list(next(iter(read)))[1]
    assert [(each.get("name"), each.get("value")) for each in case._elem.iter("property")] == [("cause", "x")]


@given(st.text(st.characters(), max_size=40))
def test_any_name_stays_in_its_place(name: str) -> None:
    case = JunitCase(name, name, 0, Ending.FAILURE, name, name, name, ((name, name),))
    read = JUnitXml.fromstring(junit([JunitSuite(name, (case,))]).encode())
    [suite] = list(read)
    [found] = list(suite)
    assert (suite.name, found.name, found.classname) == (safe(name), safe(name), safe(name))
    assert found.result[0].message == safe(name)

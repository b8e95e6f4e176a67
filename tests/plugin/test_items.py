"""Files of expectations as tests of pytest: in a lab, without privilege, and files that are wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from asking import once
from junitparser import JUnitXml
from plugin.running import PROJECT, as_nobody, properties_in, pytest_in, readable, run

import netprobe
from netprobe.lab.lab import Lab

pytest_plugins = "pytester"

NET = """
groups: {containers: [c1, c2]}
expect:
- {from: containers, to: 8.8.8.8}
- name: one station has the address of c2
  arping: {from: c1, to: c2, unique: true}
- {from: c1, to: c2, port: 81, is: blocked, cause: port-closed}
- {from: c1, to: c2, port: 82}
- {from: red, to: 8.8.8.8, is: blocked}
- {from: red, to: nowhere}
"""
HELD = [
    "expect[c1 → 8.8.8.8 icmp is reachable]",
    "expect[c2 → 8.8.8.8 icmp is reachable]",
    "one station has the address of c2[c1 → c2 arp is answered by one station]",
    "expect[c1 → c2 tcp 81 is blocked by port-closed]",
]
CLOSED, OPEN = "expect[c1 → c2 tcp 82 is reachable]", "expect[red → 8.8.8.8 icmp is blocked]"
UNKNOWN = "expect[red → nowhere icmp is reachable]"


@pytest.fixture(autouse=True)
def this_netprobe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))


@pytest.mark.lab
@once
@pytest.mark.parametrize("workers", [[], pytest.param(["-n", "2"], marks=pytest.mark.thorough)], ids=["alone", "-n 2"])
def test_each_expectation_is_a_test(fresh_lab: Lab, workers: list[str]) -> None:
    folder = Path(fresh_lab.folder)
    (folder / "net.netprobe.yaml").write_text(NET)
    done = pytest_in(fresh_lab, folder, *workers, "-v", "--junitxml=report.xml", "--netprobe-require", "--netprobe-captures=kept")
    assert "3 failed, 4 passed" in done.stdout, done.stdout + done.stderr
    assert f"net.netprobe.yaml:8: {CLOSED[7:-1]}\n  failed: nothing in c2 listens on tcp/82" in done.stdout
    assert f"net.netprobe.yaml:9: {OPEN[7:-1]}\n  failed: " in done.stdout
    assert f"net.netprobe.yaml:10: {UNKNOWN[7:-1]}\n  error: there is no namespace or container nowhere" in done.stdout
    assert "WHAT HAPPENED" in done.stdout, "the hop table of the question"
    assert "error[port-closed]" in done.stdout
    assert "Traceback" not in done.stdout
    found = properties_in(folder / "report.xml")
    assert set(found) == {*HELD, CLOSED, OPEN, UNKNOWN}
    assert found[CLOSED][0] == ("netprobe-cause", "port-closed")
    assert {name for name, properties in found.items() if properties} == {CLOSED}
    assert {case.name for suite in JUnitXml.fromfile(str(folder / "report.xml")) for case in suite if case.result} == {
        CLOSED,
        OPEN,
        UNKNOWN,
    }
    assert sorted(netprobe.load(each).command for each in (folder / "kept").iterdir()) == ["arping", *["ping"] * 5]


def test_without_privilege_they_are_skipped() -> None:
    with readable() as folder:
        (folder / "net.netprobe.yaml").write_text("expect:\n- {from: 'pid:1', to: 8.8.8.8}\n- {from: host, to: 127.0.0.1}\n")
        shown = as_nobody(folder)
        assert "2 skipped" in shown, shown
        assert re.search(r"netprobe: not permitted to open the network namespace pid:1: .*\(without CAP_SYS_ADMIN, ", shown), shown
        shown = as_nobody(folder, "--netprobe-require")
        assert "2 failed" in shown, shown
        assert "error: not permitted to open the network namespace pid:1" in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("expect:\n- {from: red, too: blue}\n", "*wrong.netprobe.yaml:2:15: 'too' is no key*"),
        ("expect: [\n", "*wrong.netprobe.yaml:2:1: this is not YAML*"),
    ],
)
def test_a_file_that_is_wrong_is_an_error_with_its_line(pytester: pytest.Pytester, text: str, said: str) -> None:
    (pytester.path / "wrong.netprobe.yaml").write_text(text)
    done = run(pytester)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([said])
    assert "Traceback" not in done.stdout.str()


def test_two_of_one_name_are_two_tests(pytester: pytest.Pytester) -> None:
    (pytester.path / "net.netprobe.yml").write_text("expect:\n" + "- {name: 'a::b', from: red, to: '2001:db8::1'}\n" * 2)
    one = "net.netprobe.yml::a:b[red → 2001:db8::1 icmp is reachable]"
    assert run(pytester, "--collect-only", "-q").outlines[:2] == [one, f"{one} #2"]
    assert run(pytester, "--collect-only", "-q", one).outlines[0] == one


def test_other_yaml_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", net="expect: [", netprobe="expect: [")
    run(pytester, "--collect-only").assert_outcomes()


def test_ctrl_c_ends_the_run(pytester: pytest.Pytester) -> None:
    text = "expect:\n- {from: host, to: 127.0.0.1}\n- {from: host, to: 127.0.0.2}\n"
    (pytester.path / "net.netprobe.yaml").write_text(text)
    pytester.makeconftest("""
        import netprobe.session

        def interrupted(*_):
            raise KeyboardInterrupt

        netprobe.session.Session.run = interrupted
    """)
    done = run(pytester)
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert "passed" not in done.stdout.str()

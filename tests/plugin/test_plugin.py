"""The pytest plugin, run by pytest in pytest: on a machine out of a capture, without privilege, and in a lab."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest
from asking import once
from plugin.running import PLUGIN, PROJECT, as_nobody, properties_in, pytest_in, readable, run

import netprobe
from netprobe.lab.lab import Lab

pytest_plugins = "pytester"

RECORDED = """
import pytest
from fuzzing.recorded_world import SAMPLE, RecordedMachine

class Broken(RecordedMachine):
    sample = SAMPLE.with_name("no-masquerade.pcapng")

@pytest.fixture(autouse=True, scope="session")
def machine():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netprobe.linux.machine.Machine", RecordedMachine)
        yield patch

@pytest.fixture
def broken(machine):
    with machine.context() as patch:
        patch.setattr("netprobe.linux.machine.Machine", Broken)
        yield
"""
"""A conftest: netprobe sees the machine of a recording, and predicts; nothing can be sent."""


@pytest.fixture(autouse=True)
def this_netprobe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))


@pytest.fixture
def recorded(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder for tests whose netprobe sees the recorded machine."""
    pytester.makeini(f"[pytest]\npythonpath = {PROJECT / 'tests'}\nfilterwarnings = error\n")
    pytester.makeconftest(RECORDED)
    return pytester


def test_an_answer_is_asserted(recorded: pytest.Pytester) -> None:
    recorded.makepyfile("def test_it(netprobe): assert netprobe.why('red', '8.8.8.8').reachable")
    run(recorded).assert_outcomes(passed=1)


BROKEN = """
def test_well(netprobe):
    assert netprobe.why("red", "8.8.8.8")

def test_lost(netprobe, broken):
    assert netprobe.why("red", "8.8.8.8", ttl=33)

def test_not_asked(netprobe):
    assert False
"""


@pytest.mark.parametrize("workers", [[], pytest.param(["-n", "2"], marks=pytest.mark.thorough)], ids=["alone", "-n 2"])
def test_a_failure_shows_the_hops_and_names_the_cause(recorded: pytest.Pytester, workers: Sequence[str]) -> None:
    recorded.makepyfile(BROKEN)
    done = run(recorded, *workers, "--junitxml=report.xml")
    done.assert_outcomes(passed=1, failed=2)
    shown = done.stdout.str()
    hops = ["*WHERE*STEP*WHAT HAPPENED*", "*host/eth0*", "error?nat-missing?*", "*fix*masquerade*"]
    done.stdout.fnmatch_lines(["*- netprobe.why('red', '8.8.8.8', ttl=33) -*", *hops])
    assert shown.count("WHAT HAPPENED") == 1, "of the test that failed for it alone"
    properties = properties_in(recorded.path / "report.xml")
    assert properties["test_well"] == properties["test_not_asked"] == []
    cause, summary = properties["test_lost"]
    assert cause == ("netprobe-cause", "nat-missing")
    assert summary[0] == "netprobe-summary"
    assert "10.0.0.2" in summary[1]


def test_what_is_asserted_is_said_in_a_line(recorded: pytest.Pytester) -> None:
    recorded.makepyfile(BROKEN)
    shown = run(recorded, "-k", "lost").stdout.str()
    assert re.search(r"^E +AssertionError: assert <why: red \(10\.0\.0\.2\) → 8\.8\.8\.8  .*\[nat-missing\]>$", shown, re.MULTILINE), shown


def test_a_good_answer_is_shown_when_none_was_bad(recorded: pytest.Pytester) -> None:
    recorded.makepyfile("""
        def test_isolated(netprobe):
            netprobe.why("red", "10.0.0.1")
            assert not netprobe.why("red", "8.8.8.8")
    """)
    shown = run(recorded).stdout.str()
    assert re.findall(r"- netprobe\.(.*) -", shown) == ["why('red', '8.8.8.8')"]


def test_the_last_bad_answers_are_shown(recorded: pytest.Pytester) -> None:
    recorded.makepyfile("""
        def test_all(netprobe, broken):
            found = [netprobe.why("red", "8.8.8.8", ttl=ttl) for ttl in range(60, 65)]
            good = netprobe.why("red", "10.0.0.1")
            assert good and all(found)
    """)
    shown = run(recorded).stdout.str()
    assert re.findall(r"- netprobe\.why\((.*)\) -", shown) == [f"'red', '8.8.8.8', ttl={ttl}" for ttl in (62, 63, 64)]


def test_a_fixture_of_all_tests_may_ask(recorded: pytest.Pytester) -> None:
    recorded.makepyfile("""
        import pytest

        @pytest.fixture(scope="module")
        def ready(netprobe, machine):
            assert netprobe.why("red", "8.8.8.8", ttl=1)

        def test_it(ready): pass
    """)
    done = run(recorded)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*- netprobe.why('red', '8.8.8.8', ttl=1) -*"])


def test_all_of_the_module_is_there(recorded: pytest.Pytester) -> None:
    recorded.makepyfile("""
        import pytest

        def test_it(netprobe):
            assert netprobe.explain("no-route").section
            with pytest.raises(netprobe.WrongQuestion):
                netprobe.explain("no-rout")
            with pytest.raises(AttributeError):
                netprobe.trase
    """)
    run(recorded).assert_outcomes(passed=1)


def test_expectations_are_shown_as_they_fail(recorded: pytest.Pytester) -> None:
    (recorded.path / "net.yaml").write_text("expect:\n- {from: red, to: 8.8.8.8}\n- {from: red, to: 10.0.0.1}\n")
    recording = PROJECT / "captures/samples/no-masquerade.pcapng"
    recorded.makepyfile(f"def test_it(netprobe): assert netprobe.check('net.yaml', recording={str(recording)!r})")
    done = run(recorded, "--junitxml=report.xml")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*- netprobe.check('net.yaml', *", "✗ red → 8.8.8.8 icmp is reachable", "*1 hold, 1 fail"])
    assert "AssertionError: assert <check: 1 hold, 1 fail>\n" in done.stdout.str()
    assert properties_in(recorded.path / "report.xml")["test_it"][0] == ("netprobe-cause", "nat-missing")


def test_a_wrong_question_fails(recorded: pytest.Pytester) -> None:
    recorded.makepyfile("""
        def test_it(netprobe, monkeypatch):
            monkeypatch.setattr("netprobe.linux.privilege.missing", tuple)
            netprobe.why("rde", "8.8.8.8")
    """)
    done = run(recorded)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*WrongQuestion: there is no namespace or container rde"])


def test_the_host_is_named_once(recorded: pytest.Pytester) -> None:
    recorded.makepyfile("""
        def test_it(netprobe, monkeypatch):
            from netprobe.linux import machine
            class Named(machine.Machine):
                def __init__(self, host, *rest):
                    assert host == named
                    super().__init__()
            monkeypatch.setattr(machine, "Machine", Named)
            named = "red"
            assert netprobe.why("red", "8.8.8.8")
            named = "c1"
            assert netprobe.why("red", "8.8.8.8", host="c1")
    """)
    run(recorded, "--netprobe-host", "red").assert_outcomes(passed=1)


# ---- without privilege

ASKED = """
def test_namespace(netprobe): assert netprobe.ping("pid:1", "8.8.8.8")
def test_container(netprobe): assert netprobe.ping("no-such-container", "8.8.8.8")
def test_prediction(netprobe): assert netprobe.why("host", "127.0.0.1")
def test_expectations(netprobe): assert netprobe.check(FILE)
def test_other(): pass
"""


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    with readable() as folder:
        (folder / "net.yaml").write_text("expect:\n- {from: 'pid:1', to: 8.8.8.8}\n- {from: host, to: 127.0.0.1}\n")
        (folder / "test_it.py").write_text(ASKED.replace("FILE", repr(str(folder / "net.yaml"))))
        yield folder


def test_without_privilege_it_is_skipped(unprivileged: Path) -> None:
    shown = as_nobody(unprivileged)
    assert "1 passed, 4 skipped" in shown, shown
    assert re.search(r"netprobe: not permitted to open the network namespace pid:1: .*\(without CAP_SYS_ADMIN, ", shown), shown
    assert "netprobe: there is no namespace or container no-such-container (without CAP_SYS_ADMIN, " in shown


def test_without_privilege_it_fails_where_that_is_required(unprivileged: Path) -> None:
    shown = as_nobody(unprivileged, "--netprobe-require")
    assert "4 failed, 1 passed" in shown, shown
    assert "NotPermitted: not permitted to open the network namespace pid:1" in shown


# ---- in a lab

LIVE = """
def test_ping(netprobe): assert netprobe.ping("c1", "c2", count=2, interval="10ms").received == 2
def test_trace(netprobe): assert netprobe.trace("red", "8.8.8.8")
def test_arping(netprobe): assert netprobe.arping("c1", "c2").answers[0].mac == "02:42:ac:11:00:03"
def test_pairs(netprobe): assert netprobe.matrix(["c1", "c2", "red"])
def test_no_way_back(netprobe): assert netprobe.matrix(["red", "internet"])
def test_closed(netprobe): assert netprobe.ping("c1", "172.17.0.3:81", timeout="300ms")
"""


PAGE = (PROJECT / "docs/python.md").read_text()


@pytest.mark.lab
@once
def test_the_example_of_the_page(lab: Lab) -> None:
    (example,) = (each for each in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if "(netprobe)" in each)
    (Path(lab.folder) / "test_example.py").write_text(example)
    done = pytest_in(lab, Path(lab.folder), "--netprobe-require", "test_example.py")
    assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.lab
def test_questions_are_asked_on_the_wire(lab: Lab) -> None:
    folder = Path(lab.folder, "plugin")
    lab.run(["mkdir", "-m", "777", str(folder)], check=True)
    (folder / "test_live.py").write_text(LIVE)
    ours = ["--netprobe-require", "--netprobe-captures", "kept"]
    done = pytest_in(lab, folder, "-n", "2", *ours, "--junitxml", "report.xml")
    assert "2 failed, 4 passed" in done.stdout, done.stdout + done.stderr
    assert "netprobe.ping('c1', '172.17.0.3:81', timeout='300ms')" in done.stdout
    assert "WHAT HAPPENED" in done.stdout
    assert "error[port-closed]" in done.stdout
    assert "assert <matrix: 1 of 2 pairs reachable " in done.stdout
    assert "1 pair: internet has no route to 10.0.0.2 [no-route]" in done.stdout
    properties = properties_in(folder / "report.xml")
    assert properties["test_closed"][0] == ("netprobe-cause", "port-closed")
    assert properties["test_no_way_back"][0] == ("netprobe-cause", "no-route")
    kept = {each.name: netprobe.load(each) for each in (folder / "kept").iterdir()}
    assert {name: report.reachable for name, report in kept.items()} == {
        "test_live.py-test_ping-1-ping-c1-c2.pcapng": True,
        "test_live.py-test_trace-1-trace-red-8.8.8.8.pcapng": True,
        "test_live.py-test_arping-1-arping-c1-c2.pcapng": True,
        "test_live.py-test_closed-1-ping-c1-172.17.0.3_81.pcapng": False,
    }


# ---- who does not use it


def test_registration_imports_nothing_heavy() -> None:
    program = f"import sys, pytest; before = set(sys.modules); import {PLUGIN}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT)
    others = [name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names]
    assert others == ["netprobe", PLUGIN, f"{PLUGIN}.asking"]


def test_a_run_that_does_not_ask_loads_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import sys\ndef test_it(): print('loaded', *[n for n in sys.modules if n.startswith('netprobe')])")
    pytester.makefile(".yaml", other="[]")
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    done = run(pytester, "-s")
    done.assert_outcomes(passed=1)
    loaded = next(line for line in done.outlines if "loaded" in line).partition("loaded ")[2].split()
    assert set(loaded) <= {"netprobe", PLUGIN, f"{PLUGIN}.asking"}


def test_it_may_be_imported_before_pytest(pytester: pytest.Pytester) -> None:
    """pytest marks the files of every distribution that registers a plugin, and warns of those that are imported already."""
    pytester.makeconftest("import netprobe, pytest\npytest.register_assert_rewrite('netprobe')")
    pytester.makepyfile("def test_it(): pass")
    run(pytester, "-W", "error").assert_outcomes(passed=1)


def test_the_package_registers_it() -> None:
    points = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert points == {"netprobe": PLUGIN}
    assert hasattr(import_module(points["netprobe"]), "pytest_addoption")


def test_the_options_are_listed(pytester: pytest.Pytester) -> None:
    shown = run(pytester, "--help").stdout.str()
    for option in ("--netprobe-require", "--netprobe-host=NS", "--netprobe-captures=DIR"):
        assert option in shown
        assert f"`{option.replace('=', ' ')}`" in PAGE

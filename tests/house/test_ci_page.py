"""docs/ci.md: its files are read as the systems read them that they are for, and their commands are run in the network of the demo.

What comes from a network that tests have not - pip, Docker - is played by programs that note how they were called.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from asking import once
from house.test_documents import README
from junitparser import JUnitXml
from msgspec import Struct
from plugin.running import INSTALLED, PLUGIN

from netprobe.lab.lab import Lab

PAGE = (Path(__file__).parents[2] / "docs/ci.md").read_text()
HELD = ["c1 → 8.8.8.8 icmp is reachable", "c2 → 8.8.8.8 icmp is reachable", "c1 → c2 tcp 81 is blocked",
        "one station has the address of c2: c1 → c2 arp is answered by one station"]  # fmt: skip
INSTALLATION = ["python3 -m venv .netprobe", "pip install SOURCE"]
SOURCE = "git+https://git.example.org/netprobe.git"


def chapter(title: str) -> str:
    return re.split(r"^## ", PAGE.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def fenced(title: str, language: str) -> str:
    """The one block of a chapter in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", chapter(title), re.MULTILINE | re.DOTALL)
    return str(found)


def github(failed: bool = False) -> str:
    """What the steps of the job run."""
    (job,) = yaml.safe_load(fenced("GitHub", "yaml"))["jobs"].values()
    conditions = [None, "failure()"] if failed else [None]
    return "\n".join(step["run"] for step in job["steps"] if "run" in step and step.get("if") in conditions)


def gitlab() -> str:
    """What the job runs before, in and after its script."""
    (job,) = yaml.safe_load(fenced("GitLab", "yaml")).values()
    return "\n".join([*job["before_script"], *job["script"], *job["after_script"]])


class Ran(Struct):
    """How a script ended, what it said, and how the programs were called that are played."""

    code: int
    said: str
    called: list[str]


@pytest.fixture
def script(fresh_lab: Lab) -> Callable[..., Ran]:
    """Runs a script of the page in a folder with net.yaml, in the lab."""
    folder = Path(fresh_lab.folder)
    (folder / "net.yaml").write_text(fenced("What is expected", "yaml"))
    noted = 'echo "$(basename "$0") $*" >>called'
    programs = {
        "bin/sudo": 'exec "$@"', "bin/docker": noted, "bin/python3": noted,
        ".netprobe/bin/pip": noted, ".netprobe/bin/python": f'exec {sys.executable} "$@"',
        ".netprobe/bin/netprobe": f'exec {sys.executable} -m netprobe "$@"',
    }  # fmt: skip
    for name, text in programs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    def run(text: str, given: Mapping[str, str] | None = None) -> Ran:
        path = f"{folder}/bin:{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        plugin = {} if INSTALLED else {"PYTEST_PLUGINS": PLUGIN}
        environment = {"PATH": path, "NETPROBE": SOURCE, **plugin, **(given or {})}
        done = fresh_lab.run(["sh", "-ec", f'cd "$0"\n{text}', str(folder)], environment=environment)
        called = (folder / "called").read_text().replace(SOURCE, "SOURCE").splitlines() if (folder / "called").exists() else []
        return Ran(done.returncode, done.stdout + done.stderr, called)

    return run


def reported(file: Path) -> dict[str, bool]:
    """Whether each test of a JUnit report failed, as another program reads it."""
    return {case.name: bool(case.result) for suite in JUnitXml.fromfile(str(file)) for case in suite}


@pytest.mark.lab
@pytest.mark.parametrize(
    ("text", "docker"),
    [
        (fenced("A shell script", "sh"), ["up --detach --wait"]),
        (github(), ["up --detach --wait"]),
        (gitlab(), ["up --detach --wait", "down"]),
    ],
    ids=["shell", "github", "gitlab"],
)
def test_a_job(script: Callable[..., Ran], fresh_lab: Lab, text: str, docker: list[str]) -> None:
    done = script(text)
    assert done.code == 0, done.said
    assert sorted(done.called) == sorted([*INSTALLATION, *(f"docker compose {each}" for each in docker)])
    assert reported(Path(fresh_lab.folder, "report.xml")) == dict.fromkeys(HELD, False)


@pytest.mark.lab
@once
def test_a_job_fails_and_says_why(script: Callable[..., Ran], fresh_lab: Lab) -> None:
    fresh_lab.run(["ip", "link", "set", "docker0", "down"], check=True)
    *steps, summary = github(failed=True).splitlines()
    done = script("\n".join(steps).replace("30s", "100ms"))
    assert done.code == 1, done.said
    assert reported(Path(fresh_lab.folder, "report.xml")) == {name: name != HELD[2] for name in HELD}
    assert "link-admin-down" in Path(fresh_lab.folder, "report.xml").read_text()
    done = script(summary, {"GITHUB_STEP_SUMMARY": "summary.md"})
    assert done.code == 1, done.said
    assert "docker0 in host is down" in Path(fresh_lab.folder, "summary.md").read_text()


@pytest.mark.parametrize("text", [fenced("GitHub", "yaml"), fenced("GitLab", "yaml")])
def test_the_report_is_uploaded_also_when_the_check_failed(text: str) -> None:
    (job,) = (found := yaml.safe_load(text)).get("jobs", found).values()
    uploads = [step for step in job.get("steps", ()) if step.get("uses", "").startswith("actions/upload-artifact@")]
    always, path = (
        (uploads[0]["if"], uploads[0]["with"]["path"]) if uploads else (job["artifacts"]["when"], job["artifacts"]["reports"]["junit"])
    )
    assert (always.removesuffix("()"), path) == ("always", "report.xml")


@pytest.mark.lab
@once
def test_the_service_asks_the_same(script: Callable[..., Ran], fresh_lab: Lab) -> None:
    (service,) = yaml.safe_load(fenced("Docker Compose", "yaml"))["services"].values()
    Path(fresh_lab.folder, "bin/docker").write_text(f'#!/bin/sh\necho "docker $*" >>called\nexec netprobe {service["command"]}\n')
    done = script(fenced("Docker Compose", "sh"))
    assert (done.code, done.called) == (0, ["docker compose run --rm -T netprobe"]), done.said
    assert reported(Path(fresh_lab.folder, "report.xml")) == dict.fromkeys(HELD, False)
    assert "volumes" not in service, "root that lacks DAC_OVERRIDE writes in no folder of another user"


def test_the_service_has_the_rights_that_the_readme_explains() -> None:
    (service,) = yaml.safe_load(fenced("Docker Compose", "yaml"))["services"].values()
    given = [
        f"--pid={service['pid']}",
        *(f"--cap-drop={each}" for each in service["cap_drop"]),
        *(f"--cap-add={each}" for each in service["cap_add"]),
    ]
    (line,) = re.findall(r"^docker run --rm (--pid.*?)    netprobe", README.replace("\\\n", ""), re.MULTILINE | re.DOTALL)
    assert line.split() == given


@pytest.mark.lab
@once
def test_with_pytest(script: Callable[..., Ran], fresh_lab: Lab) -> None:
    done = script(fenced("With pytest", "sh"))
    assert done.code == 0, done.said
    assert done.called == ["pip install SOURCE pytest"]
    assert "4 passed" in done.said
    assert len(list(Path(fresh_lab.folder, "kept").iterdir())) == 4
    assert len(reported(Path(fresh_lab.folder, "report.xml"))) == 4


@pytest.mark.lab
@once
def test_without_a_network(script: Callable[..., Ran], fresh_lab: Lab) -> None:
    there, now, then = fenced("Without a network", "sh").splitlines()
    kept = script(there)
    assert kept.code == 0, kept.said
    done = script(now)
    assert done.code == 0, done.said
    assert reported(Path(fresh_lab.folder, "report.xml")) == dict.fromkeys(HELD, False)
    done = script(then)
    assert done.code == 1, done.said
    assert "the changes break 3" in done.said

"""docs/check.md: each example runs in the network of the demo, and each key has one."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from asking import ask, once

from netprobe.expectations import read
from netprobe.lab.lab import Lab

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/check.md").read_text()
FILES = re.findall(r"^(?:<!-- after: (\S+) -->\n)?```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PROGRAM = "".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
LINES = [line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()]


def keys(found: Any) -> set[str]:
    """The keys of a document, at any depth."""
    if isinstance(found, dict):
        return {*found, *(key for each in found.values() for key in keys(each))}
    return {key for each in found for key in keys(each)} if isinstance(found, list) else set()


def test_each_key_has_an_example_and_a_row() -> None:
    shown = {key for _, text in FILES for key in keys(yaml.safe_load(text))}
    known = {*read._TOP, *read._ASKED, *read._ARPING, "arping", "source"}
    assert known - shown == set()
    rows = {word for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for word in re.findall(r"`([a-z_]+)`", row)}
    assert known - {"source"} - rows == set()


@pytest.mark.lab
@once
@pytest.mark.parametrize(("fault", "text"), FILES, ids=[text.split("\n")[2].strip("- ") for _, text in FILES])
def test_an_example_holds(fresh_lab: Lab, fault: str, text: str) -> None:
    if fault:
        fresh_lab.inject(fault)
    file = Path(fresh_lab.folder, "net.yaml")
    file.write_text(text)
    done = ask(fresh_lab, "check", str(file))
    assert done.code == 0, done.told


@pytest.mark.lab
@once
@pytest.mark.parametrize("line", [line for line in LINES if "--with" in line or "--from" in line])
def test_a_change_can_be_tried(lab: Lab, line: str) -> None:
    folder = Path(lab.folder)
    (folder / "net.yaml").write_text(FILES[0][1])
    (folder / "out.yaml").write_text("expect:\n- {from: red, to: 8.8.8.8}\n")
    words = [str(folder / word) if word.endswith(".yaml") else word for word in shlex.split(line)[1:]]
    words = [str(PROJECT / word) if word.startswith("captures/") else word for word in words]
    words = [str(folder / word) if word == "machine.pcapng" else word for word in words]
    if "machine.pcapng" in line:
        assert ask(lab, "check", "-w", str(folder / "machine.pcapng"), str(folder / "net.yaml")).code == 0
    done = ask(lab, *words)
    assert (done.code, done.stderr) == (1, ""), done.told
    assert "the change breaks it" in done.stdout


@pytest.mark.lab
@once
def test_the_program_runs(lab: Lab) -> None:
    (Path(lab.folder) / "net.yaml").write_text(FILES[0][1])
    done = lab.run([sys.executable, "-c", f"import os; os.chdir({lab.folder!r})\n{PROGRAM}"])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.lab
@once
def test_what_was_written_holds(lab: Lab) -> None:
    file = Path(lab.folder, "written.yaml")
    assert ask(lab, "expect", "--blocked", "--out", str(file)).code == 0
    first = file.read_text()
    assert ask(lab, "expect", "--blocked", "--out", str(file)).code == 0
    assert file.read_text() == first
    done = ask(lab, "check", str(file))
    assert done.code == 0, f"{first}\n{done.told}"
    assert done.stdout.endswith(" hold\n")
    assert "is: blocked, cause: no-route" in first

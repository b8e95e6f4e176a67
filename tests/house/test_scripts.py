"""scripts/prepare: which virtual environment is taken, with a Python that only pretends to make one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PREPARE = Path(__file__).resolve().parents[2] / "scripts/prepare"
SOMEBODY = 65534
PYTHON = """#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$4/bin" && cp "$0" "$4/bin/python"; fi
"""
ASK = '. "$0"; prepare "" sh=dash; echo "$bin"'


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A checkout that everybody may read, and a Python beside it."""
    made = Path(tempfile.mkdtemp(prefix="netprobe-checkout-"))
    made.chmod(0o755)
    (made / "scripts").mkdir()
    shutil.copy(PREPARE, made / "scripts/prepare")
    (made / "pyproject.toml").touch()
    (made / "python").write_text(PYTHON)
    (made / "python").chmod(0o755)
    yield made
    shutil.rmtree(made)


def taken(checkout: Path, home: Path, user: int | None = None) -> tuple[str, str]:
    """(the environment that is taken, what is said) by a user with this home."""
    environment = {"PATH": os.environ["PATH"], "PYTHON": str(checkout / "python"), "HOME": str(home)}
    words = ["bash", "-c", ASK, str(checkout / "scripts/prepare")]
    done = subprocess.run(words, env=environment, user=user, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().removesuffix("/bin"), done.stderr


def test_the_checkouts_own_is_made_once(checkout: Path, tmp_path: Path) -> None:
    own = str(checkout / ".venv")
    assert taken(checkout, tmp_path) == (own, f"Preparing {own} (once)\n")
    assert taken(checkout, tmp_path) == (own, "")
    (checkout / "pyproject.toml").write_text("changed")
    assert taken(checkout, tmp_path) == (own, f"Preparing {own} (once)\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
@pytest.mark.parametrize("why", ["not ready", "closed", "its Python is closed"])
def test_one_of_another_user_is_left_alone(checkout: Path, why: str) -> None:
    """As after `sudo ./scripts/demo`: root's Python may lie in a home that is closed to others."""
    home = checkout / "home"
    home.mkdir()
    os.chown(home, SOMEBODY, SOMEBODY)
    own = checkout / ".venv"
    if why == "not ready":
        own.mkdir()
    else:
        taken(checkout, checkout)
        (own if why == "closed" else own / "bin/python").chmod(0o700)
    found, said = taken(checkout, home, SOMEBODY)
    assert Path(found).is_relative_to(home)
    assert said == f"{own} belongs to somebody else: it is left alone\nPreparing {found} (once)\n"
    assert taken(checkout, home, SOMEBODY) == (found, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_root_writes_nothing_into_a_users(checkout: Path, tmp_path: Path) -> None:
    own = checkout / ".venv"
    own.mkdir()
    os.chown(own, SOMEBODY, SOMEBODY)
    found, said = taken(checkout, tmp_path)
    assert Path(found).is_relative_to(tmp_path)
    assert said.startswith(f"{own} belongs to somebody else")
    assert list(own.iterdir()) == []


def demos() -> list[str]:
    """The demo's lines in the README's own chapter; --shell is left to tests of the demo, which have a terminal."""
    chapter = (PREPARE.parents[1] / "README.md").read_text().split("\n## Try it\n")[1].split("\n## ")[0]
    return list(dict.fromkeys(re.findall(r"(?<!sudo )\./scripts/demo(?: --(?:list|break [\w-]+))?", chapter)))


@pytest.mark.lab
@pytest.mark.parametrize("line", demos())
def test_the_demo_of_the_readme(checkout: Path, tmp_path: Path, line: str) -> None:
    shutil.copy(PREPARE.with_name("demo"), checkout / "scripts/demo")
    environment, _ = taken(checkout, tmp_path)
    program = Path(environment) / "bin/netprobe"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={PREPARE.parents[1]} exec {sys.executable} -m netprobe "$@"\n')
    program.chmod(0o755)
    settings = {"PATH": os.environ["PATH"], "PYTHON": str(checkout / "python"), "HOME": str(tmp_path)}
    done = subprocess.run(line.split(), env=settings, cwd=checkout, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"./scripts/demo": "[nat-missing]", "--list": "no-masquerade ", "--break forward-drop": "[filtered-by-rule]"}[
        line.removeprefix("./scripts/demo ")
    ] in done.stdout

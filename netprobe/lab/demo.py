"""`netprobe demo`: a private lab is built, looked at, broken in one place, diagnosed, and gone.

The command line hands in `run`, which executes one netprobe command line in this process, prints, and returns its exit code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from . import commands, private
from .build import build
from .faults import FAULTS, Fault, named
from .guide import WALK
from .private import LAB_FOLDER
from .tutorial import TUTORIAL, WIRING

Run = Callable[[list[str]], int]

_HEALTHY = (("trace", "red", "8.8.8.8"), ("arping", "c1", "c2"))
_UNREACHABLE = 1  # the exit code of a netprobe that was asked about a broken path, and saw it
_NO_SHELLS = ("nologin", "false", "sync")


def listing() -> str:
    """The faults that `--break` knows, one a line, with the command that shows each."""
    width = max(len(fault.name) for fault in FAULTS)
    return "\n".join(f"{fault.name:{width}}  {fault.title}  [netprobe {' '.join(fault.probe)}]" for fault in FAULTS)


def demo(break_name: str | None, shell: bool, run: Run, rootless: bool | None = None) -> int:
    """Run the demonstration, or with `shell` open a shell in the lab. The exit code: 0 when netprobe saw what is there.

    `break_name` None breaks the masquerading; with `shell` it breaks nothing. Raises WrongQuestion for an unknown fault, NotPermitted
    or CannotLook where this machine cannot have a lab.
    """
    if shell:
        fault = named(break_name) if break_name else None
        return private.run(lambda: _shell(fault), rootless)
    fault = named(break_name) if break_name else FAULTS[0]
    code = private.run(lambda: _demonstration(fault, run), rootless)
    print("The lab is gone. Other faults: netprobe demo --list. To walk through it yourself: netprobe demo --shell")
    return code


def _build() -> None:
    commands.prepare_path()
    build(TUTORIAL)


def _demonstration(fault: Fault, run: Run) -> int:
    _build()
    folder = Path(LAB_FOLDER, "work")
    folder.mkdir()
    os.chdir(folder)  # captures are written here, and go with the lab
    _say(f"A private lab: it cannot touch this machine, and ends with this command.\n\n{WIRING}")
    for argv in _HEALTHY:
        code = _step(argv, run)
        if code != 0:
            return code
    _say(f"Now one thing breaks: {fault.title}.\n")
    _say(f"$ {fault.change.command}")
    fault.inject()
    code = _step(fault.probe, run)
    return 0 if code == _UNREACHABLE else code or _UNREACHABLE


def _step(argv: Sequence[str], run: Run) -> int:
    _say(f"$ netprobe {' '.join(argv)}")
    code = run(list(argv))
    _say("")
    return code


def _shell(fault: Fault | None) -> int:
    """A shell inside the lab, in the caller's folder; its exit code."""
    _build()
    _say(f"{WIRING}\n{WALK}")
    if fault is not None:
        fault.inject()
        _say("One thing is broken in here. Which?\n")
    prompt = {"PS1": "(lab) \\w # ", "PROMPT": "(lab) %~ # ", "HISTFILE": f"{LAB_FOLDER}/history"}
    argv = shell_command()
    if argv[0].endswith("sh") and not argv[0].endswith(("bash", "zsh")):
        prompt["PS1"] = "(lab) # "
    code = subprocess.run(argv, env={**os.environ, **prompt}, check=False).returncode
    return 128 - code if code < 0 else code


def shell_command() -> list[str]:
    """The user's shell without its own start files, which would replace the prompt; bash or sh for a user who may not log in."""
    wanted = os.environ.get("SHELL", "")
    if Path(wanted).name in _NO_SHELLS or not shutil.which(wanted):
        wanted = shutil.which("bash") or "/bin/sh"
    without_start_files = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}
    return [wanted, *without_start_files.get(Path(wanted).name, [])]


def _say(text: str) -> None:
    print(text, flush=True)

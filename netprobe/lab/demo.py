"""`netprobe demo`: a private lab is built, looked at, broken in one place, diagnosed, and gone.

The command line hands in `run`, which executes one netprobe command line in this process, prints, and returns
its exit code.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from . import commands, private
from .build import build
from .faults import SECTIONS, Fault, named
from .faults.fault import THE_TUTORIAL, Network
from .guide import WALK
from .private import LAB_FOLDER

Run = Callable[[list[str]], int]

_HEALTHY = (("trace", "red", "8.8.8.8"), ("arping", "c1", "c2"))
_USUAL = "no-masquerade"  # what breaks unless another fault is asked for
_UNREACHABLE = 1  # the exit code of a netprobe that was asked about a broken path, and saw it
_READABLE = 40  # columns that the sentence beside a name needs
_NO_SHELLS = ("nologin", "false", "sync")


def listing(width: int | None = None) -> str:
    """The faults that `--break` knows, by section, with the command that shows each: one a line, or as many
    lines as it takes in `width` columns.
    """
    across = max(len(fault.name) for _, faults in SECTIONS for fault in faults)
    return "\n\n".join(
        "\n".join([section, *(line for fault in faults for line in _entry(fault, across, width))])
        for section, faults in SECTIONS
    )


def _entry(fault: Fault, across: int, width: int | None) -> list[str]:
    """A fault's name and what it is side by side, or below each other where the terminal is narrow."""
    said = f"{fault.title}  [netprobe {shlex.join(fault.probe)}]"
    if width is None:
        return [f"  {fault.name:{across}}  {said}"]
    stacked = width < across + _READABLE
    lead = "      " if stacked else f"  {fault.name:{across}}  "
    said_in = textwrap.TextWrapper(width, lead, " " * len(lead), break_on_hyphens=False)
    return [*([f"  {fault.name}"] if stacked else []), *said_in.wrap(said)]


def demo(break_name: str | None, shell: bool, run: Run, rootless: bool | None = None) -> int:
    """Run the demonstration, or with `shell` open a shell in the lab.

    The exit code: 0 when netprobe saw what is there.

    `break_name` None breaks the masquerading; with `shell` it breaks nothing. Raises WrongQuestion for an
    unknown fault, NotPermitted or CannotLook where this machine cannot have a lab.
    """
    if shell:
        fault = named(break_name) if break_name else None
        return private.run(lambda: _shell(fault), rootless)
    fault = named(break_name or _USUAL)
    code = private.run(lambda: _demonstration(fault, run), rootless)
    print(
        "The lab is gone. Other faults: netprobe demo --list. To walk through it yourself: netprobe demo"
        " --shell"
    )
    return code


def _build(network: Network) -> None:
    commands.prepare_path()
    build(network.topology)


def _demonstration(fault: Fault, run: Run) -> int:
    _build(fault.network)
    folder = Path(LAB_FOLDER, "work")
    folder.mkdir()
    os.chdir(folder)  # captures are written here, and go with the lab
    _say(
        f"A private lab: it cannot touch this machine, and ends with this command.\n\n{fault.network.wiring}"
    )
    for change in fault.given:
        _say(f"$ {change.command}")
    fault.prepare()
    for argv in _healthy(fault):
        code = _step(argv, run)
        if code != 0:
            return code
    _say(f"Now one thing breaks: {fault.title}.\n")
    for change in fault.changes:
        _say(f"$ {change.command}")
    fault.inject()
    code = _step(fault.probe, run)
    return 0 if code == _UNREACHABLE else code or _UNREACHABLE


def _healthy(fault: Fault) -> Sequence[tuple[str, ...]]:
    """What is shown before it breaks: the tutorial's two ways of asking, and what the fault is asked with."""
    return tuple(dict.fromkeys((*(_HEALTHY if fault.network is THE_TUTORIAL else ()), fault.probe)))


def _step(argv: Sequence[str], run: Run) -> int:
    _say(f"$ netprobe {shlex.join(argv)}")
    code = run(list(argv))
    _say("")
    return code


def _shell(fault: Fault | None) -> int:
    """A shell inside the lab, in the caller's folder; its exit code."""
    network = fault.network if fault is not None else THE_TUTORIAL
    _build(network)
    _say(f"{network.wiring}\n{WALK}" if network is THE_TUTORIAL else network.wiring)
    if fault is not None:
        fault.prepare()
        fault.inject()
        _say("One thing is broken in here. Which?\n")
    prompt = {"PS1": "(lab) \\w # ", "PROMPT": "(lab) %~ # ", "HISTFILE": f"{LAB_FOLDER}/history"}
    argv = shell_command()
    if argv[0].endswith("sh") and not argv[0].endswith(("bash", "zsh")):
        prompt["PS1"] = "(lab) # "
    code = subprocess.run(argv, env={**os.environ, **prompt}, check=False).returncode
    return 128 - code if code < 0 else code


def shell_command() -> list[str]:
    """The user's shell without its own start files, which would replace the prompt; bash or sh for a user who
    may not log in.
    """
    wanted = os.environ.get("SHELL", "")
    if Path(wanted).name in _NO_SHELLS or not shutil.which(wanted):
        wanted = shutil.which("bash") or "/bin/sh"
    without_start_files = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}
    return [wanted, *without_start_files.get(Path(wanted).name, [])]


def _say(text: str) -> None:
    print(text, flush=True)

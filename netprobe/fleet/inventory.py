"""From the file of `--hosts` to names of hosts and how each is reached.

Where `ansible-inventory` is installed it reads the file, and with it all that Ansible knows: groups,
patterns, plugins, variables from beside the file. Where it is not, `written` reads what can be read plainly:
names one a line, INI without patterns, YAML without plugins.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from netprobe.errors import CannotLook, WrongQuestion
from netprobe.hosts import check_name
from netprobe.model.shell_words import split

Variables = Mapping[str, Any]
"""What the inventory says of a host: ansible_host, ansible_port, ..."""

LARGEST = 1 << 20  # bytes of the file
MOST = 1000  # hosts
PATIENCE_S = 30.0  # for ansible-inventory, which may ask a cloud
_TOOL = "ansible-inventory"
_DEEPEST = 20  # groups in groups


def read_inventory(file: str) -> dict[str, Variables]:
    """The hosts of a file, each with what is said of it. Raises WrongQuestion, and CannotLook where
    ansible-inventory fails.
    """
    text = _text(file)
    tool = shutil.which(_TOOL)
    found = _listed(_run(tool, file), file) if tool else written(text, file)
    if not found:
        raise WrongQuestion(
            f"there is no host in {file}", "Write names, one a line, or an Ansible inventory."
        )
    if len(found) > MOST:
        raise WrongQuestion(
            f"{len(found)} hosts are in {file}, and {MOST} can be asked at once",
            "Say which are meant: --hosts FILE -H h1,h2",
        )
    for name in found:
        check_name(name)
    return found


def _text(file: str) -> str:
    try:
        if not Path(file).exists():
            raise FileNotFoundError
        if Path(file).is_dir():  # of inventories: Ansible reads all in it
            return ""
        with Path(file).open("rb") as opened:
            data = opened.read(LARGEST + 1)
    except FileNotFoundError:
        raise WrongQuestion(f"there is no file {file}", "Write an inventory, or names: -H h1,h2") from None
    except OSError as error:
        raise WrongQuestion(f"cannot read {file}: {error.strerror}") from None
    if len(data) > LARGEST:
        raise WrongQuestion(f"{file} is larger than {LARGEST >> 20} MiB, and no inventory")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WrongQuestion(f"{file} is no text, and no inventory") from None


# --- through Ansible


def _run(tool: str, file: str) -> str:
    argv = [tool, "--list", "-i", file]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, errors="replace", timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotLook(f"{_TOOL} did not read {file}: {error}", f"Try {' '.join(argv)}") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        why = said[-1] if said else f"exit code {done.returncode}"
        raise CannotLook(f"{_TOOL} did not read {file}: {why}", f"Try {' '.join(argv)}")
    return done.stdout


def _listed(text: str, file: str) -> dict[str, Variables]:
    """The hosts of what `ansible-inventory --list` prints: groups with their hosts, and _meta.hostvars."""
    try:
        groups = json.loads(text)
        known = groups.get("_meta", {}).get("hostvars", {})
        names = (name for group in groups.values() for name in group.get("hosts", ()))
        return {str(name): dict(known.get(name, {})) for name in dict.fromkeys(names)}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise CannotLook(f"{_TOOL} printed of {file} what is no inventory") from None


# --- read plainly


def written(text: str, file: str) -> dict[str, Variables]:
    """The hosts of a text in YAML, in INI, or one a line. Raises WrongQuestion for what needs Ansible."""
    if not text:
        raise _needs_ansible(file, "it is empty, or a folder")
    is_yaml = file.endswith((".yml", ".yaml", ".json")) or re.match(r"---\s|\s*[\w.-]+:\s*(\n|\Z)", text)
    return dict(_of_yaml(text, file) if is_yaml else _of_ini(text, file))


def _of_ini(text: str, file: str) -> Iterator[tuple[str, Variables]]:
    is_hosts = True
    for number, line in enumerate(text.splitlines(), 1):
        words = () if line.startswith(";") else _words(line)
        if not words:
            continue
        if words[0].startswith("["):
            is_hosts = ":" not in line  # [web:vars], [web:children]
        elif is_hosts:
            if "[" in words[0]:
                raise _needs_ansible(file, f"line {number} has the pattern {words[0]}")
            yield words[0], dict(word.split("=", 1) for word in words[1:] if "=" in word)


def _words(line: str) -> tuple[str, ...]:
    """Of a line, as a shell would have them; where that makes nothing of it, what stands between blanks."""
    try:
        return split(line)
    except ValueError:
        return tuple(line.split(" #")[0].split())


def _of_yaml(text: str, file: str) -> Iterator[tuple[str, Variables]]:
    import yaml

    try:
        read = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise WrongQuestion(f"{file} is no YAML: {str(error).splitlines()[0]}") from None
    if isinstance(read, dict) and "plugin" in read:
        raise _needs_ansible(file, f"it asks the plugin {read['plugin']}")
    if not isinstance(read, dict):
        raise WrongQuestion(f"{file} is no inventory", "Write groups: all: {hosts: {h1: {}}}")
    for group in read.values():
        yield from _of_group(group, file, _DEEPEST)


def _of_group(group: object, file: str, deep: int) -> Iterator[tuple[str, Variables]]:
    """The hosts of a group, and of those in it."""
    if not isinstance(group, dict) or not deep:
        return
    hosts, children = group.get("hosts"), group.get("children")
    for name, variables in (hosts if isinstance(hosts, dict) else {}).items():
        if "[" in str(name):
            raise _needs_ansible(file, f"it has the pattern {name}")
        yield str(name), variables if isinstance(variables, dict) else {}
    for child in (children if isinstance(children, dict) else {}).values():
        yield from _of_group(child, file, deep - 1)


def _needs_ansible(file: str, why: str) -> WrongQuestion:
    return WrongQuestion(
        f"{file} cannot be read without Ansible: {why}",
        f"Install ansible-core, whose {_TOOL} reads it, or write names one a line.",
    )


def plainly(value: object) -> str | None:
    """A variable as text; None for what is none, or would have to be worked out (Jinja)."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = ""
    with suppress(ValueError):  # a number of thousands of digits
        text = str(value)
    return None if not text or "{{" in text or "{%" in text else text

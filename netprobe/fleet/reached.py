"""How each host is reached: from what was given and what an inventory says to the arguments of ssh."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from netprobe.errors import WrongQuestion
from netprobe.hosts import Hosts, check_target, short_name
from netprobe.model.shell_words import split

from .inventory import Variables, plainly, read_inventory
from .over_ssh import Destination

COMMAND, THERE = "netprobe_command", "netprobe_agent"  # variables of an inventory that are ours
SUDO = ("sudo", "-n")
_BECOME = {"sudo": SUDO, "doas": ("doas", "-n")}
_TRUE = ("true", "yes", "1", "on")
_SSH = ("ssh", "smart", "paramiko", "ansible.builtin.ssh", "")
_ADDRESS = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.:%-]{0,253}\Z|::[0-9A-Fa-f:.]{0,40}\Z")
_PATH = re.compile(r"[^-\0\n][^\0\n]{0,4095}\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")


class Launched(Struct, frozen=True):
    """A host that is reached by a command whose input and output are an agent's: `kubectl exec -i POD --`,
    with python3 behind it; with `is_there` the command is an agent by itself, which nothing is sent to.
    """

    words: tuple[str, ...]
    is_there: bool = False


Way = Destination | Launched


def destinations(hosts: Hosts) -> dict[str, Way]:
    """How each of these is reached, by its short name. Raises WrongQuestion, and CannotLook where an
    inventory cannot be read.
    """
    general = ("-F", hosts.ssh_config) if hosts.ssh_config is not None else ()
    become = SUDO if hosts.become else ()
    named = {short_name(name): name for name in hosts.names}
    if hosts.file is None:
        return {short: Destination(name, general, become) for short, name in named.items()}
    listed = read_inventory(hosts.file)
    if unknown := [name for name in named if name not in listed]:
        raise WrongQuestion(
            f"{unknown[0]} is not in {hosts.file}", f"In it are: {', '.join(list(listed)[:10])}"
        )
    return {
        name: _listed(name, named.get(name, name), variables, general, become)
        for name, variables in listed.items()
        if not named or name in named
    }


def _listed(
    name: str, written: str, variables: Variables, general: tuple[str, ...], become: tuple[str, ...]
) -> Way:
    """How a host of an inventory is reached. What ssh could take for an option is refused."""
    if COMMAND in variables:
        return _launched(name, variables)
    said = {key.removeprefix("ansible_"): value for key, value in variables.items()}
    connection = plainly(said.get("connection")) or ""
    if connection not in _SSH:
        raise WrongQuestion(
            f"{name} is reached by {connection}, as its inventory says, and netprobe knows ssh alone",
            "Leave it out, and say which are meant: --hosts FILE -H h1,h2",
        )
    address = _fitting(name, said, ("host", "ssh_host"), _ADDRESS)
    user = _fitting(name, said, ("user", "ssh_user"), re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\\@-]*\Z"))
    port = _fitting(name, said, ("port", "ssh_port"), _PORT)
    key = _fitting(name, said, ("ssh_private_key_file", "private_key_file"), _PATH)
    python = _fitting(
        name, said, ("python_interpreter",), re.compile(r"(?:auto\w*|/[\w./-]+|python[\d.]*)\Z")
    )
    options = (("-p", port), ("-l", user if "@" not in written else None), ("-i", key))
    return Destination(
        check_target(written) if address is None else _with_user(written, address),
        (*general, *(word for option, value in options if value is not None for word in (option, value))),
        become or _become(name, said),
        "python3" if python is None or python.startswith("auto") else python,
    )


def _launched(name: str, variables: Variables) -> Launched:
    try:
        words = split(plainly(variables[COMMAND]) or "")
    except ValueError:
        words = ()
    if not words:
        raise WrongQuestion(
            f"{COMMAND} of {name} is {variables[COMMAND]!r:.60}, and no command",
            f'Write {COMMAND}="kubectl exec -i POD --"',
        )
    return Launched(words, plainly(variables.get(THERE)) == "there")


def _with_user(written: str, address: str) -> str:
    user, at, _ = written.rpartition("@")
    return f"{user}{at}{address}"


def _fitting(
    name: str, said: Mapping[str, object], keys: tuple[str, ...], form: re.Pattern[str]
) -> str | None:
    """The first of these variables that is there. Raises WrongQuestion for one that ssh cannot be given."""
    for key in keys:
        value = said.get(key)
        if value is None or value == "":
            continue
        text = plainly(value)
        if text is None or not form.match(text):
            raise WrongQuestion(
                f"ansible_{key} of {name} is {value!r:.60}, which ssh cannot be given",
                "Write the value itself; templates are worked out by Ansible when it connects, not before.",
            )
        return text
    return None


def _become(name: str, said: Mapping[str, object]) -> tuple[str, ...]:
    """The words before python3 that make root of the user who logs in."""
    if str(said.get("become", "")).lower() not in _TRUE:
        return ()
    method = plainly(said.get("become_method")) or "sudo"
    if method not in _BECOME:
        raise WrongQuestion(
            f"{name} is to become root by {method}, and netprobe knows {' and '.join(_BECOME)}",
            "Log in as root, or set ansible_become_method.",
        )
    return _BECOME[method]

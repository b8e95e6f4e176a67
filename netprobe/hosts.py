"""Which other hosts are asked, and how: what `-H`, `--hosts`, `--ssh-config` and `--become` say.

Nobody is asked here; that is `fleet`, which is imported when there are hosts, and only then.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from .endpoint import KINDS
from .errors import WrongQuestion

HOST = "host"  # the word for the namespace that netprobe, or the agent, is started in
# RFC 1123, and the underscore of inventories; never a dash first, which ssh takes for an option
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\\-]{0,63}\Z")


class Hosts(Struct, frozen=True):
    """The hosts that are asked beside, or instead of, this machine.

    `names`: of the ssh configuration, "h1" or "admin@h1"; where there is a `file` too, these of it alone.
    `file`: an Ansible inventory, or names one a line. `ssh_config`: for `ssh -F`. `become`: be root there by
    sudo, which must not ask for a password.
    """

    names: tuple[str, ...] = ()
    file: str | None = None
    ssh_config: str | None = None
    become: bool = False

    def __bool__(self) -> bool:
        return bool(self.names) or self.file is not None


def of_words(words: Iterable[str]) -> tuple[str, ...]:
    """The names in words like "h1,h2", each checked. Raises WrongQuestion."""
    names = tuple(name for word in words for name in word.split(","))
    for name in names:
        check_target(name)
    short = [short_name(name) for name in names]
    if twice := next((name for name in short if short.count(name) > 1), None):
        raise WrongQuestion(f"the host {twice} is given twice", "Write each once: -H h1,h2")
    return names


def given(hosts: Hosts | Sequence[str] | str | None) -> Hosts:
    """What Python gives as `hosts`: names, or all that can be said of them. Raises WrongQuestion."""
    if hosts is None:
        return Hosts()
    if isinstance(hosts, Hosts):
        of_words(hosts.names)
        return hosts
    words = (hosts,) if isinstance(hosts, str) else tuple(hosts)
    if not all(isinstance(word, str) for word in words):
        raise WrongQuestion(f"hosts cannot be {hosts!r:.60}", 'Write names: hosts=["h1", "h2"]')
    return Hosts(of_words(words))


def short_name(name: str) -> str:
    """What a host is called in endpoints and reports: "h1" of "admin@h1"."""
    return name.rpartition("@")[2]


def check_target(name: str) -> str:
    """A name as it may be given to ssh: "h1" or "user@h1". Raises WrongQuestion."""
    user, at, short = name.rpartition("@")
    check_name(short)
    if at and not _USER.match(user):
        raise WrongQuestion(f"{user!r} cannot be the name of a user", "Write -H admin@h1")
    return name


def check_name(name: str) -> str:
    """A name that a host may have in front of an endpoint. Raises WrongQuestion for any other."""
    if _is_address(name):
        raise WrongQuestion(
            f"{name} is an address, and in front of a colon it would look like an endpoint",
            f"Give the host a name in ~/.ssh/config: Host h1, HostName {name}; then -H h1",
        )
    if not _NAME.match(name):
        raise WrongQuestion(f"{name!r} cannot be the name of a host", "Write names with commas: -H h1,h2")
    if name in (*KINDS, HOST):
        raise WrongQuestion(
            f"a host cannot be called {name}: {name}:NAME means something else",
            f"Give it another name in ~/.ssh/config: Host h1, HostName {name}; then -H h1",
        )
    return name


def is_name(name: str) -> bool:
    """Whether a host may be called so."""
    try:
        check_name(name)
    except WrongQuestion:
        return False
    return True


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def on_host(text: str, hosts: Iterable[str]) -> tuple[str | None, str]:
    """An endpoint as written, taken apart into the host whose it is and what stands behind that; None where
    it begins with none of these `hosts`: then the text says what it says without hosts.

    Raises WrongQuestion where nothing stands behind a host.

    >>> on_host("h1:red/eth0@10.0.0.2:80/tcp", ["h1", "h2"])
    ('h1', 'red/eth0@10.0.0.2:80/tcp')
    >>> on_host("docker:c1", ["h1", "h2"])
    (None, 'docker:c1')
    """
    host, colon, rest = text.partition(":")
    if host not in hosts:
        return None, text
    if not colon or not rest:
        raise WrongQuestion(
            f"{text} is a host, and which namespace of it is meant is not said",
            f"Write {host}:{HOST} for its own, {host}:NAME for another; `netprobe ls -H {host}` lists them.",
        )
    return host, rest

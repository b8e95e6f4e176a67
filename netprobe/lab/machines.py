"""A namespace of a lab turned into a machine: with processes, mounts, a name and a /run of its own.

    keeper                  the lab's process; `start` is called in it
    +-- door                sits in the machine's network namespace; made the others
        +-- init            process 1 of the machine; ends with the door, and all of the machine with it
            +-- sshd        on machines that have an address to listen on

As the door is a process of the lab, nothing outlives the lab, however that ends (see `private`).
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from netprobe.errors import CannotLook

from . import commands, private, syscalls
from .namespaces import entered, path

_PATIENCE = 20.0  # seconds for an sshd to listen
_GLANCE = 0.01
_LISTENS = "Server listening on"
_AUTHORIZED = f"{private.RUN}/authorized_keys"  # sshd reads it as the user who logs in
_GUEST = 1000
_SSHD = (
    "UsePAM no",
    "StrictModes no",  # the machine's own folders may be open to others
    "PasswordAuthentication no",
    "PermitRootLogin prohibit-password",
    "UseDNS no",
    "MaxStartups 500",
    "MaxSessions 100",
)
_USERS = (
    "root:x:0:0::/run/root:/bin/sh",
    f"guest:x:{_GUEST}:65534::/run/guest:/bin/sh",
    "asked:x:1001:65534::/run/guest:/bin/sh",
    "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin",
    "sshd:x:74:65534::/run/sshd:/usr/sbin/nologin",
)
"""Who there is on each machine, passwd(5): sshd asks for its own user; `guest` and `asked` have no rights."""
_SUDOERS = "root ALL=(ALL) ALL\nguest ALL=(root) NOPASSWD: ALL\n"
"""Who becomes root by sudo, sudoers(5): `asked` would be asked for a password."""


@dataclass(frozen=True, slots=True)
class LabMachine:
    """A machine to be: its name, its network namespace in the lab, its containers as (name there, namespace
    in the lab).

    `address`: where its sshd listens, None for a machine without one. `sshd` are more lines of its
    configuration. `programs`: whether netprobe can be started on it.
    """

    name: str
    namespace: str
    containers: tuple[tuple[str, str], ...] = ()
    address: str | None = None
    sshd: tuple[str, ...] = ()
    programs: bool = False


def start(machines: tuple[LabMachine, ...], folder: str) -> dict[str, int]:
    """Start them, with their files in `folder`; process 1 of each by name, as the lab counts processes.

    When this returns every sshd listens. Raises CannotLook where one does not.
    """
    Path(folder, "passwd").write_text("".join(f"{user}\n" for user in _USERS))
    Path(folder, "shadow").write_text("".join(f"{user.partition(':')[0]}:*:1::::::\n" for user in _USERS))
    sudoers = Path(folder, "sudoers")
    sudoers.write_text(_SUDOERS)
    sudoers.chmod(0o440)
    sshd = commands.find("sshd")
    if sshd is None and any(machine.address for machine in machines):
        raise CannotLook("the lab needs sshd, which is not installed here", "apt-get install openssh-server")
    _keys([machine for machine in machines if machine.address], folder)
    pids = {machine.name: _machine(machine, folder, sshd or "") for machine in machines}
    end = time.monotonic() + _PATIENCE
    for machine in machines:
        if machine.address:
            _await_sshd(machine, folder, end)
    return pids


def log_of(machine: str, folder: str) -> Path:
    """What a machine's sshd says."""
    return Path(folder, f"{machine}.log")


def ssh_config(folder: str) -> str:
    """The file for `ssh -F`."""
    return f"{folder}/ssh_config"


def make_key(folder: str, name: str) -> str:
    """A new pair of keys in the file `name`; the public one."""
    file = Path(folder, name)
    file.unlink(missing_ok=True)
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(file)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return Path(folder, f"{name}.pub").read_text().strip()


def _keys(machines: list[LabMachine], folder: str) -> None:
    """The user's key, each host's, and what ssh on the controller has to know, ssh_config(5)."""
    make_key(folder, "id")
    known = [f"{each.name},{each.address} {make_key(folder, f'{each.name}.key')}\n" for each in machines]
    Path(folder, "known_hosts").write_text("".join(known))
    hosts = [f"Host {each.name}\n  HostName {each.address}\n" for each in machines]
    general = (
        "User root", f"IdentityFile {folder}/id", "IdentitiesOnly yes", "StrictHostKeyChecking yes",
        f"UserKnownHostsFile {folder}/known_hosts", "GlobalKnownHostsFile /dev/null", "BatchMode yes",
    )  # fmt: skip
    Path(ssh_config(folder)).write_text("".join((*hosts, "Host *\n", *(f"  {line}\n" for line in general))))


def _await_sshd(machine: LabMachine, folder: str, end: float) -> None:
    log = log_of(machine.name, folder)
    while _LISTENS not in (said := log.read_text() if log.exists() else ""):
        if time.monotonic() > end:
            raise CannotLook(f"the sshd of {machine.name} does not start: {said.strip()}")
        time.sleep(_GLANCE)


def _machine(machine: LabMachine, folder: str, sshd: str) -> int:
    """Start one; its process 1."""
    outcome, report = os.pipe()
    alive, _ = os.pipe()  # its other end stays open as long as this process
    if os.fork() == 0:
        os.close(outcome)
        private.in_child(lambda: _door(machine, folder, sshd, report, alive), report)
    os.close(report)
    os.close(alive)
    sent = private.drain(outcome)
    os.close(outcome)
    if sent.isdigit():
        return int(sent)
    raise pickle.loads(sent)  # from our own child, through a pipe of our own


def _door(machine: LabMachine, folder: str, sshd: str, report: int, alive: int) -> int:
    private.die_with_parent(alive)
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    outcome, prepared = os.pipe()
    init_alive, hold = os.pipe()
    containers = {name: os.open(path(inner), os.O_RDONLY) for name, inner in machine.containers}
    with entered(machine.namespace):
        syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWUTS)
        if (init := os.fork()) == 0:
            for fd in (outcome, hold, report):
                os.close(fd)
            private.in_child(lambda: _init(machine, folder, sshd, containers, prepared, init_alive), prepared)
    os.close(prepared)
    os.write(report, private.drain(outcome) or str(init).encode())
    os.close(report)
    os.waitpid(init, 0)
    return 0


def _init(
    machine: LabMachine, folder: str, sshd: str, containers: dict[str, int], prepared: int, alive: int
) -> int:
    """Be process 1 of the machine: prepare it, start its sshd, bury orphans."""
    private.die_with_parent(alive)
    private.mounts()
    for name, namespace in containers.items():
        _bind(f"/proc/self/fd/{namespace}", f"{private.NETNS_FOLDER}/{name}")
        os.close(namespace)
    with suppress(OSError):  # as /proc, masked by some container engines
        syscalls.mount("sysfs", "/sys", "sysfs", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    socket.sethostname(machine.name)
    signal.signal(signal.SIGCHLD, _bury)
    if machine.programs:
        commands.prepare_path()
    if machine.address:
        _start_sshd(machine, folder, sshd)
    os.close(prepared)
    while True:
        signal.pause()


def _bury(*_: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _bind(source: str, target: str) -> None:
    """Mount a file on a file, which is made where there is none."""
    os.close(os.open(target, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o444))
    syscalls.mount(source, target, flags=syscalls.MS_BIND)


def _start_sshd(machine: LabMachine, folder: str, sshd: str) -> None:
    for home, owner in (("sshd", 0), ("root", 0), ("guest", _GUEST)):
        Path(private.RUN, home).mkdir(0o755)
        os.chown(f"{private.RUN}/{home}", owner, -1)
    Path(_AUTHORIZED).write_text(Path(folder, "id.pub").read_text())
    for name in ("passwd", "shadow", *(["sudoers"] if Path("/etc/sudoers").exists() else [])):
        _bind(f"{folder}/{name}", f"/etc/{name}")
    configuration = Path(folder, f"{machine.name}.conf")
    lines = (f"ListenAddress {machine.address}", f"HostKey {folder}/{machine.name}.key",
             f"AuthorizedKeysFile {_AUTHORIZED}", *_SSHD, *machine.sshd)  # fmt: skip
    configuration.write_text("".join(f"{line}\n" for line in lines))
    with log_of(machine.name, folder).open("wb") as log:
        subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

"""BPF programs that may drop a packet, where no other interface shows them: tcx on a link, skb programs on a
cgroup.

Numbers are those of include/uapi/linux/bpf.h. What may not be asked
is left out: presence of a program is evidence, absence of an answer is none.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from functools import cache

from netprobe.kernel.arrays import array
from netprobe.kernel.elsewhere import current
from netprobe.linux import files
from netprobe.model import TcFilter

from . import programs

PROG_QUERY = 16
CGROUP_INET_INGRESS, CGROUP_INET_EGRESS, TCX_INGRESS, TCX_EGRESS = 0, 1, 46, 47
QUERY_EFFECTIVE = 1  # with the programs of the cgroups above
MOST = 64  # programs at one place, BPF_CGROUP_MAX_PROGS
FILEID_KERNFS = 0xFE  # a file handle that is a cgroup's id, include/linux/exportfs.h

_libc = ctypes.CDLL(None, use_errno=True)
_QUERY, _ID = struct.Struct("=IIIIQI36x"), struct.Struct("=I")


def tcx_filters(index: int) -> tuple[TcFilter, ...]:
    """The programs attached by tcx to a link of the namespace this thread is in: they stand in no qdisc."""
    found = []
    for direction, kind in (("ingress", TCX_INGRESS), ("egress", TCX_EGRESS)):
        for number in _ids(index, kind, 0):
            program = _words(number)
            answers = programs.tcx_answers(number)
            text = f"tcx {direction} prog {program}"
            found.append(TcFilter(direction, "bpf", text, program, answers=answers))
    return tuple(found)


def own_programs() -> tuple[str, ...]:
    """Those of netprobe's own cgroup, which see what the probe sends in whichever namespace: asked for once,
    until `forget`. On another host there are none.
    """
    return _own_programs() if current() is None else ()


@cache
def _own_programs() -> tuple[str, ...]:
    return cgroup_programs(own_cgroup())


def forget() -> None:
    """Who asks next is told what is so from now on."""
    _own_programs.cache_clear()


def cgroup_programs(cgroup: int) -> tuple[str, ...]:
    """The programs that see every packet to or from the sockets of a cgroup (its id), those of the cgroups
    above included. On another host they are not looked for.
    """
    if current() is not None:
        return ()
    try:
        fd = _open_cgroup(cgroup)
    except OSError:
        return ()
    try:
        kinds = (("ingress", CGROUP_INET_INGRESS), ("egress", CGROUP_INET_EGRESS))
        found = [(word, each) for word, kind in kinds for each in _attached(fd, kind, QUERY_EFFECTIVE)]
        name = files.link(f"/proc/thread-self/fd/{fd}").removeprefix(_mount_of_cgroups()) if found else ""
        return tuple(f"cgroup {name or '/'} {word} {program}" for word, program in found)
    finally:
        os.close(fd)


def own_cgroup() -> int:
    """The id of the cgroup that netprobe itself, and so the probe's socket, is in; 0 when there is none, and
    on another host.
    """
    if current() is not None:
        return 0
    try:
        line = next(line for line in _lines("/proc/self/cgroup") if line.startswith("0::"))
        found = files.Tree(_mount_of_cgroups()).key(line.removeprefix("0::"))
        return found[1] if found is not None else 0
    except (OSError, StopIteration):
        return 0


def _attached(target: int, kind: int, flags: int) -> Iterator[str]:
    return map(_words, _ids(target, kind, flags))


def _words(program: int) -> str:
    return f"{programs.name_of(program)} id {program}".strip()


def _ids(target: int, kind: int, flags: int) -> list[int]:
    """The ids of the programs there, in the order in which they run."""
    ids = array(MOST * _ID.size)
    attributes = array(_QUERY.size, _QUERY.pack(target, kind, flags, 0, ctypes.addressof(ids), MOST))
    if not programs.bpf(PROG_QUERY, attributes):
        return []
    count = _QUERY.unpack(attributes.raw)[5]
    return [number for (number,) in _ID.iter_unpack(ids.raw[: count * _ID.size])]


def _lines(path: str) -> list[str]:
    return os.fsdecode(files.kernel(path)).split("\n")  # paths in it may hold any other line break


@cache
def _mount_of_cgroups() -> str:
    """Where cgroup v2 is mounted. Raises FileNotFoundError when it is not."""
    for line in _lines("/proc/self/mounts"):
        words = line.split(" ")
        if words[2:3] == ["cgroup2"]:
            return words[1]
    raise FileNotFoundError("cgroup2 is not mounted")


def _open_cgroup(cgroup: int) -> int:
    """A descriptor of the folder of a cgroup.

    Raises OSError; needs CAP_DAC_READ_SEARCH, open_by_handle_at(2).
    """
    handle = array(16, struct.pack("=IiQ", 8, FILEID_KERNFS, cgroup))
    mount = files.directory(_mount_of_cgroups())
    try:
        fd = _libc.open_by_handle_at(mount, handle, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(mount)
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(fd)

"""BPF programs by their ids: their names, and what they can answer.

bpf(2) has no wrapper in the C library. Numbers are those of include/uapi/linux/{bpf,pkt_cls}.h. To be asked
for a program the kernel wants CAP_SYS_ADMIN; of one that may not be asked for nothing is known.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from netprobe.kernel.arrays import array
from netprobe.kernel.elsewhere import current
from netprobe.linux import files

PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 11, 13, 15
SYSCALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
NAME_AT, NAME_SIZE = 64, 16  # struct bpf_prog_info
CLASSIFIER = 3  # BPF_PROG_TYPE_SCHED_CLS: what tc and tcx run
EXTENSION = 28  # BPF_PROG_TYPE_EXT: takes the place of a function of another program
MOST = 4096  # programs of a machine that are looked through

XDP = {2: "pass", 3: "tx", 4: "redirect"}  # all else drops (bpf_prog_run_generic_xdp)
# all else goes on to the next filter (cls_bpf_exec_opcode)
DIRECT = {0: "pass", 2: "drop", 4: "stolen", 7: "redirect", 8: "trap"}
TCX = {0: "pass", 2: "drop", 7: "redirect", 0xFFFFFFFF: "continue"}  # tcx_action_code

_libc = ctypes.CDLL(None, use_errno=True)
_REQUEST = struct.Struct("=IIQ")
# struct bpf_prog_info: type, xlated_prog_len, jited_ and xlated_prog_insns, ifindex, btf_id
_INFO = struct.Struct("=I16xIQQ40xI44xI4x")


def name_of(program: int) -> str:
    """The program's name; "" where it may not be asked for."""
    try:
        information = _informed(program, 0)[0]
    except OSError:
        return ""
    return information[NAME_AT : NAME_AT + NAME_SIZE].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def xdp_answers(program: int) -> tuple[str, ...] | None:
    """What an XDP program can answer; None where that is not known."""
    found = _answers(program)
    return None if found is None else tuple(sorted({XDP.get(each, "drop") for each in found}))


def direct_answers(program: int) -> tuple[str, ...] | None:
    """What a classifier that decides by itself (direct-action) can answer; None where that is not known."""
    found = _answers(program)
    return None if found is None else tuple(sorted({DIRECT.get(each, "continue") for each in found}))


def tcx_answers(program: int) -> tuple[str, ...] | None:
    """What a program attached by tcx can answer; None where that is not known."""
    found = _answers(program)
    if found is None or not found <= TCX.keys():
        return None
    return tuple(sorted({TCX[each] for each in found}))


def _answers(program: int) -> frozenset[int] | None:
    """All numbers that a program can return, where it is understood and nothing has been put in its place."""
    if sys.byteorder != "little" or current() is not None:  # what is remembered is of this kernel
        return None
    try:
        found, is_described = _understood(program)
    except OSError:
        return None
    # only what BTF describes can be replaced (bpf_check_attach_target)
    return None if found is None or (is_described and is_loaded(EXTENSION)) else found


@cache
def _understood(program: int) -> tuple[frozenset[int] | None, bool]:
    """What the program's instructions return, and whether BTF describes it. A program never changes, and its
    id is not given again soon. Raises OSError.
    """
    from netprobe.rules.program import answers, instruction

    information, code = _informed(program, instruction.SIZE * answers.LONGEST)
    _, length, _, shown, device, described = _INFO.unpack_from(information)
    # one that hardware runs, or that may not be read
    if device or not shown or not 0 < length <= len(code):
        return None, bool(described)
    return answers.answers(code[:length], _symbols), bool(described)


@cache
def _symbols() -> Mapping[int, str]:
    """The kernel's functions that are known here, by their distance from __bpf_call_base.

    Empty where the kernel shows no addresses (kernel.kptr_restrict): then it shows no calls either.
    """
    from netprobe.rules.program import helpers

    wanted = {os.fsencode(name) for name in ("__bpf_call_base", *helpers.HELPERS)}
    try:
        listed = files.kernel("/proc/kallsyms").splitlines()
    except OSError:
        return {}
    # 16 digits, the kind, the name
    found = [line for line in listed if line[19:] in wanted and line[17:18] in b"tT"]
    places = {os.fsdecode(line[19:]): int(line[:16], 16) for line in found}
    base = places.pop("__bpf_call_base", 0)
    return {place - base: name for name, place in places.items() if base and place}


def is_loaded(wanted: int, most: int = MOST) -> bool:
    """Whether any program of this kind is loaded, or that cannot be told, by a look at so many at most."""
    program, request = 0, struct.Struct("=III")
    for _ in range(most):
        attributes = array(request.size, request.pack(program, 0, 0))
        if not bpf(PROG_GET_NEXT_ID, attributes):
            return ctypes.get_errno() != errno.ENOENT
        program = request.unpack(attributes.raw)[1]
        try:
            kind = _INFO.unpack_from(_informed(program, 0)[0])[0]
        except FileNotFoundError:  # gone since
            continue
        except OSError:
            return True
        if kind == wanted:
            return True
    return True


def _informed(program: int, most: int) -> tuple[bytes, bytes]:
    """struct bpf_prog_info of a program, and up to `most` bytes of its instructions as the kernel translated
    them, padded. Raises OSError.
    """
    code = array(max(1, most))
    information = array(_INFO.size, _INFO.pack(0, most, 0, ctypes.addressof(code) if most else 0, 0, 0))
    with _opened(program) as fd:
        request = _REQUEST.pack(fd, _INFO.size, ctypes.addressof(information))
        if not bpf(OBJ_GET_INFO_BY_FD, array(_REQUEST.size, request)):
            raise _refused()
    return information.raw, code.raw


@contextmanager
def _opened(program: int) -> Iterator[int]:
    """A descriptor of a program. Raises OSError."""
    attributes = array(12, struct.pack("=III", program, 0, 0))
    fd = int(_libc.syscall(_number(), PROG_GET_FD_BY_ID, attributes, 12))
    if fd < 0:
        raise _refused()
    try:
        yield fd
    finally:
        os.close(fd)


def _refused() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))


def bpf(command: int, attributes: ctypes.Array[ctypes.c_char]) -> bool:
    """Ask bpf(2); whether it answered."""
    return bool(_libc.syscall(_number(), command, attributes, len(attributes)) >= 0)


def _number() -> int:
    return SYSCALLS.get(_machine(), -1) if current() is None else -1  # -1: ENOSYS


_machine = cache(lambda: os.uname().machine)

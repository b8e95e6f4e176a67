"""What to tell a user who lacks the privilege: the very command that has it, and the way that needs none."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from netprobe.errors import NotPermitted
from netprobe.model.command import joined

from . import files

# include/uapi/linux/capability.h
CAPABILITIES = {"SYS_ADMIN": 21, "SYS_PTRACE": 19, "NET_ADMIN": 12, "NET_RAW": 13}


def not_permitted(what: str, way_in: str = "") -> NotPermitted:
    """An error for people: `what` was refused, and what to type instead.

    `way_in` is a command that gives the privilege to ours.
    """
    if way_in:
        first = f"{way_in} {_own_line(sys.argv) or 'this program'}\nor {sudo_line(sys.argv)}"
    elif os.geteuid() == 0:  # root of a container or of a user namespace: sudo would not help
        first = _what_root_lacks(missing())
    else:
        first = sudo_line(sys.argv)
    return NotPermitted(what, f"{first}\nor, without any privilege, in a private lab: netprobe demo")


def missing() -> tuple[str, ...]:
    """Those of the capabilities that netprobe uses which this thread has not; proc_pid_status(5), CapEff.

    Raises OSError.
    """
    status = files.kernel("/proc/thread-self/status").decode()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    return tuple(name for name, number in CAPABILITIES.items() if not effective >> number & 1)


def _what_root_lacks(names: Sequence[str]) -> str:
    """Root of a container or of a service: what to give it.

    With all of them, it is root of a user namespace that is too small.
    """
    if not names:
        return (
            "root's capabilities do not reach there: it belongs to another user namespace; run netprobe"
            " outside of this one"
        )
    return (
        f"root lacks CAP_{', CAP_'.join(names)} here; in a container:"
        f" {' '.join(f'--cap-add {name}' for name in names)}"
    )


def sudo_line(argv: Sequence[str]) -> str:
    """The command of `argv` under sudo, with the program's full path: sudo's own PATH may not have it."""
    line = _own_line(argv)
    return f"sudo {line}" if line else "run this program as root"


def with_sudo(argv: Sequence[str]) -> list[str]:
    """The words of the same; of a program that is not netprobe as it was started."""
    return ["sudo", *(_own_words(argv) or argv)]


def _own_line(argv: Sequence[str]) -> str:
    return joined(_own_words(argv))


def _own_words(argv: Sequence[str]) -> list[str]:
    """The command that was typed, as another user could type it; none when another program uses netprobe."""
    program = argv[0] if argv else ""
    if os.path.basename(program) == "__main__.py":
        return [*_interpreter(), "-m", "netprobe", *argv[1:]]
    if "netprobe" not in os.path.basename(program):
        return []
    from pathlib import Path

    return [str(Path(program).absolute()), *argv[1:]]


def _interpreter() -> list[str]:
    """The Python that finds this netprobe, and imports nothing from the current folder as root (-P,
    sys.flags.safe_path).
    """
    import sysconfig
    from pathlib import Path

    home = str(Path(__file__).parents[2])
    installed = home in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return [*([] if installed else ["env", f"PYTHONPATH={home}"]), sys.executable, "-P"]

"""The agent's file runs on Python 3.6: its syntax, and what it takes of the standard library."""

from __future__ import annotations

import ast
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from fleet.agents import NAMESPACE, within

from netprobe.fleet import agent
from netprobe.fleet.pipe import open_pipe, sent, source

# what the modules that the agent imports have got since Python 3.6
LATER = {
    "os": (
        "memfd_create", "pidfd_open", "eventfd", "posix_spawn", "register_at_fork", "copy_file_range", "splice", "waitstatus_to_exitcode",
        "login_tty", "unshare", "setns",
    ),
    "socket": ("send_fds", "recv_fds", "has_dualstack_ipv6", "create_server"),
    "time": ("time_ns", "clock_gettime_ns", "monotonic_ns", "perf_counter_ns", "thread_time", "process_time_ns"),
    "threading": ("excepthook", "get_native_id", "ExceptHookArgs", "gettrace", "getprofile"),
    "queue": ("SimpleQueue",),
    "signal": ("pidfd_send_signal", "raise_signal", "strsignal", "valid_signals"),
    "contextlib": ("nullcontext", "AsyncExitStack", "aclosing", "chdir"),
    "fcntl": ("F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_OFD_GETLK"),
    "errno": ("ENOTCAPABLE", "EQFULL"),
    "sys": ("orig_argv", "stdlib_module_names", "unraisablehook", "breakpointhook"),
}  # fmt: skip


def test_its_syntax_is_that_of_python_3_6() -> None:
    ast.parse(source(), feature_version=(3, 6))


def test_syntax_that_is_later_is_seen() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("if (n := 1):\n    pass", feature_version=(3, 6))


def test_it_takes_nothing_from_the_future() -> None:
    assert not [node for node in ast.walk(ast.parse(source())) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]


def test_its_annotations_are_ones_that_3_6_can_evaluate() -> None:
    plain = {"list", "dict", "set", "tuple", "type"}
    tree = ast.parse(source())
    notes = [node.annotation for node in ast.walk(tree) if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation]
    notes += [node.returns for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns]
    assert notes
    for note in notes:
        parts = list(ast.walk(note))
        assert not [ast.unparse(part) for part in parts if isinstance(part, ast.BinOp)]
        assert not [ast.unparse(part) for part in parts if isinstance(part, ast.Subscript) and ast.unparse(part.value) in plain]


def test_it_uses_nothing_that_its_modules_got_later() -> None:
    used = {ast.unparse(node) for node in ast.walk(ast.parse(source())) if isinstance(node, ast.Attribute)}
    later = {f"{module}.{name}" for module, names in LATER.items() for name in names}
    assert used & later == {"time.time_ns"}  # asked for with hasattr


SCENE = f"""
import builtins, types
LATER = {LATER!r}
def older(name, *rest):
    found = builtins.__import__(name, *rest)
    if name not in LATER:
        return found
    copy = types.ModuleType(name)
    vars(copy).update((word, value) for word, value in vars(found).items() if word not in LATER[name])
    if name == "sys":
        copy.version_info = (3, 6, 8, "final", 0)
    return copy
namespace = {{"__name__": "netprobe_agent", "__builtins__": dict(vars(builtins), __import__=older)}}
exec(compile(open({agent.__file__!r}).read(), "netprobe_agent", "exec"), namespace)
assert not hasattr(namespace["time"], "time_ns")
one = namespace["Agent"]()
print(one.call("hello", [])["python"])
number = one.call("open", ["/proc/self/ns/net"])
print(one.call("identity", [number]) == one.call("hello", [])["home"])
print(one.call("batch", [None, [["tool", ["true"], 10, 5], ["file", "/proc/self/comm", 100], ["cookie"]]])[0])
print(len(one.call("processes", [1000])) > 0, one.call("clock", []) > 1 << 60)
one.close()
"""


def test_it_works_without_what_python_has_got_since_3_6() -> None:
    done = subprocess.run([sys.executable, "-ISc", SCENE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("3.6.8\nTrue\n[0, b'', b'']\nTrue True\n", "")


def interpreter(minor: int) -> str | None:
    """A Python 3.`minor` of this machine: in PATH, or one of pyenv's."""
    places = [shutil.which(f"python3.{minor}"), *Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3")]
    for place in filter(None, places):
        asked = subprocess.run([place, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True, check=False)
        if asked.stdout == f"{minor}\n":
            return str(place)
    return None


@pytest.mark.parametrize("minor", range(6, 15))
def test_it_works_on_each_python_that_is_here(minor: int) -> None:
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"there is no Python 3.{minor}")
    with open_pipe("h1", (*NAMESPACE, *sent(python)), timeout=30) as host:
        assert host.call("hello")["python"].startswith(f"3.{minor}.")
        number = host.call("open", "/proc/self/ns/net")
        dump = struct.pack("=IHHIIBBHiII", 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0, 0)
        [up, links, own] = host.call("batch", number, [
            ["tool", ["ip", "link", "set", "lo", "up"], 100, 5], ["netlink", 0, False, dump, 0], ["key", "/proc/thread-self/ns/net"],
        ])  # fmt: skip
        assert (up[0], own) == (0, host.call("identity", number))
        assert b"lo\0" in b"".join(links)
        everything = struct.pack("=HBBI", 6, 0, 0, 65535)
        assert host.call("arm", "run", [[number, everything, 100, 1 << 20]]) == [None]
        host.call("sender", "run", number, [["socket", 2, 2, 17], ["setsockopt", 0, 0, 11, 1], ["hear", 0]])
        host.call("fire", "run", [[0, b"token", ["127.0.0.1", 9], 0]])
        assert within(5, lambda: bool(host.call("take", "run", 100_000_000)["heard"]))
        assert host.call("finish", "run")["taps"] == [[0, 0, False]]
        assert len(host.call("processes", 10_000)) > 0

"""Files are read in one place: everything else in `netprobe/linux` asks netprobe/linux/files.py, which no file can hang or fill.

netprobe/kernel/descriptors.py is its lower half.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from house.imports import PACKAGE
from house.parsing import parsed

ROOMS = (PACKAGE / "linux", PACKAGE / "kernel")
READERS = (PACKAGE / "linux/files.py", PACKAGE / "kernel/descriptors.py")
EXCEPT = {  # (file, call): why it is no reading of a file that somebody else could have written
    ("linux/apart.py", "os.open"): "/dev/null, and /proc/PID/stat of the process that it has started",
    ("kernel/processor.py", "os.open"): "/proc/PID/schedstat of this thread, and of processes that it has started",
    ("linux/sensors/crafter.py", "os.open"): "/dev/null",
    ("linux/sensors/crafter.py", "os.fdopen"): "its own pipes",
}
FUNCTIONS = {
    "open", "io.open", "os.open", "os.fdopen", "os.stat", "os.lstat", "os.scandir", "os.listdir", "os.walk", "os.fwalk", "os.readlink",
    "os.access", "os.path.exists", "os.path.lexists", "os.path.isfile", "os.path.isdir", "os.path.islink", "os.path.realpath",
    "os.path.samefile", "os.path.getsize", "glob.glob", "glob.iglob", "sqlite3.connect", "shutil.copyfile", "codecs.open",
}  # fmt: skip
METHODS = {
    "read_text", "read_bytes", "iterdir", "glob", "rglob", "walk", "readlink", "stat", "lstat", "exists", "is_file", "is_dir",
    "is_symlink", "is_fifo", "is_socket", "samefile", "resolve", "owner",
}  # fmt: skip
OWN = {"self._tree", "tree", "files", "readers", "self.tree", "store.tree", "files.Tree"}  # the reader and its trees have such methods


def reads(source: str) -> Iterator[tuple[int, str]]:
    """(line, call) of each call in `source` that reads a file or a directory past the reader."""
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in FUNCTIONS:
            if not (called == "sqlite3.connect" and ast.unparse(node.args[0]) == "':memory:'"):
                yield node.lineno, called
        elif isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            owner = ast.unparse(node.func.value)
            if owner.split("(")[0] not in OWN and not owner.startswith("os."):
                yield node.lineno, f".{node.func.attr}"
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "open" and "Path" in ast.unparse(node.func.value):
            yield node.lineno, ".open"


def found() -> dict[tuple[str, str], list[int]]:
    calls: dict[tuple[str, str], list[int]] = {}
    for file in sorted(path for room in ROOMS for path in room.rglob("*.py")):
        if file not in READERS:
            for line, call in reads(file.read_text()):
                calls.setdefault((str(file.relative_to(PACKAGE)), call), []).append(line)
    return calls


def test_files_are_read_by_the_reader_alone() -> None:
    assert {place: lines for place, lines in found().items() if place not in EXCEPT} == {}


def test_each_exception_is_one() -> None:
    assert set(EXCEPT) <= set(found())


@pytest.mark.parametrize(
    "source",
    [
        "open('/x')", "os.open('/x', 0)", "Path('/x').read_text()", "Path('/x').open()", "os.scandir('/x')", "os.readlink('/x')",
        "sorted(folder.iterdir())", "folder.glob('*')", "Path(a).exists()", "sqlite3.connect('file:x?mode=ro', uri=True)", "io.open('x')",
        "os.path.lexists('/x')", "def f():\n    with open(path, 'rb') as file:\n        pass", "Path(a, b).stat()",
    ],
)  # fmt: skip
def test_a_breach_is_seen(source: str) -> None:
    assert list(reads(source))


@pytest.mark.parametrize("source", ["files.kernel('/proc/x')", "self._tree.exists('/x')", "sqlite3.connect(':memory:')", "found.open()"])
def test_the_reader_is_none(source: str) -> None:
    assert list(reads(source)) == []


def test_the_reader_is_there() -> None:
    assert all(list(reads(file.read_text())) for file in READERS)

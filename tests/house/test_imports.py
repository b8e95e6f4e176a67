"""Who may import whom: the table in docs/architecture.md, held against every import statement of the package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from house.imports import PACKAGE, Import, all_imports, circles, edges, imports_of

DOCUMENT = PACKAGE.parent / "docs/architecture.md"
ONLY = {  # a library and the rooms that may use it
    "scapy": {"wire"},
    "pyroute2": {"linux", "lab"},
    "socket": {"kernel", "linux", "lab", "fleet"},
    "subprocess": {"linux", "lab", "fleet"},
    "mitogen": {"fleet"},
    "click": {"cli"},
    "tabulate": {"render"},
    "yaml": {"expectations", "fleet"},
    "pytest": {"pytest_plugin"},
}
PURE = {"model", "endpoint", "codec", "expectations", "rules", "predict", "diagnose", "causes", "render"}
IMPURE_MODULES = {
    "asyncio",
    "fcntl",
    "glob",
    "io",
    "multiprocessing",
    "os",
    "pathlib",
    "select",
    "selectors",
    "shutil",
    "signal",
    "tempfile",
    "threading",
    "time",
}
SLOW = ("scapy", "pyroute2", "tabulate", "mitogen")
DECLARATIONS = "netprobe.linux.messages"  # subclasses of pyroute2's classes, and as slow: netlink.py imports them when it needs them


def table() -> dict[str, set[str]]:
    """Room -> the rooms it may import, from the document."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", DOCUMENT.read_text(), re.MULTILINE)
    rooms = {room for room, _ in rows}
    return {room: rooms if allowed.strip() == "everything" else set(re.findall(r"\w+", allowed)) for room, allowed in rows}


def breaches(found: list[Import]) -> list[str]:
    """The imports that the table or a library's rule forbids."""
    may = table() | {"": {"errors", "hosts", "model", "answers", "session", "checking", "all_pairs", "wiring"}, "__main__": {"cli", "late"}}
    broken = []
    for one in found:
        first, *rest = one.module.split(".")
        wanted = rest[0] if first == "netprobe" and rest else ""
        inside = wanted in ("", "__version__", one.room)
        forbidden = (
            not inside and wanted not in may.get(one.room, set()) if first == "netprobe" else one.room not in ONLY.get(first, {one.room})
        )
        if forbidden or (one.room in PURE and first in IMPURE_MODULES):
            broken.append(str(one))
    return broken


def test_every_room_is_in_the_document() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"}
    assert rooms - {"__init__", "__main__"} == set(table())


def test_each_import_is_allowed() -> None:
    assert breaches(all_imports()) == []


def test_system_calls_are_made_with_the_standard_library_alone() -> None:
    found = [one for one in all_imports() if one.room == "kernel"]
    assert found
    assert [str(one) for one in found if one.module.split(".")[0] not in {*sys.stdlib_module_names, "netprobe"}] == []


def test_the_agent_needs_the_standard_library_alone_and_nothing_of_the_package() -> None:
    found = [one for one in all_imports() if one.file == PACKAGE / "fleet/agent.py"]
    assert found
    assert [str(one) for one in found if one.module.split(".")[0] not in sys.stdlib_module_names] == []


def test_mitogen_is_used_in_one_file() -> None:
    assert {one.file for one in all_imports() if one.module.split(".")[0] == "mitogen"} == {PACKAGE / "fleet/over_ssh.py"}


def test_no_modules_import_each_other_not_even_inside_functions() -> None:
    assert circles(edges()) == []


def order() -> list[str]:
    """The files of `predict`, bottom to top, from the document: the indented lines of its own chapter."""
    _, _, rest = DOCUMENT.read_text().partition("the files\nhave an order")
    lines = re.findall(r"^    (.*)$", rest.split("`walk` is")[0], re.MULTILINE)
    return " ".join(lines).split()


def test_each_file_of_predict_imports_only_files_before_it() -> None:
    room = "netprobe.predict."
    imports = {module.removeprefix(room): found for module, found in edges().items() if module.startswith(room)}
    assert sorted(order()) == sorted(imports)
    place = {name: number for number, name in enumerate(order())}
    above = {name: [each for each in found if each.startswith(room) and place[each.removeprefix(room)] >= place[name]]
             for name, found in imports.items()}  # fmt: skip
    assert {name: found for name, found in above.items() if found} == {}


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_slow_libraries_are_imported_where_they_are_used() -> None:
    eager = [one for one in all_imports() if not one.lazy and one.file.parent != PACKAGE / "linux/messages"]
    assert [str(one) for one in eager if one.module.split(".")[0] in SLOW or one.module.startswith(DECLARATIONS)] == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("predict/fib.py", "from ..linux.netlink import ask"),
        ("predict/fib.py", "from netprobe import linux"),
        ("predict/deep/er.py", "from ...causes import catalogue"),
        ("model/flow.py", "import netprobe.errors"),
        ("engine/line.py", "from ..lab.lab import Lab"),
        ("engine/line.py", "from .. import cli"),
        ("linux/sensors/tap.py", "from scapy.layers.inet import IP"),
        ("render/text.py", "def now():\n    import time"),
        ("engine/line.py", "import socket"),
    ],
)
def test_a_breach_is_seen(file: str, source: str) -> None:
    assert breaches(list(imports_of(PACKAGE / file, source)))


@pytest.mark.parametrize("arguments", [["--help"], ["trace", "--help"], ["completion", "bash"], ["--version"]], ids=" ".join)
def test_help_and_completion_import_nothing_slow(arguments: list[str]) -> None:
    assert slow_imports(arguments, {}) == []


@pytest.mark.parametrize("words", ["netprobe tra", "netprobe trace h", "netprobe demo --break forward"])
def test_completing_a_word_imports_nothing_slow(words: str) -> None:
    environment = {"_NETPROBE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    assert slow_imports([], environment) == []


# what libraries would bring along, each 1 to 10 ms, and a healthy trace has no use for
UNUSED = (
    "asyncio", "email", "hashlib", "importlib.metadata", "importlib.resources", "json", "logging", "pathlib", "scapy", "shutil",
    "tempfile", "urllib.parse", "wcwidth._wcwidth", "zipfile",
)  # fmt: skip


def test_a_question_imports_nothing_that_is_not_used() -> None:
    """All that a trace imports in the process that asks; what crafts is a process of its own."""
    program = f"""
import contextlib, os, sys
before = set(sys.modules)
import netprobe.linux.sensors.crafter, netprobe.linux.sensors.observe
sys.argv = ["netprobe", "why", "host", "127.0.0.1"]
from netprobe.cli import program
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.suppress(SystemExit):
    program()
loaded = set(sys.modules) - before
print(*(name for name in {UNUSED!r} if name in loaded), "pyroute2.netlink" in loaded, "tabulate" in loaded)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


def slow_imports(arguments: list[str], environment: dict[str, str]) -> list[str]:
    """Which slow libraries a run of netprobe imports."""
    program = f"import sys; sys.argv[1:] = {arguments!r}; sys.argv[0] = 'netprobe'\ntry:\n    from netprobe.cli import main; main()\n"
    program += f"finally:\n    print(*(name for name in {SLOW!r} if name in sys.modules), file=sys.stderr)"
    settings = {"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin", "HOME": str(Path("/nonexistent"))} | environment
    done = subprocess.run([sys.executable, "-c", program], env=settings, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout
    return done.stderr.split()

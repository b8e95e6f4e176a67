"""Names to namespaces: what is found, what is not, and that looking creates nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from identities import identity

from netprobe.endpoint import Named, parse
from netprobe.errors import WrongQuestion
from netprobe.linux.names.handles import Handles
from netprobe.linux.names.listing import typed_name
from netprobe.linux.names.names import (
    Found,
    NamedNamespaces,
    NameSource,
    NamespaceFiles,
    Processes,
    UnknownName,
    inner_source,
    lookup,
)
from netprobe.linux.privilege import sudo_line
from netprobe.model import Space


@pytest.fixture
def root(tmp_path: Path) -> str:
    folder = tmp_path / "run" / "netns"
    folder.mkdir(parents=True)
    for name in ("red", "blue", "1e5", "--help", "a:80", "x\x1b[31m", os.fsdecode(b"r\xe9d")):
        (folder / name).touch()
    (folder / "dangling").symlink_to("/nowhere")
    return str(tmp_path)


class Engine(NameSource):
    """A container engine that knows what it is told."""

    kind = "docker"
    bare = True

    def __init__(self, *found: Found) -> None:
        self._found = found

    def find(self, name: str) -> list[Found]:
        return [found for found in self._found if found.name == name or (len(name) >= 12 and found.note.startswith(name))]

    def all(self) -> tuple[Found, ...]:
        return self._found


def sources(root: str, *more: NameSource) -> list[NameSource]:
    return [NamedNamespaces(root), *more, Processes(), NamespaceFiles()]


@pytest.mark.parametrize("name", ["red", "1e5", "--help", "x\x1b[31m", "r\udce9d", "dangling"])
def test_any_file_name_is_a_name(root: str, name: str) -> None:
    found = lookup(Named(name, name=name), sources(root))
    assert (found.kind, found.name, found.path) == ("netns", name, f"{root}/run/netns/{name}")
    assert found.text == f"netns:{name}"


def test_var_run_counts_where_it_is_another_folder(root: str) -> None:
    other = Path(root, "var", "run", "netns")
    other.mkdir(parents=True)
    (other / "green").touch()
    (other / "red").touch()
    assert lookup(parse("green"), sources(root)).path == str(other / "green")
    assert lookup(parse("red"), sources(root)).path == f"{root}/run/netns/red"


def test_a_link_from_var_run_to_run_is_one_folder(root: str) -> None:
    Path(root, "var").mkdir()
    Path(root, "var", "run").symlink_to("../run")
    assert [found.name for found in NamedNamespaces(root).all()].count("red") == 1


@pytest.mark.parametrize(("typo", "near"), [("rde", "red"), ("bule", "blue"), ("1e55", "1e5")])
def test_a_typo_gets_the_nearest_names(root: str, typo: str, near: str) -> None:
    before = sorted(os.walk(root))
    with pytest.raises(UnknownName, match=f"no namespace or container {typo}") as caught:
        lookup(parse(typo), sources(root))
    assert near in caught.value.hint
    assert sorted(os.walk(root)) == before


def test_names_of_each_kind_that_are_unknown(root: str) -> None:
    for text, words in (("pid:4194305", "no process 4194305"), ("path:/nope", "no file /nope"), ("netns:rde", "no netns:rde")):
        with pytest.raises(UnknownName, match=words):
            lookup(parse(text), sources(root))
    with pytest.raises(WrongQuestion, match="kind docker cannot be looked up"):
        lookup(parse("docker:c1"), sources(root))
    with pytest.raises(UnknownName) as caught:
        lookup(parse("zzzzzz"), sources(root))
    assert "netprobe ls" in caught.value.hint


def test_nothing_outside_the_folder_is_a_name(root: str) -> None:
    for name in ("..", ".", "../netns/red", "/proc/self/ns/net", ""):
        assert NamedNamespaces(root).find(name) == ()


def test_digits_alone_are_no_process(root: str) -> None:
    with pytest.raises(UnknownName):
        lookup(parse(str(os.getpid())), sources(root))
    assert lookup(parse(f"pid:{os.getpid()}"), sources(root)).path == f"/proc/{os.getpid()}/ns/net"


def test_two_namespaces_of_one_name_are_an_error_that_lists_both(root: str) -> None:
    container = Found("docker", "red", "/proc/self/ns/net", os.getpid())
    with pytest.raises(WrongQuestion, match="more than one") as caught:
        lookup(parse("red"), sources(root, Engine(container)))
    assert "netns:red" in caught.value.hint
    assert "docker:red" in caught.value.hint
    assert lookup(parse("docker:red"), sources(root, Engine(container))) == container


def test_two_names_of_one_namespace_are_no_ambiguity(root: str) -> None:
    Path(root, "run", "netns", "c1").symlink_to("/proc/self/ns/net")
    container = Found("docker", "c1", "/proc/self/ns/net", os.getpid())
    assert lookup(parse("c1"), sources(root, Engine(container))).kind == "netns"


def test_inner_names_need_a_process() -> None:
    with pytest.raises(WrongQuestion, match="no process"):
        inner_source(Found("netns", "red", "/run/netns/red"))


NOT_OURS = """
from netprobe.linux.names.names import Found, inner_of, inner_source
outer = Found("podman", "web", "/proc/1/ns/net", 1)
print(list(inner_of([outer])), list(inner_source(outer).all()), list(inner_source(outer).find("red")), outer.identity())
"""


def test_what_a_user_may_not_look_into_has_no_inner_names() -> None:
    """The root directory of a process of another user."""
    done = identity("rootless").run([sys.executable, "-c", NOT_OURS])
    assert (done.returncode, done.stdout) == (0, "[] [] [] None\n"), done.stderr


def test_links_inside_a_container_are_not_followed(root: str) -> None:
    Path(root, "run", "netns", "evil").symlink_to("/proc/self/ns/net")
    (found,) = NamedNamespaces(root, trusted=False).find("evil")
    assert found.identity() is None
    with pytest.raises(Exception, match="netns:evil"):
        found.open()


def test_a_process_is_called_by_its_program() -> None:
    comm = Path("/proc/self/comm").read_text().strip()
    assert Processes().title(os.getpid()) == f"pid {os.getpid()} ({comm})"
    assert Processes().title(4194305) == "pid 4194305"


def test_handles_know_a_namespace_by_one_name() -> None:
    handles = Handles()
    try:
        first = handles.add(os.open("/proc/self/ns/net", os.O_RDONLY), ["red"])
        again = handles.add(os.open("/proc/self/ns/net", os.O_RDONLY), ["blue"])
        other = handles.add(os.open("/proc/self/ns/uts", os.O_RDONLY), ["red", "docker:red"])
        third = handles.add(os.open("/proc/self/ns/ipc", os.O_RDONLY), ["red", "docker:red"])
        assert (first, again, other) == ("red", "red", "docker:red")
        assert third == f"netns-{Path('/proc/self/ns/ipc').stat().st_ino}"
        assert list(handles) == ["red", "docker:red", third]
    finally:
        handles.close()
    handles.close()
    assert len(handles) == 0


def test_the_command_under_sudo() -> None:
    assert sudo_line(["/opt/bin/netprobe", "trace", "a b", "8.8.8.8"]) == "sudo /opt/bin/netprobe trace 'a b' 8.8.8.8"
    assert sudo_line(["/x/netprobe/__main__.py", "ls", "$(id)"]).endswith(f"{sys.executable} -P -m netprobe ls '$(id)'")
    assert sudo_line(["/usr/bin/pytest"]) == "run this program as root"
    assert sudo_line([]) == "run this program as root"


@pytest.mark.parametrize(
    ("name", "kind", "names", "shared", "typed"),
    [
        ("red", "netns", ("netns:red",), (), "red"),
        ("red", "netns", ("netns:red", "docker:red"), ("red",), "netns:red"),
        ("c1", "docker", ("docker:c1",), ("c1",), "docker:c1"),
        ("c1", "docker", ("docker:c1",), (), "c1"),
        ("10.0.0.1", "netns", ("netns:10.0.0.1",), (), "netns:10.0.0.1"),
        ("--help", "netns", ("netns:--help",), (), "netns:--help"),
        ("host", "netns", ("netns:host",), (), "netns:host"),
        ("host", "host", (), (), "host"),
        ("pid 7 (sleep)", "pid", ("pid:7",), (), "pid:7"),
        ("pod:default/web", "pod", ("pod:default/web",), (), "pod:default/web"),
        ("a:80", "netns", ("netns:a:80",), (), "a:80"),
    ],
)
def test_a_listed_name_is_written_as_it_must_be_typed(
    name: str, kind: str, names: tuple[str, ...], shared: tuple[str, ...], typed: str
) -> None:
    assert typed_name(Space(name, kind, names), shared) == typed

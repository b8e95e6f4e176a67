"""The documents say what the program does: names, options, links, exit codes, the man page, and the commands of the README."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from netprobe.cli import cli
from netprobe.lab.lab import Lab

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text()
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
NETPROBE = [sys.executable, "-c", "from netprobe.cli import main; main()"]


def blocks(text: str) -> list[str]:
    """The fenced blocks of a document, with continued lines joined."""
    return [block.replace("\\\n", " ") for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def netprobe_lines(text: str) -> Iterator[str]:
    """Every netprobe command line in a document: in blocks and in `code`."""
    lines = [line for block in blocks(text) for line in block.splitlines()]
    for line in [*lines, *re.findall(r"`([^`\n]+)`", text)]:
        found = re.search(r"(?:.*[\s/]|^)(netprobe [a-z-][^|>#$)]*)", re.sub(r"docker build.*", "", line))
        if found and "…" not in found[1]:
            yield found[1].strip()


def heading(title: str) -> str:
    """One chapter of the README."""
    return re.split(r"^## ", README.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


@pytest.mark.parametrize("line", sorted({line for document in DOCUMENTS for line in netprobe_lines(document.read_text())}))
def test_commands_and_options_in_the_documents_exist(line: str) -> None:
    context = click.Context(cli, info_name="netprobe")
    words = shlex.split(line)[1:]
    if words[0].startswith("-"):
        assert words[0] in option_names(cli, context)
        return
    command = cli.commands.get(words[0])
    assert command is not None, f"there is no command {words[0]}"
    unknown = {word for word in words[1:] if re.match(r"--?[a-zA-Z]", word)} - option_names(command, context)
    assert not unknown


def option_names(command: click.Command, context: click.Context) -> set[str]:
    return {name for parameter in command.get_params(context) for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    assert [target for target in targets if "://" not in target and not (document.parent / target).exists()] == []


def test_the_index_leads_to_every_page() -> None:
    index = (PROJECT / "docs/README.md").read_text()
    linked = re.findall(r"^\| \[[\w ]+\]\(([\w.-]+\.md)\) \| who ", index, re.MULTILINE)
    assert sorted(linked) == sorted(path.name for path in (PROJECT / "docs").glob("*.md") if path.name != "README.md")
    assert len(set(linked)) == len(linked)
    assert "(docs/README.md)" in README


def test_the_first_screen_says_what_for_whom_and_how_it_looks() -> None:
    screen = "\n".join(README.splitlines()[:24])
    assert "follows a packet" in screen
    assert "It is for " in screen
    assert len(re.findall(r"^!\[.+\]\(docs/\w+\.svg\)$", screen, re.MULTILINE)) == 2
    assert "./scripts/demo" in screen


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nobody_is_sent_to_the_other_netprobe(document: Path) -> None:
    assert not re.search(r"(pip|pipx|uv|uvx) (install )?netprobe\b", document.read_text())


def test_the_man_page_and_the_pictures_are_what_netprobe_says_today() -> None:
    done = subprocess.run([sys.executable, PROJECT / "scripts/documents", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_man_page_is_well_formed() -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", PROJECT / "docs/netprobe.1"], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def test_man_page_and_readme_list_the_same_exit_codes() -> None:
    page = (PROJECT / "docs/netprobe.1").read_text().split(".SH EXIT STATUS")[1].split(".SH")[0]
    on_page = {(code.replace(' ", " ', ", "), text) for code, text in re.findall(r"\.TP\n\.BR? (.+)\n(.+)", page)}
    assert on_page == set(re.findall(r"^\| ([\d, ]+) \| (.+) \|$", heading("Use it in CI"), re.MULTILINE))


def runnable() -> list[str]:
    """The lines of the README that a reader may type in the demo's shell."""
    lines = [line for title in ("Ask", "Use it in CI") for block in blocks(heading(title)) for line in block.splitlines()]
    return [line for line in lines if line.startswith("netprobe ")]


@pytest.mark.lab
@pytest.mark.parametrize("line", runnable(), ids=lambda line: line.split("  ")[0])
def test_what_the_readme_says_can_be_typed(line: str, lab: Lab) -> None:
    expected = int((re.findall(r"\(exit (\d)", line) or ["0"])[0])
    script = f'netprobe() {{ {shlex.join(NETPROBE)} "$@"; }}; cd "$(mktemp -d -p .)" && {line}'
    done = lab.run(["bash", "-c", script])
    assert done.returncode == expected, done.stdout + done.stderr


# Lines that no shell of the demo can run, each with the test that runs it or what stands for it.
ELSEWHERE = {
    "./scripts/demo": "house/test_scripts.py test_the_demo_of_the_readme",
    "./scripts/test": "house/test_scripts.py test_the_checkouts_own_is_made_once",
    "pipx install .": "house/test_packaging.py test_the_wheel_installs_a_program_that_runs",
    'sudo "$(command -v netprobe)" trace red 8.8.8.8': "house/test_packaging.py test_the_wheel_installs_a_program_that_runs",
    "python3 -m venv ~/netprobe && ~/netprobe/bin/pip install .": "house/test_packaging.py test_the_wheel_installs_a_program_that_runs",
    "sudo ~/netprobe/bin/netprobe trace red 8.8.8.8": "house/test_packaging.py test_the_wheel_installs_a_program_that_runs",
    'sudo apt-get install "$(./scripts/deb)"': "house/test_packaging.py test_the_debian_package_in_a_clean_root",
    "sudo netprobe trace red 8.8.8.8": "house/test_packaging.py test_the_debian_package_in_a_clean_root",
    "pip install 'netns-netprobe[fleet]'": "fleet/test_refusals.py test_without_mitogen_the_package_is_named",
    "sudo netprobe trace -H h1,h2 h1:red h2:blue": "fleet/test_over_hosts.py test_a_trace_follows_the_packet_over_both_hosts",
    "docker build -t netprobe .": "engines/test_image.py test_the_entry_point_is_netprobe",
    "docker run --rm --pid=host": "engines/test_image.py test_a_trace_from_a_container_to_the_internet",
    "pip wheel --wheel-dir wheels . hatchling": "engines/test_image.py test_the_entry_point_is_netprobe",
    "docker build --build-arg": "engines/test_image.py test_the_entry_point_is_netprobe",
}


def test_every_command_of_the_readme_is_typed_by_a_test() -> None:
    lines = [line.split("  #")[0].strip() for block in blocks(README) for line in block.splitlines() if line.strip()]
    here = {line.split("  #")[0].strip() for line in runnable()}
    left = [line for line in lines if line not in here]
    named = {line: [name for name in ELSEWHERE if line == name or (name.startswith("docker") and line.startswith(name))] for line in left}
    assert {line: names for line, names in named.items() if not names} == {}
    for place in ELSEWHERE.values():
        file, test = place.split()
        assert f"def {test}(" in (PROJECT / "tests" / file).read_text(), place


@pytest.mark.lab
def test_the_tutorials_command_fails_and_both_cures_work(fresh_lab: Lab) -> None:
    chapter = heading("One command of the old tutorials fails")
    refused, onlink, neighbour, again = re.findall(r"^    (ip netns .+)$", chapter, re.MULTILINE)
    forget = ["sh", "-c", "ip -n red route flush all"]
    fresh_lab.run(forget, check=True)
    done = fresh_lab.run(refused.split())
    assert done.returncode != 0
    assert done.stderr.strip() in chapter
    fresh_lab.run(onlink.split(), check=True)
    assert fresh_lab.run(["ip", "netns", "exec", "red", "ping", "-c1", "-W2", "8.8.8.8"]).returncode == 0
    fresh_lab.run(forget, check=True)
    fresh_lab.run(neighbour.split(), check=True)
    fresh_lab.run(again.split(), check=True)
    assert fresh_lab.run(["ip", "netns", "exec", "red", "ping", "-c1", "-W2", "8.8.8.8"]).returncode == 0


def committed() -> list[str]:
    """The paths of the files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return listed.stdout.rstrip("\0").split("\0")


def test_no_machine_is_named() -> None:
    """What is committed names no path, host or registry of the machine it was written on."""
    foreign = re.compile(os.fsencode("/root/" + r"v\b|/" + "work/|deb" + r"\.debian\.org|pypi" + r"\.org"))
    assert [name for name in committed() if (PROJECT / name).is_file() and foreign.search((PROJECT / name).read_bytes())] == []


def test_what_stands_at_the_top() -> None:
    """A file that some run left there is not committed along."""
    assert {name.partition("/")[0] for name in committed()} == {
        ".ci", ".dockerignore", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "README.md", "SECURITY.md",
        "benchmarks", "captures", "docs", "netprobe", "pyproject.toml", "scripts", "tests",
    }  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_files_that_a_document_names_are_there(document: Path) -> None:
    named = re.findall(r"`((?:tests|scripts|benchmarks|docs|netprobe)/[\w./-]+)`", document.read_text())
    places = (PROJECT, PROJECT / "netprobe")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []

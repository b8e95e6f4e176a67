"""What is installed, and how: the wheel's files, the Debian package, the image's recipe, and that the documents say the same."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from engines.packages import Unavailable, root_of
from engines.python_image import PACKAGES, PYTHON, SUITE, wheels
from house.test_documents import blocks, heading

PROJECT = Path(__file__).parents[2]
DESCRIBED = tomllib.loads((PROJECT / "pyproject.toml").read_text())
SHARED = DESCRIBED["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
MARGIN = re.compile(r"^#[ ]?", re.MULTILINE)


def commands(text: str) -> set[str]:
    """The `docker` and `pip` lines of a text, each with single blanks."""
    lines = text.replace("\\\n", " ").splitlines()
    return {" ".join(line.split()) for line in lines if re.match(r"\s*(docker|pip) ", line)}


def test_the_dockerfile_says_what_the_readme_says() -> None:
    head = (PROJECT / "Dockerfile").read_text().split("ARG BASE=")[0]
    said = commands(MARGIN.sub("", head))
    assert said == commands("\n".join(blocks(heading("Run it in a container"))))
    assert len(said) == 4


def test_the_recipe_has_what_the_dockerfile_takes() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    recipe = next(line for line in commands("\n".join(blocks(heading("Run it in a container")))) if "--build-arg" in line)
    given = dict(word.split("=", 1) for option, word in zip(*[iter(shlex.split(recipe)[2:6])] * 2, strict=True) if option == "--build-arg")
    assert given.keys() == set(re.findall(r"^ARG (\w+)", text, re.MULTILINE))
    assert re.search(r"^ARG BASE=(\S+)", text, re.MULTILINE)[1] == given["BASE"]  # type: ignore[index]
    assert "/source/wheels" in given["PIP_ARGS"]
    assert "COPY . /source" in text


def test_the_image_is_built_from_all_that_the_wheel_needs() -> None:
    kept = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    needed = {"netprobe", "pyproject.toml", DESCRIBED["project"]["readme"], *DESCRIBED["project"]["license-files"], *SHARED}
    assert [name for name in needed if not any(name == each or name.startswith(f"{each}/") for each in kept)] == []


def test_what_the_wheel_installs_is_there() -> None:
    assert [name for name in SHARED if not (PROJECT / name).is_file()] == []
    assert set(SHARED.values()) == {
        "share/man/man1/netprobe.1",
        "share/bash-completion/completions/netprobe",
        "share/zsh/site-functions/_netprobe",
        "share/fish/vendor_completions.d/netprobe.fish",
    }
    assert {path.name for path in (PROJECT / "docs/completion").iterdir()} == {Path(name).name for name in SHARED} - {"netprobe.1"}


def test_the_installed_completion_completes(tmp_path: Path) -> None:
    program = tmp_path / "netprobe"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m netprobe "$@"\n')
    program.chmod(0o755)
    script = (
        'source "$1"; complete -p netprobe; COMP_WORDS=(netprobe do) COMP_CWORD=1; _netprobe_completion netprobe; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}
    file = PROJECT / "docs/completion/netprobe.bash"
    done = subprocess.run(["bash", "-c", script, "bash", str(file)], env=environment, capture_output=True, text=True, check=True)
    registered, offered = done.stdout.splitlines()
    assert registered.endswith("netprobe")
    assert offered.split() == ["doctor"]


@pytest.mark.parametrize("name", sorted(SHARED))
def test_a_completion_asks_the_program(name: str) -> None:
    text = (PROJECT / name).read_text()
    shell = {".bash": "bash", ".fish": "fish", "": "zsh"}.get(Path(name).suffix)
    assert shell is None or f"_NETPROBE_COMPLETE={shell}_complete" in text


# The Debian package in a clean root: Debian's packages, unpacked, with an overlay for what is written.

TRIED = """
set -e
mount -t tmpfs none "$1"
mkdir -p "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/up,workdir=$1/work" "$1/root"
mkdir -p "$1/root/proc" "$1/root/dev" "$1/root/tmp" "$1/root/var/lib/dpkg/info" "$1/root/var/lib/dpkg/updates"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
touch "$1/root/var/lib/dpkg/status"
cp "$3" "$1/root/tmp/netprobe.deb"
cp "$4" "$1/root/tmp/run.pcapng"
dpkg --root="$1/root" --force-depends --install "$3" >&2
run() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin "$@"; }
root=$1/root
echo "version: $(run netprobe --version)"
echo "shown: $(run netprobe -q show /tmp/run.pcapng || true)"
echo "doctor: $(run netprobe -q doctor || true)"
echo "listed: $(run netprobe ls -q | head -1)"
echo "completed: $(run bash -c 'source /usr/share/bash-completion/completions/netprobe; complete -p netprobe')"
echo "page: $(zcat "$root/usr/share/man/man1/netprobe.1.gz" | head -1)"
dpkg --root="$root" --purge netprobe >&2
echo "left: $(find "$root/usr" -path '*netprobe*' | tr '\\n' ' ')"
"""


@pytest.mark.thorough
@pytest.mark.slow
def test_the_wheel_installs_a_program_that_runs(tmp_path: Path) -> None:
    """By pip, without a way out, as `pip install .` of the README does it (pipx is that in an environment of its own)."""
    if f"{sys.version_info[0]}.{sys.version_info[1]}" != PYTHON:
        pytest.skip("the wheels are for another Python")
    try:
        offline = ["--no-index", "--find-links", str(wheels(PROJECT))]
    except Unavailable as reason:
        pytest.skip(str(reason))
    home = tmp_path / "netprobe"
    for words in ([sys.executable, "-m", "venv", str(home)], [str(home / "bin/pip"), "install", "--quiet", *offline, str(PROJECT)]):
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=600)
        assert done.returncode == 0, done.stderr
    sample = str(PROJECT / "captures/samples/no-masquerade.pcapng")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(home / "bin/netprobe"), "-q", "show", sample], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert (done.returncode, "[nat-missing]" in done.stdout) == (1, True), done.stderr
    for source, target in SHARED.items():
        assert (home / target).read_bytes() == (PROJECT / source).read_bytes()


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a clean root to try the package in")
@pytest.mark.skipif(f"{sys.version_info[0]}.{sys.version_info[1]}" != PYTHON, reason="the clean root has another Python")
def test_the_debian_package_in_a_clean_root(tmp_path: Path) -> None:
    try:
        root, offline = root_of(SUITE, *PACKAGES), f"--no-index --find-links {wheels(PROJECT)}"
    except Unavailable as reason:
        pytest.skip(str(reason))
    environment = {**os.environ, "PIP_ARGS": offline}
    script = [str(PROJECT / "scripts/deb"), str(tmp_path)]
    built = subprocess.run(script, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert built.returncode == 0, built.stderr
    (tmp_path / "place").mkdir()
    sample = PROJECT / "captures/samples/no-masquerade.pcapng"
    words = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "sh",
        "-c",
        TRIED,
        "sh",
        str(tmp_path / "place"),
        str(root),
        built.stdout.strip(),
        str(sample),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert said["version"].startswith("netprobe, version ")
    assert "[nat-missing]" in said["shown"]
    assert said["doctor"].split(":")[0] in ("ok", "limited")
    assert said["listed"] == "host"
    assert said["completed"].endswith("netprobe")
    assert said["page"].startswith(".TH NETPROBE 1")
    assert said["left"].strip() == ""

"""Root file systems from Debian packages: downloaded with apt-get, unpacked, never installed; no maintainer script runs.

A root is kept in `$XDG_CACHE_HOME/netprobe/engines` (default `~/.cache`) and used read-only, so that several engines share it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

APT_CONFIGURATION = """\
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache::archives "{folder}/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Debug::NoLocking "true";
"""


class Unavailable(Exception):
    """The engine cannot be had on this machine: no root, no package mirror, a missing tool. The text says which."""


def cache_folder() -> Path:
    """Where unpacked roots are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(base) / "netprobe" / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def root_of(suite: str, *packages: str) -> Path:
    """The folder with `packages` of the Debian `suite` and all they depend on. The first call downloads; raises `Unavailable`."""
    if os.geteuid() != 0:
        raise Unavailable("a container engine of our own needs root")
    key = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    root = cache_folder() / f"{suite}-{key}"
    with open(f"{root}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _unpack(suite, packages, root)
    return root


def _unpack(suite: str, packages: tuple[str, ...], root: Path) -> None:
    partial = Path(f"{root}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="netprobe-apt-") as name:
        archives = _download(suite, packages, Path(name))
        for folder in ("bin", "sbin", "lib", "lib64"):  # today's layout: /bin is a link to /usr/bin; dpkg expects to find it
            (partial / "usr" / folder).mkdir(parents=True)
            (partial / folder).symlink_to(f"usr/{folder}")
        for archive in archives:
            _checked(
                ["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -C "$2" -xp --keep-directory-symlink', "sh", str(archive), str(partial)]
            )
    for folder in ("man", "locale"):
        shutil.rmtree(partial / "usr/share" / folder, ignore_errors=True)
    for text in (partial / "usr/share/doc").glob("*/*"):
        if text.is_file() and text.name != "examples":
            text.unlink()
    partial.rename(root)


def _download(suite: str, packages: tuple[str, ...], folder: Path) -> list[Path]:
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()  # no package is installed yet: apt resolves the whole closure
    (folder / "sources.list").write_text(f"deb {_mirror()} {suite} main\n")
    (folder / "apt.conf").write_text(APT_CONFIGURATION.format(folder=folder))
    environment = os.environ | {"APT_CONFIG": str(folder / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
    _checked(["apt-get", "-qq", "update"], env=environment)
    _checked(["apt-get", "-qq", "-y", "--download-only", "install", *packages], env=environment)
    return sorted((folder / "archives").glob("*.deb"))


def _mirror() -> str:
    """The Debian mirror this machine is set up with, with the keyring that signs it."""
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    listed = _checked(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages", "Component: main"])
    for line in listed.splitlines():
        origin, _, address = line.rpartition(" ")
        if origin == "Debian" and "security" not in address and keyring.exists():
            return f"[signed-by={keyring}] {address}"
    raise Unavailable("apt-get knows no Debian mirror (run apt-get update, or add one)")


def _checked(command: list[str], env: dict[str, str] | None = None) -> str:
    try:
        result = subprocess.run(command, env=env, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL, timeout=600)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} did not finish in time") from None
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{' '.join(command[:2])} failed: {(error.stderr or error.stdout).strip()[-300:]}") from None
    return result.stdout

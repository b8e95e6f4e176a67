"""`netprobe doctor` in the situations in which people meet it: what it finds, and that the command it says helps.

An image is an overlay over this machine's files, in namespaces of its own beside a "host" that is one as well; `docker run` is what the
words of its options mean, by unshare and setpriv.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from identities import identity
from runtimes.canned_engine import canned

import netprobe
from netprobe.kernel.neighbours import AF_INET, Fullness, NeighbourTable
from netprobe.linux.doctor import kernel, rules
from netprobe.linux.doctor.engines import engines
from netprobe.linux.doctor.kernel import neighbours
from netprobe.linux.doctor.situation import Situation, privilege, processes
from netprobe.linux.doctor.tools import ruleset_tools
from netprobe.linux.netfilter import tools
from netprobe.linux.netfilter.kernel import Inventory
from netprobe.model.examination import Finding, State
from netprobe.render.examination import examination
from netprobe.render.terminal import Terminal
from netprobe.rules.read.nft_json import KernelChain

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be in an image, and can be another user")
PROJECT = Path(netprobe.__file__).resolve().parents[1]
PROGRAM = [sys.executable, "-m", "netprobe"]
CAPABILITIES = ("SYS_ADMIN", "SYS_PTRACE", "NET_RAW", "NET_ADMIN")
ALL = ["--pid=host", "--cap-drop=ALL", *(f"--cap-add={name}" for name in CAPABILITIES)]
CODES = {"ok": 0, "limited": 1, "missing": 3}
# The host: a PID namespace with a process 1 that can be looked into, whatever this machine's is.
HOST = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", '"$@"; exit $?', "host"]
IMAGE = """
set -e
folder=$1 marked=$2; shift 2
mount -t tmpfs none "$folder"
mkdir "$folder/up" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/up,workdir=$folder/work" "$folder/root"
for each in "$@"; do shift; [ "$each" = -- ] && break; mkdir -p "$folder/root$each"; mount --rbind "$each" "$folder/root$each"; done
mount -t proc proc "$folder/root/proc"
mount -t tmpfs none "$folder/root/run"
mount --rbind /dev "$folder/root/dev"
touch "$folder/root/$marked"
exec chroot "$folder/root" "$@"
"""


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The findings by their subjects; the exit code says the worst of them."""
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["schema"] == "netprobe.doctor/1"
    assert done.returncode == CODES[found["state"]]
    return {each["subject"]: each for each in found["findings"]}


def examined(words: Sequence[str] = (), *, launcher: Sequence[str] = ()) -> dict[str, Any]:
    return findings(identity("root").run([*launcher, *(words or [*PROGRAM, "doctor", "-o", "json"])]))


def in_image(folder: Path, words: Sequence[str]) -> dict[str, Any]:
    """What `docker run OPTION... netprobe ARGUMENT...` says."""
    at = list(words).index("netprobe")
    options, arguments = words[:at], words[at + 1 :]
    given = ["-all", *(f"+{option.partition('=')[2].lower()}" for option in options if option.startswith("--cap-add="))]
    assert "--cap-drop=ALL" in options
    assert not any(option.startswith("--cap-add=") and option[10:] not in CAPABILITIES for option in options)
    apart = [] if "--pid=host" in options else ["--pid", "--fork"]
    shared = dict.fromkeys(str(Path(each)) for each in (sys.prefix, sys.base_prefix, PROJECT) if not Path(each).is_relative_to("/usr"))
    image = ["unshare", "--mount", *apart, "sh", "-c", IMAGE, "image", str(folder), ".dockerenv", *shared, "--"]
    program = ["setpriv", "--bounding-set", ",".join(given), "--inh-caps", "-all", *PROGRAM]
    return findings(identity("root").run([*HOST, *image, *program, *arguments]))


def docker_run(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What comes of the command that a finding says, which starts a container."""
    (line,) = found["help"]
    docker, run, *words = shlex.split(line)
    assert (docker, run) == ("docker", "run")
    return in_image(folder, words)


DOCTOR = ["netprobe", "doctor", "-o", "json"]


@as_root
def test_root() -> None:
    found = examined()
    assert found["privilege"]["state"] == "ok", found
    assert found["kernel"]["state"] == "ok"
    assert found["tools"]["state"] == "ok" or found["tools"]["help"]


@as_root
def test_an_ordinary_user_is_told_the_command_as_root() -> None:
    found = findings(identity("rootless").run([*PROGRAM, "doctor", "-o", "json"]))
    assert found["privilege"]["state"] == "missing"
    sudo, *words = shlex.split(found["privilege"]["help"][0])
    assert sudo == "sudo"
    assert examined(words)["privilege"]["state"] == "ok"
    assert found["rules"]["help"] == found["privilege"]["help"]


@as_root
def test_an_image_with_the_hosts_processes_and_all_capabilities_lacks_nothing(tmp_path: Path) -> None:
    found = in_image(tmp_path, [*ALL, *DOCTOR])
    assert (found["privilege"]["state"], found["processes"]["state"]) == ("ok", "ok"), found
    assert "of the container's host" in found["processes"]["fact"]


@as_root
def test_an_image_without_the_hosts_processes(tmp_path: Path) -> None:
    found = in_image(tmp_path, [*ALL[1:], *DOCTOR])
    assert (found["privilege"]["state"], found["processes"]["state"]) == ("ok", "limited")
    assert docker_run(found["processes"], tmp_path)["processes"]["state"] == "ok"


@as_root
@pytest.mark.parametrize(
    ("name", "state"), [("SYS_ADMIN", "missing"), ("NET_RAW", "missing"), ("SYS_PTRACE", "limited"), ("NET_ADMIN", "limited")]
)
def test_an_image_without_a_capability(name: str, state: str, tmp_path: Path) -> None:
    found = in_image(tmp_path, [*(option for option in ALL if option != f"--cap-add={name}"), *DOCTOR])
    assert (found["privilege"]["state"], found["privilege"]["fact"]) == (state, f"root without CAP_{name}")
    assert docker_run(found["privilege"], tmp_path)["privilege"]["state"] == "ok"


def of_engines(root: Path, **environment: str) -> Finding:
    (found,) = engines(environment, str(root), ["netprobe", "doctor"], 0)
    return found


def test_an_engine_that_is_down_is_started(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    path = tmp_path / "run/docker.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    found = of_engines(tmp_path)
    assert (found.subject, found.state) == ("docker", State.LIMITED)
    assert found.help is not None
    assert found.help.words == ("systemctl", "start", "docker")
    path.unlink()
    with canned(path):  # which is what the service does
        found = of_engines(tmp_path)
    assert (found.state, found.fact) == (State.OK, f"Docker/28.5.0 (linux) answers at {path}")


def test_an_engine_that_has_left_its_files_is_started(tmp_path: Path) -> None:
    (tmp_path / "var/lib/docker/containers/4131bb9ddc43").mkdir(parents=True)
    (tmp_path / "etc/init.d").mkdir(parents=True)
    (tmp_path / "etc/init.d/docker").touch()
    found = of_engines(tmp_path)
    assert found.state is State.LIMITED
    assert found.help is not None
    assert found.help.words == ("service", "docker", "start")


def test_an_engine_elsewhere_is_left_out(tmp_path: Path) -> None:
    found = of_engines(tmp_path, DOCKER_HOST="tcp://10.0.0.1:2375")
    assert found.state is State.LIMITED
    assert found.help is not None
    assert found.help.words == ("env", "-u", "DOCKER_HOST", "netprobe", "doctor")
    assert of_engines(tmp_path).state is State.OK


def test_an_engine_that_hangs_is_started_again(tmp_path: Path) -> None:
    from netprobe.linux.runtimes.api import HttpAnswer, Silent

    def hang(address: str, path: str) -> HttpAnswer:
        raise Silent("no answer within 2 s")

    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "run/docker.sock"))
        (found,) = engines({}, str(tmp_path), ["netprobe"], 0, hang)
    assert found.help is not None
    assert found.help.words[:2] == ("systemctl", "restart")


def test_an_empty_folder_of_a_package_is_no_engine(tmp_path: Path) -> None:
    (tmp_path / "var/lib/docker/containers").mkdir(parents=True)
    (tmp_path / "run/systemd/machines").mkdir(parents=True)
    assert of_engines(tmp_path).subject == "engines"


def test_a_neighbour_table_that_is_nearly_full_is_enlarged() -> None:
    full = Fullness(entries=1000, soft=512, hard=1024, fulls=3)
    found = neighbours("ipv4", full)
    assert found.state is State.LIMITED
    assert found.help is not None
    tool, option, *settings = found.help.words
    assert (tool, option) == ("sysctl", "-w")
    values = dict(each.split("=") for each in settings)
    enlarged = Fullness(1000, int(values["net.ipv4.neigh.default.gc_thresh2"]), int(values["net.ipv4.neigh.default.gc_thresh3"]), 3)
    assert neighbours("ipv4", enlarged).state is State.OK


def test_these_are_the_settings_that_the_kernel_goes_by() -> None:
    setting = Path("/proc/sys/net/ipv4/neigh/default/gc_thresh3")
    if not setting.exists():
        pytest.skip("they are only in the machine's own network namespace")
    table = NeighbourTable()
    try:
        assert table.fullness(AF_INET).hard == int(setting.read_text())
    finally:
        table.close()


@as_root
@pytest.mark.skipif(shutil.which("nft") is None, reason="there is no nft to take away")
def test_without_nft() -> None:
    place = tools.place("nft")
    assert place is not None
    places = {str(Path(folder, "nft").resolve()) for folder in tools.PLACES if Path(folder, "nft").exists()}
    hide = "; ".join(f"mount --bind /dev/null {each}" for each in places)
    found = examined(launcher=["unshare", "--mount", "sh", "-c", f'{hide}; exec "$@"', "hidden"])["tools"]
    assert (found["state"], found["fact"]) == ("limited", "not installed: nft")
    *manager, package = shlex.split(found["help"][0])
    assert manager in (["apt-get", "install"], ["dnf", "install"], ["zypper", "install"], ["apk", "add"], ["pacman", "-S"])
    if manager[0] == "apt-get":
        owner = subprocess.run(["dpkg", "-S", place], capture_output=True, text=True, check=True).stdout
        assert owner.split(":")[0] == package
    assert "nft" not in examined()["tools"]["fact"].removeprefix("nft, iptables")


def test_each_manager_is_asked_for_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"apk": "/sbin/apk", "nft": "/usr/sbin/nft"}
    monkeypatch.setattr(tools, "place", there.get)
    found = ruleset_tools()
    assert found.help is not None
    assert found.help.words == ("apk", "add", "iptables", "iptables-legacy")
    there.clear()
    assert ruleset_tools().help == ruleset_tools().help
    assert not getattr(ruleset_tools().help, "words", True)


def test_root_of_a_user_namespace_is_told_that_it_is_one() -> None:
    seen = Situation(first_user_namespace=False)
    assert privilege(seen, ["netprobe"]).state is State.LIMITED


def test_a_pid_namespace_without_a_container_gets_advice() -> None:
    found = processes(Situation(first_pid_namespace=False, processes=3), ["netprobe"])
    assert found.state is State.LIMITED
    assert found.help is not None
    assert not found.help.words


def test_apparmor_is_named_where_the_capability_is_there() -> None:
    found = processes(Situation(engine="docker", closed=True), ["netprobe", "ls"])
    assert found.help is not None
    assert found.help.words[-4:] == ("--security-opt", "apparmor=unconfined", "netprobe", "ls")


@pytest.mark.parametrize("width", [None, 24, 48, 80, 200])
def test_commands_are_whole_at_any_width(width: int | None) -> None:
    from netprobe.model.examination import Examination

    seen = Situation(lacking=("NET_RAW",), engine="docker")
    found = Examination((privilege(seen, ["netprobe", "doctor"]), neighbours("ipv4", Fullness(10, 512, 1024, 0))))
    text = examination(found, Terminal(width, ascii=True))
    command = " ".join(["docker run --rm", *ALL, "netprobe doctor"])
    assert [line.strip() for line in text.splitlines() if "docker" in line] == [command]
    assert text.isascii()
    assert all(len(line) <= width for line in text.splitlines() if width and "docker" not in line)


def test_the_container_is_started_as_the_readme_says() -> None:
    readme = (PROJECT / "README.md").read_text().replace("\\\n", " ")
    found = privilege(Situation(lacking=("NET_RAW",), engine="docker"), ["netprobe", "trace", "c1", "8.8.8.8"])
    assert found.help is not None
    assert " ".join(found.help.words) in " ".join(readme.split())


@pytest.mark.parametrize("name", sorted(kernel.FORBIDDING))
def test_what_keeps_a_user_from_the_demo_is_allowed_by_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {name: kernel.FORBIDDING[name]}
    monkeypatch.setattr(kernel, "_setting", lambda asked: settings.get(asked, ""))
    assert kernel.user_namespaces(0) == []
    (found,) = kernel.user_namespaces(1000)
    assert found.help is not None
    *command, setting = found.help.words
    assert command == ["sudo", "sysctl", "-w"]
    settings.update([setting.split("=")])
    assert kernel.user_namespaces(1000) == []


def test_a_kernel_without_packet_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "PACKETS", "/proc/no-such-file")
    found = kernel.kernel()
    assert (found.state, found.help and found.help.words) == (State.LIMITED, ("modprobe", "af_packet"))


def test_engines_of_rules_that_are_not_followed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ovs-system").touch()
    look = rules.FOREIGN["Open vSwitch"][1]
    monkeypatch.setattr(rules, "FOREIGN", {"Open vSwitch": (str(tmp_path / "ovs-system"), look)})
    (found,) = [each for each in rules.rules(None) if each.subject != "rules"]
    assert (found.subject, found.state, found.help) == ("Open vSwitch", State.LIMITED, look)


def test_engines_with_rules_are_counted() -> None:
    tables = (("ip", "filter"), ("inet", "firewalld"), ("inet", "lab"))
    found = Inventory(tables, (KernelChain("ip", "filter", "FORWARD", "forward", 0, "accept", "filter", (), 1),))
    assert rules.said(found, ("ip",)) == "here nft: 2 tables; iptables-nft and its kin: 1 table; iptables-legacy: 1 table"
    assert rules.said(Inventory(()), ()) == "here are none"


def test_a_module_that_is_not_loaded_is_not_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "modules").write_text("veth 45056 0 - Live 0x0\n")
    monkeypatch.setattr(rules, "MODULES", str(tmp_path / "modules"))
    monkeypatch.setattr(rules, "_built_in", lambda: b"")

    def asked() -> None:
        raise AssertionError("netlink would load it")

    monkeypatch.setattr(rules, "Nfnetlink", asked)
    assert rules.rules(None)[0].fact == "here are none" or "iptables-legacy" in rules.rules(None)[0].fact


@as_root
def test_a_folder_of_tools_may_be_named(tmp_path: Path) -> None:
    hidden = {str(Path(folder, "nft").resolve()) for folder in tools.PLACES if Path(folder, "nft").exists()}
    if not hidden:
        pytest.skip("there is no nft to take away")
    shutil.copy(next(iter(hidden)), tmp_path / "nft")
    hide = "; ".join(f"mount --bind /dev/null {each}" for each in hidden)
    launcher = ["unshare", "--mount", "sh", "-c", f'{hide}; exec "$@"', "hidden"]
    words = [*PROGRAM, "--tool-path", str(tmp_path), "doctor", "-o", "json"]
    assert examined(words, launcher=launcher)["tools"]["state"] == "ok"

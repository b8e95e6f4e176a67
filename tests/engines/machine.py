"""A machine for a container engine, made of namespaces: it shares nothing with this one but the kernel and the files of its disk.

`boot` (beside this file) builds it. It ends when its standard input closes, so nothing is left even when the tests are killed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from engines.packages import Unavailable

BOOT = Path(__file__).with_name("boot")
NAMESPACES = ("--mount", "--net", "--pid", "--cgroup", "--ipc", "--uts")
ENGINE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


class Machine:
    """One booted machine over an unpacked `root`. `run` works as a user of it would, `inside` with the engine's own file system.

    Its PID 1 lives in the namespace that netprobe calls `host`; a namespace named `internet` (198.51.100.1, 8.8.8.8) is behind eth0.
    """

    def __init__(self, root: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="netprobe-engine-"))
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by down()
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "slave", str(BOOT), str(self.folder), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,  # Ctrl-C is for the tests; the machine ends by its input
        )
        if self._pipe("stdout").readline() != b"ready\n":
            reason = self.messages()
            self.down()
            raise Unavailable(f"the machine did not boot: {reason}")
        self.pid = _child(_child(self._process.pid))
        self._engine_pid = self.run(["cat", "/run/engine.pid"]).stdout.strip()

    def run(self, command: Sequence[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
        """Run `command` on the machine with this machine's programs, in the current folder. `env` adds to the environment."""
        return self._run(["env", f"--chdir={Path.cwd()}", *map(str, command)], options)

    def inside(self, command: Sequence[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
        """Run `command` in the engine's own file system."""
        return self._run([*self._engine(), *map(str, command)], options)

    def start(self, command: str) -> None:
        """Start a shell `command` in the engine's own file system, in the background; it ends with the machine."""
        self._pipe("stdin").write(f"{shlex.join([*self._engine(), 'sh', '-c', command])} &\n".encode())
        self._pipe("stdin").flush()

    def popen(self, command: Sequence[str | Path], **options: object) -> subprocess.Popen[bytes]:
        """Like `run`, without waiting."""
        return subprocess.Popen(self._enter(["env", f"--chdir={Path.cwd()}", *map(str, command)]), **options)  # type: ignore[call-overload, no-any-return]

    def messages(self) -> str:
        """What the machine and its engine wrote to their standard error, the last lines."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace").strip()[-2000:]

    def down(self) -> None:
        """End it with every process in it. Safe to call twice."""
        self._pipe("stdin").close()
        self._process.wait(timeout=30)
        self._pipe("stdout").close()
        self.log.close()
        if self.folder.exists():
            self.folder.rmdir()

    def _pipe(self, name: str) -> IO[bytes]:
        pipe = getattr(self._process, name)
        assert pipe is not None
        return pipe  # type: ignore[no-any-return]

    def _engine(self) -> list[str]:
        enter = ["nsenter", f"--target={self._engine_pid}", "--mount", "--root", "--wd"]
        return [*enter, "/usr/bin/env", "-i", f"PATH={ENGINE_PATH}", "HOME=/root"]

    def _enter(self, command: list[str]) -> list[str]:
        """Join the machine's control group (as seen from outside), then its namespaces: entering one does not do the other."""
        group = self.folder / "cgroup" / self.folder.name / "init" / "cgroup.procs"
        join = ["nsenter", f"--target={self._process.pid}", "--mount", "sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group)]
        return [*join, "nsenter", f"--target={self.pid}", *NAMESPACES, *command]

    def _run(self, command: list[str], options: Mapping[str, object]) -> subprocess.CompletedProcess[str]:
        settings: dict[str, object] = {"capture_output": True, "text": True, "timeout": 120, "check": True} | dict(options)
        settings["env"] = os.environ | dict(settings.get("env") or {})  # type: ignore[call-overload]
        if "input" not in settings:
            settings.setdefault("stdin", subprocess.DEVNULL)
        try:
            return subprocess.run(self._enter(command), **settings)  # type: ignore[call-overload, no-any-return]
        except subprocess.CalledProcessError as error:
            error.add_note(f"{error.stdout}\n{error.stderr}")
            raise


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

"""The lines that a report prints as its fix, done as they stand there, in the shell that netprobe would be started from."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.lab.namespaces import HOST

_PATIENCE = 10.0  # seconds for one line
_WORDS_OF_TOOLS = frozenset(
    [
        "ACCEPT",
        "DROP",
        "REJECT",
        "RETURN",
        "MASQUERADE",
        "SNAT",
        "DNAT",
        "REDIRECT",
        "NOTRACK",
        "QUEUE",
        "NFQUEUE",
        "LOG",
        "MARK",
        "CONNMARK",
        "TCPMSS",
        "TTL",
        "HL",
        "CT",
        "INPUT",
        "OUTPUT",
        "FORWARD",
        "PREROUTING",
        "POSTROUTING",
        "DOCKER",
        "LOCAL",
        "ESTABLISHED",
        "RELATED",
        "NEW",
        "INVALID",
        "UNTRACKED",
        "ICMP",
        "TCP",
        "UDP",
        "SYN",
        "RST",
        "ACK",
        "FIN",
        "PID",
        "BROUTING",
    ]
)
_BLANK = re.compile(r"(?<![\w'\"-])[A-Z][A-Z_-]{2,}(?![\w])|<[a-z][\w ./-]*>")
_ENTERS = re.compile(r"\s*(?:sudo )?(?:ip\s+(?:-\S+\s+)*netns\s+exec|ip\s+(?:-\d\s+)?-n\b|nsenter|docker|podman|kubectl)\b")
_LOOKS = re.compile(r"(?:\S+ )*?(?:ss\b|ip (?:-\S+ )*\w+ (?:show|list|get)\b|bridge (?:-\S+ )*\w+ show\b|nft (?:-\S+ )*list\b"
                    r"|ip6?tables(?:-legacy)? .*-[LS]\b|conntrack -L|tcpdump|tc (?:-\S+ )*\w+ show\b|ethtool \S+$|journalctl)")  # fmt: skip
_IN = re.compile(r"#.*?\bin (?P<name>[^\s:]+)")


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line. `namespace`: where a report that does not say it in the line itself means it to be run; None: as it stands."""

    text: str
    namespace: str | None
    blank: bool
    looks: bool = False

    @property
    def is_command(self) -> bool:
        """Whether there is anything to run: advice is a comment."""
        return bool(self.text.partition("#")[0].strip())

    def run(self) -> tuple[int, str]:
        """Exit code and what was said. 124 when it did not end."""
        wrapped = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        try:
            done = subprocess.run(
                [*wrapped, "bash", "-c", self.text],
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return 124, "did not end"
        return done.returncode, (done.stderr or done.stdout).strip()


def lines(cause: Mapping[str, Any]) -> list[Line]:
    """The lines of a cause's fix. Only inside a lab."""
    commands = [command for command in cause.get("commands") or [] if command.get("words")]
    place = (cause.get("place") or {}).get("namespace")
    found = []
    for number, text in enumerate(cause.get("fix") or []):
        command = commands[number] if number < len(commands) else {}
        blanks = command.get("blanks")
        blank = bool(blanks) if blanks is not None else _has_blank(text)
        looks = bool(command.get("looks")) or _LOOKS.match(text) is not None
        found.append(Line(text, _where(text, command, place), blank, looks))
    return found


def _where(text: str, command: Mapping[str, Any], place: str | None) -> str | None:
    """The namespace that a line is meant for, where the line itself does not enter it.

    A report that has `enter` beside a command says that its lines run as they stand, unless it is null.
    """
    if command.get("enter") is not None or _ENTERS.match(text) or not text.partition("#")[0].strip():
        return None
    said = _IN.search(text)
    name = command.get("namespace") or (shlex.split(said["name"])[0] if said else place)
    return None if name in (None, HOST) else name


def _has_blank(text: str) -> bool:
    words = _BLANK.findall(text.partition("#")[0])
    return any(word.startswith("<") or word not in _WORDS_OF_TOOLS for word in words)


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of a fix: "none", "open" (a word is left to the reader, or there is only advice), "looks", "refused", or "done"."""

    outcome: str
    said: tuple[str, ...] = ()
    wrapped: bool = False


def follow(cause: Mapping[str, Any]) -> Repair:
    """Run the fix of a cause line by line. Nothing is run of one that has blanks."""
    printed = lines(cause)
    commands = [line for line in printed if line.is_command]
    if not printed:
        return Repair("none")
    if any(line.blank for line in printed):
        return Repair("open", tuple(line.text for line in printed))
    if all(line.looks for line in commands):
        return Repair("looks" if any(line.looks for line in printed) else "open", tuple(line.text for line in printed))
    said, wrapped = [], any(line.namespace for line in commands)
    for line in commands:
        code, words = line.run()
        said.append(line.text + (f"   (in {line.namespace})" if line.namespace else "") + (f" -> {code} {words}" if code else ""))
        if code:
            return Repair("refused", tuple(said), wrapped)
    return Repair("done", tuple(said), wrapped)

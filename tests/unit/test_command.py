"""Commands for people: whatever a name holds, a shell reads the words that were meant, and no shell runs anything else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe import codec
from netprobe.model import Blank, Cause, Command, Place, Report, Stage, Stop
from netprobe.model.command import joined, line, quoted
from netprobe.render.escape import ascii_only, safe

NASTY = (
    *("", " ", "a b", "a'b", 'a"b', "$(id)", "`id`", "e;id>pwn", "a&&id", "|id", "-x", "--help", "#", "#x", "~", "~root", "=ls", "a=b"),
    *("!", "!x", "a!!b", "^a^b", "*", "?", "[a]", "{a,b}", "a\\", "\\", "\\'; id; '", "'\\''; id; '", "%1", "@(a)", "\n", "a\nid", "\t"),
    *("\x1b[31m", "\x07", "\x7f", "\u202e;id", "\u200b", "\xa0", "\u2028", "\udc80", "\udcff", "a\udcfe", "größe", "漢字", "א;id"),
    *("e\u0301", "\u3164", "\u2800", "🐍", "$'a'", '$"a"', "\\x41", "\\u202e"),
)
WORDS = st.one_of(
    st.sampled_from(NASTY),
    st.binary(max_size=12).map(lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8),
    st.text("ab-_ \n\t\x1b'\"\\$`!#~=;&|<>(){}[]*?%^@", max_size=12),
)
LINES = st.lists(WORDS, max_size=40)


def read_by(shell: list[str], words: list[str], ascii: bool = False) -> list[bytes]:
    """The words that a shell makes of the line, as a program gets them."""
    done = subprocess.run([*shell, "-c", "printf '%s\\0' x " + joined(words, ascii)], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.split(b"\0")[1:-1]


def fsencoded(words: list[str]) -> list[bytes]:
    return [os.fsencode(word) for word in words]


def test_nasty_words_are_read_back_as_they_are() -> None:
    assert read_by(["bash"], list(NASTY)) == fsencoded(list(NASTY))


@given(LINES, st.booleans())
@settings(max_examples=100, deadline=None)
def test_bash_reads_every_word_back(words: list[str], ascii: bool) -> None:
    assert read_by(["bash"], words, ascii) == fsencoded(words)


@given(LINES)
@settings(max_examples=100, deadline=None)
def test_a_shell_that_knows_less_reads_as_many_words_and_runs_nothing(words: list[str]) -> None:
    """POSIX sh before 2024 has no $'...': a strange word is another word there, but it is one."""
    read = read_by(["dash"] if shutil.which("dash") else ["sh"], words)
    assert len(read) == len(words)
    plain = [at for at, word in enumerate(words) if not quoted(word).startswith("$")]
    assert [read[at] for at in plain] == [os.fsencode(words[at]) for at in plain]


def test_history_is_not_expanded_where_a_person_types() -> None:
    words = ["!!", "a!!b", "!x", "^a^b", "!$", '"!!"', "\\!!", "!=", "oif != eth0"]
    typed = f"echo first\nprintf '%s\\0' {joined(words)}\n"
    shell = ["bash", "--norc", "--noprofile", "-i"]
    done = subprocess.run(shell, input=typed.encode(), capture_output=True, check=True, env={"PATH": os.environ["PATH"], "HISTFILE": ""})
    assert done.stdout == b"first\n" + b"".join(word + b"\0" for word in fsencoded(words))


@given(LINES)
def test_a_line_is_one_line_and_shown_as_it_is(words: list[str]) -> None:
    """What a terminal shows is what is pasted: the escaping of names has nothing left to do."""
    written, plain = joined(words), joined(words, ascii=True)
    assert written.isprintable()
    assert safe(written) == written
    assert ascii_only(safe(plain)) == plain


@given(WORDS)
def test_json_carries_a_line_as_it_is(word: str) -> None:
    """The codec writes backslashes that look like its own escapes in another way; a line has none of these."""
    cause = Cause("unknown", Place("red", None, Stage.ROUTE), "", commands=(Command.of("echo", word),))
    data = codec.report_to_json(report(cause))
    assert json.loads(data)["causes"][0]["fix"] == [joined(("echo", word))]
    assert codec.report_from_json(data).causes == (cause,)


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("eth0", "eth0"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("net.ipv4.ip_forward=1", "net.ipv4.ip_forward=1"),
        ("größe", "'größe'"),
        ("{ policy accept; }", "'{ policy accept; }'"),
        ("a'b", "'a'\"'\"'b'"),
        ("e\x1bz", "$'e\\033z'"),
        ("", "''"),
        ("!=", "'!='"),
        ("ip saddr != 10.0.0.0/8", "'ip saddr != 10.0.0.0/8'"),
        ("!!=", "$'\\041\\041\\075'"),
    ],
)
def test_what_needs_no_quotes_has_none(word: str, written: str) -> None:
    assert quoted(word) == written


def test_half_a_surrogate_pair_is_written_somehow() -> None:
    """JSON can hold what no file name can."""
    assert quoted("\ud800") == "$'\\355\\240\\200'"


@given(st.one_of(st.none(), WORDS), st.sampled_from(["", "who holds the ports?"]))
def test_where_to_run_it_cannot_leave_the_comment(namespace: str | None, note: str) -> None:
    written = line(Command.of("true", namespace=namespace, note=note))
    assert written.isprintable()
    command, _, comment = written.partition("   # ")
    assert command == "true"
    if namespace is not None:
        assert read_by(["bash"], [namespace]) == [os.fsencode(namespace)]
        assert comment == f"in {quoted(namespace)}" + (f": {note}" if note else "")


def test_where_the_reader_is_needs_not_be_said() -> None:
    assert line(Command.of("true", namespace="red"), "red") == "true"
    assert line(Command.of("true", namespace="red"), "blue") == "true   # in red"


def test_a_blank_is_no_name() -> None:
    blank = Command.of("ip", "link", "set", "dev", "BRIDGE", "master", Blank("BRIDGE"))
    assert blank.blanks == (6,)
    assert blank.filled("BRIDGE", "br0").words == ("ip", "link", "set", "dev", "BRIDGE", "master", "br0")
    assert not blank.filled("BRIDGE", "BRIDGE").lacks("BRIDGE")
    assert Command.of("ip", Blank("LENGTH", "10.0.0.1/")).filled("LENGTH", "24").words == ("ip", "10.0.0.1/24")
    assert not Command.of("ip", "BRIDGE").lacks("BRIDGE")


def report(*causes: Cause) -> Report:
    made = {"command": "trace", "summary": "", "verdict": "unreachable",
            "probe": {"protocol": "icmp", "token": "t", "source": {"endpoint": "red"}, "destination": {"endpoint": "8.8.8.8"}}}  # fmt: skip
    return msgspec.structs.replace(msgspec.convert(made, Report), causes=causes)


@pytest.mark.parametrize("kind", [Stop, Cause])
def test_the_lines_follow_from_the_commands(kind: type[Stop] | type[Cause]) -> None:
    commands = (Command.of("ip", "link", "set", "dev", "e;id>pwn", "up", namespace="red"), Command.advice("and wait"))
    made = kind("unknown", Place("red", None, Stage.ROUTE), "", commands=commands, fix=("rm -rf /",))
    assert made.fix == ("ip link set dev 'e;id>pwn' up", "# and wait")
    assert (made.commands, made.advice) == (commands[:1], "and wait")
    assert msgspec.structs.replace(made, code="no-route") == msgspec.structs.replace(made, code="no-route", fix=())


def test_json_has_the_words_beside_the_lines() -> None:
    place = Place("red", None, Stage.ROUTE)
    made = Cause("unknown", place, "", commands=(Command.of("ip", "link", "set", "dev", "$(id)", "up", namespace="c\n1"),))
    said = json.loads(codec.report_to_json(report(made)))["causes"][0]
    assert said["fix"] == ["ip link set dev '$(id)' up   # in $'c\\0121'"]
    assert said["commands"] == [
        {
            "namespace": "c\n1",
            "words": ["ip", "link", "set", "dev", "$(id)", "up"],
            "note": "",
            "blanks": [],
            "enter": None,
            "looks": False,
        },
    ]


def fix_of(*commands: Command) -> tuple[str, ...]:
    return Cause("unknown", Place("red", None, Stage.ROUTE), "", commands=commands).fix


def entered(*words: str | Blank, by: tuple[str, ...], note: str = "") -> Command:
    return msgspec.structs.replace(Command.of(*words, namespace="red", note=note), enter=by)


def test_how_a_namespace_is_entered_stands_before_the_command() -> None:
    assert fix_of(entered("ip", "link", by=("ip", "netns", "exec", "a b"), note="so it is")) == (
        "ip netns exec 'a b' ip link   # so it is",
    )
    assert fix_of(entered("ip", "link", by=("nsenter", "-t", "7", "-n"))) == ("nsenter -t 7 -n ip link",)
    assert fix_of(entered("ip", "link", by=())) == ("ip link",)


def test_a_fix_that_lacks_a_word_has_no_line_to_paste() -> None:
    """The address would be deleted, and nothing be added in its place."""
    added = entered("ip", "address", "add", Blank("RIGHT-LENGTH", "10.0.0.2/"), "dev", "LENGTH", by=("nsenter", "-t", "7", "-n"))
    deleted = entered("ip", "address", "del", "10.0.0.2/32", "dev", "LENGTH", by=("nsenter", "-t", "7", "-n"))
    assert fix_of(added, deleted) == (
        "# fill in RIGHT-LENGTH: nsenter -t 7 -n ip address add 10.0.0.2/RIGHT-LENGTH dev LENGTH",
        "# and: nsenter -t 7 -n ip address del 10.0.0.2/32 dev LENGTH",
    )
    assert fix_of(deleted, added)[0] == "# first: nsenter -t 7 -n ip address del 10.0.0.2/32 dev LENGTH"
    whole = added.filled("RIGHT-LENGTH", "24")
    assert fix_of(whole, deleted)[1] == "nsenter -t 7 -n ip address del 10.0.0.2/32 dev LENGTH"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((Blank("NETWORK/LENGTH"), "via", Blank("GATEWAY")), "NETWORK/LENGTH and GATEWAY"),
        ((Blank("CONTAINER:PORT"), Blank("CONTAINER:PORT")), "CONTAINER:PORT"),
        ((Blank("LENGTH", "fd00::a/"), Blank("RIGHT-ADDRESS/16"), "BRIDGE"), "LENGTH and RIGHT-ADDRESS"),
    ],
)
def test_what_is_to_be_filled_in_is_said(words: tuple[str | Blank, ...], asked: str) -> None:
    assert Command.of("ip", *words).asked() == tuple(asked.split(" and "))


def test_a_command_that_only_looks_is_no_fix() -> None:
    look = Command.look("ss", "-lntp", note="who listens?")
    assert fix_of(look) == ("# look: ss -lntp   # who listens?",)
    assert fix_of(Command.of("true"), msgspec.structs.replace(look, blanks=(1,)))[0] == "true"


@pytest.mark.parametrize("blanks", [(7,), (-1,), (0, 9)])
def test_a_saved_report_may_speak_of_words_that_are_not_there(blanks: tuple[int, ...]) -> None:
    assert fix_of(Command(("true",), blanks=blanks)) == ("# fill in what is missing: true",)


@given(st.lists(WORDS, min_size=1, max_size=5), LINES)
@settings(max_examples=50, deadline=None)
def test_the_words_before_a_command_are_quoted_as_well(by: list[str], words: list[str]) -> None:
    [written] = fix_of(entered(*words, "x", by=tuple(by)))
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' x {written}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[1:-1] == fsencoded([*by, *words, "x"])


def test_a_report_that_was_saved_before_commands_had_words_is_still_read() -> None:
    old = json.loads(codec.report_to_json(report(Cause("unknown", Place("red", None, Stage.ROUTE), "", fix=("ip link set eth0 up",)))))
    for key in ("commands", "advice"):
        del old["causes"][0][key]
    read = codec.report_from_json(json.dumps(old).encode())
    assert (read.causes[0].fix, read.causes[0].commands) == (("ip link set eth0 up",), ())


SSH = ("ssh", "-F", "/a b/config", "-p", "22", "h1")
# joins what stands behind the host with blanks and has a shell read it, as ssh(1) does
PRETENDED_SSH = 'ssh() { while [ "${1#-}" != "$1" ]; do shift 2; done; shift; SHELL_THERE -c "$*"; }\n'


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program that prints its words."""
    path = tmp_path_factory.mktemp("words") / "words"
    path.write_text("#!/bin/sh\nprintf '%s\\0' x \"$@\"\n")
    path.chmod(0o755)
    return str(path)


def read_there(shell: str, program: str, words: list[str], ascii: bool = False) -> list[bytes]:
    """The words that a program on a host gets of a line that is pasted into a shell here."""
    pasted = line(Command((program, *words), enter=(*SSH, "env", "LC_ALL=C")), ascii=ascii)
    text = PRETENDED_SSH.replace("SHELL_THERE", shell) + pasted
    done = subprocess.run([shell, "-c", text], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.split(b"\0")[1:-1]


def test_what_stands_behind_ssh_is_read_by_two_shells(program: str) -> None:
    assert read_there("bash", program, list(NASTY)) == fsencoded(list(NASTY))


@given(LINES, st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_word_comes_through_two_shells(program: str, words: list[str], ascii: bool) -> None:
    assert read_there("bash", program, words, ascii) == fsencoded(words)


@given(LINES)
@settings(max_examples=60, deadline=None)
def test_two_shells_that_know_less_read_as_many_words_and_run_nothing(program: str, words: list[str]) -> None:
    read = read_there("dash" if shutil.which("dash") else "sh", program, words)
    assert len(read) == len(words)
    plain = [at for at, word in enumerate(words) if not quoted(quoted(word)).startswith("$") and not quoted(word).startswith("$")]
    assert [read[at] for at in plain] == [os.fsencode(words[at]) for at in plain]


def test_plain_words_behind_ssh_are_written_as_they_are() -> None:
    enter = ("ssh", "h1", "ip", "netns", "exec", "red")
    assert line(Command(("ip", "link", "set", "dev", "eth0", "up"), enter=enter)) == "ssh h1 ip netns exec red ip link set dev eth0 up"
    assert line(Command(("ip", "link"), enter=("ssh",))) == "ssh ip link"

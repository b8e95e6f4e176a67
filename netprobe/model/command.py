"""Commands that are offered to a person, as words; and the one place where they become a line for a shell.

A name may hold whatever the kernel allows: `;`, quotes, `$(id)`, escape sequences, bytes that are no UTF-8.
It stays one word, in every shell that a line may be pasted into, and a line stays one line. What stands
behind `ssh HOST` is read by a second shell, on that host, and is quoted for both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat, takewhile

from msgspec import Struct
from msgspec.structs import replace

from .pattern import pattern

_CAPITALS = pattern(r"[A-Z]{2,}(?:[:/-][A-Z]{2,})*")


class Blank(Struct, frozen=True, gc=False):
    """A word that the reader must fill in:

    BRIDGE. `before` stands in front of it in the same word: "10.0.0.2/".
    """

    name: str
    before: str = ""

    def __str__(self) -> str:
        return self.before + self.name


class Command(Struct, frozen=True, gc=False):
    """One command. `words[0]` is the tool; `blanks` are the places of the words that the reader must fill in.

    `namespace` is where it is to be run; None is the place of the cause that it mends. `enter` are the words
    before it that run it there, from the shell that netprobe was started from; none are needed there, and
    None says that they are not known. `looks`: it shows what a person should know, and mends nothing. `note`
    is a remark behind it, a fixed text of ours: never made of a name. A command without words is advice: what
    `note` says.
    """

    words: tuple[str, ...]
    namespace: str | None = None
    note: str = ""
    blanks: tuple[int, ...] = ()
    enter: tuple[str, ...] | None = None
    looks: bool = False

    @staticmethod
    def of(*words: str | Blank, namespace: str | None = None, note: str = "") -> Command:
        """The command of these words, some of them blank."""
        blanks = tuple(at for at, word in enumerate(words) if isinstance(word, Blank))
        return Command(tuple(map(str, words)), namespace, note, blanks)

    @staticmethod
    def look(*words: str | Blank, namespace: str | None = None, note: str = "") -> Command:
        """A command that shows something, and mends nothing."""
        return replace(Command.of(*words, namespace=namespace, note=note), looks=True)

    @staticmethod
    def advice(text: str) -> Command:
        """What no command does, in words of ours."""
        return Command((), note=text)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of what it mends is left for the reader to fill in."""
        return self.looks or not self.blanks

    def asked(self) -> tuple[str, ...]:
        """What the reader must fill in, each once: LENGTH of "10.0.0.2/LENGTH"."""
        # a saved report may say anything
        blank = [self.words[at] for at in self.blanks if 0 <= at < len(self.words)]
        names = (_CAPITALS.findall(word)[-1:] for word in blank)
        return tuple(dict.fromkeys(chain.from_iterable(names)))

    def lacks(self, name: str) -> bool:
        """Whether the reader must fill in `name`."""
        return bool(self._blanks_of(name))

    def filled(self, name: str, value: str) -> Command:
        """This command with `value` where the reader would fill in `name`."""
        filled = {at: self.words[at].removesuffix(name) + value for at in self._blanks_of(name)}
        words = tuple(filled.get(at, word) for at, word in enumerate(self.words))
        return replace(self, words=words, blanks=tuple(at for at in self.blanks if at not in filled))

    def _blanks_of(self, name: str) -> list[int]:
        return [at for at in self.blanks if self.words[at].endswith(name)]


def words_of(commands: Iterable[Command]) -> Iterator[str]:
    """All words of several commands, in their order."""
    return chain.from_iterable(command.words for command in commands)


def inside(namespace: str | None, commands: Iterable[Command]) -> tuple[Command, ...]:
    """The commands, each to be run in this namespace."""
    return tuple(replace(each, namespace=namespace) for each in commands)


class Line(Struct, frozen=True, gc=False):
    """A command as it is shown on one line: what is typed, and the comment behind it.

    `runs`: pasted, it does what it says. Else `typed` is a comment to the shell as well.
    """

    typed: str
    remark: str
    runs: bool

    def __str__(self) -> str:
        return f"{self.typed}   # {self.remark}" if self.remark else self.typed


def lines(commands: Sequence[Command], here: str | None = None, ascii: bool = False) -> tuple[Line, ...]:
    """The commands of one fix, a line each, in their order.

    Where a word of one is for the reader to fill in, none of them can be run as it stands: half a fix may
    break more than it mends. Where to run a command stands before it; where that is not known, it is a
    comment behind, unless it is `here`. `ascii` writes names without any character beyond ASCII.
    """
    whole = all(command.is_whole for command in commands)
    beside = repeat("") if whole else chain(("# first: ",), repeat("# and: "))
    return tuple(_line(command, here, ascii, word) for command, word in zip(commands, beside, strict=False))


def line(command: Command, here: str | None = None, ascii: bool = False) -> str:
    """The command alone, as `lines` shows it."""
    return str(lines((command,), here, ascii)[0])


def _line(command: Command, here: str | None, ascii: bool, beside: str) -> Line:
    """`beside`: what makes a comment of one beside another that cannot be run."""
    before = _before(command) or beside
    way, inner = way_of(command.enter or ())
    words: Iterable[str] = (*inner, *command.words)
    words = map(partial(_for_there, ascii=ascii), words) if way else words
    typed = joined((*way, *words), ascii)
    return Line(before + typed, _remark(command, here, ascii), not before)


def _before(command: Command) -> str:
    """What makes a comment of a command that is not to be run as it stands; "" for one that is."""
    if command.looks:
        return "# look: "
    if command.blanks:
        return f"# fill in {' and '.join(command.asked()) or 'what is missing'}: "
    return ""


def _remark(command: Command, here: str | None, ascii: bool) -> str:
    """The comment behind a command: where to run it, unless that is said or is `here`; and its note."""
    name = command.namespace if command.enter is None else None
    where = f"in {quoted(name, ascii)}" if name is not None and name != here else ""
    note = " ".join(command.note.split())
    return ": ".join(filter(None, (where, note)))


def way_of(enter: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words before a command, taken apart: `ssh`, its options and the host, none where it is this
    machine; and those that are read on the host. Each option has a value: so hosts are reached here.
    """
    is_far = enter[:1] == ("ssh",)
    options = list(takewhile(_is_option, enter[1::2]))
    end = is_far * (2 + 2 * len(options))
    return enter[:end], enter[end:]


def _is_option(word: str) -> bool:
    return word.startswith("-")


def _for_there(word: str, ascii: bool) -> str:
    """A word that a shell on a host reads after the one that the line is pasted into: ssh(1) joins such words
    with blanks, and one that a shell here does not know to be quoted would part the word there.
    """
    return _BY_NUMBERS.sub(_without_blanks, quoted(word, ascii))


_BY_NUMBERS = pattern(r"\$'.*'")


def _without_blanks(quoted_word: re.Match[str]) -> str:
    return quoted_word[0].replace(" ", r"\040")


def joined(words: Iterable[str], ascii: bool = False) -> str:
    """The words as one line, from which a shell reads the same words again."""
    return " ".join(quoted(word, ascii) for word in words)


_PLAIN = pattern(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+:,./=-]*")


def quoted(word: str, ascii: bool = False) -> str:
    """One word for a shell: bare, in single quotes, or as `$'...'` where not every character shows.

    `$'...'` is known to bash, zsh and ksh, and to POSIX since 2024. A backslash and `!` are written so as
    well: fish and csh read them inside of single quotes. No quote is in it, so that a shell that does not
    know it reads some other word, but never a command.
    """
    rest = word.replace("!=", "")  # before `=`, or alone, `!` is no history to any shell
    if _PLAIN.fullmatch(word) or word == "!":
        return word
    if all(map(_shows, rest)) and (word.isascii() or not ascii):
        return "'" + word.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join(map(_by_number, word)) + "'"


_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters without a shape: Hangul fillers
_LETTERS = {("Ll", "L"), ("Lu", "L"), ("Lt", "L"), ("Lo", "L")}  # category and direction: left to right


def _shows(char: str) -> bool:
    """Whether a character has a shape of its own and stays where it is written:

    ASCII, or a letter from left to right.
    """
    if char.isascii():
        return char.isprintable() and char not in "\\!"
    from unicodedata import bidirectional, category

    return (category(char), bidirectional(char)) in _LETTERS and char not in _FILLERS


def _by_number(char: str) -> str:
    """A character inside of `$'...'`: plain, or its bytes in octal; `\\xff` is how our JSON spells a byte
    that is no UTF-8.
    """
    if _PLAIN.fullmatch(char) or char == " ":
        return char
    return "".join(f"\\{byte:03o}" for byte in _bytes(char))


def _bytes(char: str) -> bytes:
    """The bytes of a character; a byte that is no UTF-8 comes as PEP 383 carries it."""
    return char.encode(errors="surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass")

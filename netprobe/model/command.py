"""Commands that are offered to a person, as words; and the one place where they become a line for a shell.

A name may hold whatever the kernel allows: `;`, quotes, `$(id)`, escape sequences, bytes that are no UTF-8.
It stays one word, in every shell that a line may be pasted into, and a line stays one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace


class Blank(Struct, frozen=True):
    """A word that the reader must fill in:

    BRIDGE. `before` stands in front of it in the same word: "10.0.0.2/".
    """

    name: str
    before: str = ""


class Command(Struct, frozen=True):
    """One command. `words[0]` is the tool; `blanks` are the places of the words that the reader must fill in.

    `namespace` is where it is to be run; None is the place of the cause that it mends. `note` is a remark
    behind it, a fixed text of ours: never made of a name. A command without words is advice: what `note`
    says.
    """

    words: tuple[str, ...]
    namespace: str | None = None
    note: str = ""
    blanks: tuple[int, ...] = ()

    @staticmethod
    def of(*words: str | Blank, namespace: str | None = None, note: str = "") -> Command:
        """The command of these words, some of them blank."""
        told = tuple(word.before + word.name if isinstance(word, Blank) else word for word in words)
        blanks = tuple(at for at, word in enumerate(words) if isinstance(word, Blank))
        return Command(told, namespace, note, blanks)

    @staticmethod
    def advice(text: str) -> Command:
        """What no command does, in words of ours."""
        return Command((), note=text)

    def lacks(self, name: str) -> bool:
        """Whether the reader must fill in `name`."""
        return any(self.words[at].endswith(name) for at in self.blanks)

    def filled(self, name: str, value: str) -> Command:
        """This command with `value` where the reader would fill in `name`."""
        meant = [at for at in self.blanks if self.words[at].endswith(name)]
        words = tuple(
            word.removesuffix(name) + value if at in meant else word for at, word in enumerate(self.words)
        )
        return replace(self, words=words, blanks=tuple(at for at in self.blanks if at not in meant))


def line(command: Command, here: str | None = None, ascii: bool = False) -> str:
    """The command as it is pasted into a shell. Where to run it is a comment, unless that is `here`.

    `ascii` writes names without any character beyond ASCII.
    """
    return "   # ".join(part for part in (joined(command.words, ascii), remark(command, here, ascii)) if part)


def remark(command: Command, here: str | None = None, ascii: bool = False) -> str:
    """The comment behind a command, on the same line: where to run it, unless that is `here`, and its
    note.
    """
    name = command.namespace
    where = f"in {quoted(name, ascii)}" if name is not None and name != here else ""
    return ": ".join(part for part in (where, " ".join(command.note.split())) if part)


def joined(words: Iterable[str], ascii: bool = False) -> str:
    """The words as one line, from which a shell reads the same words again."""
    return " ".join(quoted(word, ascii) for word in words)


_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+:,./=-]*")


def quoted(word: str, ascii: bool = False) -> str:
    """One word for a shell: bare, in single quotes, or as `$'...'` where not every character shows.

    `$'...'` is known to bash, zsh and ksh, and to POSIX since 2024. A backslash and `!` are written so as
    well: fish and csh read them inside of single quotes. No quote is in it, so that a shell that does not
    know it reads some other word, but never a command.
    """
    if _PLAIN.fullmatch(word):
        return word
    if all(map(_shows, word)) and (word.isascii() or not ascii):
        return "'" + word.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join(map(_by_number, word)) + "'"


_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters without a shape: Hangul fillers


def _shows(char: str) -> bool:
    """Whether a character has a shape of its own and stays where it is written:

    ASCII, or a letter from left to right.
    """
    if char.isascii():
        return char.isprintable() and char not in "\\!"
    from unicodedata import bidirectional, category

    return category(char) in ("Ll", "Lu", "Lt", "Lo") and bidirectional(char) == "L" and char not in _FILLERS


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

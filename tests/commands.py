"""Commands as tests write them: a line of words, perhaps with the namespace to run it in behind it."""

from __future__ import annotations

import re
import shlex

from netprobe.model import Blank, Command

# What a reader must fill in, and what stands before it in the same word.
BLANK = re.compile(r"(.*?)((?:RIGHT-)?(?:ADDRESS/)?LENGTH|ADDRESS|BRIDGE|GATEWAY|REMOTE|INTERFACE)")


def typed(line: str) -> Command:
    """The command of a line such as "ip link set dev eth0 up   # in red"; words in capitals are blanks."""
    words, _, namespace = line.partition("   # in ")
    return Command.of(*map(_word, shlex.split(words)), namespace=namespace or None)


def _word(word: str) -> str | Blank:
    found = BLANK.fullmatch(word)
    return Blank(found[2], found[1]) if found else word

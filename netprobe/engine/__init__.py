"""The line, `resolve -> snapshot -> predict -> observe -> diagnose`, and its loops.

`line` is the line. `probe` makes a probe of the question, `rounds` reads what the walk asks for, `conclude`
makes the report, `confirm` looks once more before a loss is believed. What they ask of a machine is `world`.
"""

from .line import READING_NS, ask, replay
from .world import Recall, World

__all__ = ["READING_NS", "Recall", "World", "ask", "replay"]

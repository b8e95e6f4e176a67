"""The rules of all engines, evaluated for one packet at one hook. Pure: values in, a ruling out."""

from .hook import traverse
from .packet import FibAnswer, FibQuery, Fragment, HookPacket, Surroundings, entry_of
from .ruling import Decision, Doubt, HookVerdict, Reason, Rejection, Ruling, Translation
from .schedule import tracks, translates

__all__ = [
    "Decision",
    "Doubt",
    "FibAnswer",
    "FibQuery",
    "Fragment",
    "HookPacket",
    "HookVerdict",
    "Reason",
    "Rejection",
    "Ruling",
    "Surroundings",
    "Translation",
    "entry_of",
    "tracks",
    "translates",
    "traverse",
]

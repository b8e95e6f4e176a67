"""The rules of all engines, evaluated for one packet at one hook. Pure: values in, a ruling out."""

from .hook import traverse
from .packet import FibAnswer, FibQuery, Fragment, Packet, Surroundings, entry_of
from .ruling import Decision, Doubt, Reason, Rejection, Ruling, Translation, Verdict
from .schedule import tracks, translates

__all__ = [
    "Decision",
    "Doubt",
    "FibAnswer",
    "FibQuery",
    "Fragment",
    "Packet",
    "Reason",
    "Rejection",
    "Ruling",
    "Surroundings",
    "Translation",
    "Verdict",
    "entry_of",
    "tracks",
    "translates",
    "traverse",
]

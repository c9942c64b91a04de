"""What values mean, in words for people."""

from __future__ import annotations

from lmr.jobs.link.turned import Turned
from lmr.method.photos.turned import MIRRORED, degrees
from lmr.method.spanning.bridges import Bridge


def how_it_lies(turn: int) -> str:
    """What was done to a photo (see Image.turn)."""
    lies = {0: "is mirrored", 1: "lies on its side", 2: "is upside down", 3: "lies on its side"}[turn % 4]
    done = (["mirrored"] if turn >= MIRRORED else []) + ([f"turned by {degrees(turn)}°"] if turn % 4 else [])
    return f"{lies}: searched {' and '.join(done)}"


def why_turned(one: Turned) -> str:
    """What was done to an image that lies on its side, and what people can do about it."""
    lies = how_it_lies(one.turn // 90 + MIRRORED * one.mirrored).partition(":")[0]
    done = (["mirrored"] if one.mirrored else []) + ([f"turned by {one.turn}° clockwise"] if one.turn else [])
    advice = "mend its orientation with your photo tool, or say with `lmr turn` how it is"
    return f"{lies}: {' and '.join(done)} to match; {advice}"


_TAKES_NO_PART = {
    "weak": "chance explains it too well",
    "doubted": "all else that is known of both photos says that they show different places",
    "look-alike": "it shows a part that both places have alike, and lacks what else is known of them",
    "rejected": "a person rejected it",
    "in place": "what agrees keeps its place in the frame, as a stamp or a logo does",
    "border": "what agrees lies along the border",
    "shared mark": "the same mark lies on unrelated photos",
}


def how_it_matches(matches: int, inliers: int, log_nfa: float, excluded: str | None) -> str:
    """The measures of a match; log_nfa: -log10 of the number of false alarms."""
    told = f"{inliers} of {matches} putative matches agree in one map between the photos (inliers)"
    if log_nfa > 0:
        told += f"; chance alone would give such an agreement about once in {_power(log_nfa)} comparisons"
    if excluded is None:
        return f"{told}."
    return f"{told}. It takes no part: {_TAKES_NO_PART.get(excluded, excluded)}."


def _power(log_nfa: float) -> str:
    return f"{round(10**log_nfa):,}" if log_nfa < 6 else f"10 to the power of {log_nfa:.0f}"


def _counted(matches: int) -> str:
    return f"{matches} matches agree" if matches > 1 else "one match agrees"


def why_doubted(bridge: Bridge) -> str:
    """Why a match is worth a look."""
    small, large = bridge.sizes
    told = f"{bridge.inliers} inliers"
    if bridge.metres is not None:
        told = f"taken {bridge.metres / 1000:,.{0 if bridge.metres >= 20_000 else 1}f} km apart; {told}"
    if bridge.alike:
        told += (
            f"; {small} and {large} photos are told apart as look-alikes, though {_counted(bridge.alike)}: confirm it"
        )
        told += " if it is one place, reject it if not"
    elif small:
        told += f" alone hold {small} photo{'' if small == 1 else 's'} and {large} together"
    if bridge.differ:
        told += f"; labelled {bridge.landmarks[0]} on one side, {bridge.landmarks[1]} on the other"
    if bridge.mark:
        told += "; it is small and only moved, as a mark is that was laid over both"
    return told

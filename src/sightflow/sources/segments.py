"""Segments of what has frames: where each frame comes from."""

from dataclasses import replace

from sightflow.records import Claim, Origin

__all__ = ["frame_origins"]


def frame_origins(claim: Claim) -> list[Origin]:
    """Return where each frame of a segment comes from."""
    first = claim.origin
    return [
        replace(first, sequence=n, event_time_ms=time_ms, name=f"{first.name}/{n:08d}")
        for n, _, time_ms in claim.frames
    ] or [first]

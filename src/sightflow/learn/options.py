"""The options of a test in a checkpoint, which those of a restart must be."""

from dataclasses import replace
from typing import TYPE_CHECKING

from sightflow.errors import JobError

if TYPE_CHECKING:
    from sightflow.learn.evaluate import Evaluate
    from sightflow.learn.evaluate_objects import EvaluateObjects

__all__ = ["check_same", "options_of"]


def options_of(how: "Evaluate | EvaluateObjects") -> str:
    """Return all options but the labels, as Python writes them."""
    return repr(replace(how, labels=()))


def check_same(
    step: str, kept: tuple[tuple[str, ...], str], how: "Evaluate | EvaluateObjects"
) -> None:
    """Raise `JobError` unless a checkpoint has these labels and options.

    Args:
        step: name of the step.
        kept: the labels and the other options in the checkpoint.
        how: those that are to be.
    """
    here = how.labels, options_of(how)
    if kept != here:
        raise JobError(
            f"step {step!r}: the checkpoint has a test with {kept[1]}, {len(kept[0])} labels; this "
            f"one is with {here[1]}, {len(here[0])} labels; keep its options, or start the run anew"
        )

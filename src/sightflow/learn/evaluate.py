"""Test classifications on the stream: each image is a test before anybody has learned from it."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from sightflow.errors import PipelineError
from sightflow.learn.evaluation import Evaluation
from sightflow.learn.watch import Drift
from sightflow.options import check_count
from sightflow.protocols import Context, SourceFacts

__all__ = ["Evaluate"]


@dataclass(frozen=True)
class Evaluate:
    """Hold what an earlier step has classified against the labels of the images.

    Images pass unchanged. Those that are held out are tested apart: an uninterrupted run of them is
    one test. Events tell the result:

    - `evaluated`: the figures so far, and those of the window; `tested`: the figures of one test;
    - `drifted`: a watched value has changed;
    - at the end, of all images (`held_out` 0) and of the last test (`held_out` 1): `scored` for
      each class, `confused` for each pair of right class and best class, `calibrated` for each
      range of scores, and `mistaken` for each of the worst mistakes.
    """

    labels: tuple[str, ...] = ()
    """The classes; images with another label are counted and not tested. Empty: those that the
    source lists."""
    window: int | None = 1_000
    """Images in the sliding window; None: `window_ms` alone bounds it, and 100 000."""
    window_ms: int | None = None
    """Event time that the sliding window spans."""
    every: int = 500
    """Labelled images between events of the kind `evaluated`."""
    top_k: int = 5
    """How many of the best classes may hold the right one, for `top_k_accuracy`."""
    drift: Drift | None = field(default_factory=Drift)
    """What is watched for changes; None: nothing."""
    n_mistakes: int = 50
    """How many mistakes are told: those with the highest scores."""

    gives: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ("classification",)
    word_options: ClassVar[tuple[str, ...]] = ("labels",)

    @property
    def preparation(self) -> None:
        """Nothing works before it."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Arrays of a record whose drift is watched."""
        return () if self.drift is None else self.drift.takes

    def check(self) -> None:
        """Refuse a test that cannot work."""
        check_count(self, "every", "top_k", "window", "window_ms", at_least=1)
        check_count(self, "n_mistakes")
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels):
            raise PipelineError(
                f"Evaluate: `labels` are two or more different words; got {list(self.labels)}"
            )

    @property
    def lacks_facts(self) -> bool:
        """Whether the classes are to be those of the source."""
        return not self.labels

    def with_facts(self, facts: SourceFacts) -> "Evaluate":
        """Return the same, with the labels of the source where it has none."""
        return replace(self, labels=self.labels or facts.labels)

    def open_learner(self, context: Context, snapshot: bytes | None) -> Evaluation:
        """Return the test, from its beginning or from a snapshot of it."""
        return Evaluation(self, context, snapshot)

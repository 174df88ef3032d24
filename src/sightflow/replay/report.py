"""What a replay tells of two runs over the same images."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from sightflow.dashboard.replay import ReplayPage, Sample
from sightflow.dashboard.truth import LabelOf, label_reader
from sightflow.errors import PipelineError
from sightflow.metrics.agreement import ClassAgreement, Comparer
from sightflow.metrics.shares import Share, percent_text
from sightflow.replay.differences import Compared, Course, Difference, Greatest, compared
from sightflow.replay.survey import Survey
from sightflow.sources.recorded import Recorded
from sightflow.storage.drafts import replacing
from sightflow.storage.resultfiles import find_run, summary_of

__all__ = ["Replayed", "compare_runs"]


@dataclass(frozen=True)
class Replayed:
    """Two runs over the same images, and where they differ."""

    paths: tuple[str, str]
    a: Survey
    """What the first results hold."""
    difference: Difference
    summaries: tuple[Mapping[str, Any], Mapping[str, Any]]
    """Of both runs, as they stand in `NAME.summary.json`; empty where there is none."""
    thresholds: str = ""
    """Those of the second run, in words; empty: they are not known."""

    @property
    def share(self) -> Share:
        """How many images are the same in both, of those that both recognised."""
        agreement = self.difference.agreement
        return Share(agreement.n_same, agreement.n)

    @property
    def n_rejected_by_both(self) -> int:
        """How many images neither run recognised."""
        return self.a.n_rejected - self.difference.counts["only_b"]

    @property
    def doubt(self) -> str:
        """What to look at where none of the images could be recognised again; else empty."""
        counts = self.difference.counts
        if self.difference.agreement.n or not counts["only_a"]:
            return ""
        rejected = _only(self.difference.only_a[0])
        said = (
            f"none of the {counts['only_a']:,} images of A could be recognised again, such as "
            f"{rejected['uri']}: {rejected['message'] or 'it was rejected'}"
        )
        if rejected["reason"] != "unreadable" or os.path.isabs(rejected["uri"]):
            return said
        return (
            f"{said}; a relative path is that of the folder in which the run was started: call "
            "replay there"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all figures."""
        found, verdict = self.difference, self.difference.verdict
        figures: dict[str, Any] = {
            "n": found.agreement.n,
            **found.counts,
            "rejected_by_both": self.n_rejected_by_both,
            "left_out": self.a.left.n,
            "agreement": self.share.value if self.share.n else None,
            "interval": list(self.share.interval),
            "resized": found.agreement.n_resized,
            "changes": dict(found.agreement.kinds),
            "score_change": found.agreement.scores.mean,
            "score_moved": found.agreement.scores.mean_moved,
            "classes": {name: asdict(one) for name, one in found.agreement.classes.items()},
            "models": [models_of(self.a), models_of(found.b)],
            "images_per_s": [summary.get("images_per_s") for summary in self.summaries],
        }
        if verdict.n:
            figures["labels"] = {**asdict(verdict), "n": verdict.n, "p_value": verdict.p_value}
        return figures

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield what is told first: a name, and what there is to say."""
        found, counts = self.difference, self.difference.counts
        yield from self._of_runs()
        yield "in both", f"{found.agreement.n:,}"
        yield "same", f"{counts['same']:,}"
        yield "changed", f"{counts['differed']:,}"
        low, high = self.share.interval
        known = f"{percent_text(self.share.value)} (95 %: {_range(low, high)})"
        yield "agreement", known if self.share.n else "-"
        if self.doubt:
            yield "attention", self.doubt
        yield "only A: B rejected them", f"{counts['only_a']:,}"
        yield "only B: A rejected them", f"{counts['only_b']:,}"
        yield "rejected by both", f"{self.n_rejected_by_both:,}"
        if self.a.left.n:
            yield "left out", f"{self.a.left.n:,}: {'; '.join(self.a.left.reasons())}"
        if found.agreement.n_resized:
            yield "of another size now", f"{found.agreement.n_resized:,}: the files have changed"
        yield from self._of_objects()
        yield from self._of_labels()

    def changed_classes(self) -> list[tuple[str, ClassAgreement]]:
        """Return the classes that are not the same in both, those with most changes first."""
        classes = self.difference.agreement.classes.items()
        changed = [(name, one) for name, one in classes if _n_changes(one)]
        return sorted(changed, key=lambda item: (-_n_changes(item[1]), item[0]))

    def page(self) -> ReplayPage:
        """Return what the page of the replay shows."""
        found = self.difference
        return ReplayPage(
            path=self.paths[0],
            facts=dict(self.rows()),
            agreement=found.agreement,
            classes=self.changed_classes(),
            course=found.course.parts,
            samples=[_sample(one) for one in found.greatest.images()],
            only=[[_only(one) for one in some] for some in (found.only_a, found.only_b)],
        )

    def _of_objects(self) -> Iterator[tuple[str, str]]:
        agreement = self.difference.agreement
        order = "kept", "moved", "relabelled", "lost", "gained"
        parts = [f"{agreement.kinds[name]:,} {name}" for name in order if agreement.kinds[name]]
        if parts:
            what = "best classes" if agreement.aspects == {"classification"} else "objects"
            yield "faces" if agreement.aspects == {"faces"} else what, ", ".join(parts)
        if agreement.scores.n:
            scores = agreement.scores
            yield (
                "score of what was kept",
                f"{round(scores.mean, 4) + 0.0:+.4f}, moved by {scores.mean_moved:.4f}",
            )
        if self.thresholds:
            yield "thresholds", f"B: {self.thresholds}; those of A are not known"
        for name, in_b in self.difference.b.lowest.items():
            if name in agreement.aspects and name != "classification":
                in_a = self.a.lowest.get(name)
                shown = "none" if in_a is None else f"{in_a:.3f}"
                yield f"lowest score, {name}", f"A {shown}, B {in_b:.3f}"

    def _of_labels(self) -> Iterator[tuple[str, str]]:
        verdict = self.difference.verdict
        if verdict.n:
            shares = [(verdict.both + one) / verdict.n for one in (verdict.only_a, verdict.only_b)]
            in_a, in_b = map(percent_text, shares)
            yield "right, by labels", f"A {in_a}, B {in_b} of {verdict.n:,}"
            yield (
                "right in one only",
                f"A {verdict.only_a:,}, B {verdict.only_b:,}; by chance p = {verdict.p_value:.3g}",
            )

    def _of_runs(self) -> Iterator[tuple[str, str]]:
        sides = zip("AB", self.paths, (self.a, self.difference.b), self.summaries, strict=True)
        for name, path, survey, summary in sides:
            models = ", ".join(models_of(survey)) or "no model"
            speed = ""
            if "images_per_s" in summary:
                speed = (
                    f", {summary['images_per_s']:.1f} images/s "
                    f"({summary.get('runner', '')}, workers: {summary.get('workers', '')})"
                )
            yield name, f"{path}: {models}{speed}"


def compare_runs(
    recorded: Recorded,
    found: Survey,
    results: str,
    *,
    min_iou: float = 0.5,
    label_of: LabelOf | None = None,
    diff: str | None = None,
    n_samples: int = 0,
    thresholds: str = "",
) -> Replayed:
    """Compare results with those of a replay of their images.

    Args:
        recorded: the first results.
        found: what they hold.
        results: file of the second ones.
        min_iou: boxes that overlap so much are at the same place, in (0, 1].
        label_of: returns what an image shows, or None; without it labels are those in the results.
        diff: file that gets a line for each image that is not the same in both; None: no file.
        n_samples: how many of those that differ most are kept.
        thresholds: of the steps that made the second results, as `thresholds_of` tells them.

    Raises:
        PipelineError: the second results have nothing that the first ones have.
        SourceError: results cannot be read.
    """
    told = label_of or label_reader(None)
    difference = Difference(Course(), Greatest(n_samples))
    with ExitStack() as resources:
        lines = None
        if diff is not None:
            draft = resources.enter_context(replacing(Path(diff)))
            lines = resources.enter_context(open(draft, "wb"))
        for one in compared(recorded, results, Comparer(min_iou)):
            difference.add(one, told)
            if lines is not None and one.kind != "same":
                lines.write(orjson.dumps(one.as_row()) + b"\n")
    _check_common(found, difference)
    summaries = summary_of(find_run(recorded.path)), summary_of(find_run(results))
    paths = recorded.path, results
    return Replayed(paths, found, difference, summaries, thresholds)


def models_of(survey: Survey) -> list[str]:
    """Return the models that made results, with their versions."""
    return sorted({f"{name} {version}" for _, name, version in survey.models})


def _check_common(a: Survey, difference: Difference) -> None:
    """Refuse results that have nothing in common that could be compared."""
    agreement = difference.agreement
    if agreement.n and not agreement.aspects:
        raise PipelineError(
            f"A has {', '.join(sorted(a.columns)) or 'nothing that is compared'}, B has "
            f"{', '.join(sorted(difference.b.columns)) or 'nothing that is compared'}; replay "
            "steps that find the same kind of thing"
        )


def _n_changes(one: ClassAgreement) -> int:
    return one.lost + one.gained + one.was + one.became + one.moved


def _sample(one: Compared) -> Sample:
    assert one.a is not None
    assert one.b is not None
    assert one.agreement is not None
    return Sample(one.a, one.b, one.agreement)


def _only(one: Compared) -> dict[str, Any]:
    rejected = one.rejected or {}
    return {
        "uri": one.row["uri"],
        "sequence": one.row["sequence"],
        "reason": rejected.get("reason", ""),
        "message": rejected.get("message", ""),
    }


def _range(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f} %"

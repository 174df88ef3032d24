"""Which steps say of an image what results say of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from sightflow.errors import PipelineError
from sightflow.models import ModelFile, find_model, zoo, zoo_names
from sightflow.replay.survey import Survey
from sightflow.tasks.classify import Classify
from sightflow.tasks.detect import Detect
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.track import Track

__all__ = ["steps_for", "thresholds_of"]

_Steps = list[tuple[str, Any]]
_THRESHOLDS = ("min_score", "high_score", "low_score", "min_similarity")


def steps_for(survey: Survey, options: Mapping[str, Any]) -> _Steps:
    """Return the steps of a replay, with their names, by what the results hold.

    Args:
        survey: of the results.
        options: `model`, `min_score`, `top_k`; None: that of the results for a model that ships and
            for `top_k`, and the default of the step for `min_score`.

    Raises:
        PipelineError: the results were made by more than a classifier, a detector with or without a
            tracker, or a detector of faces; or by a model that is not known here.
    """
    kind = _kind_of(survey)
    if options["top_k"] is not None and kind != "classification":
        raise PipelineError(f"--top-k is for classes; the results have {kind}")
    return _STEPS[kind](survey, options)


def thresholds_of(steps: Iterable[tuple[str, Any]]) -> str:
    """Return the lowest scores that steps keep, in words; empty where none has such an option.

    Examples:
        >>> thresholds_of([("track", Track(high_score=0.5, low_score=0.1))])
        'track high_score 0.5, low_score 0.1'
    """
    told = []
    for name, operator in steps:
        known = [
            f"{option} {getattr(operator, option):g}"
            for option in _THRESHOLDS
            if getattr(operator, option, None) is not None
        ]
        if known:
            told.append(f"{name} {', '.join(known)}")
    return "; ".join(told)


def _kind_of(survey: Survey) -> str:
    """Return the one field that tells which command made the results."""
    special = {"state": "states of traffic lights", "sign": "road signs", "similarity": "people"}
    for trait, what in special.items():
        if survey.traits[trait]:
            raise _needs_pipeline(f"they name {what}")
    columns = set(survey.columns)
    if "tracks" in columns:
        columns.discard("detections")
    if not columns:
        raise _needs_pipeline("they have no classes, objects or faces")
    if len(columns) > 1:
        raise _needs_pipeline(f"they have {' and '.join(sorted(columns))}")
    return columns.pop()


def _needs_pipeline(why: str) -> PipelineError:
    return PipelineError(
        f"the results do not say which steps made them ({why}); give --pipeline FILE, a pipeline "
        "in YAML whose steps are to be replayed"
    )


def _model(survey: Survey, options: Mapping[str, Any]) -> ModelFile:
    """Return the model of a call, or that of the results, if it ships."""
    if options["model"] is not None:
        return find_model(options["model"])
    named = sorted({(name, version) for _, name, version in survey.models})
    if len({name for name, _ in named}) > 1:
        models = ", ".join(name for name, _ in named)
        raise _needs_pipeline(f"they were made by several models: {models}")
    if len(named) == 1 and named[0][0] in zoo_names():
        name, version = named[0]
        model = zoo(name)
        if model.version == version:
            return model
    made_by = ", ".join(f"{name} {version}" for name, version in named) or "no model that is named"
    raise PipelineError(
        f"the results were made by {made_by}, which does not ship with this version; say with "
        "--model which one to replay them with"
    )


def _score(options: Mapping[str, Any]) -> dict[str, Any]:
    return {} if options["min_score"] is None else {"min_score": options["min_score"]}


def _classify(survey: Survey, options: Mapping[str, Any]) -> _Steps:
    top_k = options["top_k"] or max(1, survey.most)
    return [("classify", Classify(_model(survey, options), top_k=top_k, **_score(options)))]


def _detect(survey: Survey, options: Mapping[str, Any]) -> _Steps:
    return [("detect", Detect(_model(survey, options), **_score(options)))]


def _faces(survey: Survey, options: Mapping[str, Any]) -> _Steps:
    return [("faces", DetectFaces(_model(survey, options), **_score(options)))]


def _track(survey: Survey, options: Mapping[str, Any]) -> _Steps:
    """Return what `sightflow track` does: weak detections too, for the tracker to choose from."""
    high_score = options["min_score"]
    low_score = min(Track.low_score, Track.high_score if high_score is None else high_score)
    tracker = Track() if high_score is None else Track(high_score=high_score, low_score=low_score)
    detector = Detect(_model(survey, options), min_score=tracker.low_score)
    return [("detect", detector), ("track", tracker)]


_STEPS = {
    "classification": _classify,
    "detections": _detect,
    "tracks": _track,
    "faces": _faces,
}

"""Every registered operator keeps its promises. A new operator needs an example here."""

from dataclasses import MISSING, fields

import pytest
from tests.tables import Names

from sightflow.kinds import known_kinds, resolve_kind
from sightflow.learn.compare import Compare
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.evaluate_objects import EvaluateObjects
from sightflow.learn.samples import Replay
from sightflow.learn.train import Train
from sightflow.models import zoo
from sightflow.ops.preprocess import Preprocess
from sightflow.protocols import KeyedOperator, LearningOperator, Operator
from sightflow.records import ImageRecord
from sightflow.tasks.align_faces import AlignFaces
from sightflow.tasks.announce import Announce
from sightflow.tasks.classify import Classify
from sightflow.tasks.classify_objects import ClassifySign, ClassifyTrafficLight
from sightflow.tasks.detect import Detect
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.drive import Drive
from sightflow.tasks.embed_faces import EmbedFaces
from sightflow.tasks.features import Features
from sightflow.tasks.identify import Identify
from sightflow.tasks.identify_tracks import IdentifyTracks
from sightflow.tasks.main_face import MainFace
from sightflow.tasks.prepare import Prepare
from sightflow.tasks.shadow import Shadow
from sightflow.tasks.track import Track
from sightflow.tasks.zones import CountLine, Zone
from sightflow.testing import check_keyed_operator, check_learning_operator, check_operator

AT_LEAST, AT_LEAST_KEYED, AT_LEAST_LEARNING = 12, 5, 4

NAMES = Names({"a": ("ann", (0.6, 0.8)), "b": ("bob", (1.0, 0.0))})

EXAMPLES: dict[str, Operator] = {
    "AlignFaces": AlignFaces(),
    "Classify": Classify(top_k=2),
    "ClassifySign": ClassifySign(zoo("efficientnet_lite0"), of=("person",)),
    "ClassifyTrafficLight": ClassifyTrafficLight(zoo("efficientnet_lite0"), of=("person",)),
    "Detect": Detect(min_score=0.3),
    "DetectFaces": DetectFaces(min_score=0.0, tile_px=200),
    "Drive": Drive(min_score=0.05, tiles=(1, 2)),
    "EmbedFaces": EmbedFaces(),
    "Features": Features(),
    "Identify": Identify(NAMES),
    "MainFace": MainFace(),
    "Shadow": Shadow(zoo("efficientnet_lite0"), top_k=2),
    "Prepare": Prepare(Preprocess(resize=8, crop=(8, 8))),
}

KEYED_EXAMPLES: dict[str, KeyedOperator] = {
    "Announce": Announce("states"),
    "CountLine": CountLine((300, 0), (300, 480), window_ms=1_000),
    "IdentifyTracks": IdentifyTracks(NAMES),
    "Track": Track(max_age_ms=500, labels=("person", "dog")),
    "Zone": Zone(((200, 0), (400, 0), (300, 480)), anchor="center"),
}

LEARNING_EXAMPLES: dict[str, LearningOperator] = {
    "Compare": Compare(every=15),
    "Evaluate": Evaluate(("a", "b"), window=5, every=6, n_mistakes=3),
    "EvaluateObjects": EvaluateObjects(("a", "b"), min_score=0.7, every=6),
    "Train": Train(("a", "b"), batch_size=4, replay=Replay(batches=2, size=10), report_every=5),
}

KINDS = pytest.mark.parametrize("kind", sorted(EXAMPLES))
KEYED_KINDS = pytest.mark.parametrize("kind", sorted(KEYED_EXAMPLES))
LEARNING_KINDS = pytest.mark.parametrize("kind", sorted(LEARNING_EXAMPLES))
ALL = {**EXAMPLES, **KEYED_EXAMPLES, **LEARNING_EXAMPLES}
ALL_KINDS = pytest.mark.parametrize("kind", known_kinds("operators"))


def test_the_operators_were_found_and_each_has_an_example() -> None:
    assert len(EXAMPLES) >= AT_LEAST
    assert len(KEYED_EXAMPLES) >= AT_LEAST_KEYED
    assert len(LEARNING_EXAMPLES) >= AT_LEAST_LEARNING
    assert set(known_kinds("operators")) == set(ALL)


@ALL_KINDS
def test_an_example_is_of_its_kind(kind: str) -> None:
    assert type(ALL[kind]) is resolve_kind("operators", kind)


@KEYED_KINDS
def test_it_keeps_the_promises_of_a_keyed_operator(kind: str) -> None:
    assert isinstance(KEYED_EXAMPLES[kind], KeyedOperator)
    assert len(check_keyed_operator(KEYED_EXAMPLES[kind])) >= 2, "it has events to tell"


@LEARNING_KINDS
def test_it_keeps_the_promises_of_a_learning_operator(kind: str) -> None:
    assert isinstance(LEARNING_EXAMPLES[kind], LearningOperator)
    assert len(check_learning_operator(LEARNING_EXAMPLES[kind])) >= 2, "it has events to tell"


@KINDS
def test_it_keeps_the_promises_of_an_operator(kind: str) -> None:
    outcomes = check_operator(EXAMPLES[kind])
    assert all(isinstance(outcome, ImageRecord) for outcome in outcomes)


@ALL_KINDS
def test_it_works_with_nothing_but_what_is_required(kind: str) -> None:
    operator = resolve_kind("operators", kind)
    required = [f.name for f in fields(operator) if f.default is f.default_factory is MISSING]
    if hasattr(ALL[kind], "labels") and kind in LEARNING_EXAMPLES:
        required.append("labels")  # without them those of the source are taken
    operator(**{name: getattr(ALL[kind], name) for name in required}).check()

"""What options may be: each wrong one is refused with its name, what it must be, what came."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from sightflow import Preprocess, Track, Zone
from sightflow.errors import PipelineError
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish
from sightflow.metrics.drift import PageHinkley
from sightflow.options import check_choices, check_count, check_number, check_share, choices_of
from sightflow.settings import RunSettings
from sightflow.sinks.images import ImageFolder
from sightflow.sources.motchallenge import MotDetections


@dataclass(frozen=True)
class Part:
    n: Any = 1
    n_or_none: int | None = None
    share: Any = 0.5
    colour: Literal["red", "green"] = "red"


@pytest.mark.parametrize("n", [0, -1, 1.0, 1.5, True, None, "1", float("nan")])
def test_a_count_is_a_whole_number(n: Any) -> None:
    with pytest.raises(PipelineError, match=re.escape(f"is a whole number from 1; got {n!r}")):
        check_count(Part(n), "n", at_least=1)


def test_a_count_may_have_a_most() -> None:
    check_count(Part(100), "n", at_least=1, at_most=100)
    with pytest.raises(PipelineError, match="Part: `n` is a whole number from 1 to 100; got 101"):
        check_count(Part(101), "n", at_least=1, at_most=100)


def test_a_count_of_numpy_is_one() -> None:
    check_count(Part(np.int64(3)), "n", at_least=1)


def test_none_passes_where_the_type_has_it() -> None:
    check_count(Part(), "n_or_none", at_least=1)
    check_number(Part(), "n_or_none", within="(0, 1]")


@pytest.mark.parametrize(
    ("within", "good", "bad", "words"),
    [
        ("[0, 1]", 1, 1.5, "in [0, 1]"),
        ("[0, 1)", 0, 1, "in [0, 1)"),
        ("(0, 1000]", 1000, 0, "in (0, 1000]"),
        ("(0, inf)", 0.1, 0, "above 0"),
        ("[0, inf)", 0, -1, "from 0"),
        ("[0, inf)", 0, float("inf"), "from 0"),
        ("[0, 1]", 0.5, float("nan"), "in [0, 1]"),
        ("[0, 1]", 0.5, "half", "in [0, 1]"),
        ("[0, 1]", 0.5, True, "in [0, 1]"),
    ],
)
def test_a_number_is_within_its_interval(within: str, good: Any, bad: Any, words: str) -> None:
    check_number(Part(share=good), "share", within=within)
    with pytest.raises(PipelineError, match=re.escape(f"Part: `share` is {words}; got {bad!r}")):
        check_number(Part(share=bad), "share", within=within)


def test_a_share_is_from_0_to_1() -> None:
    check_share(Part(share=np.float32(1)), "share")
    with pytest.raises(PipelineError, match=r"Part: `share` is in \[0, 1\]; got 2"):
        check_share(Part(share=2), "share")


def test_a_choice_is_one_of_the_words_of_its_type() -> None:
    assert choices_of(Part, "colour") == ("red", "green")
    with pytest.raises(PipelineError, match="Part: `colour` is one of red, green; got 'blue'"):
        check_choices(Part(colour="blue"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (Optimiser, {"rule": "adam"}, "`rule` is one of adamw, sgd; got 'adam'"),
        (Optimiser, {"schedule": "onecycle"}, "`schedule` is one of constant, one_cycle, cosine"),
        (Publish, {"registry": "r", "name": "n", "promote": "bettr"}, "one of better, always"),
        (ImageFolder, {"directory": "out", "format": "gif"}, "`format` is one of jpeg, png, npy"),
        (Track, {"method": "ocsort"}, "`method` is one of byte, sort; got 'ocsort'"),
        (PageHinkley, {"mode": "left"}, "`mode` is one of both, up, down; got 'left'"),
        (Zone, {"corners": ((0, 0), (1, 0), (0, 1)), "anchor": "top"}, "one of bottom, center"),
        (Preprocess, {"layout": "NHWC"}, "`layout` is one of CHW, HWC; got 'NHWC'"),
        (RunSettings, {"runner": "spark"}, "`runner` is one of flink, inline; got 'spark'"),
        (MotDetections, {"paths": "x", "min_score": 7}, r"`min_score` is in \[0, 1\]; got 7"),
    ],
)
def test_a_misspelt_or_impossible_option_is_refused(
    kind: Any, options: dict[str, Any], words: str
) -> None:
    def make() -> None:
        kind(**options).check()

    with pytest.raises(PipelineError, match=f"{kind.__name__}: .*{words}"):
        make()


@dataclass(frozen=True)
class Painted:
    colour: Literal["red", "green"] | None = None
    colours: tuple[Literal["red", "green"], ...] = ("red",)


def test_a_choice_may_be_left_out_where_none_is_allowed_and_a_list_is_no_choice() -> None:
    check_choices(Painted())
    with pytest.raises(PipelineError, match="`colour` is one of red, green; got 'blue'"):
        check_choices(Painted("blue"))  # type: ignore[arg-type]
    assert choices_of(Painted, "colour") == ("red", "green")

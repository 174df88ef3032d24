"""The memory from which images are learned again has a bound, and room for rare classes."""

from collections import Counter

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.learn.samples import Replay, ReplayMemory, Sample


def a_sample(class_id: int, number: int = 0) -> Sample:
    return Sample((number, 0), class_id, np.zeros(1), class_id)


def filled(class_ids: list[int], size: int, seed: int = 0) -> ReplayMemory:
    memory = ReplayMemory(size, seed)
    for number, class_id in enumerate(class_ids):
        memory.add(a_sample(class_id, number))
    return memory


def classes(memory: ReplayMemory) -> Counter:
    return Counter(sample.group for sample in memory.samples)


def test_all_is_remembered_while_there_is_room() -> None:
    memory = filled([0, 1, 0], size=3)
    assert [sample.place for sample in memory.samples] == [(0, 0), (1, 0), (2, 0)]


def test_it_never_holds_more_than_its_size() -> None:
    assert len(filled([0, 1] * 100, size=7)) == 7


def test_a_rare_class_takes_the_room_of_a_frequent_one() -> None:
    assert classes(filled([0] * 100 + [1] * 5, size=10)) == {0: 5, 1: 5}


def test_a_rare_class_keeps_its_room_when_frequent_ones_go_on() -> None:
    memory = filled([0] * 100 + [1] * 3 + [0] * 1_000, size=10)
    assert classes(memory) == {0: 7, 1: 3}


def test_of_a_class_with_its_share_each_image_stays_with_the_same_chance() -> None:
    kept = Counter(
        sample.place[0] // 50
        for seed in range(60)
        for sample in filled([0] * 200, size=20, seed=seed).samples
    )
    assert sum(kept.values()) == 1_200
    assert all(240 <= kept[quarter] <= 360 for quarter in range(4))


def test_a_draw_has_no_image_twice_and_not_more_than_there_are() -> None:
    memory = filled(list(range(5)), size=5)
    drawn = memory.draw(9, np.random.default_rng(0))
    assert sorted(sample.group for sample in drawn) == [0, 1, 2, 3, 4]


def test_it_goes_on_from_its_state_as_if_nothing_had_happened() -> None:
    stream = [int(i) for i in np.random.default_rng(1).integers(0, 3, 300)]
    undisturbed = filled(stream, size=12)
    memory = filled(stream[:150], size=12)
    again = ReplayMemory(12, 0)
    again.restore(memory.samples, *memory.state())
    for number, class_id in enumerate(stream[150:], start=150):
        again.add(a_sample(class_id, number))
    assert [s.place for s in again.samples] == [s.place for s in undisturbed.samples]


@pytest.mark.parametrize("options", [{"batches": 0}, {"size": 0}])
def test_a_memory_without_room_is_refused(options: dict) -> None:
    with pytest.raises(PipelineError, match=r"Replay: `\w+` is a whole number from 1; got 0"):
        Replay(**options)


def test_a_memory_may_be_as_small_as_one_sample() -> None:
    assert len(filled([0, 1, 0], size=Replay(batches=1, size=1).size)) == 1

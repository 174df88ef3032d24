"""A head learns by gradient descent, exactly as the formulas say, and becomes a model file."""

import numpy as np
import onnxruntime
import pytest

from sightflow.errors import CardError, JobError, PipelineError
from sightflow.learn.head import Head, TrainableHead
from sightflow.learn.optimiser import Optimiser
from sightflow.models import ModelFile, zoo
from sightflow.testing import draw_scene

SGD = Optimiser(rule="sgd", rate=0.1, momentum=0.0, weight_decay=0.0)


def a_head(
    n_classes: int = 2, n_features: int = 3, optimiser: Optimiser = SGD, hidden: int | None = None
) -> TrainableHead:
    return Head(hidden=hidden).open(n_classes, (n_features,), optimiser, seed=1)


def two_clouds(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    class_ids = rng.integers(0, 2, n)
    features = rng.normal(0, 1, (n, 3)) + class_ids[:, None] * 2
    return features.astype(np.float32), class_ids.astype(np.int64)


def test_an_untrained_linear_head_knows_nothing() -> None:
    assert a_head(4).predict(np.ones((2, 3), np.float32)) == pytest.approx(np.full((2, 4), 0.25))


def test_the_first_step_of_descent_is_that_of_the_formula() -> None:
    head = a_head()
    features = np.array([[1, 0, 0], [-1, 0, 0]], np.float32)  # mean 0, deviation 1 where not 0
    loss = head.learn(features, np.array([0, 1]), 0)
    assert loss == pytest.approx(np.log(2), abs=1e-6)
    # d loss / d weight = mean over rows of feature x (probability - truth); the rate is 0.1
    assert head.tensors()["layer0.weight"][0] == pytest.approx([0.05, -0.05])
    assert head.tensors()["layer0.bias"] == pytest.approx([0, 0])


def learned(optimiser: Optimiser, n_steps: int) -> tuple[TrainableHead, list[np.ndarray]]:
    """Return a linear head after some steps, and the gradient of its weights at each."""
    head, gradients = a_head(optimiser=optimiser), []
    features = np.array([[1, 0, 0], [-1, 0, 0]], np.float32)  # mean 0, deviation 1
    for step in range(n_steps):
        error = head_probabilities(head, features) - np.eye(2)
        gradients.append(features.T @ error / 2)
        head.learn(features, np.array([0, 1]), step)
    return head, gradients


def head_probabilities(head: TrainableHead, features: np.ndarray) -> np.ndarray:
    logits = features @ head.tensors()["layer0.weight"] + head.tensors()["layer0.bias"]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_adam_with_decay_goes_as_the_paper_says() -> None:
    rate, decay = 0.1, 0.5
    optimiser = Optimiser(rule="adamw", rate=rate, weight_decay=decay)
    head, gradients = learned(optimiser, 4)
    weight, first, second = (np.zeros((3, 2)) for _ in range(3))
    for t, gradient in enumerate(gradients, start=1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        direction = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        weight = weight - rate * decay * weight - rate * direction
    assert head.tensors()["layer0.weight"] == pytest.approx(weight, abs=1e-5)
    assert abs(head.tensors()["layer0.weight"][0, 0]) > 0.2


def test_momentum_adds_up_what_is_left_of_the_steps_before() -> None:
    optimiser = Optimiser(rule="sgd", rate=0.1, momentum=0.5, weight_decay=0.0)
    head, (one, two, three) = learned(optimiser, 3)
    moves = one, 0.5 * one + two, 0.25 * one + 0.5 * two + three
    assert head.tensors()["layer0.weight"] == pytest.approx(-0.1 * sum(moves), abs=1e-6)


def test_each_step_has_its_rate() -> None:
    optimiser = Optimiser(
        rule="sgd", rate=0.2, schedule="cosine", n_steps=2, momentum=0.0, weight_decay=0.0
    )
    head, (one, two) = learned(optimiser, 2)
    assert head.tensors()["layer0.weight"] == pytest.approx(-0.2 * one - 0.1 * two, abs=1e-6)


def test_weights_decay_and_biases_do_not() -> None:
    head = a_head(optimiser=Optimiser(rule="sgd", rate=0.1, momentum=0.0, weight_decay=0.5))
    for step in range(2):
        head.learn(np.zeros((2, 3), np.float32), np.array([0, 0]), step)
    # The first gradient is (1/2 - 1, 1/2), the second (p - 1, 1 - p) where p = 1 / (1 + e^-0.1).
    bias = 0.1 * (0.5 + 1 - 1 / (1 + np.exp(-0.1)))
    assert head.tensors()["layer0.bias"] == pytest.approx([bias, -bias], abs=1e-6)


def test_the_average_of_the_weights_is_young_at_first() -> None:
    optimiser = Optimiser(rule="sgd", rate=0.1, momentum=0.0, weight_decay=0.0, averaging=0.15)
    head, (one, two) = learned(optimiser, 2)
    first = 0.9 * (-0.1 * one)  # of the average 1 / 10 stays
    second = 0.15 * first + 0.85 * (-0.1 * (one + two))  # 2 / 11 would be more than 0.15
    features = np.array([[1, 0, 0]], np.float32)
    logits = features @ second
    expected = np.exp(logits) / np.exp(logits).sum()
    assert head.predict(features) == pytest.approx(expected, abs=1e-6)


def test_features_are_standardised_by_what_was_seen_so_far() -> None:
    head = a_head()
    features = np.array([[1, 5, 0], [3, 5, 0]], np.float32)
    head.learn(features, np.array([0, 1]), 0)
    # The first feature has mean 2 and deviation 1, so -1 is of the first class, and 1 of the other;
    # half of it is the gradient, and the rate is 0.1. The others do not vary.
    weights = head.weights()
    assert weights["layer0.weight"] == pytest.approx(np.array([[-1, 1], [0, 0], [0, 0]]) * 0.05)
    assert weights["layer0.bias"] == pytest.approx([0.1, -0.1])  # at the mean both are as likely
    assert weights["features.n"].tolist() == [2]
    assert weights["features.sum"].tolist() == [4, 10, 0]
    assert weights["features.squares"].tolist() == [10, 50, 0]


@pytest.mark.parametrize("hidden", [None, 4])
def test_a_head_that_starts_with_the_weights_of_another_says_what_that_says(
    hidden: int | None,
) -> None:
    other, head = a_head(hidden=hidden), a_head(hidden=hidden)
    features, class_ids = two_clouds(32)
    features = features * np.array([3, 1, 0.2], np.float32) + np.array([5, 0, -1], np.float32)
    for step in range(5):
        other.learn(features, class_ids, step)
    head.start(other.weights())
    assert head.predict(features) == pytest.approx(other.predict(features), abs=1e-4)
    assert head.predict(features) != pytest.approx(a_head(hidden=hidden).predict(features))


def test_large_weights_are_no_trouble() -> None:
    head = a_head()
    large = np.array([[1_000, -1_000], [0, 0], [0, 0]], np.float32)
    head.restore({**head.tensors(), "layer0.weight": large})
    assert head.predict(np.array([[1, 0, 0]], np.float32)).tolist() == [[1, 0]]


def test_a_head_may_have_a_single_hidden_unit() -> None:
    Head(hidden=1).check()
    assert a_head(hidden=1).predict(np.ones((1, 3), np.float32)).shape == (1, 2)


def test_gradients_of_a_hidden_layer_are_those_of_differences() -> None:
    features, class_ids = two_clouds(8)
    step = 1e-3
    tiny = Optimiser(rule="sgd", rate=1.0, momentum=0.0, weight_decay=0.0)

    def prepared() -> TrainableHead:
        head = a_head(optimiser=tiny, hidden=4)
        head.learn(features, class_ids, 0)  # so that the last layer is not 0
        return head

    def loss_of(head: TrainableHead) -> float:
        rows = head.predict(features)
        return -float(np.log(rows[np.arange(8), class_ids]).mean())

    before = prepared()
    moved = prepared()
    moved.learn(features, class_ids, 1)
    gradient = before.tensors()["layer0.weight"] - moved.tensors()["layer0.weight"]
    for row, column in [(0, 0), (1, 2), (2, 3)]:
        up, down = prepared(), prepared()
        up.tensors()["layer0.weight"][row, column] += step
        down.tensors()["layer0.weight"][row, column] -= step
        slope = (loss_of(up) - loss_of(down)) / (2 * step)
        assert gradient[row, column] == pytest.approx(slope, abs=2e-3)


@pytest.mark.parametrize("hidden", [None, 16])
@pytest.mark.parametrize("rule", ["adamw", "sgd"])
def test_it_learns_what_can_be_learned(hidden: int | None, rule: str) -> None:
    head = a_head(optimiser=Optimiser(rule=rule, rate=0.02), hidden=hidden)
    for step in range(100):
        head.learn(*two_clouds(32, seed=step), step)
    features, class_ids = two_clouds(500, seed=999)
    assert (head.predict(features).argmax(axis=1) == class_ids).mean() > 0.93


def test_an_average_of_the_weights_predicts_where_one_is_kept() -> None:
    head = a_head(optimiser=Optimiser(rule="sgd", rate=0.1, momentum=0, averaging=0.5))
    plain = a_head(optimiser=Optimiser(rule="sgd", rate=0.1, momentum=0))
    for step in range(3):
        head.learn(*two_clouds(8), step)
        plain.learn(*two_clouds(8), step)
    # the first step stays for 0.1, the next for 2/11 and 3/12
    assert not np.array_equal(head.weights()["layer0.bias"], plain.weights()["layer0.bias"])
    assert np.abs(head.weights()["layer0.weight"] - plain.weights()["layer0.weight"]).max() < 0.05


@pytest.mark.parametrize("rule", ["adamw", "sgd"])
def test_it_goes_on_from_its_tensors_to_the_last_bit(rule: str) -> None:
    optimiser = Optimiser(rule=rule, rate=0.05, averaging=0.9)
    undisturbed, stopped = (a_head(optimiser=optimiser, hidden=5) for _ in range(2))
    for step in range(20):
        undisturbed.learn(*two_clouds(8, seed=step), step)
    for step in range(11):
        stopped.learn(*two_clouds(8, seed=step), step)
    again = a_head(optimiser=optimiser, hidden=5)
    again.restore(stopped.tensors())
    for step in range(11, 20):
        again.learn(*two_clouds(8, seed=step), step)
    for name, value in undisturbed.tensors().items():
        assert value.tobytes() == again.tensors()[name].tobytes(), name


def test_tensors_of_another_head_are_refused() -> None:
    with pytest.raises(JobError, match=r"the checkpoint has a head with .*; this one has"):
        a_head(hidden=5).restore(a_head().tensors())


@pytest.mark.parametrize("hidden", [None, 6])
def test_its_weights_predict_the_same_elsewhere(hidden: int | None) -> None:
    head = a_head(hidden=hidden)
    for step in range(5):
        head.learn(*two_clouds(8, seed=step), step)
    weights = dict(head.weights())
    predict = a_head(hidden=hidden).predictor(weights)
    features, _ = two_clouds(20, seed=9)
    assert predict(features) == pytest.approx(head.predict(features), abs=1e-5)
    head.learn(*two_clouds(8, seed=7), 5)
    assert not np.array_equal(head.weights()["layer0.bias"], weights["layer0.bias"])
    assert a_head(hidden=3).predictor(weights) is None, "another head"


@pytest.mark.parametrize("hidden", [None, 6])
def test_the_exported_model_says_what_the_head_says(hidden: int | None) -> None:
    model = zoo("efficientnet_lite0")
    prepare = model.card.input.preprocess.compile()
    pictures = [draw_scene(boxes=[(20 * i, 40, 20 * i + 100, 200)]) for i in range(4)]
    batch = np.stack([prepare(picture)[0] for picture in pictures])
    features = model.load()(batch)["features"]
    head = Head(hidden=hidden).open(3, features.shape[1:], Optimiser(rate=0.01), seed=2)
    for step in range(5):
        head.learn(features, np.array([0, 1, 2, 0]), step)
    exported = head.export()
    session = onnxruntime.InferenceSession(exported.onnx)
    (found,) = session.run([exported.head["output"]], {session.get_inputs()[0].name: batch})
    assert found == pytest.approx(head.predict(features), abs=1e-4)
    assert exported.input == model.card.input
    assert head.export().onnx == exported.onnx, "the same weights give the same bytes"


def test_a_model_without_features_is_refused() -> None:
    with pytest.raises(CardError, match="model 'nanodet' names no `features` on its card"):
        Head(model=zoo("nanodet")).check()


def test_a_card_that_names_no_output_as_features_is_refused() -> None:
    from dataclasses import replace

    model = zoo("efficientnet_lite0")
    wrong = ModelFile(model.path, replace(model.card, features="feature"))
    head = Head(model=wrong).open(2, (3,), SGD, seed=0)
    with pytest.raises(
        CardError,
        match=r"`features` on its card is one of its outputs \['prob', 'features'\]; got 'feature'",
    ):
        head.export()


def test_a_layer_without_units_is_refused() -> None:
    with pytest.raises(PipelineError, match="Head: `hidden` is a whole number from 1; got 0"):
        Head(hidden=0).check()

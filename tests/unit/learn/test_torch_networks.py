"""Networks of PyTorch learn, go on where they were, and are exported as they predict."""

import hashlib
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import safetensors.numpy
from tests.pytorch import needs_torch

from sightflow.errors import JobError, ModelError, PipelineError, SetupError
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.torch_modules import conv_net
from sightflow.learn.torch_networks import ConvNet, Pretrained, TorchNetwork
from sightflow.learn.torch_training import TrainableModule
from sightflow.ops.preprocess import Preprocess

SMALL = Preprocess(stretch=(8, 8))
SHAPE = (8, 8, 3)
HERE = __name__


# Modules of a user: found by their import path, so that they stand in this file.


def linear(num_classes: int, scale: float = 1.0) -> Any:
    import torch

    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, num_classes, bias=False)
    )
    with torch.no_grad():
        module[1].weight.mul_(scale)
    return module


def two_parts(num_classes: int) -> Any:
    from collections import OrderedDict

    import torch

    body = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
    head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 36, num_classes))
    return torch.nn.Sequential(OrderedDict(body=body, head=head))


def one_answer(num_classes: int) -> Any:
    return linear(1)


def no_module(num_classes: int) -> Any:
    return "a string"


def margin(logits: Any, class_ids: Any, margin: float = 1.0) -> Any:
    import torch

    return torch.nn.functional.multi_margin_loss(logits, class_ids, margin=margin)


def pictures_of_two_classes(n: int, seed: int = 0) -> tuple[npt.NDArray[np.uint8], Any]:
    """Return noise that is brighter on the left in class 0, and on the right in class 1."""
    rng = np.random.default_rng(seed)
    class_ids = rng.integers(0, 2, n)
    pictures = rng.integers(0, 120, (n, *SHAPE))
    for picture, class_id in zip(pictures, class_ids, strict=True):
        picture[:, 4 * class_id : 4 * class_id + 4] += 120
    return pictures.astype(np.uint8), class_ids


def opened(network: Any, optimiser: Optimiser | None = None, *, seed: int = 0) -> TrainableModule:
    trainable = network.open(2, SHAPE, optimiser or Optimiser(rate=1e-2), seed)
    assert isinstance(trainable, TrainableModule)
    return trainable


def learn(trainable: TrainableModule, steps: range) -> list[float]:
    return [trainable.learn(*pictures_of_two_classes(16, seed), seed) for seed in steps]


def digest(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode() + np.ascontiguousarray(tensors[name]).tobytes())
    return found.hexdigest()


def through_a_file(tensors: Mapping[str, npt.NDArray[Any]]) -> Mapping[str, npt.NDArray[Any]]:
    """Return tensors as a checkpoint gives them back: single numbers as arrays of one."""
    packed = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in tensors.items()})
    return safetensors.numpy.load(packed)


NETWORKS = {
    "conv_net": ConvNet(SMALL, width=4, dropout=0.3),
    "users": TorchNetwork(f"{HERE}:two_parts", SMALL),
    "users_optimiser": TorchNetwork(
        f"{HERE}:two_parts", SMALL, optimiser="torch.optim:NAdam", channels_last=True
    ),
}
OPTIMISERS = {
    "averaged": Optimiser(rate=1e-2, averaging=0.9),
    "sgd": Optimiser("sgd", rate=1e-2, schedule="one_cycle", n_steps=20),
}


@needs_torch
def test_a_small_problem_is_learned() -> None:
    trainable = opened(ConvNet(SMALL, width=4), Optimiser(rate=1e-2, averaging=0.9))
    losses = learn(trainable, range(40))
    pictures, class_ids = pictures_of_two_classes(100, seed=1_000)
    probabilities = trainable.predict(pictures)
    assert losses[-1] < 0.1 < losses[0]
    assert (probabilities.argmax(axis=1) == class_ids).mean() > 0.97
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@needs_torch
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=OPTIMISERS)
def test_a_restored_training_goes_on_to_the_last_bit(network: Any, optimiser: Optimiser) -> None:
    undisturbed = opened(network, optimiser)
    learn(undisturbed, range(12))
    stopped = opened(network, optimiser)
    learn(stopped, range(5))

    other = opened(network, optimiser, seed=0)
    other.restore(through_a_file(stopped.tensors()))
    learn(other, range(5, 12))

    assert digest(other.tensors()) == digest(undisturbed.tensors())
    assert digest(other.weights()) == digest(undisturbed.weights())
    assert digest(stopped.tensors()) != digest(undisturbed.tensors())


@needs_torch
@pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=OPTIMISERS)
def test_to_predict_changes_nothing(optimiser: Optimiser) -> None:
    silent, asked = (opened(NETWORKS["conv_net"], optimiser) for _ in range(2))
    learn(silent, range(6))
    for step in range(6):
        asked.predict(pictures_of_two_classes(3)[0])
        learn(asked, range(step, step + 1))
        asked.export()
    assert digest(asked.tensors()) == digest(silent.tensors())


@needs_torch
@pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=OPTIMISERS)
def test_its_weights_predict_the_same_elsewhere(optimiser: Optimiser) -> None:
    trained, other = (opened(NETWORKS["conv_net"], optimiser) for _ in range(2))
    learn(trained, range(6))
    weights = {name: np.atleast_1d(value) for name, value in trained.weights().items()}
    predict = other.predictor(weights)
    pictures, _ = pictures_of_two_classes(5)
    assert np.array_equal(predict(pictures), trained.predict(pictures))
    learn(other, range(3))
    assert np.array_equal(predict(pictures), trained.predict(pictures)), "it stays as it is"
    assert other.predictor({"weight": np.zeros(3, np.float32)}) is None, "of another module"


@needs_torch
def test_other_draws_of_the_process_change_nothing_and_are_not_changed() -> None:
    import torch

    quiet, disturbed = (opened(NETWORKS["conv_net"]) for _ in range(2))
    learn(quiet, range(3))
    torch.manual_seed(7)
    expected = torch.rand(2).tolist()
    torch.manual_seed(7)
    drawn = []
    for step in range(3):
        learn(disturbed, range(step, step + 1))
        drawn += torch.rand(1).tolist() if step < 2 else []
    assert digest(disturbed.tensors()) == digest(quiet.tensors())
    assert drawn == expected


@needs_torch
def test_two_trainings_in_threads_learn_what_they_would_alone() -> None:
    alone = opened(NETWORKS["conv_net"])
    learn(alone, range(20))
    both = [opened(NETWORKS["conv_net"]) for _ in range(2)]
    threads = [threading.Thread(target=learn, args=(one, range(20))) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [digest(one.tensors()) for one in both] == [digest(alone.tensors())] * 2


@needs_torch
def test_each_step_drops_other_numbers_and_the_seed_decides_which() -> None:
    def loss(seed: int, step: int) -> float:
        trainable = opened(TorchNetwork(f"{HERE}:linear", SMALL, loss=f"{HERE}:drawn"), seed=seed)
        return trainable.learn(*pictures_of_two_classes(4), step)

    assert loss(0, 0) == loss(0, 0)
    assert len({loss(0, 0), loss(0, 1), loss(1, 0)}) == 3


def drawn(logits: Any, class_ids: Any) -> Any:
    import torch

    return logits.sum() * 0 + torch.rand(())


@needs_torch
def test_the_average_predicts_and_keeps_the_statistics_of_batch_norms_too() -> None:
    trainable = opened(NETWORKS["conv_net"], Optimiser(rate=1e-2, averaging=0.5))
    before = trainable.tensors()
    learn(trainable, range(1))
    after = trainable.tensors()
    for name in ("0.weight", "1.running_mean"):  # stays: min(0.5, 1 / 10)
        expected = 0.1 * before[f"average/{name}"] + 0.9 * after[f"now/{name}"]
        np.testing.assert_allclose(trainable.weights()[name], expected, rtol=1e-5, atol=1e-6)
    assert trainable.weights()["1.num_batches_tracked"] == 1


@needs_torch
@pytest.mark.parametrize(
    "network",
    [
        *NETWORKS.values(),
        TorchNetwork(
            f"{HERE}:two_parts",
            Preprocess(stretch=(8, 8), mean=(10, 20, 30), std=(40, 50, 60), channels="BGR"),
        ),
        ConvNet(Preprocess(crop=(44, 70)), width=4),
        ConvNet(SMALL, width=4, depth=3),
    ],
)
def test_the_exported_file_says_what_the_network_predicts(network: Any) -> None:
    trainable = network.open(2, (), Optimiser(rate=1e-2, averaging=0.9), 0)
    size = network.preparation.preprocess.size
    pictures = np.random.default_rng(0).integers(0, 256, (5, *size, 3), np.uint8)
    trainable.learn(pictures, np.array([0, 1, 0, 1, 1]), 0)

    exported = trainable.export()

    session = onnxruntime.InferenceSession(exported.onnx, providers=["CPUExecutionProvider"])
    prepared = np.stack([_as_floats(exported.input.preprocess, picture) for picture in pictures])
    (found,) = session.run([exported.head["output"]], {exported.input.name: prepared})
    np.testing.assert_allclose(
        found, trainable.predict(pictures[..., :: _step(network)]), atol=1e-5
    )


def _as_floats(preprocess: Preprocess, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    prepared, _ = preprocess.compile()(picture)
    assert prepared.shape[0] == 3
    return prepared


def _step(network: Any) -> int:
    return -1 if network.preparation.preprocess.channels == "BGR" else 1


@needs_torch
def test_mean_and_deviation_of_the_preprocessing_are_applied_inside() -> None:
    plain = opened(TorchNetwork(f"{HERE}:linear", SMALL))
    normalised = opened(
        TorchNetwork(f"{HERE}:linear", Preprocess(stretch=(8, 8), mean=(8, 8, 8), std=(2, 2, 2)))
    )
    pictures = pictures_of_two_classes(3)[0] // 2 * 2 + 8  # (x - 8) / 2 stays whole
    expected = plain.predict((pictures - 8) // 2)
    np.testing.assert_allclose(normalised.predict(pictures), expected, rtol=1e-5)
    assert not normalised._network.preparation.preprocess.normalizes


@needs_torch
def test_standardised_pictures_look_the_same_in_any_light() -> None:
    trainable = opened(ConvNet(SMALL, width=4))
    pictures = pictures_of_two_classes(3)[0]
    light = trainable.predict(pictures // 4 * 4)
    np.testing.assert_allclose(trainable.predict(pictures // 4 * 2 + 20), light, atol=1e-3)


@needs_torch
def test_a_module_of_the_user_is_built_with_options_and_learns_by_his_loss_and_optimiser() -> None:
    network = TorchNetwork(
        f"{HERE}:linear",
        SMALL,
        {"scale": 0.0},
        loss=f"{HERE}:margin",
        loss_options={"margin": 3.0},
        optimiser="torch.optim:RMSprop",
        optimiser_options={"alpha": 0.5},
    )
    trainable = opened(network, Optimiser(rate=1e-3, weight_decay=0))
    assert not trainable.weights()["1.weight"].any()
    assert learn(trainable, range(1)) == [1.5]  # two classes, equal logits: 3 / 2
    assert {name.split("/")[1] for name in trainable.tensors() if "memory" in name} == {"RMSprop"}
    assert learn(trainable, range(1, 60))[-1] < 0.5


@needs_torch
def test_label_smoothing_is_part_of_the_loss() -> None:
    smooth = ConvNet(SMALL, width=4, dropout=0, label_smoothing=0.2)
    sharp = ConvNet(SMALL, width=4, dropout=0)
    pictures, class_ids = pictures_of_two_classes(4)
    logs = -np.log(_while_learning(sharp, pictures, class_ids))
    rows = np.arange(4)
    expected = (0.9 * logs[rows, class_ids] + 0.1 * logs[rows, 1 - class_ids]).mean()
    assert opened(smooth).learn(pictures, class_ids, 0) == pytest.approx(expected, rel=1e-4)


def _while_learning(network: ConvNet, pictures: Any, class_ids: Any) -> npt.NDArray[np.float64]:
    """Return the probabilities of two classes, from the loss for either."""
    losses = [
        [opened_loss(network, pictures, class_ids, i, c) for c in (0, 1)]
        for i in range(len(pictures))
    ]
    return np.exp(-np.array(losses))


def opened_loss(network: ConvNet, pictures: Any, class_ids: Any, row: int, label: int) -> float:
    """Return the loss of one picture of a batch: that of two batches differs by it alone."""
    trainable = opened(network)
    import torch

    with torch.no_grad():
        trainable._set_mode()
        logits = trainable._logits(trainable._module, pictures)[row : row + 1]
        return float(torch.nn.functional.cross_entropy(logits, torch.tensor([label])))


@pytest.fixture
def weights_file(tmp_path: Path) -> str:
    trainable = TorchNetwork(f"{HERE}:two_parts", SMALL).open(5, SHAPE, Optimiser(), 99)
    path = str(tmp_path / "weights.safetensors")
    safetensors.numpy.save_file(dict(trainable.weights()), path)
    return path


@needs_torch
def test_first_weights_come_from_a_file_but_for_the_head(weights_file: str) -> None:
    network = TorchNetwork(
        f"{HERE}:two_parts", SMALL, pretrained=Pretrained(weights_file, head=("head",))
    )
    network.check()
    found, expected = opened(network).weights(), safetensors.numpy.load_file(weights_file)
    body = [name for name in found if name.startswith("body.")]
    assert len(body) == 7
    assert all((found[name] == expected[name]).all() for name in body)
    assert found["head.1.weight"].shape == (2, 144)


@needs_torch
def test_first_weights_come_from_a_file_of_torch_that_holds_tensors_only(tmp_path: Path) -> None:
    import torch

    path = str(tmp_path / "weights.pt")
    saved = two_parts(2).state_dict()
    torch.save(saved, path)
    network = TorchNetwork(f"{HERE}:two_parts", SMALL, pretrained=Pretrained(path))
    found = opened(network).weights()
    assert (found["head.1.bias"] == saved["head.1.bias"].numpy()).all()
    torch.save(two_parts(2), path)  # a pickled object: it could run any code
    with pytest.raises(ModelError, match=r"weights.pt: cannot be read as a file of tensors"):
        opened(network)
    torch.save({"epoch": 3}, path)
    with pytest.raises(ModelError, match=r"holds tensors by name; got dict; save the `state_dict`"):
        opened(network)


@needs_torch
def test_frozen_parts_stay_and_the_rest_of_the_body_learns_slowly(weights_file: str) -> None:
    pretrained = Pretrained(weights_file, head=("head",), frozen=("body.1",), rate=0.01)
    network = TorchNetwork(f"{HERE}:two_parts", SMALL, pretrained=pretrained)
    trainable = opened(network, Optimiser("sgd", rate=0.1, momentum=0, weight_decay=0))
    before = trainable.weights()
    learn(trainable, range(1))
    after = trainable.weights()
    moved = {name for name in before if (before[name] != after[name]).any()}
    assert moved == {"body.0.weight", "body.0.bias", "head.1.weight", "head.1.bias"}

    full = opened(
        TorchNetwork(
            f"{HERE}:two_parts",
            SMALL,
            pretrained=Pretrained(weights_file, head=("head",), frozen=("body.1",)),
        ),
        Optimiser("sgd", rate=0.1, momentum=0, weight_decay=0),
    )
    learn(full, range(1))
    far = full.weights()["body.0.weight"] - before["body.0.weight"]
    near = after["body.0.weight"] - before["body.0.weight"]
    np.testing.assert_allclose(near, far * 0.01, atol=1e-6)


@needs_torch
@pytest.mark.parametrize(
    ("pretrained", "kind", "message"),
    [
        ({}, ModelError, r"these differ .*'head.1.weight': \(\(2, 144\), \(5, 144\)\)"),
        ({"head": ("haed",)}, PipelineError, "no tensor is in 'haed'; there are "),
        ({"frozen": ("bod",)}, PipelineError, "no tensor is in 'bod'; there are "),
        (
            {"head": ("head",), "frozen": ("body", "head")},
            PipelineError,
            "nothing of .* is left to be trained",
        ),
    ],
)
def test_what_does_not_fit_a_file_is_refused(
    weights_file: str, pretrained: Any, kind: type[Exception], message: str
) -> None:
    network = TorchNetwork(
        f"{HERE}:two_parts", SMALL, pretrained=Pretrained(weights_file, **pretrained)
    )
    with pytest.raises(kind, match=message):
        network.check()


@needs_torch
def test_the_state_of_a_part_that_is_frozen_now_is_refused(weights_file: str) -> None:
    free, frozen = (
        opened(
            TorchNetwork(
                f"{HERE}:two_parts",
                SMALL,
                pretrained=Pretrained(weights_file, head=("head",), frozen=parts),
            )
        )
        for parts in ((), ("body",))
    )
    learn(free, range(1))
    with pytest.raises(JobError, match=r"the checkpoint trains 'body.*', which is frozen here"):
        frozen.restore(free.tensors())


@needs_torch
def test_a_missing_file_is_refused() -> None:
    network = TorchNetwork(
        f"{HERE}:two_parts", SMALL, pretrained=Pretrained("/no/such.safetensors")
    )
    with pytest.raises(ModelError, match=r"/no/such.safetensors: cannot be read as a file of"):
        network.check()


@needs_torch
@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"module": "no_such:thing"}, PipelineError, "'no_such:thing' cannot be .*: No module"),
        (
            {"module": "linear"},
            PipelineError,
            "'linear' cannot be imported: .*`package.mod",
        ),
        ({"options": {"hue": 1}}, PipelineError, r"takes `num_classes` and \['hue'\]; it says: "),
        ({"module": f"{HERE}:no_module"}, PipelineError, "returns a `torch.nn.Module`; got 'a"),
        (
            {"module": f"{HERE}:one_answer"},
            ModelError,
            r"returns logits \[2, 2\], one for each class; got \[2, 1\]",
        ),
        (
            {"loss": f"{HERE}:nope"},
            PipelineError,
            "TorchNetwork: `loss` .*nope' cannot be im",
        ),
        ({"loss_options": {"x": 1}}, ModelError, r"must learn from float32 \[2, 3, 8, 8\]; it"),
        ({"optimiser": f"{HERE}:no_optimiser"}, PipelineError, "`optimiser` is a `torch.optim"),
        (
            {"preprocess": Preprocess(stretch=(9, 9))},
            ModelError,
            r"must learn from float32 \[2, 3, 9, 9\]; it failed: ",
        ),
        ({"preprocess": Preprocess(resize=9)}, PipelineError, "pictures have one size; got "),
        (
            {"standardise": True, "preprocess": Preprocess(stretch=(8, 8), std=(2, 2, 2))},
            PipelineError,
            "`standardise` takes the place of `mean` and `std`; got both",
        ),
    ],
)
def test_a_network_that_cannot_work_is_refused(
    options: Any, kind: type[Exception], message: str
) -> None:
    fields = {"module": f"{HERE}:linear", "preprocess": SMALL, **options}
    with pytest.raises(kind, match=message):
        TorchNetwork(**fields).check()


def no_optimiser(groups: Any) -> Any:
    return len(groups)


@pytest.mark.parametrize(("depth", "n_convolutions"), [(1, 4), (2, 7), (3, 10)])
def test_a_deeper_conv_net_has_more_convolutions_at_each_size(depth: int, n_convolutions: int):
    import torch

    module = conv_net(num_classes=3, size=(16, 16), width=4, dropout=0, depth=depth)

    found = [layer for layer in module if isinstance(layer, torch.nn.Conv2d)]
    assert len(found) == n_convolutions
    assert [layer.out_channels for layer in found[1 :: depth or 1]] == [8, 16, 16]
    assert module(torch.zeros(1, 3, 16, 16)).shape == (1, 3)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (ConvNet(depth=0), "`depth` is a whole number from 1; got 0"),
        (ConvNet(width=0), "`width` is a whole number from 1; got 0"),
        (ConvNet(dropout=1.0), r"`dropout` is in \[0, 1\); got 1.0"),
        (ConvNet(label_smoothing=-0.1), r"`label_smoothing` is in \[0, 1\); got -0.1"),
        (ConvNet(Preprocess(stretch=(7, 9))), r"pictures have 8 x 8 pixels or more.*\(7, 9\)"),
    ],
)
def test_a_conv_net_that_cannot_be_is_refused(network: ConvNet, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        network.check()


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(PipelineError, match="Pretrained: `rate` is above 0; got 0"):
        Pretrained("weights.safetensors", rate=0)


@needs_torch
@pytest.mark.parametrize(
    "other",
    [
        opened,
        lambda network: opened(ConvNet(SMALL, width=5), Optimiser(averaging=0.5)),
        lambda network: opened(network, Optimiser("sgd", averaging=0.5)),
    ],
    ids=["no_average", "other_width", "other_rule"],
)
def test_the_state_of_another_training_is_refused(other: Any) -> None:
    network = NETWORKS["conv_net"]
    trainable = opened(network, Optimiser(averaging=0.5))
    learn(trainable, range(1))
    with pytest.raises(JobError, match=r"the checkpoint has another network or optimiser; these"):
        other(network).restore(trainable.tensors())


def test_without_pytorch_the_message_says_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for act in (ConvNet().check, lambda: opened(ConvNet())):
        with pytest.raises(SetupError, match=r"pip install 'sightflow\[train\]'"):
            act()


@needs_torch
def test_a_network_begins_with_the_weights_of_another_training() -> None:
    network = TorchNetwork(f"{HERE}:two_parts", SMALL)
    how = Optimiser(rate=0.01, averaging=0.9)
    first, second = (network.open(2, SHAPE, how, seed) for seed in (0, 1))
    inputs, class_ids = np.zeros((4, *SHAPE), np.uint8), np.array([0, 1, 0, 1])
    first.learn(inputs, class_ids, 0)
    second.start(first.weights())
    assert np.array_equal(second.predict(inputs), first.predict(inputs))
    other = TorchNetwork(f"{HERE}:linear", SMALL).open(2, SHAPE, how, 0)
    with pytest.raises(ModelError, match="Sequential cannot start from weights of another network"):
        other.start(first.weights())

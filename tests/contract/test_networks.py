"""Every registered network keeps its promises. A new network needs an example here."""

import pytest
from tests.pytorch import require_pytorch

from sightflow.kinds import known_kinds, resolve_kind
from sightflow.learn.detection_head import DetectionHead
from sightflow.learn.head import Head
from sightflow.learn.network import Network
from sightflow.learn.torch_networks import ConvNet, TorchNetwork
from sightflow.ops.preprocess import Preprocess
from sightflow.testing import check_network

AT_LEAST = 4
OF_TORCH = {"ConvNet", "DetectionHead", "TorchNetwork"}

EXAMPLES: dict[str, Network] = {
    "ConvNet": ConvNet(Preprocess(stretch=(16, 16)), width=4),
    "DetectionHead": DetectionHead(width=4, depth=1, bins=8, min_score=0.0),
    "Head": Head(hidden=8),
    "TorchNetwork": TorchNetwork(
        "sightflow.learn.torch_modules:conv_net",
        Preprocess(stretch=(16, 16), mean=(128, 128, 128), std=(64, 64, 64)),
        {"size": [16, 16], "width": 4, "dropout": 0.1},
    ),
}


def test_the_networks_were_found_and_each_has_an_example() -> None:
    assert len(known_kinds("networks")) >= AT_LEAST
    assert set(known_kinds("networks")) == set(EXAMPLES)


@pytest.mark.parametrize("kind", known_kinds("networks"))
def test_it_is_of_its_kind_and_keeps_the_promises_of_a_network(kind: str) -> None:
    network = EXAMPLES[kind]
    assert type(network) is resolve_kind("networks", kind)
    if kind in OF_TORCH:
        require_pytorch()
    losses = check_network(network)
    assert losses["last"] < losses["first"]

"""Models are found by what a person calls them."""

import pytest
from tests.registries import publish

from sightflow.errors import CardError
from sightflow.models import ModelFile, Registry, find_model, zoo, zoo_names
from sightflow.models.finding import parse_address

CARD = """\
name: means
task: classify
input: {preprocess: {stretch: [8, 8], std: [255, 255, 255]}}
head: {kind: Probabilities}
labels: [red, green, blue]
"""


def test_a_model_of_the_zoo_is_found_by_its_name():
    assert find_model("nanodet") == zoo("nanodet")


def test_a_model_is_found_by_its_path_with_its_card_beside_it(write_onnx, tmp_path):
    (tmp_path / "net.yaml").write_text(CARD, "utf-8")

    model = find_model(write_onnx())

    assert model.path == str(tmp_path / "net.onnx")
    assert model.card.name == "means"
    model.check()


def test_a_model_file_is_its_own_reference(write_onnx, make_card):
    model = ModelFile(write_onnx(), make_card())

    assert find_model(model) is model


def test_a_model_without_a_card_is_told_what_to_write(write_onnx):
    with pytest.raises(CardError, match=r"net\.onnx: needs a card 'net\.yaml' beside it that says"):
        find_model(write_onnx())


def test_a_model_that_is_nowhere_is_told_with_those_that_ship():
    with pytest.raises(
        CardError,
        match=r"'resnet': neither a file nor a model .* \(.*efficientnet_lite0, .*nanodet, .*\)",
    ):
        find_model("resnet")


@pytest.mark.parametrize("name", zoo_names())
def test_a_reference_finds_the_same_model_again(name):
    assert zoo(name).reference == name
    assert find_model(zoo(name).reference) == zoo(name)


def test_a_published_model_is_found_with_and_without_its_version(registry):
    publish(registry, 1)
    publish(registry, 2)

    assert find_model(f"{registry.url}/gates@1").version == "1"
    assert find_model(f"{registry.url}/gates").version == "2"  # none serves: the newest
    registry.promote("gates", 1, reason="")
    assert find_model(f"{registry.url}/gates").version == "1"


def test_the_reference_of_a_published_model_is_pinned_and_finds_it_again(registry):
    publish(registry, 1)
    model = find_model(f"{registry.url}/gates")
    publish(registry, 2)

    assert model.reference == f"{registry.url}/gates@1"
    assert find_model(model.reference) == model


def test_a_registry_may_be_named_with_a_slash_at_its_end(folder):
    publish(folder)

    assert Registry(folder.url + "/").fetch("gates", 1) == folder.fetch("gates", 1)


def test_a_published_model_that_is_not_there_is_told_with_those_that_are(folder):
    publish(folder)

    with pytest.raises(CardError, match=r"gates: there is no version 9; there are 1"):
        find_model(f"{folder.url}/gates@9")
    with pytest.raises(CardError, match=r"no version of 'cars' is published; models: gates"):
        find_model(f"{folder.url}/cars@1")
    with pytest.raises(CardError, match=r"neither a file nor a model .* REGISTRY/NAME@VERSION"):
        find_model(f"{folder.url}/cars")


@pytest.mark.parametrize(
    ("reference", "url", "name", "number"),
    [
        ("models/gates", "models", "gates", None),
        ("/gates@3", "/", "gates", 3),
        ("a@b/gates@3", "a@b", "gates", 3),
        ("s3://shop/models/gates@00000003", "s3://shop/models", "gates", 3),
    ],
)
def test_a_reference_is_taken_apart(reference, url, name, number):
    address = parse_address(reference)

    assert (address.registry.url, address.name, address.number) == (url, name, number)


@pytest.mark.parametrize("reference", ["gates@3", "models/gates@new", "models/gates@0", "s3://x"])
def test_a_reference_of_another_form_is_told(reference):
    with pytest.raises(CardError, match="is named REGISTRY/NAME or REGISTRY/NAME@VERSION"):
        parse_address(reference)

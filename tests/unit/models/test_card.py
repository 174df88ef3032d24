"""Cards are read, and each mistake on one is told with its place."""

import pytest
import yaml

from sightflow.errors import CardError
from sightflow.models import Card, ModelInput, read_card, write_card
from sightflow.ops.preprocess import Preprocess

GOOD = """\
name: tiny
task: classify
input:
  name: images
  preprocess: {resize: 8, crop: [8, 8], mean: [1, 2, 3]}
head: {kind: Logits, output: scores}
labels: [cat, dog]
"""


@pytest.fixture
def card_file(tmp_path):
    """Return a function that writes a card."""

    def write(text):
        path = tmp_path / "card.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_card_is_read(card_file):
    card = read_card(card_file(GOOD))

    assert (card.name, card.task, card.labels) == ("tiny", "classify", ("cat", "dog"))
    assert card.input.name == "images"
    assert card.input.preprocess == Preprocess(resize=8, crop=(8, 8), mean=(1, 2, 3))
    assert card.head == {"kind": "Logits", "output": "scores"}


def test_what_a_card_leaves_out_has_a_default(card_file):
    card = read_card(card_file(GOOD))

    assert (card.version, card.sha256, card.backend) == (None, None, "onnx")
    assert (card.licence, card.scenes, card.measured) == ("not stated", {}, ())


def test_labels_may_stand_in_a_file_with_one_a_line(card_file, tmp_path):
    (tmp_path / "names.txt").write_text("tench\n\n  great white shark \nhen\n", "utf-8")

    card = read_card(card_file(GOOD.replace("[cat, dog]", "names.txt")))

    assert card.labels == ("tench", "great white shark", "hen")


@pytest.mark.parametrize("place", ["on the card", "in a file"])
def test_scenes_may_stand_on_the_card_or_in_a_file(card_file, tmp_path, place):
    scenes = "scenes:\n  coast: {0: 0.5}\n  street: {1: 1}\n"
    (tmp_path / "scenes.yaml").write_text(scenes, "utf-8")

    card = read_card(
        card_file(GOOD + (scenes if place == "on the card" else "scenes: scenes.yaml"))
    )

    assert card.scenes == {"coast": {0: 0.5}, "street": {1: 1.0}}


def test_measured_accuracy_is_kept(card_file):
    card = read_card(card_file(GOOD + "measured: [{data: d, metric: top-1, value: 0.75}]"))

    assert card.measured[0]["value"] == 0.75


def without(field):
    return "".join(line for line in GOOD.splitlines(True) if not line.startswith(field))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"card\.yaml: .*[Ee]xpected `object`"),
        ("- a\n- b\n", r"card\.yaml: .*[Ee]xpected `object`"),
        ("name: [", r"card\.yaml: "),
        (b"name: \xff\xfe", r"card\.yaml: "),
        (without("task"), "missing required field `task`"),
        (without("labels"), "missing required field `labels`"),
        (without("head"), "missing required field `head`"),
        (GOOD.replace("[cat, dog]", "3"), r"Expected `array`.*\$\.labels"),
        (GOOD.replace("[cat, dog]", "[cat, 4]"), r"Expected `str`.*\$\.labels\[1\]"),
        (GOOD.replace("[cat, dog]", "gone.txt"), r"gone\.txt: no such file"),
        (GOOD + "scenes: gone.yaml", r"gone\.yaml: no such file"),
        (GOOD + "scenes: {coast: {tench: 1}}", r"\$\.scenes"),
        (GOOD.replace("crop: [8, 8]", "crop: 8"), r"\$\.input\.preprocess\.crop"),
        (GOOD.replace("resize: 8", "resize: eight"), r"\$\.input\.preprocess\.resize"),
        (GOOD.replace("crop: ", "letterbox: "), r"at most one of.*\$\.input\.preprocess"),
        (
            GOOD.replace("resize: 8", "interpolation: lanczos"),
            r"'lanczos'.*\$\.input\.preprocess\.interpolation",
        ),
    ],
)
def test_a_mistake_on_a_card_is_told_with_its_place(card_file, text, message):
    with pytest.raises(CardError, match=f"(?s){message}.*docs/reference/cards.md"):
        read_card(card_file(text))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("labels:", "notse: x\nlabels:"), ("mean:", "meen:")],
    ids=["card", "input"],
)
def test_a_field_that_no_card_has_is_refused(card_file, right, wrong):
    """A misspelt `mean` would change what the model sees, and nobody would know."""
    with pytest.raises(CardError, match=r"notse|meen"):
        read_card(card_file(GOOD.replace(right, wrong)))


@pytest.mark.parametrize("field", ["labels: .", "scenes: ."])
def test_a_folder_where_a_file_should_be_is_a_mistake_on_the_card(card_file, field):
    with pytest.raises(CardError):
        read_card(card_file(without("labels") + field))


def test_a_card_that_is_not_there_is_told_by_its_path(tmp_path):
    with pytest.raises(CardError, match=r"gone\.yaml: no such file; docs/reference/cards\.md"):
        read_card(tmp_path / "gone.yaml")


def test_a_card_that_was_written_is_read_as_it_was(tmp_path):
    card = Card(
        name="tiny",
        task="classify",
        input=ModelInput(Preprocess(resize=9, crop=(8, 8), std=(1, 2, 3)), "images"),
        head={"kind": "Logits", "output": "scores"},
        labels=("cat", "no"),
        scenes={"farm": {0: 0.5}},
        measured=({"data": "all", "metric": "top-1 %", "value": 90.5},),
        notes="Says: miaow.\nAnd more.",
    )

    write_card(card, tmp_path / "card.yaml")

    assert read_card(tmp_path / "card.yaml") == card


def test_a_written_card_leaves_out_what_has_its_default(card_file, tmp_path):
    write_card(read_card(card_file(GOOD)), tmp_path / "new.yaml")

    assert yaml.safe_load((tmp_path / "new.yaml").read_text()) == yaml.safe_load(GOOD)

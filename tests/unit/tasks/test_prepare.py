"""Prepared images, for training data or another program."""

import numpy as np

from sightflow.ops.preprocess import Preprocess
from sightflow.tasks.prepare import Prepare
from sightflow.testing import a_context, a_record, check_operator


def prepare(record, **options):
    (outcome,) = Prepare(Preprocess(**options)).open(a_context())([record])
    return outcome


def test_it_keeps_the_promises_of_an_operator():
    outcomes = check_operator(Prepare(Preprocess(resize=20, crop=(16, 16))))

    assert {outcome.prepared.shape for outcome in outcomes} == {(16, 16, 3)}


def test_the_prepared_image_lies_beside_the_pixels():
    record = a_record(np.full((24, 32, 3), (10, 20, 30), np.uint8))

    outcome = prepare(record, stretch=(6, 8), channels="BGR")

    assert outcome.prepared.shape == (6, 8, 3)
    assert (outcome.prepared == (30, 20, 10)).all()
    assert outcome.pixels is record.pixels


def test_a_normalised_image_is_float32_planes():
    outcome = prepare(a_record(), mean=(128, 127, 126))

    assert outcome.prepared.dtype == np.float32
    assert outcome.prepared.shape == (3, 24, 32)
    assert [plane.mean() for plane in outcome.prepared] == [0, 1, 2]


def test_no_model_is_noted():
    assert prepare(a_record(), resize=8).models == ()


def test_the_scale_is_that_of_the_preprocessing():
    assert Prepare(Preprocess(resize=100)).scale_for(400, 200) == 0.5


def test_the_default_leaves_the_image_as_it_is():
    (outcome,) = Prepare().open(a_context())([a_record()])

    assert (outcome.prepared == outcome.pixels).all()

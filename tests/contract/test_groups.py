"""Every group of entry points has a contract, and every kind of this package can be found."""

import pytest
from tests.contract import (
    test_controls,
    test_detectors,
    test_models,
    test_networks,
    test_operators,
    test_sinks,
    test_sources,
    test_tables,
)

from sightflow.kinds import GROUPS, known_kinds, resolve_kind

CHECKED = {
    "backends": test_models.BACKENDS,
    "controls": test_controls.EXAMPLES,
    "detectors": test_detectors.KINDS,
    "heads": test_models.HEADS,
    "labels": test_sources.LABEL_EXAMPLES,
    "networks": test_networks.EXAMPLES,
    "operators": test_operators.ALL,
    "sinks": {**test_sinks.EXAMPLES, **test_sinks.MESSAGE_EXAMPLES},
    "tables": test_tables.EXAMPLES,
    "sources": {
        **test_sources.EXAMPLES,
        **test_sources.STREAM_EXAMPLES,
        **test_sources.BROKER_EXAMPLES,
    },
}


def test_every_group_has_a_contract() -> None:
    assert set(CHECKED) == set(GROUPS)
    assert sum(map(len, CHECKED.values())) >= 50


@pytest.mark.parametrize("group", GROUPS)
def test_every_kind_of_a_group_can_be_imported_and_is_checked(group: str) -> None:
    assert set(known_kinds(group)) == set(CHECKED[group])
    assert all(callable(resolve_kind(group, kind)) for kind in known_kinds(group))

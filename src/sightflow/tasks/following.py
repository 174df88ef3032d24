"""Follow the version of a published model that serves: it takes over between two batches.

The pointer in the registry is what steers a running job. Each worker looks at it once a second, on
a thread of its own, gets the new version ready there (sha256, loading, a first image), and only
then lets it take over, so that no image waits for it. A version that cannot be used changes
nothing but the log, and is tried again.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from sightflow.errors import CardError
from sightflow.models import ModelFile
from sightflow.models.finding import Address, parse_address
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord, Outcome

__all__ = ["check_published", "follow", "identity_of", "name_of"]

_LOGGER = logging.getLogger("sightflow")
_LOOK_EVERY_S = 1.0


def check_published(model: ModelFile, step: str) -> None:
    """Raise `CardError` unless a model is one of a registry, where there is something to follow."""
    if model.address is None:
        raise CardError(
            f"{step}: `follow` needs a published model, REGISTRY/NAME; got {model.reference}"
        )


def identity_of(step: Any) -> dict[str, Any]:
    """Return the options of a step; of a model that is followed only the name, not the version."""
    options = {field.name: getattr(step, field.name) for field in fields(step)}
    if options["follow"]:
        options["model"] = name_of(step.model)
    return options


def name_of(model: ModelFile) -> tuple[str, str]:
    """Return the registry and the name of a published model, whatever its version."""
    place = parse_address(str(model.address))
    return place.registry.url, place.name


def follow(
    model: ModelFile, context: Context, open_with: Callable[[ModelFile], Process]
) -> Process:
    """Return a step whose model is the version that serves, at first this one.

    Args:
        model: a published one.
        context: of the step.
        open_with: returns the step with a model, ready for images.
    """
    follower = _Follower(parse_address(str(model.address)), open_with, model)
    thread = threading.Thread(target=follower.watch, name="sightflow-follow", daemon=True)
    thread.start()
    context.resources.callback(thread.join)
    context.resources.callback(follower.stop)

    def process(records: Sequence[ImageRecord]) -> Sequence[Outcome]:
        if follower.has_taken_over():
            context.metrics.count("model_swaps")
        return follower.process(records)

    return process


class _Follower:
    """A step and its successor."""

    def __init__(
        self, address: Address, open_with: Callable[[ModelFile], Process], model: ModelFile
    ) -> None:
        self._address = address
        self._open_with = open_with
        self._number = address.resolve()
        self._stop = threading.Event()
        self._waiting: list[Process] = []
        self._told = ""
        self._look_safely()  # a worker that was restarted does not begin with an old version
        self.process = self._waiting.pop() if self._waiting else open_with(model)

    def has_taken_over(self) -> bool:
        """Let the step with a new version take over, if one is ready."""
        if not self._waiting:
            return False
        self.process = self._waiting.pop()
        return True

    def watch(self) -> None:
        """Look at the pointer again and again until `stop`."""
        while not self._stop.wait(_LOOK_EVERY_S):
            self._look_safely()

    def stop(self) -> None:
        """End the watch."""
        self._stop.set()

    def _look_safely(self) -> None:
        """Look at the pointer; what goes wrong is told once, and tried again at the next look."""
        try:
            self._look()
        except Exception as error:  # whatever a version is, the step works on
            if str(error) != self._told:
                self._told = str(error)
                _LOGGER.warning("%s: %s", self._address.name, error)

    def _look(self) -> None:
        pointer = self._address.registry.serving(self._address.name)
        if pointer is None or pointer.number == self._number:
            return
        model = self._address.registry.fetch(self._address.name, pointer.number)
        self._waiting[:] = [self._open_with(model)]
        self._number, self._told = pointer.number, ""

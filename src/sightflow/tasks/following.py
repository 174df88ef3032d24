"""Follow the version of a published model that serves: it takes over between two batches.

The pointer in the registry is what steers a running job. Each worker looks at it once a second, on
a thread of its own, gets the new version ready there (sha256, loading, a first image), and only
then lets it take over, so that no image waits for it. A version that cannot be used changes
nothing but the log, and is tried again.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sightflow.errors import RegistryError
from sightflow.models import ModelFile
from sightflow.models.finding import Address, parse_address
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord, Outcome
from sightflow.tasks.model_step import grey_record, try_out

__all__ = ["Following", "follow", "name_of"]

_LOGGER = logging.getLogger("sightflow")
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Following:
    """What steps have in common whose model may be a published one that is followed."""

    model: ModelFile
    follow: bool = field(default=False, kw_only=True)
    """Switch to whichever version of REGISTRY/NAME is promoted, while the job runs."""

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on: of a followed model only the name."""
        options = {one.name: getattr(self, one.name) for one in fields(self)}
        if self.follow:
            options["model"] = name_of(self.model)
        return options

    def check(self) -> None:
        """Refuse what cannot work: options, a model for another task, one that does not fit."""
        self._check()
        if self.follow and self.model.address is None:
            raise RegistryError(
                f"{type(self).__name__}: `follow` needs a published model, REGISTRY/NAME; got "
                f"{self.model.reference}"
            )
        try_out(self._open, self._specimen())

    def scale_for(self, width: int, height: int) -> float:
        """Return the scale at which the model looks at the image."""
        return self.model.card.input.preprocess.scale_for(width, height)

    def open(self, context: Context) -> Process:
        """Load the model; where it is followed, the version that serves."""
        if not self.follow:
            return self._open(context)

        def open_with(model: ModelFile) -> Process:
            step = replace(self, model=model, follow=False)
            step.check()
            return step.open(context)

        return follow(self.model, context, open_with)

    def _check(self) -> None:
        """Refuse options that cannot be, and a model that is not for this step."""
        raise NotImplementedError

    def _specimen(self) -> ImageRecord:
        """Return a picture that the step takes, to try it with."""
        return grey_record()

    def _open(self, context: Context) -> Process:
        """Load the model that the step was made with."""
        raise NotImplementedError


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

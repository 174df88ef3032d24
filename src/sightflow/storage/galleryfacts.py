"""What is known of a gallery as a whole: `gallery.json`, which is never encrypted."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sightflow.errors import GalleryError
from sightflow.storage.gallerykey import Encryption
from sightflow.storage.privatefolder import replace_privately

__all__ = ["FACTS", "About", "GalleryFacts", "read_about", "write_about"]

FACTS = "gallery.json"
"""Name of the file; with it there is a gallery."""

_FORM = 1
"""Version of the form of all files of a gallery."""
_ID_BYTES = 8


@dataclass(frozen=True)
class GalleryFacts:
    """Which embeddings a gallery has; those of two models cannot be compared."""

    model: str
    """Name of the model that made them."""
    model_version: str
    n_numbers: int
    """Of each embedding."""

    def __str__(self) -> str:
        """Return the facts for a message."""
        return f"{self.model} {self.model_version} ({self.n_numbers} numbers)"


class _Form(msgspec.Struct, frozen=True, kw_only=True):
    version: int


class About(_Form, frozen=True, kw_only=True):
    """What the file says."""

    gallery_id: str
    """Random: another gallery at the same place has another one."""
    model: str
    model_version: str
    n_numbers: int
    encryption: Encryption | None

    @classmethod
    def of(cls, facts: GalleryFacts, encryption: Encryption | None) -> "About":
        """Return what the file of a new gallery says."""
        return cls(
            version=_FORM,
            gallery_id=secrets.token_hex(_ID_BYTES),
            model=facts.model,
            model_version=facts.model_version,
            n_numbers=facts.n_numbers,
            encryption=encryption,
        )

    def facts(self) -> GalleryFacts:
        """Return what is said of the embeddings."""
        return GalleryFacts(self.model, self.model_version, self.n_numbers)

    def check_same_model(self, given: GalleryFacts, where: Path) -> None:
        """Raise `GalleryError` for embeddings of another model than those of the gallery."""
        if self.facts() != given:
            raise GalleryError(
                f"{where}: has embeddings of {self.facts()}; got some of {given}; those of two "
                "models cannot be compared: take that model, or enrol into a new gallery"
            )


# Made here, as one thread must make the plan of msgspec for a type: see `records.state`.
_FORMS = msgspec.json.Decoder(_Form)
_ABOUTS = msgspec.json.Decoder(About)
_ENCODER = msgspec.json.Encoder()


def read_about(folder: Path) -> About:
    """Return what the file of a gallery says.

    Raises:
        GalleryError: it is damaged, or of another version.
        OSError: it cannot be read.
    """
    path = folder / FACTS
    data = path.read_bytes()
    try:
        form = _FORMS.decode(data).version
        if form == _FORM:
            return _ABOUTS.decode(data)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise GalleryError(f"{path}: is damaged: {error}; restore the file") from error
    raise GalleryError(
        f"{path}: is of version {form}; this Sightflow reads version {_FORM}: take the one that "
        "wrote it"
    )


def write_about(folder: Path, about: About) -> None:
    """Write the file of a gallery.

    Raises:
        OutputError: it cannot be written.
    """
    text = msgspec.json.format(_ENCODER.encode(about), indent=2)
    replace_privately(folder / FACTS, (text, b"\n"))

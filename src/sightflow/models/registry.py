"""A registry: versions of trained models in a folder or an object store, and which one serves.

`NAME/versions/00000001` has `model.onnx`, `weights.safetensors`, `card.yaml` and `version.json`;
`NAME/serving.json` says which version serves and which ones did.
"""

import hashlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sightflow.errors import ModelError, RegistryError
from sightflow.models.card import Card, encode_card, read_card
from sightflow.models.files import ModelFile
from sightflow.models.shelves import COMPLETE, Shelves, open_shelves
from sightflow.models.versions import Facts, Pointer, Serving, Version, from_json, to_json
from sightflow.storage.cache import cache_folder
from sightflow.storage.drafts import new_folder

__all__ = ["Registry", "is_name"]

_MODEL, _WEIGHTS, _CARD, _SERVING = "model.onnx", "weights.safetensors", "card.yaml", "serving.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TRAILING = re.compile(r"(?<![:/])/+$")
"""Slashes at the end of a path; not those of `memory://`."""


@dataclass(frozen=True)
class Registry:
    """Models by name, each with its versions."""

    url: str
    """A folder, or a URL of fsspec: `s3://`, `gs://`, `memory://`, `file://` and so on."""

    def publish(
        self, name: str, *, onnx: bytes, weights: bytes, card: Card, facts: Facts
    ) -> Version:
        """Add a version; it appears with all its files, or not at all. It does not serve yet.

        Publishing the same step of the same run again returns the version that is there.

        Args:
            name: of the model: letters, digits, `.`, `_`, `-`; the first a letter or digit.
            onnx: the model file.
            weights: the weights that predict, in the form of safetensors.
            card: of the model file; gets the number as its `version`, and the `sha256`.
            facts: how the version came to be.

        Raises:
            RegistryError: the name is not what it must be.
            ModelError: the step of the run was published with other bytes, a measure is no number,
                or the storage fails.
        """
        _check_name(name)
        facts.check()
        files = {_MODEL: onnx, _WEIGHTS: weights}
        shelves = self._shelves()
        with shelves.alone(name):
            there = self._published(name, facts)
            if there is not None:
                return self._same(name, there, files)
            number = shelves.add(name, lambda number: _files_of(number, files, card, facts))
        return self.version(name, number)

    def names(self) -> tuple[str, ...]:
        """Return the names of the published models, sorted."""
        return tuple(name for name in self._shelves().names() if is_name(name))

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return the numbers of the versions of a model, the oldest first; reads none of them."""
        return tuple(self._shelves().numbers(_check_name(name)))

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions of a model, the oldest first; none where there is no such model."""
        _check_name(name)
        shelves = self._shelves()
        paths = [_path(name, number, COMPLETE) for number in shelves.numbers(name)]
        pairs = zip(paths, shelves.read(paths), strict=True)
        return tuple(from_json(data, Version, f"{self.url}/{path}") for path, data in pairs)

    def version(self, name: str, number: int) -> Version:
        """Return a version.

        Raises:
            RegistryError: there is no such version.
        """
        path = _path(_check_name(name), number, COMPLETE)
        shelves = self._shelves()
        try:
            (data,) = shelves.read([path])
        except FileNotFoundError as error:
            raise RegistryError(self._no_version(name, number)) from error
        return from_json(data, Version, f"{self.url}/{path}")

    def serving(self, name: str) -> Pointer | None:
        """Return the pointer to the version that serves; None before the first promotion."""
        return self._history(name).current()

    def history(self, name: str) -> tuple[Pointer, ...]:
        """Return all pointers that there were, the oldest first."""
        return self._history(name).history

    def promote(self, name: str, number: int, *, reason: str) -> Pointer:
        """Let a version serve; promoting the one that serves changes nothing.

        Raises:
            RegistryError: there is no such version.
        """
        self.version(name, number)
        with self._shelves().alone(name):
            serving = self._history(name)
            current = serving.current()
            if current is not None and current.number == number:
                return current
            return self._point(name, serving, Pointer(number, _now_ms(), reason))

    def rollback(self, name: str, *, reason: str = "") -> Pointer:
        """Let the version serve that did so before the last promotion.

        Raises:
            RegistryError: no version served before.
        """
        self._before(name, self._history(name))  # a wrong call makes no folder
        with self._shelves().alone(name):
            serving = self._history(name)
            before = self._before(name, serving)
            self.version(name, before)
            pointer = Pointer(before, _now_ms(), reason, rolled_back=True)
            return self._point(name, serving, pointer)

    def fetch(self, name: str, number: int) -> ModelFile:
        """Return the model file of a version, on this machine.

        From an object store it is copied once into `sightflow/models` in the user's cache folder.

        Raises:
            RegistryError: there is no such version.
            ModelError: a file is not the one that was published.
        """
        version = self.version(name, number)
        folder = self._shelves().folder(f"{name}/{_folder(number)}")
        if folder is None:
            folder = self._copied(name, version)
        for file in (_MODEL, _CARD):
            self._check_sum(version, str(folder / file), _read(folder / file))
        reference = self.reference(name, number)
        return ModelFile(str(folder / _MODEL), read_card(folder / _CARD), reference)

    def is_at(self, url: str) -> bool:
        """Return whether a URL is that of this registry, however it is written."""
        here, there = (_TRAILING.sub("", one) for one in (self.url, url))
        return here == there or os.path.realpath(here) == os.path.realpath(there)

    def reference(self, name: str, number: int) -> str:
        """Return what a version is found by: REGISTRY/NAME@VERSION."""
        return f"{_TRAILING.sub('', self.url)}/{name}@{number}"

    def weights(self, name: str, number: int) -> bytes:
        """Return the weights of a version, in the form of safetensors.

        Raises:
            RegistryError: there is no such version.
            ModelError: they are not those that were published.
        """
        return self._file(name, self.version(name, number), _WEIGHTS)

    def _shelves(self) -> Shelves:
        return open_shelves(self.url)

    def _published(self, name: str, facts: Facts) -> Version | None:
        """Return the version of a step of a run, if there is one."""
        step = (facts.run_id, facts.step)
        found = [v for v in self.versions(name) if (v.facts.run_id, v.facts.step) == step]
        return found[0] if found else None

    def _same(self, name: str, there: Version, files: Mapping[str, bytes]) -> Version:
        """Return a version, if it has these files."""
        for file, data in files.items():
            if _sum(data) != there.sha256.get(file):
                raise ModelError(
                    f"{self.url}/{name}: step {there.facts.step} of the run "
                    f"{there.facts.run_id!r} is version {there.number}, whose {file} has the "
                    f"sha256 {there.sha256.get(file)}; got other bytes, {_sum(data)}; a step is "
                    "published once: give another training another run id"
                )
        return there

    def _history(self, name: str) -> Serving:
        path = f"{_check_name(name)}/{_SERVING}"
        try:
            (data,) = self._shelves().read([path])
        except FileNotFoundError:
            return Serving()
        return from_json(data, Serving, f"{self.url}/{path}")

    def _before(self, name: str, serving: Serving) -> int:
        number = serving.before()
        if number is None:
            raise RegistryError(
                f"{self.url}/{name}: a rollback needs a version that served before; there is "
                "none; promote the one that is to serve"
            )
        return number

    def _point(self, name: str, serving: Serving, pointer: Pointer) -> Pointer:
        data = to_json(Serving((*serving.history, pointer)))
        self._shelves().replace(f"{name}/{_SERVING}", data)
        return pointer

    def _file(self, name: str, version: Version, file: str) -> bytes:
        """Return a file of a version, checked."""
        path = _path(name, version.number, file)
        try:
            (data,) = self._shelves().read([path])
        except FileNotFoundError as error:
            raise ModelError(f"{self.url}/{path}: is gone; publish the version anew") from error
        self._check_sum(version, f"{self.url}/{path}", data)
        return data

    def _copied(self, name: str, version: Version) -> Path:
        """Return the folder of this machine with a copy of a version."""
        what = [self.url, name, str(version.number), *map(str, sorted(version.sha256.items()))]
        key = _sum("\n".join(what).encode())[:16]
        folder = cache_folder() / "models" / f"{name}-{version.number}-{key}"
        if not folder.is_dir():
            files = {file: self._file(name, version, file) for file in (_MODEL, _CARD)}
            try:
                new_folder(folder, files)  # another process may be faster; it has the same files
            except OSError as error:
                raise ModelError(
                    f"{folder}: cannot be written: {error}; set XDG_CACHE_HOME to a folder that can"
                ) from error
        return folder

    def _check_sum(self, version: Version, path: str, data: bytes) -> None:
        expected = version.sha256.get(Path(path).name)
        if _sum(data) != expected:
            raise ModelError(
                f"{path}: sha256 must be {expected} as it was published; got {_sum(data)}; remove "
                "the folder if it is in the cache, else publish the model anew"
            )

    def _no_version(self, name: str, number: int) -> str:
        numbers = self.numbers(name)
        if numbers:
            there = ", ".join(map(str, numbers))
            return f"{self.url}/{name}: there is no version {number}; there are {there}"
        models = ", ".join(self.names()) or "none"
        return f"registry {self.url}: no version of {name!r} is published; models: {models}"


def is_name(name: str) -> bool:
    """Return whether a model can be published under this name.

    Examples:
        >>> is_name("gates-2.onnx"), is_name("../gates")
        (True, False)
    """
    return _NAME.fullmatch(name) is not None


def _check_name(name: str) -> str:
    if not is_name(name):
        raise RegistryError(
            "registry: a name has letters, digits, `.`, `_` and `-`, and starts with a letter or "
            f"digit; got {name!r}"
        )
    return name


def _files_of(
    number: int, files: Mapping[str, bytes], card: Card, facts: Facts
) -> dict[str, bytes]:
    """Return all files of a version."""
    card = replace(card, version=str(number), sha256=_sum(files[_MODEL]))
    written = {**files, _CARD: encode_card(card)}
    sums = {name: _sum(data) for name, data in written.items()}
    return {**written, COMPLETE: to_json(Version(number, sums, _now_ms(), facts))}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error


def _folder(number: int) -> str:
    return f"versions/{number:08d}"


def _path(name: str, number: int, file: str) -> str:
    return f"{name}/{_folder(number)}/{file}"


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _now_ms() -> int:
    return int(time.time() * 1000)

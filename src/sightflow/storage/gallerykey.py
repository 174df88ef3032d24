"""The key of an encrypted gallery: where it comes from, and what it locks."""

import base64
import functools
import hashlib
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from sightflow.errors import GalleryError, SetupError
from sightflow.records.state import as_bytes

__all__ = [
    "KEY_VARIABLE",
    "Cipher",
    "Encryption",
    "cipher_of",
    "gallery_key",
    "is_plain",
    "new_encryption",
]

KEY_VARIABLE = "SIGHTFLOW_GALLERY_KEY"
"""The environment variable with the key: any passphrase, or a key of Fernet."""

_KNOWN = b"sightflow gallery"
"""What is encrypted to recognise the key by."""
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_SALT_BYTES = 16
_COST, _BLOCK_SIZE, _ROUNDS = 1 << 15, 8, 3
"""Of scrypt: 32 MiB for a guess, as the OWASP Password Storage Cheat Sheet has it."""
_MAX_MEMORY = 64 << 20
_PLAIN = b"{"
"""How a line begins that is not encrypted."""


class Encryption(msgspec.Struct, frozen=True):
    """How the lines of a gallery are encrypted; neither the key nor what could replace it."""

    check: str
    """Known bytes, encrypted: only the right key opens them."""
    salt: bytes | None = None
    """With which the key is made of a passphrase; None where the passphrase is a key of Fernet."""


@dataclass(frozen=True)
class Cipher:
    """What makes a line unreadable, and readable again."""

    seal: Callable[[bytes], bytes]
    """Returns a line without its end, encrypted."""
    unseal: Callable[[bytes], bytes]
    """Returns the line that `seal` was given; a `ValueError` says that it is none."""


def gallery_key() -> str | None:
    """Return the passphrase for galleries from the environment, or None where there is none.

    Raises:
        GalleryError: the variable is set, but empty.
    """
    passphrase = os.environ.get(KEY_VARIABLE)
    if passphrase == "":
        raise GalleryError(
            f"{KEY_VARIABLE}: is set, but empty; set it to the key, or unset it for galleries that "
            "are not encrypted"
        )
    return passphrase


def new_encryption() -> Encryption | None:
    """Return how a new gallery is to be encrypted; None where no key is set.

    Raises:
        SetupError: the library is missing.
    """
    passphrase = gallery_key()
    if passphrase is None:
        return None
    salt = None if _FERNET_KEY.fullmatch(passphrase) else secrets.token_bytes(_SALT_BYTES)
    fernet = _library().Fernet(_derived(passphrase, salt))
    return Encryption(fernet.encrypt(_KNOWN).decode(), salt)


def cipher_of(encryption: Encryption | None, where: object) -> Cipher:
    """Return what reads and writes the lines of a gallery, with the key that is set.

    Args:
        encryption: of the gallery; None where it is not encrypted.
        where: the gallery, for messages.

    Raises:
        GalleryError: the key is another one or is missing, or the gallery is not encrypted though
            a key is set.
        SetupError: the library is missing.
    """
    passphrase = gallery_key()
    if encryption is None:
        if passphrase is not None:
            raise GalleryError(
                f"{where}: is not encrypted, and {KEY_VARIABLE} is set; encrypt it, "
                f"`sightflow faces encrypt {where}`, or unset the variable"
            )
        return Cipher(bytes, bytes)
    if passphrase is None:
        raise GalleryError(f"{where}: is encrypted; set {KEY_VARIABLE} to its key")
    return _opened(encryption, passphrase, where)


def is_plain(line: bytes) -> bool:
    """Return whether a line of a log is not encrypted."""
    return line.startswith(_PLAIN)


def _opened(encryption: Encryption, passphrase: str, where: object) -> Cipher:
    library = _library()
    try:
        if encryption.salt is None and not _FERNET_KEY.fullmatch(passphrase):
            raise library.InvalidToken
        fernet = library.Fernet(_derived(passphrase, encryption.salt))
        fernet.decrypt(encryption.check)
    except library.InvalidToken as error:
        raise GalleryError(
            f"{where}: {KEY_VARIABLE} is not the key with which this gallery was encrypted; set "
            "that one"
        ) from error

    def unseal(line: bytes) -> bytes:
        if is_plain(line):
            raise GalleryError(
                f"{where}: is not all encrypted yet; call `sightflow faces encrypt {where}` again"
            )
        try:
            return bytes(fernet.decrypt(line))
        except library.InvalidToken as error:
            raise ValueError("it cannot be decrypted") from error

    return Cipher(fernet.encrypt, unseal)


@functools.lru_cache(maxsize=8)
def _derived(passphrase: str, salt: bytes | None) -> bytes:
    """Return a key of Fernet; slow on purpose, as passphrases can be guessed.

    Source: scrypt, RFC 7914; Fernet, https://github.com/fernet/spec.
    """
    if salt is None:
        return as_bytes(passphrase)
    cost = {"n": _COST, "r": _BLOCK_SIZE, "p": _ROUNDS}
    key = hashlib.scrypt(as_bytes(passphrase), salt=salt, maxmem=_MAX_MEMORY, dklen=32, **cost)
    return base64.urlsafe_b64encode(key)


def _library() -> Any:
    """Return the module `cryptography.fernet`.

    Raises:
        SetupError: it is missing or broken.
    """
    try:
        from cryptography import fernet
    except (ImportError, OSError) as error:
        raise SetupError(
            f"encrypted galleries need `cryptography`, and it cannot be imported ({error}); "
            "`pip install 'sightflow[encryption]'`"
        ) from error
    return fernet

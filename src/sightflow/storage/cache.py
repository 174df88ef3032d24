"""The folder of this user for what can be made anew."""

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return `sightflow` in `XDG_CACHE_HOME`, or else in `~/.cache`; it need not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sightflow"

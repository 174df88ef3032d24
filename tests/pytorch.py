"""Tests that need PyTorch: skipped where it is missing, unless it must be there."""

import importlib.util
import os
from typing import Any

import pytest

__all__ = ["needs_torch", "require_pytorch"]

_REASON = "PyTorch is missing: make setup-train"
_IS_REQUIRED = "torch" in os.environ.get("SIGHTFLOW_REQUIRE", "").split(",")

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None and not _IS_REQUIRED, reason=_REASON
)


def require_pytorch() -> Any:
    """Return the package `torch`, or skip what needs it."""
    if _IS_REQUIRED:
        return importlib.import_module("torch")
    return pytest.importorskip("torch", reason=_REASON)

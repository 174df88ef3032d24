"""The live page: what a run shows of itself, for people with a browser."""

from sightflow.dashboard.live.address import Address
from sightflow.dashboard.live.server import live_page
from sightflow.dashboard.live.state import LiveRun

__all__ = ["Address", "LiveRun", "live_page"]

"""Acceptance: every point that was to be shown, its goal, its figure, and whether it holds."""

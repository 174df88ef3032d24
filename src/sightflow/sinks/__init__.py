"""Sinks: where results and pictures go. Output appears complete or not at all."""

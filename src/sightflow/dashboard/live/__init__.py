"""The live page: what a run shows of itself, for people with a browser."""

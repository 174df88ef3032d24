"""Kinds of its own for Sightflow: an operator, a back end, a source and a sink."""

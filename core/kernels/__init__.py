"""Loops compiled by numba for the processor at hand: few tokens through the layers of a model on a CPU."""

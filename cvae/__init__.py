"""Classifying variational autoencoders for polyphonic music."""

__version__ = "0.1.0"

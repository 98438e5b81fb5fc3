"""Weights that come with this package; the model card stands beside each."""

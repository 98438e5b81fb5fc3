"""Fixtures for all tests."""

from __future__ import annotations

import pytest
import torch
from doubles import bag_of, tiny

from streamer.models.separator import Bag

# the networks here are so small that a second thread costs more than it brings
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_bag() -> Bag:
    """One random HTDemucs."""
    return bag_of([tiny()], [[1] * 4])

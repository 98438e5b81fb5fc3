"""Fixtures for all tests."""

from __future__ import annotations

import pytest
from doubles import bag_of, tiny

from streamer.models.separator import Bag


@pytest.fixture(scope="session")
def tiny_bag() -> Bag:
    """One random HTDemucs."""
    return bag_of([tiny()], [[1] * 4])

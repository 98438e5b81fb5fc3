"""A crowded page in a real browser, for the tests that look at it and touch it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from live.support.crowd import Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A browser, and a band of many stems and listeners; see `live.support.crowd`."""
    from live.support.crowd import crowded  # needs the extra, which the tests look for

    with crowded(tmp_path_factory.mktemp("scenes")) as one:
        yield one


@pytest.fixture(scope="module")
def desk(stage: Stage) -> Any:
    """The desk that is acted on."""
    return stage.open()


@pytest.fixture(scope="module")
def mix(stage: Stage) -> Any:
    """A listener's page, on a phone."""
    from live.support.chromium import PHONE
    from live.support.crowd import LISTENER

    return stage.open(LISTENER, PHONE, has_touch=True)


@pytest.fixture
def at_rest(stage: Stage) -> Iterator[None]:
    """Every control is at rest before a test, and no page has complained after it."""
    stage.band.rest()
    yield
    assert stage.chromium.wrong == []

"""Where a device's memory is too small: half the windows, then the CPU, and nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from support.doubles import RATE, RecordingSeparator, SmallDevice

from streamer.errors import ModelMemoryError
from streamer.models.backends.sparing import SparingSeparator
from streamer.models.backends.torch_separator import TorchSeparator
from streamer.models.separator import Adaptive, Bag, Load, Member

CPU = torch.device("cpu")


def windows(count: int) -> np.ndarray:
    return np.arange(count * 20, dtype="f4").reshape(count, 10, 2)


def assert_separated(stems: np.ndarray, given: np.ndarray) -> None:
    expected = given[:, np.newaxis] * np.arange(1, 5, dtype="f4")[:, None, None]
    np.testing.assert_array_equal(stems, expected)


def test_the_batch_is_halved_until_it_fits():
    device = SmallDevice(room=3)
    sparing = SparingSeparator(device)
    assert_separated(sparing(windows(8)), windows(8))
    assert device.calls == [8, 4, 2, 2, 2, 2]
    assert sparing.take_notes() == [
        "memory ran out on cuda:7: the model went on with 2 windows at a time"
    ]
    assert_separated(sparing(windows(3)), windows(3))
    assert device.calls[6:] == [2, 1]
    assert sparing.take_notes() == []
    assert sparing.best_load() == Load(2, 2)


def test_where_one_window_is_too_much_the_cpu_goes_on():
    device = SmallDevice(room=0)
    sparing = SparingSeparator(device)
    assert_separated(sparing(windows(2)), windows(2))
    assert_separated(sparing(windows(1)), windows(1))
    assert device.calls == [2, 1]
    (note,) = sparing.take_notes()
    assert note == (
        "memory ran out on cuda:7: the model went on on the CPU; try a shorter --window"
    )
    assert sparing.best_load() == Load()


def test_where_the_cpu_is_too_small_as_well_that_is_an_error():
    with pytest.raises(ModelMemoryError):
        SparingSeparator(SmallDevice(room=0, cpu_room=0))(windows(1))


def test_a_device_that_takes_no_window_is_given_one_at_a_time():
    assert SparingSeparator(SmallDevice(room=0)).best_load() == Load()


def test_several_threads_halve_it_once():
    sparing = SparingSeparator(SmallDevice(room=4))
    with ThreadPoolExecutor(4) as pool:
        for stems in pool.map(sparing, [windows(8)] * 8):
            assert_separated(stems, windows(8))
    assert sparing.best_load() == Load(4, 2)


def test_a_bag_is_given_what_all_its_members_take():
    small, large = SparingSeparator(SmallDevice(room=2)), SparingSeparator(SmallDevice(room=8))
    small(windows(8))
    members = [Member(one, (1.0,) * 4) for one in (small, large)]
    bag = Bag("two", [*members, None], small.names, RATE, 2)
    assert isinstance(small, Adaptive)
    assert bag.best_load() == Load(2, 2)
    assert bag.take_notes() == [
        "memory ran out on cuda:7: the model went on with 2 windows at a time"
    ]
    plain = Bag("plain", [Member(RecordingSeparator(9), (1.0,) * 4)], small.names, RATE, 2)
    assert (plain.best_load(), plain.take_notes()) == (Load(), [])


class Crowded(torch.nn.Module):
    """A network whose device has room for two windows at a time; on the CPU it is `network`."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        for name in ("sources", "samplerate", "audio_channels", "segment"):
            setattr(self, name, getattr(network, name))

    def forward(self, mix):
        if len(mix) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.network(mix)


def test_a_network_that_runs_out_of_memory_gives_the_same(make, noise):
    network = make("hdemucs")
    given = noise(5, 8000)
    sparing = SparingSeparator(TorchSeparator(Crowded(network), CPU))
    np.testing.assert_allclose(sparing(given), TorchSeparator(network, CPU)(given), atol=1e-6)
    assert "2 windows at a time" in sparing.take_notes()[0]


@pytest.mark.parametrize("kind", ["htdemucs", "hdemucs", "demucs"])
def test_the_copy_on_the_cpu_is_the_same_network(make, noise, kind):
    network = make(kind)
    separator = TorchSeparator(network, CPU, window_seconds=1.0)
    copied = separator.on_cpu()
    given = noise(1, separator.input_frames(8000))
    expected = separator(given)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(copied(given), expected)
    assert copied.input_frames(100) == separator.input_frames(100)

"""One process so far, and nobody trains the same run twice without a word."""

import pytest
import torch.distributed
from tiny_models import quick, tiny

from condswap import ConfigError, Trainer
from condswap.training import distributed


def test_one_process_is_rank_0():
    assert distributed.rank() == 0


def test_several_processes_are_refused_with_their_number(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    with pytest.raises(ConfigError, match="there are 3; start it without torchrun"):
        Trainer(tiny(), quick(), device="cpu")


def test_a_group_of_one_trains(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 1)
    assert distributed.rank() == 0


@pytest.mark.parametrize(("processes", "refused"), [("1", False), ("2", True)])
def test_torchrun_is_noticed_before_a_process_group_is_made(monkeypatch, processes, refused):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", processes)
    if not refused:
        assert distributed.rank() == 0
        return
    with pytest.raises(ConfigError, match=f"there are {processes}"):
        distributed.rank()


def test_a_world_size_that_others_set_does_not_matter(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert distributed.rank() == 0

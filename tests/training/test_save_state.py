"""When a run's state is saved, and when a SIGTERM ends it."""

import importlib
import os
import signal

import pytest

from kerakit.training.save_state import PREEMPTED, SaveState, saving_at_sigterm


class Told:
    """Of two workers the second, which gets a SIGTERM while both hear what they were told."""

    count, is_chief = 2, False

    def __init__(self):
        self.exchanges, self.waits = 0, 0

    def wait_for_each_other(self):
        self.waits += 1

    def total(self, values):
        self.exchanges += 1
        if self.exchanges == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return values


def test_a_sigterm_amid_an_exchange_is_not_lost(monkeypatch, tmp_path):
    saved = []
    # By name: the package has a function of the same.
    module = importlib.import_module("kerakit.training.save_state")
    monkeypatch.setattr(module, "save_state", lambda path, model, **about: saved.append(about))
    saving = SaveState(tmp_path / "state.ckpt", [], steps=9, epochs=2, every=60.0)
    saving._workers = Told()
    with saving_at_sigterm(saving):
        saving.on_train_batch_end(0)
        assert not saved
        with pytest.raises(SystemExit) as ended:
            saving.on_train_batch_end(1)
    assert ended.value.code == PREEMPTED
    assert saved[0]["progress"].step == 2
    assert saving._workers.waits == 1


def test_workers_end_in_the_validation_by_the_state_before_its_epochs_last_step(
    monkeypatch, tmp_path
):
    saved = []
    module = importlib.import_module("kerakit.training.save_state")
    monkeypatch.setattr(module, "save_state", lambda path, model, **about: saved.append(about))
    saving = SaveState(tmp_path / "state.ckpt", [], steps=9, epochs=2, every=1e9)
    saving._workers = Told()
    saving._workers.is_chief, saving._workers.exchanges = True, 1  # as if the signal had come
    for batch in range(9):
        saving.on_train_batch_end(batch)
    assert [about["progress"] for about in saved] == [(0, 8, False)]
    saving.on_test_batch_end(0)
    saving.told_to_end = True
    with pytest.raises(SystemExit):
        saving.on_test_batch_end(1)
    assert len(saved) == 1

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
        self.exchanges = 0

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

import keras
import pytest


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left():
    """Variables that a test left without values, which the next scope to end would fill."""
    yield
    keras.utils.clear_session()

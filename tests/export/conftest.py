import pytest

from tests.export.tiny import save_tiny, tiny_model


@pytest.fixture(scope="session")
def model():
    return tiny_model()


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    """Folder of a version; tests that change something copy it."""
    return save_tiny(
        model, tmp_path_factory.mktemp("exported") / "tiny", card={"licence": "CC0-1.0"}
    )

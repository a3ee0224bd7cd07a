import pytest

from kerakit.atomic import replaced


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "figures.json"
    path.write_text("old")
    with replaced(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".json"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_changes_nothing(tmp_path):
    path = tmp_path / "figures.json"
    path.write_text("old")

    def fail():
        with replaced(path) as temporary:
            temporary.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

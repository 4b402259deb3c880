import pytest

pytest.importorskip("pyarrow")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, where the test is: messages then hold the bare names of files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path

"""A data set from outside the package registers itself and is used like a built-in one."""

import sys
from pathlib import Path

import pytest

from harness.datasets.registry import DATASETS, built_in, dataset
from harness.datasets.sources import content_hash
from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.suite.schema import DatasetEntry

PLUGIN = '''
from harness.datasets import RawRow, dataset

@dataset("weather", version=1, labels=("sun", "rain"), files=["weather.txt"])
def weather(entry) -> list[RawRow]:
    """Two kinds of days."""
    return [{"text": f"day {k}", "label": ("sun", "rain")[k % 2]} for k in range(20)]
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "weather_plugin.py").write_text(PLUGIN)
    (tmp_path / "weather.txt").write_text("a file")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("weather_plugin")
    yield
    del sys.modules["weather_plugin"]
    DATASETS._items.pop("weather")


@pytest.mark.usefixtures("plugin")
def test_a_data_set_from_another_package_is_used_by_its_name():
    entry = DatasetEntry(name="weather")
    found = load_splits(entry, Path())
    assert (len(found.train), len(found.test)) == (16, 4)
    assert content_hash(entry, Path()).startswith("weather/v1/")


def test_every_built_in_set_says_source_licence_example_and_trap():
    assert {"finance-alpaca", "finance-labels", "finance-qa", "ru-calculations"} <= set(built_in())
    for name in built_in():
        text = sys.modules[built_in().get(name).rows.__module__].__doc__
        assert all(word in text for word in ("Source:", "icence:", "In:", "Out:", "The trap"))


def test_a_name_is_registered_once():
    with pytest.raises(HarnessError, match="registered twice"):
        dataset("finance-qa", version=1)(lambda entry: [])


def test_a_file_that_is_absent_is_refused():
    with pytest.raises(HarnessError, match="no file"):
        dataset("other", version=1, files=["absent.csv"])(lambda entry: [])

"""A packed data file that grows beyond reason is refused before it fills memory."""

import bz2
import gzip
import io
import lzma

import pyarrow as pa
import pytest
from pyarrow import parquet

from harness.datasets import growth
from harness.datasets.table_file import read_table
from harness.errors import HarnessError

PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
ROWS = '{"prompt": "a", "completion": "b"}\n'


@pytest.fixture
def small_limit(monkeypatch):
    """The limit at 1 MiB instead of 100."""
    monkeypatch.setattr(growth, "LARGE", 2**20)
    monkeypatch.setattr(growth, "CHUNK", 2**18)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_packed_table_is_read(tmp_path, suffix):
    path = tmp_path / f"d.jsonl{suffix}"
    path.write_bytes(PACKERS[suffix](ROWS.encode() * 40_000))
    assert len(read_table(path).rows) == 40_000


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_bomb_is_refused(tmp_path, small_limit, suffix):
    path = tmp_path / f"d.jsonl{suffix}"
    path.write_bytes(PACKERS[suffix](b"\n" * 4 * 2**20))
    with pytest.raises(
        HarnessError, match=r"d\.jsonl\S+ \d+ KiB grow to more than \d+ MiB: refused"
    ):
        read_table(path)


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("cut", [0, 1, 10, -5])
def test_a_cut_file_is_named(tmp_path, suffix, cut):
    path = tmp_path / f"d.jsonl{suffix}"
    path.write_bytes(PACKERS[suffix](ROWS.encode() * 9)[:cut])
    with pytest.raises(HarnessError, match=r"d\.jsonl\S+ (cannot be read|has no rows)"):
        read_table(path)


def test_a_parquet_file_of_one_value_a_million_times_is_refused(tmp_path, small_limit):
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"prompt": ["a" * 40] * 200_000}), buffer)
    (tmp_path / "d.parquet").write_bytes(buffer.getvalue())
    assert len(buffer.getvalue()) < 10_000
    with pytest.raises(HarnessError, match=r"d\.parquet: \d+ KiB grow to more than"):
        read_table(tmp_path / "d.parquet")


UNREADABLE = {
    "a date of the year 300,000": pa.array([2**30], pa.date32()),
    "a time beyond a day": pa.array([2**62], pa.time64("us")),
    "a duration of 10^11 years": pa.array([2**62], pa.duration("s")),
}


@pytest.mark.parametrize("column", UNREADABLE.values(), ids=UNREADABLE)
def test_a_value_that_python_lacks_is_one_message(tmp_path, column):
    parquet.write_table(pa.table({"prompt": column}), tmp_path / "d.parquet")
    with pytest.raises(HarnessError, match=r"d\.parquet: cannot be read as Parquet: \w"):
        read_table(tmp_path / "d.parquet")


def test_a_column_twice_in_parquet_is_refused(tmp_path):
    arrays = [pa.array(["a"]), pa.array(["b"])]
    parquet.write_table(pa.table(arrays, names=["prompt", "prompt"]), tmp_path / "d.parquet")
    with pytest.raises(HarnessError, match='duplicate column "prompt"'):
        read_table(tmp_path / "d.parquet")

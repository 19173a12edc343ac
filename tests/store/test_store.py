"""Store: waveforms, subsets and checksums of memory-mapped files."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline import audio
from pipeline.common import files
from pipeline.errors import StoreError
from pipeline.store import store
from pipeline.store.store import Store


def test_waveforms_equal_decoded_recordings(synthetic_store):
    for row in (0, 57, len(synthetic_store) - 1):
        decoded = audio.decode(synthetic_store.manifest["path"][row])
        assert np.array_equal(synthetic_store.waveform(row), decoded)
        assert np.array_equal(synthetic_store.samples(row), audio.to_int16(decoded))
        assert audio.sha256(decoded) == synthetic_store.manifest["sha256"][row]
        assert len(decoded) / 16000 == synthetic_store.manifest["duration_s"][row]


def test_waveforms_are_views_of_the_file(synthetic_store):
    assert not synthetic_store.samples(5).flags.owndata
    assert not synthetic_store.samples(5).flags.writeable


def test_subsets_partition_the_rows(synthetic_store):
    rows = np.concatenate([synthetic_store.subset(name) for name in ("train", "dev", "eval")])
    assert sorted(rows) == list(range(len(synthetic_store)))


def test_trials_differ_between_subsets(synthetic_store):
    assert synthetic_store.trials("dev") == synthetic_store.trials("dev")
    assert synthetic_store.trials("dev") != synthetic_store.trials("eval")


def test_shards_may_be_empty_and_hold_short_waves(tmp_path):
    waves = [np.array([1, -2, 3], np.int16), np.array([], np.int16)]
    assert len(store.write_shard(tmp_path / "part-0.arrow", waves)) == 64
    store.write_shard(tmp_path / "part-1.arrow", [])


def test_each_recording_is_written_before_the_next_is_read(tmp_path):
    def waves():
        for _ in range(3):
            before = sum(path.stat().st_size for path in tmp_path.iterdir())
            yield np.ones(100_000, np.int16)
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) >= before + 150_000

    store.write_shard(tmp_path / "part-0.arrow", waves())


def test_several_recordings_may_share_a_batch(tmp_path):
    waves = [[1, -2, 3], [], [4, 5]]
    batches = [pa.record_batch([pa.array(part, pa.list_(pa.int16()))], schema=store.SCHEMA) for part in (waves, [[6]])]
    with pa.ipc.new_file(str(tmp_path / "part-0.arrow"), store.SCHEMA) as writer:
        for batch in batches:
            writer.write_batch(batch)
    table = pd.DataFrame({"shard": 0, "position": range(4)})
    shard = {"file": "part-0.arrow", "sha256": files.sha256(tmp_path / "part-0.arrow")}
    opened = Store(tmp_path, "by hand", "", "none", table, (shard,))
    assert [opened.samples(row).tolist() for row in range(4)] == [*waves, [6]]


def test_lengths_equal_those_of_the_waveforms(synthetic_store):
    wanted = [len(synthetic_store.samples(row)) for row in range(len(synthetic_store))]
    assert synthetic_store.lengths().tolist() == wanted


def test_incomplete_and_damaged_folders_are_named(tmp_path):
    with pytest.raises(StoreError, match=r"store\.json is missing\); run preprocess"):
        Store.open(tmp_path)
    (tmp_path / store.INDEX).write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        Store.open(tmp_path)

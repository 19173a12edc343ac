"""A Manifest of 200,000 rows goes through everything that touches each row, in bounded time and memory."""

import json
import subprocess
import sys

import pytest

from pipeline.config import PROJECT_ROOT

STEPS = """
import json, sys, time
from pathlib import Path
import numpy as np
import pandas as pd
from pipeline import corpora, preprocess
from pipeline.store import build, manifest, splits, store
from pipeline.training import batches
from pipeline.config import Config, CorpusConfig, fingerprint
from pipeline.training.data import Data

folder, rows = Path(sys.argv[1]), int(sys.argv[2])
for name in ("spoof.wav", "bonafide.wav"):
    (folder / name).touch()
number = np.arange(rows)
label = np.where(number % 10, "spoof", "bonafide")
table = pd.DataFrame({
    "utterance_id": [f"u{n}" for n in number], "path": [f"{name}.wav" for name in label], "label": label,
    "speaker": [f"s{n}" for n in number % 997], "attack": [f"A{n}" for n in number % 19], "codec": number % 7,
})
table.to_csv(folder / "list.csv", index=False)
del table
seconds = {}

def timed(name, work):
    begun = time.process_time()  # of this process alone, whatever else the machine does
    result = work()
    seconds[name] = time.process_time() - begun
    return result

read, rejected = timed("read", lambda: corpora.read(CorpusConfig(corpus="table", data_dir=str(folder / "list.csv"))))
timed("fingerprint", lambda: fingerprint(preprocess._sources(read)))
split = timed("split", lambda: splits.assign(read, "speaker", seed=0))
place, size = folder / "store", 1024
place.mkdir()

def write():
    notes = []
    for shard in range(-(-rows // size)):
        path = place / f"part-{shard:05d}.arrow"
        waves = [np.full(160, n % 99, np.int16) for n in range(shard * size, min((shard + 1) * size, rows))]
        notes.append({"file": path.name, "sha256": store.write_shard(path, waves)})
    kept = split.assign(duration_s=0.01, sha256=split["utterance_id"], shard=number // size, position=number % size)
    build._finish(place, kept, rejected, notes, name="table", key="k", split_by="speaker")

timed("write", write)
opened = timed("open", lambda: store.Store.open(place))
data = timed("verify", lambda: Data.of(opened, Config().replace(clip_s=0.01)))
bonafide, samples = data.bonafide[data.train], data.samples[data.train]
plan = timed("plan", lambda: batches.plan(data.train, bonafide, samples, data.config, 0))
timed("trials", lambda: [opened.trials(name) for name in manifest.SUBSETS])
first = timed("waveforms", lambda: [opened.samples(row)[0] for row in range(0, rows, 100)])
assert first == [n % 99 for n in range(0, rows, 100)]
assert sum(len(opened.subset(name)) for name in manifest.SUBSETS) == len(opened) == rows
assert len(plan.rows) == len(opened.subset("train"))
# What getrusage says holds the process that this one was started by, too.
status = Path("/proc/self/status").read_text()
peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "peak_mb": peak_kb / 1000}))
"""


def measured(folder, rows: int) -> dict:
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STEPS, str(folder), str(rows)], cwd=PROJECT_ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    print(
        f"{rows} rows: {found['peak_mb']:.0f} MB, " + ", ".join(f"{k} {v:.2f} s" for k, v in found["seconds"].items())
    )
    return found


def test_two_hundred_thousand_rows(tmp_path):
    small, large = measured(tmp_path / "small", 20_000), measured(tmp_path / "large", 200_000)
    assert large["peak_mb"] - small["peak_mb"] < 700
    assert sum(large["seconds"].values()) < 20 * sum(small["seconds"].values()), "a step does not grow with the rows"
    assert sum(large["seconds"].values()) < 60


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_two_million_rows(tmp_path):
    small, large = measured(tmp_path / "small", 200_000), measured(tmp_path / "large", 2_000_000)
    assert large["peak_mb"] < 6000
    assert sum(large["seconds"].values()) < 20 * sum(small["seconds"].values())

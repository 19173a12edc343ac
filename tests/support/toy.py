"""A toy Store and a model whose logits can be computed by hand: one dense layer on the samples of a window."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.audio import windows
from pipeline.config import preset
from pipeline.metrics.calibration import Calibration, OperatingPoint
from pipeline.scoring import model_folders, model_writer
from pipeline.store import manifest, store
from pipeline.store.store import Store

CONFIG = preset("smoke").replace(clip_s=0.05)
CLIP = 800
KERNEL = np.random.default_rng(5).normal(size=CLIP).astype(np.float32) / 40
CALIBRATION = Calibration(2.5, -0.5)
POINT = OperatingPoint(0.25, 0.5, 0.1, 0.2)


def make_store(folder, *, seed=0, name="toy") -> Store:
    """32 clips of 0.03 to 0.2 s in every subset; attack A07 is in eval alone."""
    rng = np.random.default_rng(seed)
    rows, waves = [], []
    for subset in manifest.SUBSETS:
        for i in range(32):
            spoof = i % 2
            attack = ("A01", "A07" if subset == "eval" else "A02")[i // 2 % 2] if spoof else "-"
            wave = 3000 * rng.normal(size=rng.integers(500, 3200))
            if not spoof:
                wave[:CLIP] += 20000 * KERNEL[: len(wave[:CLIP])]
            waves.append(np.clip(wave, -32768, 32767).astype(np.int16))
            rows.append(
                {
                    "utterance_id": f"{subset}_{i}",
                    "path": f"/none/{subset}_{i}.wav",
                    "label": "spoof" if spoof else "bonafide",
                    "split": subset,
                    "speaker": f"{subset}{i % 5}",
                    "attack": attack,
                    "recorder": f"R0{1 + i // 4 % 2}" if spoof else "",
                }
            )
    table = manifest.make(rows, corpus=name).assign(
        duration_s=[len(w) / 16000 for w in waves],
        sha256=[f"{seed}-{i}" for i in range(len(waves))],
        shard=0,
        position=range(len(waves)),
    )
    folder.mkdir(parents=True)
    checksum = store.write_shard(folder / "part-00000.arrow", waves)
    table.to_parquet(folder / store.MANIFEST)
    shards = [{"file": "part-00000.arrow", "sha256": checksum}]
    index = {"name": name, "fingerprint": f"{seed}", "split_by": "official", "shards": shards}
    (folder / store.INDEX).write_text(json.dumps(index))
    return Store.open(folder)


def drop(folder, keep) -> Store:
    """The Store with the Manifest rows for which ``keep(table)`` holds."""
    table = pd.read_parquet(folder / store.MANIFEST)
    table[keep(table)].reset_index(drop=True).to_parquet(folder / store.MANIFEST)
    return Store.open(folder)


def expected_logits(opened: Store, subset: str) -> np.ndarray:
    """The oracle: means over the windows of each clip of the subset ``[clips]``."""
    found = []
    for row in opened.subset(subset):
        wave = opened.waveform(row).astype(np.float64)
        cuts = [windows.cut(wave, start, CONFIG.window) for start in windows.starts(len(wave), CLIP)]
        found.append(np.mean(np.stack(cuts) @ KERNEL.astype(np.float64)) + 0.1)
    return np.array(found)


def write_litert(path: Path) -> Path:
    """The LiteRT file of the one-layer model."""
    import keras

    from pipeline.network import formats

    model = keras.Sequential([keras.Input((CLIP,)), keras.layers.Dense(1)])
    model.layers[-1].set_weights([KERNEL[:, None], np.array([0.1], np.float32)])
    formats.litert(model, path)
    return path


def write_model_folder(
    folder, litert, opened: Store, *, run_id="", config=CONFIG, calibration=CALIBRATION
) -> model_folders.ModelFolder:
    """A model folder of the one-layer model, as trained on the Store."""
    return model_writer.write(
        folder,
        litert=litert,
        config=config,
        calibration=calibration,
        operating_points={"eer": POINT},
        operating_point="eer",
        model_version=folder.name,
        run_id=run_id,
        fingerprint="f",
        versions={"keras": "3"},
        dev_trials=opened.trials("dev"),
        dev_eer=0.1,
    )

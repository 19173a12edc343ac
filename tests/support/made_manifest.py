"""A Manifest of made-up speakers, each with as many bonafide as spoof clips."""

import pandas as pd

from pipeline.store import manifest


def table(speakers: int = 20, clips: int = 10) -> pd.DataFrame:
    rows = [
        {"path": f"/{s}/{c}.wav", "label": "spoof" if c % 2 else "bonafide", "speaker": f"s{s}", "sha256": f"{s}-{c}"}
        for s in range(speakers)
        for c in range(clips)
    ]
    return manifest.make(rows, corpus="made")

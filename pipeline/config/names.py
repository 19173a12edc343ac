"""Names and numbers that the whole project shares, and the folder that it writes to."""

import os
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE_RATE_HZ = 16000
"""Sample rate inside the project; decoding resamples everything to it."""
BONAFIDE, SPOOF = "bonafide", "spoof"
"""Labels: live human speech, and speech that was replayed, synthesised or converted."""
FUSION = "fusion"
"""Preset of models made of others, and backbone of a weighted sum of their scores."""
EXPERIMENT = "spoof-detector"
REGISTERED_MODEL = "spoof-detector"
MODEL_HELP = (
    "model folder, runs:/ID, models:/NAME@ALIAS or pretrained:/whisper; empty: the champion that register left, or "
    "pretrained:/whisper before there is one"
)
"""Help of the option that names a model."""


def artifacts_dir() -> Path:
    """Folder that all commands write to: ``$SPOOF_ARTIFACTS``, or ``artifacts/`` in the project."""
    return Path(os.environ.get("SPOOF_ARTIFACTS") or PROJECT_ROOT / "artifacts").resolve()


CORPORA = (
    *("add2023", "asvspoof2017", "asvspoof2019_la", "asvspoof2019_pa", "asvspoof2021_df", "asvspoof2021_la"),
    *("asvspoof2021_pa", "asvspoof5", "codecfake", "deepfake_eval_2024", "demo", "dfadd", "fake_or_real", "folder"),
    *("in_the_wild", "librisevoc", "mlaad", "odss", "partialspoof", "replaydf", "spoofceleb", "synthetic", "table"),
    *("voices", "wavefake"),
)
ENCODERS = ("wav2vec2", "whisper")
"""Backbones that are pretrained speech encoders."""
ON_WAVEFORMS = ("rawnet2", *ENCODERS)
"""Backbones that take the waveform, so that the model has no front end."""

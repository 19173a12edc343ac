"""ASVspoof 5: crowdsourced speech, synthesis, conversion and adversarial attacks, through codecs in its eval part.

Lists are separated by spaces, although called ``.tsv``, and have ten columns: SPEAKER FILE GENDER CODEC CODEC_QUALITY
CODEC_SEED ATTACK_TAG ATTACK KEY and a reserved one. See Wang et al. 2024 and the README of the corpus. The folders
also hold recordings that enrol speakers, which the lists of track 1 leave out. The names of its attacks are
independent of those of ASVspoof 2019.
"""

from functools import partial
from pathlib import Path

from pipeline.corpora import listing
from pipeline.corpora.listing import Reading

COLUMNS = (
    *("speaker", "file", "gender", "codec", "codec_quality", "codec_seed", "attack_tag", "attack", "key", "reserved"),
)
CONDITIONS = ("gender", "codec", "codec_quality", "attack_tag")
PARTS = {
    "train": ("ASVspoof5.train.tsv", "flac_T"),
    "dev": ("ASVspoof5.dev.track_1.tsv", "flac_D"),
    "eval": ("ASVspoof5.eval.track_1.tsv", "flac_E_eval"),
}
"""List and folder of each part."""

ATTACKS = {
    **dict.fromkeys(("A01", "A02", "A03"), "TTS, GlowTTS"),
    **dict.fromkeys(("A04", "A05", "A06"), "TTS, GradTTS"),
    "A07": "TTS, FastPitch",
    "A08": "TTS, VITS",
    "A09": "TTS, ToucanTTS",
    "A10": "TTS, ToucanTTS and HiFi-GAN",
    "A11": "TTS, Tacotron 2",
    "A12": "TTS, unit selection",
    "A13": "VC, StarGANv2-VC",
    "A14": "VC, YourTTS",
    "A15": "VC, VAE-GAN",
    "A16": "VC, by speech recognition",
    "A17": "TTS, ZMM-TTS",
    "A18": "adversarial, A17 with Malafide",
    "A19": "TTS, unit selection (MaryTTS)",
    "A20": "adversarial, A12 with Malafide",
    **dict.fromkeys(("A21", "A22"), "TTS, ToucanTTS and BigVGAN"),
    "A23": "adversarial, A09 with Malafide",
    "A24": "VC, by speech recognition",
    "A25": "VC, DiffVC",
    "A26": "VC, A16 with noise of real recordings",
    "A27": "adversarial, Malacopula",
    "A28": "TTS, YourTTS as published",
    "A29": "TTS, XTTS as published",
    "A30": "adversarial, A18 with Malacopula",
    **dict.fromkeys(("A31", "A32"), "adversarial, Malacopula"),
}
"""Systems by the organisers' list, in short: synthesis (TTS), conversion (VC), or one of these made to deceive."""

row = partial(listing.row, conditions=CONDITIONS, attack_names=ATTACKS)
"""Makes the row of an entry, its path and its ``split``."""


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the parts; rejected are listed files without audio, and audio that is not listed.

    Raises ``CorpusError`` for a missing part or list, and for a damaged line.
    """
    places = {part: PARTS[part] for part in parts}
    return listing.parts(data_dir, places, COLUMNS, row)

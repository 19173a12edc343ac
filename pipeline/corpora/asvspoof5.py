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


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the parts; rejected are listed files without audio, and audio that is not listed.

    Raises ``CorpusError`` for a missing part or list, and for a damaged line.
    """
    places = {part: PARTS[part] for part in parts}
    return listing.parts(data_dir, places, COLUMNS, partial(listing.row, conditions=CONDITIONS))

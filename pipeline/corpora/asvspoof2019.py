"""ASVspoof 2019, tracks LA (synthesis and conversion) and PA (simulated replay), with their official parts.

Protocol lines hold five columns, SPEAKER FILE ENVIRONMENT ATTACK KEY. LA has no environments; those of PA are three
letters (room size, reverberation, distance to the microphone), its attacks two (distance to the talker, replay
device). See Wang et al. 2020. The folders also hold recordings that enrol speakers, which no list names.
"""

from functools import partial
from pathlib import Path

from pipeline.corpora import listing
from pipeline.corpora.asvspoof2017 import LIST_SUFFIX
from pipeline.corpora.listing import Reading

COLUMNS = ("speaker", "file", "environment", "attack", "key")
LA_ATTACKS = {
    "A01": "TTS, neural waveform model",
    "A02": "TTS, vocoder",
    "A03": "TTS, vocoder",
    "A04": "TTS, waveform concatenation",
    "A05": "VC, vocoder",
    "A06": "VC, spectral filtering",
    "A07": "TTS, vocoder and GAN",
    "A08": "TTS, neural waveform model",
    "A09": "TTS, vocoder",
    "A10": "TTS, neural waveform model",
    "A11": "TTS, Griffin-Lim",
    "A12": "TTS, neural waveform model",
    "A13": "TTS and VC, waveform concatenation and filtering",
    "A14": "TTS and VC, vocoder",
    "A15": "TTS and VC, neural waveform model",
    "A16": "TTS, waveform concatenation",
    "A17": "VC, waveform filtering",
    "A18": "VC, vocoder",
    "A19": "VC, spectral filtering",
}
"""Systems of track LA by the list of the organisers: synthesis (TTS) or conversion (VC), and how waveforms are made."""
_DISTANCES = {"A": "10 to 50 cm", "B": "50 to 100 cm", "C": "over 100 cm"}
_DEVICES = {"A": "perfect", "B": "high-quality", "C": "low-quality"}
PA_ATTACKS = {
    far + device: f"recorded at {_DISTANCES[far]}, {_DEVICES[device]} loudspeaker" for far in "ABC" for device in "ABC"
}
"""Replays of track PA: distance between recorder and talker, and quality of the loudspeaker."""


def read(data_dir: Path, parts: tuple[str, ...], track: str) -> Reading:
    """Rows of the parts of a track (LA or PA); rejected are listed files without audio, and audio that is not listed.

    Raises ``CorpusError`` for a missing part or list, and for a damaged line.
    """
    places = {
        part: (f"ASVspoof2019.{track}.cm.{part}.{LIST_SUFFIX[part]}.txt", f"ASVspoof2019_{track}_{part}")
        for part in parts
    }
    attack_names = {"LA": LA_ATTACKS, "PA": PA_ATTACKS}[track]
    row = partial(listing.row, conditions=("environment",), attack_names=attack_names)
    return listing.parts(data_dir, places, COLUMNS, row)

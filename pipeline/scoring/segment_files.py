"""Spoofed segments of a recording in formats that other tools read: RTTM and CSV.

RTTM is NIST's Rich Transcription Time Marked format (RT-09 evaluation plan, appendix A), ten fields a line: type
(``SPEAKER``), file, channel, start and duration in s, two of no use here, name (``spoof``), confidence, and another.
"""

import csv
import io
import re
from collections.abc import Sequence

from pipeline.config import SPOOF
from pipeline.scoring.parties import Party

COLUMNS = ("channel", "start_s", "end_s", "score", "confidence")


def rttm(name: str, parties: Sequence[Party]) -> str:
    """Lines of RTTM; blanks in the name of the recording become underscores, channel 0 (the average) becomes 1."""
    file = re.sub(r"\s", "_", name)
    return "".join(
        f"SPEAKER {file} {party.channel or 1} {found.start_s:.3f} {found.end_s - found.start_s:.3f} <NA> <NA> {SPOOF} "
        f"{found.confidence:.3f} <NA>\n"
        for party in parties
        for found in party.spoofed_segments
    )


def table(parties: Sequence[Party]) -> str:
    """CSV with ``COLUMNS``, a row per segment."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for party in parties:
        for found in party.spoofed_segments:
            places = f"{found.start_s:.3f}", f"{found.end_s:.3f}"
            writer.writerow([party.channel, *places, f"{found.score:.4f}", f"{found.confidence:.4f}"])
    return text.getvalue()

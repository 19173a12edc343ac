"""Rows in words that need no knowledge of the field."""

from dataclasses import dataclass

from pipeline.config import BONAFIDE
from pipeline.errors import AudioFault
from pipeline.metrics.calibration import OperatingPoint
from pipeline.scoring.detector import NO_SPEECH, PARTLY_SPOOF, UNFAMILIAR
from pipeline.scoring.row import Row

UNSURE = "unsure"
ERROR = "error"
DEGREES = ((4.6, "Almost certainly"), (2.2, "Very likely"), (0.7, "Probably"))
"""Least distance from the threshold (odds of 99, 9 and 2 to 1) for each degree of certainty."""
REASONS = {
    AudioFault.EMPTY: "The file is empty.",
    AudioFault.UNREADABLE: "This does not look like audio, or it is damaged.",
    AudioFault.NOT_FINITE: "The file is damaged: some of its samples are not numbers.",
    AudioFault.TOO_SHORT: "The recording is too short to be judged.",
    AudioFault.TOO_LONG: "The recording is too long for this page.",
    AudioFault.TOO_LARGE: "The file is too large for this page.",
    AudioFault.SILENT: "The recording is silent.",
}
"""Meaning of each kind of error."""


@dataclass(frozen=True)
class Verdict:
    """``tone`` is a label of rows, unsure or error; ``headline`` and ``sentence`` are for people."""

    tone: str
    headline: str
    sentence: str


def verdict(row: Row, point: OperatingPoint, fault: AudioFault | None = None) -> Verdict:
    """Put a row into words; ``fault`` is the kind of its error."""
    if row.error:
        return Verdict(ERROR, "Could not be judged", REASONS.get(fault, "The recording could not be read."))
    if row.label == NO_SPEECH:
        return Verdict(NO_SPEECH, "No speech to judge", f"Only {row.speech_s:.1f} s of it sounds like speech.")
    if row.label == UNFAMILIAR:
        return Verdict(UNFAMILIAR, "Unlike anything this model learnt from", _stranger(row.familiarity))
    if row.label == PARTLY_SPOOF:
        place = f"{row.worst_start_s:.1f} s to {row.worst_end_s:.1f} s"
        return Verdict(PARTLY_SPOOF, "Partly fake", f"It sounds live as a whole, and fake from {place}.")
    live = row.label == BONAFIDE
    degree = next((words for least, words in DEGREES if abs(row.score - point.threshold) >= least), "")
    sentence = _of_a_hundred(row.spoof_probability, point.prior_spoof, live)
    if not degree:
        return Verdict(UNSURE, f"Hard to tell, leaning to {'live' if live else 'fake'}", sentence)
    return Verdict(row.label, f"{degree} {'a live human' if live else 'fake'}", sentence)


def _stranger(familiarity: float) -> str:
    share = 100 * (1 - familiarity)
    return (
        f"It is stranger than {share:.4g} % of the recordings that the model was checked on, so its score below says "
        "little."
    )


def _of_a_hundred(spoof_probability: float, prior_spoof: float, live: bool) -> str:
    share = 100 * (1 - spoof_probability if live else spoof_probability)
    count = "more than 99" if share > 99 else "fewer than 1" if share < 1 else f"about {share:.0f}"
    common = (
        "if live and fake were equally common"
        if prior_spoof == 0.5
        else f"if {100 * prior_spoof:g} in 100 recordings were fake"
    )
    return f"Of 100 recordings with this score, {count} would be {'live' if live else 'fake'}, {common}."

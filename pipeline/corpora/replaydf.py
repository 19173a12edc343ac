"""ReplayDF: M-AILABS and MLAAD played by a loudspeaker and recorded again, in 109 pairs of loudspeaker and microphone.

``SESSION/benign/LANGUAGE/NAME.wav`` and ``SESSION/spoof/SYSTEM/LANGUAGE/NAME.wav``; evaluation data only. The labels
are the corpus' own: its bonafide is human speech that was **replayed too**, which other corpora here call spoof, so do
not train on it beside them. See Müller et al. 2025. The layout is that which readers of others state; it was not read
at its publisher's.
"""

from pathlib import Path

from pipeline.config import BONAFIDE, SPOOF
from pipeline.corpora import listing
from pipeline.corpora.listing import Reading
from pipeline.errors import CorpusError


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of all sessions, all eval; raises ``CorpusError`` for ``parts`` without eval, and if no session is there."""
    if "eval" not in parts:
        raise CorpusError("ReplayDF is evaluation data only: omit --parts")
    sessions = listing.outermost(data_dir, "benign", "folder", "name the folder that ReplayDF was downloaded to").parent
    return listing.by_folder(sessions.parent, _told)


def _told(parts: tuple[str, ...]) -> dict[str, str] | None:
    match parts:
        case (session, "benign", language, _):
            told = {"label": BONAFIDE}
        case (session, "spoof", system, language, _):
            told = {"label": SPOOF, "attack": system}
        case _:
            return None
    return told | {"session": session, "language": language, "split": "eval"}

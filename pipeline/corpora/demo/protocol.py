"""The demo corpus on disk: audio and protocol lists in the layout of ASVspoof 2017 version 2, and DATA.md."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.common import files
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora import asvspoof2017
from pipeline.corpora.demo import fetch
from pipeline.corpora.demo.fetch import Packages
from pipeline.store.manifest import SUBSETS


@dataclass(frozen=True)
class Entry:
    """One clip in the protocol; ``codes`` is ``("-", "-", "-")`` for bonafide."""

    subset: str
    speaker: str
    codes: tuple[str, str, str]
    phrase: str

    @property
    def bonafide(self) -> bool:
        return self.codes == ("-", "-", "-")


def write_clip(folder: Path, subset: str, number: int, samples: np.ndarray) -> None:
    """Write int16 samples as the clip of that number."""
    import soundfile

    path = clip_path(folder, subset, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole_file(path) as unfinished:
        soundfile.write(unfinished, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")


def clip_path(folder: Path, subset: str, number: int) -> Path:
    """File of the clip of that number."""
    return folder / f"{asvspoof2017.PREFIXES['V2']}_{subset}" / clip_name(subset, number)


def clip_name(subset: str, number: int) -> str:
    """File name of a clip: the subset's initial and seven digits."""
    return f"{subset[0].upper()}_1{number:06d}.wav"


def write_lists(folder: Path, entries: Sequence[Entry]) -> None:
    """Write the three protocol lists; an entry's number is its place in ``entries``."""
    lists = folder / "protocol_V2"
    lists.mkdir(parents=True, exist_ok=True)
    for subset in SUBSETS:
        lines = [
            " ".join((clip_name(subset, number), "genuine" if e.bonafide else "spoof", e.speaker, e.phrase, *e.codes))
            for number, e in enumerate(entries)
            if e.subset == subset
        ]
        name = f"{asvspoof2017.PREFIXES['V2']}_{subset}.{asvspoof2017.LIST_SUFFIX[subset]}.txt"
        (lists / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def about(
    entries: Sequence[Entry], packages: Packages, attack_names: dict[tuple[str, str, str], str], version: int
) -> str:
    """Text of DATA.md: counts, and package, version and licences of every source."""
    lines = [
        f"# Demo corpus, recipe {version}",
        "",
        "Real speech by volunteers from Debian packages, and spoofs made from it and by Debian's speech synthesisers.",
        "Layout and protocol lists are those of ASVspoof 2017 version 2. The playback code names the engine or the",
        "loudspeaker; a speaker tag is package, language and voice; copies carry the tag of their human.",
        "",
        "| subset | bonafide | spoof | speakers |",
        "|---|---|---|---|",
    ]
    for subset in SUBSETS:
        members = [e for e in entries if e.subset == subset]
        human = {e.speaker for e in members if e.bonafide}
        count = sum(e.bonafide for e in members)
        lines.append(f"| {subset} | {count} | {len(members) - count} | {len(human)} |")
    lines += ["", "| attack | codes | train | dev | eval |", "|---|---|---|---|---|"]
    for codes, name in attack_names.items():
        counts = [sum(e.codes == codes and e.subset == subset for e in entries) for subset in SUBSETS]
        lines.append(f"| {name} | {'-'.join(codes)} | {' | '.join(map(str, counts))} |")
    lines += ["", "| speaker | subset | bonafide clips | copies and synthetic clips |", "|---|---|---|---|"]
    speakers = Counter((e.speaker, e.subset, e.bonafide) for e in entries)
    for speaker, subset in sorted({(s, p) for s, p, _ in speakers}, key=lambda x: (SUBSETS.index(x[1]), x[0])):
        lines.append(
            f"| {speaker} | {subset} | {speakers[speaker, subset, True]} | {speakers[speaker, subset, False]} |"
        )
    lines += ["", "| package | version | bonafide clips | spoof clips | licences that its copyright file names |"]
    lines.append("|---|---|---|---|---|")
    clips = Counter((packages.source(e.speaker), e.bonafide) for e in entries)
    for name in sorted({*fetch.RECORDINGS, *fetch.ENGINES, *fetch.VOICES}):
        licences = ", ".join(packages.licences(name)) or "see the file"
        lines.append(
            f"| {name} | {packages.versions[name]} | {clips[name, True]} | {clips[name, False]} | {licences} |"
        )
    needed = sorted(packages.versions.keys() - {*fetch.RECORDINGS, *fetch.ENGINES, *fetch.VOICES})
    lines += ["", "Copies count for the package of their human. The engines also need these packages, none of which is"]
    lines.append(f"audible: {', '.join(f'{name} {packages.versions[name]}' for name in needed)}.")
    return "\n".join(lines) + "\n"

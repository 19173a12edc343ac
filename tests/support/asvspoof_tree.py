"""A small ASVspoof 2017 tree on disk, with protocol lines in the format of the real lists."""

from pathlib import Path

LINES = {
    "train": [
        "T_1000001.wav genuine M0002 S05 - - -",
        "T_1001509.wav spoof M0002 S05 E02 P02 R04",
        "T_1001510.wav spoof M0004 S01 E02 P02 R04",
    ],
    "dev": ["D_1000001.wav genuine M0014 S02 - - -", "D_1000761.wav spoof M0014 S02 E03 P10 R07"],
    "eval": ["E_1000001.wav genuine M0030 S09 - - -", "E_1000002.wav spoof M0030 S09 E18 P15 R19"],
}


def tree(
    root: Path,
    *,
    version: str = "V2",
    nested: bool = False,
    lines: dict[str, list[str]] = LINES,
    audio: Path | None = None,
) -> Path:
    """The folder of the corpus; its files are empty, or copies of the WAV files anywhere under ``audio``."""
    clips = iter(sorted(audio.rglob("*.wav")) if audio else ())
    prefix = {"V2": "ASVspoof2017_V2", "V1": "ASVspoof2017"}[version]
    lists = {"V2": "protocol_V2", "V1": "protocol"}[version]
    for part, entries in lines.items():
        folder = root / f"{prefix}_{part}"
        listing = root / lists
        if nested:
            folder, listing = folder / folder.name, listing / listing.name
        folder.mkdir(parents=True)
        listing.mkdir(parents=True, exist_ok=True)
        suffix = "trn" if part == "train" else "trl"
        (listing / f"{prefix}_{part}.{suffix}.txt").write_text("\n".join(entries) + "\n")
        for entry in entries:
            target = folder / entry.split()[0]
            target.write_bytes(next(clips).read_bytes()) if audio else target.touch()
    return root

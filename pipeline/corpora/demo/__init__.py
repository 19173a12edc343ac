"""The demo corpus: about a thousand clips of real speech, made on the user's machine from Debian packages.

Bonafide clips are recordings by volunteers; spoofs are synthetic voices, vocoder copies and simulated replays. Both
pass one channel (``channel``), so only the attack tells them apart. One version of the recipe and one seed always give
the same corpus.
"""

import multiprocessing
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.common import files, parallel
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora import made
from pipeline.corpora.demo import channel, engines, fetch, humans, plan, protocol, replay, vocoders
from pipeline.corpora.demo.fetch import Packages
from pipeline.corpora.demo.plan import Clip
from pipeline.corpora.demo.protocol import Entry
from pipeline.corpora.listing import Reading
from pipeline.store.manifest import SUBSETS

RECIPE_VERSION = 1
VOCODERS = {"lpc": vocoders.linear_prediction, "griffin-lim": vocoders.griffin_lim}
HUMAN = ("-", "-", "-")


def ensure() -> Path:
    """Folder of the corpus, which is made if missing."""
    return made.ensure("demo", RECIPE_VERSION, build)


def read(data_dir: Path, parts: tuple[str, ...]) -> Reading:
    """Rows of the corpus, and what was rejected."""
    return made.read(data_dir, parts, plan.ATTACK_NAMES)


def build(directory: Path, *, seed: int = 2017) -> None:
    """Make the corpus in ``directory``, whole or not at all; the packages are kept beside it for the next time.

    Raises ``ProjectError`` if the packages are not available.
    """
    compiling = multiprocessing.get_context("spawn").Process(target=_compile, daemon=True)
    compiling.start()
    packages = fetch.fetch(directory.parent / "packages")
    clips = _humans(packages, seed)
    spoken = _synthetic(packages, clips, seed)
    jobs, entries = _jobs(clips, spoken, seed)
    compiling.join()
    names = {codes: name for name, codes in plan.CODES.items()}
    names |= dict.fromkeys(replay.SEEN, "replay") | dict.fromkeys(replay.EVAL_ONLY, "replay (eval only)")
    with files.whole_folder(directory) as unfinished:
        for number, samples in enumerate(made.on_all_cores(_render, jobs, what="demo corpus: clips")):
            protocol.write_clip(unfinished, entries[number].subset, number, samples)
        protocol.write_lists(unfinished, entries)
        text = protocol.about(entries, packages, names, RECIPE_VERSION)
        (unfinished / "DATA.md").write_text(text, encoding="utf-8")


def _humans(packages: Packages, seed: int) -> dict[str, list[Clip]]:
    """Bonafide clips by subset."""
    voices = humans.files(packages.tree)
    load = partial(_load_voice, seed=seed)
    loaded = list(made.on_all_cores(load, list(voices.items()), what="demo corpus: human voices", unit="voice"))
    unique = humans.without_copies(recording for recordings in loaded for recording in recordings)
    clips: dict[str, list[Clip]] = {subset: [] for subset in SUBSETS}
    for voice in voices:
        own = [recording for recording in unique if recording.voice == voice]
        subset = plan.subset_of(voice.language)
        clips[subset] += plan.human_clips(own, subset, np.random.default_rng([seed, *voice.tag.encode()]))
    return clips


def _synthetic(packages: Packages, clips: dict[str, list[Clip]], seed: int) -> dict[tuple[str, str], list[tuple]]:
    """Words and sentences of each synthetic voice, by attack and subset."""
    voices = [
        (attack, subset, voice)
        for subset in SUBSETS
        for attack in plan.SPOOFS[subset]
        if attack not in (*VOCODERS, "replay")
        for voice in plan.synthesisers(attack, subset, sorted({clip.language for clip in clips[subset]}))
    ]
    speak = partial(_speak, packages=packages, seed=seed)
    pools = made.on_all_cores(
        speak, [voice for *_, voice in voices], what="demo corpus: synthetic voices", unit="voice"
    )
    spoken: dict[tuple[str, str], list[tuple]] = {}
    for (attack, subset, voice), (words, sentences) in zip(voices, pools, strict=True):
        spoken.setdefault((attack, subset), []).append((voice, words, sentences))
    return spoken


def _jobs(
    clips: dict[str, list[Clip]], spoken: dict[tuple[str, str], list[tuple]], seed: int
) -> tuple[list[tuple], list[Entry]]:
    """Clips to render, ``(speech, treatment, narrow, seed)``, and the protocol entry of each."""
    jobs: list[tuple] = []
    entries: list[Entry] = []

    def add(subset: str, speaker: str, codes: tuple[str, str, str], wave, treatment, like: Clip):
        jobs.append((wave, treatment, like.narrow, [seed, len(jobs)]))
        entries.append(Entry(subset, speaker, codes, "S01" if like.joined else "S02"))

    for subset in SUBSETS:
        rng = np.random.default_rng([seed, SUBSETS.index(subset)])
        for clip in clips[subset]:
            add(subset, clip.speaker, HUMAN, clip.wave, None, clip)
        for attack, count in plan.SPOOFS[subset].items():
            configurations = plan.replay_configurations(subset)
            for number, clip in enumerate(plan.drawn_alike(clips[subset], count, rng)):
                if attack == "replay":
                    codes = configurations[number % len(configurations)]
                    add(subset, clip.speaker, codes, clip.wave, codes, clip)
                elif attack in VOCODERS:
                    add(subset, clip.speaker, plan.CODES[attack], clip.wave, attack, clip)
                else:
                    voice, words, sentences = made.voice_for(clip.language, spoken[attack, subset], number)
                    wave = plan.spoken_like(clip, words, sentences, rng)
                    add(subset, voice.tag, plan.CODES[attack], wave, None, clip)
    return jobs, entries


def _compile() -> None:
    """Call the vocoders once: librosa compiles their functions for half a minute, and caches them for the workers."""
    parallel.end_with_parent()
    rng = np.random.default_rng(0)
    for vocode in VOCODERS.values():
        vocode(rng.normal(size=SAMPLE_RATE_HZ).astype(np.float32), rng)


def _render(job: tuple) -> np.ndarray:
    """One clip through its attack, if any, and the channel, ``[samples]`` int16."""
    wave, treatment, narrow, seed = job
    rng = np.random.default_rng(seed)
    if treatment in VOCODERS:
        wave = VOCODERS[treatment](wave, rng)
    elif treatment is not None:
        wave = replay.replay(wave, treatment, rng)
    return channel.apply(wave, channel.draw(rng, narrow=narrow), rng)


def _load_voice(item: tuple[humans.Voice, list[Path]], *, seed: int) -> list[humans.Recording]:
    return humans.load(*item, seed)


def _speak(voice: engines.Synthesiser, *, packages: Packages, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    words, sentences = engines.texts(seed, voice)
    return engines.speak(packages, voice, words), engines.speak(packages, voice, sentences)

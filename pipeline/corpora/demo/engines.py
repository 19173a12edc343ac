"""Speech synthesisers of the demo corpus: espeak-ng, Festival (diphone and HMM voices) and Flite.

They read numbers out, which every engine does in every language, so no language needs a text.
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import audio
from pipeline.config import AudioConfig
from pipeline.corpora.demo import channel
from pipeline.corpora.demo.fetch import Packages
from pipeline.errors import AudioError, ProjectError

WORDS, SENTENCES = 24, 10
LIMITS = AudioConfig(min_s=0.1, max_s=60.0, silence_dbfs=-60.0)


@dataclass(frozen=True)
class Synthesiser:
    """A voice of an engine: its name there, its language, and its name in the corpus."""

    engine: str
    voice: str
    language: str
    pitch: int = 50
    words_per_min: int = 165

    @property
    def tag(self) -> str:
        return f"{self.engine}_{self.language}_{self.voice.split('+')[-1].replace('_', '-')}"


_SAME = "ar ca cs da de el es fi ga hu it lt ml nb nl pt ro ru sl sr sv tn uk"
ESPEAK_LANGUAGES = {language: language for language in _SAME.split()} | {
    **{"en": "en-us", "en-GB": "en-gb", "fr": "fr-fr", "nn": "nb", "pt-BR": "pt-br"}
}
"""Name in espeak-ng of each language of the human recordings in which it reads numbers out."""
SPELLED = ("ar",)
"""Languages read digit by digit: builds would differ, as espeak-ng reads tens in Arabic in varying ways."""
ESPEAK_VARIANTS = {
    "train": (("m1", 40, 150), ("m2", 55, 170), ("m3", 45, 190), ("f1", 50, 160), ("f2", 60, 180)),
    "dev": (("m4", 48, 165), ("f3", 58, 175)),
    "eval": (("m5", 42, 155), ("m6", 52, 185), ("f4", 55, 165)),
}
"""Voice variant, pitch and words per minute; no variant is in two subsets."""
FESTIVAL = {
    "train": (("suo_fi_lj_diphone", "fi"), ("hy_fi_mv_diphone", "fi")),
    "dev": (("lp_diphone", "it"), ("pc_diphone", "it")),
    "eval": (("kal_diphone", "en"), ("ked_diphone", "en")),
}
FESTIVAL_HTS = {
    "train": (("upc_ca_ona_hts", "ca"),),
    "dev": (),
    "eval": (("cmu_us_slt_arctic_hts", "en"),),
}
FLITE = {"train": (), "dev": (), "eval": (("awb", "en"), ("rms", "en"), ("slt", "en"), ("kal16", "en"))}


def texts(seed: int, synthesiser: Synthesiser, sentences: int = SENTENCES) -> tuple[list[str], list[str]]:
    """Texts of a voice: short numbers, to be joined as single words are, and longer ones as sentences."""
    rng = np.random.default_rng([seed, *synthesiser.tag.encode()])
    between = " " if synthesiser.language in SPELLED else ""
    words = [between.join(str(rng.integers(0, 100))) for _ in range(WORDS)]
    longer = [" ".join(between.join(str(rng.integers(0, 1000))) for _ in range(1 + i % 4)) for i in range(sentences)]
    return words, longer


def speak(packages: Packages, synthesiser: Synthesiser, lines: list[str]) -> list[np.ndarray]:
    """Speech of each line: trimmed waves ``[samples]`` float32 at 16 kHz, without lines that give no sound.

    Raises ``ProjectError`` if the engine fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [Path(scratch) / f"{number}.wav" for number in range(len(lines))]
        if synthesiser.engine.startswith("festival"):
            _festival(packages, synthesiser, lines, outputs)
        else:
            for line, output in zip(lines, outputs, strict=True):
                _run(packages, _command(packages, synthesiser, line, output))
        waves = []
        for output in outputs:
            try:
                waves.append(channel.trim(audio.decode(output, config=LIMITS)))
            except AudioError:
                continue
    if not waves:
        raise ProjectError(f"{synthesiser.tag}: the engine wrote no sound; delete the folder of packages and try again")
    return waves


def _command(packages: Packages, synthesiser: Synthesiser, line: str, output: Path) -> list[str]:
    if synthesiser.engine == "flite":
        return [packages.program("flite"), "-voice", synthesiser.voice, "-t", line, "-o", str(output)]
    command = [packages.program("espeak-ng"), "-v", synthesiser.voice, "-p", str(synthesiser.pitch)]
    command += [f"--path={packages.espeak_data}"] if packages.espeak_data else []
    return [*command, "-s", str(synthesiser.words_per_min), "-w", str(output), line]


def _festival(packages: Packages, synthesiser: Synthesiser, lines: list[str], outputs: list[Path]) -> None:
    script = [f"(voice_{synthesiser.voice})"]
    script += [
        f'(utt.save.wave (utt.synth (Utterance Text "{line}")) "{output}" (quote riff))'
        for line, output in zip(lines, outputs, strict=True)
    ]
    data = packages.tree / "usr" / "share" / "festival"
    _run(packages, [packages.program("festival"), "--datadir", str(data), "--batch", f"(begin {' '.join(script)})"])


def _run(packages: Packages, command: list[str]) -> None:
    done = subprocess.run(
        command, env=packages.environment(), capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise ProjectError(f"{Path(command[0]).name} failed ({done.returncode}): {done.stderr.strip()[-300:]}")

"""Small trees of the field's corpora on disk, in their real layout, with tiny real audio.

``tree("asvspoof5", folder)`` makes one. Each corpus is lists (path to lines) and audio (paths); a test damages a tree
by giving other lines. ``asvspoof_tree`` does the same for ASVspoof 2017.
"""

import hashlib
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16000
Lists = dict[str, list[str]]


def track_2019(track: str, spoof: dict[str, list[str]], bonafide: str) -> tuple[Lists, list[str]]:
    """Lists and audio of a track; ``spoof`` are the environment and attack of each part's spoofs."""
    lists, audio = {}, []
    for part, suffix in (("train", "trn"), ("dev", "trl"), ("eval", "trl")):
        letter = part[0].upper()
        columns = [f"{bonafide} - bonafide", *(f"{attack} spoof" for attack in spoof[part])]
        names = [f"{track}_{letter}_{1000000 + number}" for number in range(len(columns))]
        speaker = {"train": "0079", "dev": "0069", "eval": "0039"}[part]
        lists[f"{track}/ASVspoof2019_{track}_cm_protocols/ASVspoof2019.{track}.cm.{part}.{suffix}.txt"] = [
            f"{track}_{speaker} {name} {rest}" for name, rest in zip(names, columns, strict=True)
        ]
        audio += [f"{track}/ASVspoof2019_{track}_{part}/flac/{name}.flac" for name in names]
    return lists, audio


LA_2021 = [
    "LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval",
    "LA_0007 LA_E_5013670 ulaw sin_tx bonafide bonafide notrim eval",
    "LA_0012 LA_E_1000001 none loc_tx - bonafide notrim progress",
    "LA_0012 LA_E_1000002 gsm mad_tx A19 spoof notrim progress",
    "LA_0013 LA_E_1000003 opus ita_tx A08 spoof trim hidden",
    "LA_0013 LA_E_1000004 g722 ita_tx - bonafide trim hidden",
]
DF_2021 = [
    "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -",
    "TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team20 spoof notrim eval neural_vocoder_nonautoregressive "
    "Task1 team20 FF E",
    "LA_0031 DF_E_2000053 low_ogg asvspoof - bonafide notrim eval bonafide - - - -",
]
PA_2021 = [
    "PA_0010 PA_E_1000001 R3 M3 d4 r1 m1 s4 c4 spoof notrim eval",
    "PA_0011 PA_E_1000002 R3 M2 D1 - - - - bonafide notrim eval",
]
ASVSPOOF5 = {
    "ASVspoof5.train.tsv": [
        "T_4850 T_0000000000 F - - - AC3 A05 spoof -",
        "T_0840 T_0000000001 F - - - - bonafide bonafide -",
    ],
    "ASVspoof5.dev.track_1.tsv": ["D_0062 D_0000000001 F - - - - bonafide bonafide -"],
    "ASVspoof5.eval.track_1.tsv": [
        "E_1607 E_0009538969 M C05 2 E_0009486171 AC1 A26 spoof -",
        "E_1607 E_0009538970 M - - - - bonafide bonafide -",
    ],
}
META = ["file,speaker,label", "0.wav,Alec Guinness,spoof", "1.wav,Alec Guinness,bona-fide", '2.wav,"King, Jr.",spoof']
SPOOFCELEB = [
    ("train", "LAHad7VLKXw-00007-001", "a04"),
    ("development", "YYsxcZ5saac-00002-006", "a06"),
    ("evaluation", "VR8MUnB_MTI-00007-003", "a23"),
]
CODECFAKE = {
    "train": ["SSB13650058.wav real 0", "F01_SSB13650058.wav fake 1"],
    "dev": ["SSB13650059.wav real 0", "F02_SSB13650059.wav fake 2"],
    "C7": ["p227_001.wav real 0", "F07_p227_001.wav fake 7"],
}
TREES: dict[str, tuple[Lists, list[str]]] = {
    "asvspoof2019_la": track_2019("LA", {"train": ["- A01"], "dev": ["- A04"], "eval": ["- A07", "- A19"]}, "-"),
    "asvspoof2019_pa": track_2019("PA", {"train": ["aaa AA"], "dev": ["abc BC"], "eval": ["ccc CC"]}, "aaa"),
    "asvspoof2021_la": (
        {"keys/LA/CM/trial_metadata.txt": LA_2021},
        [f"ASVspoof2021_LA_eval/flac/{line.split()[1]}.flac" for line in LA_2021],
    ),
    "asvspoof2021_df": (
        {"keys/DF/CM/trial_metadata.txt": DF_2021},
        [
            f"ASVspoof2021_DF_eval_part0{part}/ASVspoof2021_DF_eval/flac/{line.split()[1]}.flac"
            for part, line in enumerate(DF_2021)
        ],
    ),
    "asvspoof2021_pa": (
        {"keys/PA/CM/trial_metadata.txt": PA_2021},
        [f"ASVspoof2021_PA_eval/flac/{line.split()[1]}.flac" for line in PA_2021],
    ),
    "asvspoof5": (
        {f"ASVspoof5_protocols/{name}": lines for name, lines in ASVSPOOF5.items()},
        [
            f"{folder}/{line.split()[1]}.flac"
            for folder, lines in zip(("flac_T", "flac_D", "flac_E_eval"), ASVSPOOF5.values(), strict=True)
            for line in lines
        ],
    ),
    "in_the_wild": (
        {"release_in_the_wild/meta.csv": META},
        [f"release_in_the_wild/{line.split(',')[0]}" for line in META[1:]],
    ),
    "fake_or_real": (
        {},
        [
            f"for-norm/{part}/{kind}/file1.wav"
            for part in ("training", "validation", "testing")
            for kind in ("real", "fake")
        ],
    ),
    "wavefake": (
        {},
        [
            *(
                "generated_audio/ljspeech_melgan/LJ001-0001_gen.wav",
                "generated_audio/ljspeech_melgan/LJ001-0002_gen.wav",
            ),
            *(
                "generated_audio/ljspeech_hifiGAN/LJ001-0001_generated.wav",
                "generated_audio/jsut_melgan/BASIC5000_1.wav",
            ),
            "generated_audio/common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech/gen_0.wav",
            "generated_audio/common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech/generated/gen_0.wav",
            *("LJSpeech-1.1/wavs/LJ001-0001.wav", "jsut_ver1.1/basic5000/wav/BASIC5000_1.wav"),
        ],
    ),
    "mlaad": (
        {},
        [
            "fake/de/tts_models_de_thorsten_vits/kleine_lord_01_f000003.wav",
            "fake/ga/tts_models_multilingual_multi-dataset_bark/silent_bullet_09_f000284.wav",
            "de_DE/by_book/mix/kleine_lord/wavs/kleine_lord_01_f000003.wav",
            "en_US/by_book/female/judy_bieber/dorothy_and_wizard_oz/wavs/dorothy_and_wizard_oz_01_f000001.wav",
        ],
    ),
    "spoofceleb": (
        {
            f"spoofceleb/metadata/{part}.csv": [
                "file,speaker,attack",
                f"a00/id10318/{name}.flac,id10318,a00",
                f"{attack}/id10318/{name}.flac,id10318,{attack}",
            ]
            for part, name, attack in SPOOFCELEB
        },
        [
            f"spoofceleb/flac/{part}/{attack}/id10318/{name}.flac"
            for part, name, own in SPOOFCELEB
            for attack in ("a00", own)
        ],
    ),
    "codecfake": (
        {f"label/{name}.txt": lines for name, lines in CODECFAKE.items()},
        [f"{name}/{line.split()[0]}" for name, lines in CODECFAKE.items() for line in lines],
    ),
    "add2023": (
        {
            "Track1.2/testR2/label.txt": [
                "ADD2023_T1.2R2_E_00000003.wav genuine",
                "ADD2023_T1.2R2_E_00000004.wav fake",
            ]
        },
        [f"Track1.2/testR2/wav/ADD2023_T1.2R2_E_0000000{number}.wav" for number in (3, 4)],
    ),
    "dfadd": (
        {},
        [
            *("DATASET_PflowTTS/train/p345_251_pflow.wav", "DATASET_GradTTS/test/p227_164_GradTTS.wav"),
            *("DATASET_VCTK_BONAFIDE/train/p345_251.wav", "DATASET_VCTK_BONAFIDE/valid/p226_001.wav"),
        ],
    ),
    "replaydf": (
        {},
        ["wav/09252b6aeda2/spoof/bark/de/9d0b.wav", "wav/09252b6aeda2/benign/de/17aa.wav"],
    ),
    "deepfake_eval_2024": (
        {
            "audio-metadata-publish.csv": [
                "Filename,Ground Truth,Finetuning Set",
                "a.mp3.wav,Real,Train",
                "b.wav,Fake,Test",
                '"c, d.wav",Fake,Train',
                "e.wav,Unknown,Test",
            ]
        },
        [f"audio-data/{name}.wav" for name in ("a.mp3", "b", "c, d", "e")],
    ),
    "odss": (
        {},
        [
            f"odss/{system}/{place}"
            for system, place in (
                ("natural", "vctk/p225/p225_001.wav"),
                ("vits", "vctk/p225/p225_001.wav"),
                ("fastpitch-hifigan", "hui-acg/Bernd/one.wav"),
            )
        ],
    ),
    "librisevoc": (
        {},
        [
            "LibriSeVoc/gt/250_142286_000031_000006.wav",
            "LibriSeVoc/wavernn/250_142286_000031_000006_gen.wav",
            "LibriSeVoc/melgan/27_123349_000006_000000_gen.wav",
        ],
    ),
}
"""Corpus to its lists and its audio."""


def tree(corpus: str, root: Path, *, lists: Lists | None = None, seconds: float = 0.25) -> Path:
    """The folder of a corpus; ``lists`` replaces lists by their paths."""
    known, audio = TREES[corpus]
    for path, lines in (known | (lists or {})).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for path in audio:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_noise(root / path, seconds)
    return root


def write_noise(path: Path, seconds: float = 0.25) -> None:
    """A recording that no other path has."""
    seed = int.from_bytes(hashlib.sha256(str(path).encode()).digest()[:4], "big")
    wave = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ))
    soundfile.write(path, wave, RATE_HZ, subtype="PCM_16")

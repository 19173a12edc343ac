"""Contents of the demo corpus: languages and voices by subset, and the assembly of clips."""

import numpy as np
import pytest
import soundfile

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora import made
from pipeline.corpora.demo import engines, fetch, humans, plan
from pipeline.store.manifest import SUBSETS

LANGUAGES = {"train": ["ca", "fi", "fr", "ru"], "dev": ["ar", "cs", "it"], "eval": ["de", "en", "es", "uk"]}
WORD = humans.Voice("klettres", "da", "0")
SENTENCE = humans.Voice("asterisk", "fr", "june")


def recordings(voice: humans.Voice, lengths_s: list[float]) -> list[humans.Recording]:
    rng = np.random.default_rng(0)
    waves = [rng.normal(0, 0.1, int(s * SAMPLE_RATE_HZ)).astype(np.float32) for s in lengths_s]
    return [humans.Recording(voice, f"{i}.ogg", wave, False) for i, wave in enumerate(waves)]


def clips_of(voice: humans.Voice, lengths_s: list[float]) -> list[plan.Clip]:
    return plan.human_clips(recordings(voice, lengths_s), "train", np.random.default_rng(1))


def test_no_language_is_in_two_subsets():
    assert not set(plan.LANGUAGES["dev"]) & set(plan.LANGUAGES["eval"])
    assert [plan.subset_of(language) for language in ("en", "en-GB", "cs", "fi")] == ["eval", "eval", "dev", "train"]
    assert plan.subset_of("en") == plan.subset_of("es"), "one woman recorded both"


def test_no_synthetic_voice_is_in_two_subsets():
    voices: dict[str, set[str]] = {}
    for subset in SUBSETS:
        for attack in set(plan.SPOOFS[subset]) - {"lpc", "griffin-lim", "replay"}:
            speakers = plan.synthesisers(attack, subset, LANGUAGES[subset])
            assert speakers, (attack, subset)
            for voice in speakers:
                name = voice.voice.split("+")[-1]
                voices.setdefault(f"{attack} {name}", set()).add(subset)
    assert {name for name, subsets in voices.items() if len(subsets) > 1} == set()


def test_some_attacks_are_only_in_eval():
    for attack in ("flite", "griffin-lim"):
        assert [subset for subset in SUBSETS if attack in plan.SPOOFS[subset]] == ["eval"]
    assert set(plan.replay_configurations("eval")) > set(plan.replay_configurations("train"))
    assert sum(sum(counts.values()) for counts in plan.SPOOFS.values()) >= 500


def test_every_festival_voice_comes_in_a_package():
    named = {voice for table in (engines.FESTIVAL, engines.FESTIVAL_HTS) for own in table.values() for voice, _ in own}
    assert named == set(fetch.VOICES.values()) - {""}


def test_words_are_joined_to_length_and_used_once():
    lengths = [0.3 + 0.01 * i for i in range(40)]
    clips = clips_of(WORD, lengths)
    assert 3 <= len(clips) <= plan.CLIPS_PER_VOICE["train"]
    assert all(clip.joined and clip.speaker == "klettres_da_0" for clip in clips)
    durations = [len(clip.wave) / SAMPLE_RATE_HZ for clip in clips]
    assert plan.SPEECH_S[0] * 0.9 < min(durations) <= max(durations) < plan.SPEECH_S[1] * 1.1
    assert sum(durations) < sum(lengths) + plan.GAP_S[1] * len(lengths)


def test_sentences_are_not_joined():
    clips = clips_of(SENTENCE, [2.0, 3.0, 0.4, 0.4, 0.4, 0.4])
    assert [clip.joined for clip in clips] == [False, False]
    assert sorted(len(clip.wave) / SAMPLE_RATE_HZ for clip in clips) == [2.0, 3.0]


def test_a_voice_with_too_little_speech_gives_no_clip():
    assert clips_of(WORD, [0.4, 0.4]) == []


def test_no_voice_gives_more_clips_than_the_others():
    assert len(clips_of(WORD, [0.5] * 400)) == plan.CLIPS_PER_VOICE["train"] <= 25


def test_joined_words_have_one_level():
    loud, quiet = np.full(1600, 0.5, np.float32), np.full(1600, 0.01, np.float32)
    joined = plan.join([loud, quiet], np.random.default_rng(0))
    assert joined[:1600] == pytest.approx(joined[-1600:])
    gap_s = (len(joined) - 3200) / SAMPLE_RATE_HZ
    assert plan.GAP_S[0] <= gap_s <= plan.GAP_S[1]
    assert not joined[1600:-1600].any()


@pytest.mark.parametrize(("joined", "target_s"), [(True, 2.5), (False, 3.0)])
def test_a_synthetic_voice_follows_its_human(joined, target_s):
    template = plan.Clip("s", "da", np.zeros(8, np.float32), target_s, joined, False)
    words = [r.wave for r in recordings(WORD, [0.5] * 24)]
    sentences = [r.wave for r in recordings(WORD, [1.0, 2.9, 3.0, 3.1, 4.0])]
    wave = plan.spoken_like(template, words, sentences, np.random.default_rng(0))
    assert len(wave) / SAMPLE_RATE_HZ == pytest.approx(target_s, abs=0.8 if joined else 0.11)


def test_a_voice_of_the_clips_language_is_preferred():
    voices = [(engines.Synthesiser("espeak", f"{name}+m1", name), [], []) for name in ("da", "fi")]
    finnish, welsh = (plan.Clip("s", language, np.zeros(8), 2, False, False) for language in ("fi", "cy"))
    assert {made.voice_for(finnish.language, voices, i)[0].language for i in range(4)} == {"fi"}
    assert [made.voice_for(welsh.language, voices, i)[0].language for i in range(2)] == ["da", "fi"]


def test_texts_are_numbers_per_voice_and_digits_in_arabic():
    danish, finnish, arabic = (engines.Synthesiser("espeak", f"{name}+m1", name) for name in ("da", "fi", "ar"))
    words, sentences = engines.texts(1, danish)
    assert engines.texts(1, danish) == (words, sentences) != engines.texts(1, finnish)
    assert all(word.isdigit() and int(word) < 100 for word in words)
    assert {len(sentence.split()) for sentence in sentences} == {1, 2, 3, 4}
    assert all(len(digit) == 1 for lines in engines.texts(1, arabic) for line in lines for digit in line.split())


def test_a_recording_in_two_folders_counts_once():
    first, second = recordings(WORD, [0.5, 0.6])
    again = humans.Recording(humans.Voice("ktuberling", "sr@latin", "0"), "0.ogg", first.wave.copy(), False)
    assert humans.without_copies([first, second, again]) == [first, second]


def test_of_a_chained_ogg_the_first_part_is_taken_and_overshoot_is_clipped(tmp_path):
    times_s = np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 800 * times_s)
    for number, scale in enumerate((0.5, 20.0)):
        soundfile.write(tmp_path / f"{number}.ogg", scale * tone, 16000, format="OGG", subtype="VORBIS")
    parts = [(tmp_path / f"{number}.ogg").read_bytes() for number in range(2)]
    (tmp_path / "chained.ogg").write_bytes(b"".join(parts))
    (tmp_path / "text.ogg").write_bytes(b"no audio")
    paths = [tmp_path / name for name in ("chained.ogg", "1.ogg", "text.ogg")]
    chained, loud = humans.load(WORD, paths, 1)
    assert len(chained.wave) == pytest.approx(16000, abs=160)
    assert np.abs(chained.wave).max() == pytest.approx(0.5, abs=0.1)
    assert np.abs(loud.wave).max() == pytest.approx(1.0, abs=1e-4)


def test_recordings_are_found_by_package_and_language(tmp_path):
    share = tmp_path / "usr" / "share"
    for name in (
        "klettres/pt_BR/alpha/a-0.ogg",
        "klettres/da.txt/a.ogg.txt",
        "ktuberling/sounds/fi/hat.wav",
        "ktuberling/sounds/fi.soundtheme",
        "asterisk/sounds/en_US_f_Allison/agent-pass.g722",
        "asterisk/sounds/en_US_f_Allison/beep.g722",
    ):
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).touch()
    found = {voice.tag: [path.name for path in paths] for voice, paths in humans.files(tmp_path).items()}
    assert found == {
        "klettres_pt-BR_0": ["a-0.ogg"],
        "ktuberling_fi_0": ["hat.wav"],
        "asterisk_en_allison": ["agent-pass.g722"],
    }

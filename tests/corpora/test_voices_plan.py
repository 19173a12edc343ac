"""Contents of the voices corpus: subsets of languages and voices, attacks by source, and clips alike in storage."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import corpora
from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora import voices
from pipeline.corpora.demo import plan as demo_plan
from pipeline.corpora.demo import protocol
from pipeline.corpora.demo.fetch import Packages
from pipeline.corpora.demo.humans import Voice
from pipeline.corpora.voices import about, humans, plan, pools, rendering, rooms
from pipeline.corpora.voices.fetch import SOURCES, Places
from pipeline.corpora.voices.plan import Clip, Job
from pipeline.corpora.voices.storage import PLAIN, Storage
from pipeline.store.manifest import SUBSETS

LANGUAGES = {"train": ["da", "en", "fr"], "dev": ["cs", "it"], "eval": ["de", "es"]}


def places(*sources: str) -> Places:
    return Places(Packages(Path("/none"), {}), {name: Path("/none") for name in sources})


def clip(tmp_path: Path, language: str = "en", number: int = 0, *, joined: bool = False) -> Clip:
    pool = tmp_path / f"queen_{language}_bob.npz"
    return Clip(f"queen_{language}_bob", language, pool, number, 2.0, joined, False, Storage(11025, "pcm8"))


def spoken_pools(clips: dict[str, list[Clip]], sources: list[str]) -> dict[tuple[str, str], list[tuple]]:
    return {
        (attack, subset): [(voice, Path(voice.tag)) for voice in plan.synthesisers(attack, subset, LANGUAGES[subset])]
        for subset in SUBSETS
        for attack in plan.counts(subset, len(clips[subset]), sources)
        if attack not in (*plan.VOCODERS, "replay")
    }


def test_no_language_is_in_two_subsets_and_no_voice_of_the_demos_tests_is_in_train():
    assert not set(plan.LANGUAGES["dev"]) & set(plan.LANGUAGES["eval"])
    for package in ("klettres", "ktuberling", "asterisk"):
        for language in ("en", "en-GB", "es", "de", "nds", "hu", "uk", "nl", "it", "cs", "ar", "gl", "fi", "ru"):
            own = plan.subset_of(Voice(package, language, "0"))
            assert own in (None, demo_plan.subset_of(language)), (package, language)
    assert plan.subset_of(Voice("queen", "en", "bob")) == "train"
    assert plan.subset_of(Voice("drascula", "es", "john")) == "eval"


def test_no_synthetic_voice_is_in_two_subsets_of_either_corpus():
    used: dict[str, set[str]] = {}
    for subset in SUBSETS:
        for own, attacks in ((plan, plan.SHARES[subset]), (demo_plan, demo_plan.SPOOFS[subset])):
            for attack in set(attacks) - {*plan.VOCODERS, "replay"}:
                languages = LANGUAGES[subset]
                for voice in own.synthesisers(attack, subset, languages):
                    used.setdefault(f"{attack} {voice.voice.split('+')[-1]}", set()).add(subset)
    assert {name for name, subsets in used.items() if len(subsets) > 1} == set()


def test_one_neural_vocoder_one_engine_and_one_room_are_in_eval_only():
    seen = set(plan.SHARES["train"]) | set(plan.SHARES["dev"])
    assert set(plan.SHARES["eval"]) - seen == {"melgan", "open-jtalk"}
    assert set(rooms.codes_of("eval")) - set(rooms.codes_of("train")) == {c for c in rooms.CODES if c[0] == "E03"}


def test_attacks_whose_source_is_missing_are_left_out():
    assert set(plan.counts("train", 1000, ["queen"])) == {
        *("espeak", "festival-diphone", "festival-hts", "lpc", "griffin-lim", "replay")
    }
    assert plan.counts("eval", 1000, list(SOURCES))["melgan"] == 150
    assert "open-jtalk" not in plan.counts("eval", 1000, ["open-jtalk"])


def test_every_attack_has_a_code_and_a_readable_name():
    attacks = {attack for own in plan.SHARES.values() for attack in own} - {"replay"}
    assert attacks == set(plan.CODES)
    assert len(plan.ATTACK_NAMES) == len(plan.CODES) + len(rooms.CODES) == len(set(plan.ATTACK_NAMES.values()))


def test_spoofs_follow_human_clips_in_storage_and_joins(tmp_path):
    sources = list(SOURCES)
    clips = {
        subset: [clip(tmp_path, LANGUAGES[subset][i % 2], i, joined=i % 4 == 0) for i in range(200)]
        for subset in SUBSETS
    }
    jobs = voices._jobs(clips, spoken_pools(clips, sources), places(*sources), 1)
    assert jobs == voices._jobs(clips, spoken_pools(clips, sources), places(*sources), 1)
    for subset in SUBSETS:
        real, fake = ([j for j in jobs if j.subset == subset and (not j.attack) == human] for human in (True, False))
        assert len(real) == 200
        assert len(fake) == pytest.approx(200, abs=20)
        assert {j.clip.storage for j in fake} == {j.clip.storage for j in real}
        for share in (lambda j: j.telephone, lambda j: j.again != PLAIN):
            assert np.mean([*map(share, fake)]) == pytest.approx(np.mean([*map(share, real)]), abs=0.12)
    copies = [j for j in jobs if j.attack in (*plan.VOCODERS, "replay", "")]
    assert all(j.speaker == j.clip.speaker and j.spoken is None for j in copies)
    assert not any(j.clip.joined for j in jobs if j.attack in plan.BAKER)


def test_a_second_storage_never_raises_the_rate():
    rng = np.random.default_rng(0)
    low, mid, high = Storage(8000, "gsm"), Storage(11025, "mp3"), Storage(16000, "g722")
    drawn = {plan.second_storage(mid, [low, mid, high], rng) for _ in range(50)}
    assert drawn == {PLAIN, low}
    assert {plan.second_storage(low, [low, mid, high], rng) for _ in range(20)} == {PLAIN}


@pytest.mark.parametrize("attack", ["", "replay"])
def test_a_clip_is_rendered_through_its_storage_and_the_channel(tmp_path, attack):
    tone = (8000 * np.sin(np.arange(2 * SAMPLE_RATE_HZ) * 0.15)).astype(np.int16)
    given = clip(tmp_path)
    pools.write(given.pool, {"clips": [tone]}, joined=[False])
    assert pools.column(given.pool, "joined") == [False]
    codes = rooms.CODES[0] if attack == "replay" else ("-", "-", "-")
    job = Job("train", given.speaker, given, attack, codes, Storage(8000, "gsm"), False)
    first = rendering.render(job, {}, None, np.random.default_rng(3))
    assert first.dtype == np.int16
    assert 2.0 < len(first) / SAMPLE_RATE_HZ < 3.2
    assert np.array_equal(first, rendering.render(job, {}, None, np.random.default_rng(3)))
    spectrum = np.abs(np.fft.rfft(first)) ** 2
    assert spectrum[len(spectrum) * 5 // 8 :].sum() < 0.02 * spectrum.sum(), "8 kHz storage leaves nothing above 4 kHz"


def test_a_clip_or_voice_that_an_earlier_build_left_is_not_made_again(tmp_path):
    made = protocol.clip_path(tmp_path / "clips", "train", 7)
    made.parent.mkdir(parents=True)
    made.write_bytes(b"made before")
    no_pool = Job("train", "s", clip(tmp_path), "", ("-", "-", "-"), PLAIN, False)
    voices._make((7, no_pool), folder=tmp_path / "clips", places=places(), scale=None, seed=1)
    assert made.read_bytes() == b"made before"
    pool = tmp_path / "queen_en_bob.npz"
    pool.write_bytes(b"made before")
    assert voices._load((Voice("queen", "en", "bob"), []), work=tmp_path, seed=1) == pool
    assert pool.read_bytes() == b"made before"


def test_what_a_build_with_other_sources_left_is_discarded(tmp_path, monkeypatch, capsys):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    def build(*sources: str) -> str:
        monkeypatch.setattr(voices.fetch, "fetch", lambda _: places(*sources))
        with pytest.raises(KeyboardInterrupt):
            voices.build(tmp_path / "voices")
        return capsys.readouterr().err

    monkeypatch.setattr(voices.trials, "usable", lambda found: found)
    monkeypatch.setattr(voices, "_humans", stop)
    left = [tmp_path / name for name in ("voices.work/pool", "voices.part/clip")]
    assert build("queen") == ""
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert build("queen") == ""
    assert all(path.exists() for path in left)
    assert "begins anew, as the stopped build had other sources" in build("queen", "codec2")
    assert not any(path.exists() for path in left)


def test_parts_of_a_recording_without_speech_are_dropped():
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * SAMPLE_RATE_HZ).astype(np.float32)
    assert humans.spoken_parts(noise) == []


def test_equal_recordings_count_once(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"same")
    (tmp_path / "b.wav").write_bytes(b"same")
    (tmp_path / "c.wav").write_bytes(b"other")
    lines = humans._lines(tmp_path.glob("*.wav"))
    one, two = Voice("queen", "en", "a"), Voice("queen", "en", "b")
    unique = humans._without_copies({one: lines[:1], two: lines})
    assert {voice.name: [line.path.name for line in own] for voice, own in unique.items()} == {
        "a": ["a.wav"],
        "b": ["c.wav"],
    }


def test_data_md_counts_and_names_every_source(tmp_path):
    entries = [
        voices.Entry("train", "queen_en_bob", voices.HUMAN, "S02"),
        voices.Entry("eval", "drascula_es_john", plan.CODES["melgan"], "S02"),
    ]
    text = about.text(entries, places("ttskit"), 1)
    assert "| MelGAN | E00-P12-R00 | 0 | 0 | 1 |" in text
    assert "| ttskit==0.3.8 | yes | MIT |" in text
    assert "| flight-of-the-amazon-queen | no | – |" in text


def test_the_corpus_is_registered_and_made_without_a_folder():
    assert "voices" in corpora.READERS
    assert "voices" in corpora.BUILT

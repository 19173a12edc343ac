"""Real codecs, own noises and rooms: the same clip for the same seed, epoch and place, whatever the batches are."""

import shutil

import numpy as np
import pytest
import soundfile

from pipeline.audio import mixing
from pipeline.config import HostAugmentConfig, preset
from pipeline.errors import ConfigError
from pipeline.training import host_augmentation, own_recordings
from pipeline.training.data import Data
from pipeline.training.host_augmentation import CODECS, HostAugmentation, coded
from pipeline.training.own_recordings import OwnRecordings


@pytest.fixture
def folder(tmp_path):
    """Trees of noises and of impulse responses as MUSAN and RIRS_NOISES are, with what else lies in such trees."""
    rng = np.random.default_rng(2)
    noises, rooms = tmp_path / "musan" / "noise" / "free-sound", tmp_path / "rirs" / "real"
    for place in (noises, rooms):
        place.mkdir(parents=True)
        (place / "ANNOTATIONS").write_text("text")
    for number, seconds in enumerate((0.5, 3.0)):
        soundfile.write(noises / f"{number}.wav", 0.1 * rng.normal(size=round(16000 * seconds)), 16000)
    tail = np.exp(-np.arange(4000) / 500)
    several = np.stack([0.5 * tail, rng.normal(size=4000) * tail], axis=1)
    several[:800] = 0  # the direct sound arrives after 0.05 s
    soundfile.write(rooms / "several.wav", several, 16000)
    return tmp_path


def settings(folder, **values) -> HostAugmentConfig:
    shares = {"augment_codec": 0.5, "noise_share": 0.5, "rir_share": 0.5} | values
    return HostAugmentConfig(noise_dir=str(folder / "musan"), rir_dir=str(folder / "rirs"), **shares)


@pytest.mark.parametrize("codec", [rates[0] for rates in CODECS.values()], ids=list(CODECS))
def test_codecs_keep_length_and_sense_and_change_the_samples(codec, voice):
    wave = 0.5 * voice[:16001]
    found = coded(wave, codec)
    assert (found.shape, found.dtype) == (wave.shape, np.float32)
    spectra = [np.abs(np.fft.rfft(w[:16000].reshape(-1, 400) * np.hanning(400)))[:, 2:80] for w in (found, wave)]
    assert np.corrcoef(*(np.log(s + 1e-2).ravel() for s in spectra))[0, 1] > 0.9
    assert not np.array_equal(found, wave)
    np.testing.assert_array_equal(coded(wave, codec), found)


def test_what_a_clip_gets_depends_on_seed_epoch_and_place_only(folder, voice):
    waves = np.repeat(0.5 * voice[None, :8000], 8, axis=0)
    own = HostAugmentation(settings(folder))
    whole = own.of_epoch(1, 3)(waves, 0)
    again, later = HostAugmentation(settings(folder)).of_epoch(1, 3), own.of_epoch(1, 3, 5)
    np.testing.assert_array_equal(
        np.concatenate([again(waves[2:5], 2), later(waves[5:], 0), again(waves[:2], 0)]),
        whole[[2, 3, 4, 5, 6, 7, 0, 1]],
    )
    for other in (own.of_epoch(1, 4), own.of_epoch(2, 3)):
        assert not np.array_equal(other(waves, 0), whole)
    changed = [not np.array_equal(clip, waves[0]) for clip in whole]
    assert any(changed)
    assert len({clip.tobytes() for clip in whole}) > sum(changed) - 1


def test_an_epoch_is_augmented_and_nothing_else_is(folder, synthetic_store):
    plain = preset("smoke").replace(batch_size=8)
    made = {"noise_dir": str(folder / "musan"), "noise_share": 1.0}
    before, after = (Data.of(synthetic_store, config) for config in (plain, plain.replace(**made)))
    (waves, labels), (noisy, same) = (next(iter(data.epoch(0))) for data in (before, after))
    np.testing.assert_array_equal(labels, same)
    changed = np.abs(noisy.numpy() - waves.numpy()).max(axis=1) > 0
    assert changed.all(), "both classes alike"
    for one, other in zip(before.windows(), after.windows(), strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_only_the_beginning_of_a_long_recording_is_decoded(folder, monkeypatch):
    from pipeline.audio import span

    wave = np.random.default_rng(1).uniform(-0.5, 0.5, (48000, 2)).astype(np.float32)
    soundfile.write(folder / "musan" / "noise" / "free-sound" / "0.wav", wave, 16000)
    monkeypatch.setattr(own_recordings, "MOST_S", 0.25)
    decoded = []
    cut = span.Span.cut
    monkeypatch.setattr(span.Span, "cut", lambda part, read: (decoded.append(part.end_s), cut(part, read))[1])
    noises = OwnRecordings(str(folder / "musan"), "noise_dir", own_recordings.noise)
    found = noises.draw(np.random.default_rng(0))
    assert len(found) == 4000
    assert set(decoded) == {0.25}, "every pass over the file ends there"


def test_a_room_keeps_time_and_power_and_takes_one_channel(folder, voice):
    rooms = OwnRecordings(str(folder / "rirs"), "rir_dir", own_recordings.response)
    response = rooms.draw(np.random.default_rng(0))
    assert np.argmax(np.abs(response)) == 800
    assert response[801] == pytest.approx(0.5 * np.exp(-801 / 500), abs=1e-4)
    wave = 0.1 * voice
    room = mixing.in_room(wave, response)
    assert room.shape == wave.shape
    assert np.mean(room**2) == pytest.approx(np.mean(wave**2), rel=1e-3)
    np.testing.assert_allclose(mixing.in_room(wave, np.eye(1, 50, 20)[0]), wave, atol=1e-4)


def test_files_of_no_use_are_named_once_and_left_out(folder, capsys):
    (folder / "musan" / "0.flac").write_bytes(b"no audio")
    soundfile.write(folder / "musan" / "1.wav", np.zeros(16000), 16000)
    long_noise = np.random.default_rng(0).normal(size=5 * 16000)
    soundfile.write(folder / "rirs" / "noise.wav", 0.1 * long_noise, 16000)
    noises = OwnRecordings(str(folder / "musan"), "noise_dir", own_recordings.noise)
    rooms = OwnRecordings(str(folder / "rirs"), "rir_dir", own_recordings.response)
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert noises.draw(rng).any()
        assert len(rooms.draw(rng)) < 16000
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for name, reason in (("0.flac", "0.flac is left out: "), ("1.wav", "silent"), ("noise.wav", "no impulse response")):
        assert [reason in line for line in lines if f"/{name} is left out" in line] == [True]


def test_folders_without_anything_to_use_are_errors(tmp_path):
    for place, problem in ((tmp_path / "none", "no such folder"), (tmp_path, "it holds no audio files")):
        with pytest.raises(ConfigError, match=f"--noise_dir '{place}': {problem}"):
            HostAugmentation.of(preset("smoke").replace(noise_dir=str(place)))
    (tmp_path / "a.wav").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="none of its 1 audio files can be used"):
        HostAugmentation.of(preset("smoke").replace(rir_dir=str(tmp_path)))
    with pytest.raises(ConfigError, match=r"--augment_codec 1\.5: expected 0 to 1"):
        HostAugmentation.of(preset("smoke").replace(augment_codec=1.5))
    assert HostAugmentation.of(preset("smoke")) is None


def test_folders_count_by_names_and_sizes(folder):
    first = host_augmentation.content(settings(folder))
    shutil.move(folder / "musan", folder / "rirs2")
    moved = settings(folder).__class__(**vars(settings(folder)) | {"noise_dir": str(folder / "rirs2")})
    assert host_augmentation.content(moved) == first
    (folder / "rirs2" / "b.wav").write_bytes(b"more")
    assert host_augmentation.content(moved) != first

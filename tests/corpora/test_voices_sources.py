"""Sources of the voices corpus: game archives, PyTorch files read safely, storage, and MelGAN's layers."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import soundfile

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.corpora.voices import games, melgan, storage, torch_file
from pipeline.corpora.voices.games import Line
from pipeline.errors import AudioError, CorpusError


def queen_archive(path, resources: dict[str, bytes], *, magic=b"QTBL", compression=1):
    """An archive of Amazon Queen with those resources."""
    head = struct.pack(">4s6s2xB", magic, b"CEM10\0", compression) + struct.pack(">H", len(resources))
    offset = len(head) + 21 * len(resources)
    table = b""
    for name, data in resources.items():
        table += struct.pack(">12sBII", name.encode(), 1, offset, len(data))
        offset += len(data)
    path.write_bytes(head + table + b"".join(resources.values()))
    return path


def mp3(seconds: float) -> bytes:
    file = io.BytesIO()
    tone = 0.3 * np.sin(np.arange(int(11025 * seconds)) * 0.2)
    soundfile.write(file, tone, 11025, format="MP3", subtype="MPEG_LAYER_III")
    return file.getvalue()


def test_lines_of_amazon_queen_go_to_the_person_of_their_dialogue(tmp_path):
    dialogue = bytes(20) + struct.pack(">hhh", 7, 7, 7) + b"\x05Have you seen my plane, captain?\0"
    archive = queen_archive(
        tmp_path / "queen.1c",
        {
            **{"BOB2.DOG": dialogue, "070008P1.SB": mp3(1.0), "070008J1.SB": b"joe", "JOE01113.SB": b"joe too"},
            **{"080008P1.SB": b"no dialogue", "C103F192.SB": b"cut scene", "105SSSSS.SB": b"effect"},
        },
    )
    lines = games.queen(archive)
    assert {name: len(own) for name, own in lines.items()} == {"bob": 1, "joe": 2}
    assert {line.data() for line in lines["joe"]} == {b"joe", b"joe too"}
    wave = games.decode_mp3(lines["bob"][0])
    assert len(wave) / SAMPLE_RATE_HZ == pytest.approx(1.0, abs=0.2)
    assert games.queen_sentences(archive) == ["Have you seen my plane, captain?"]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"magic": b"RIFF"}, "begins with b'RIFF'"), ({"compression": 0}, "stored in way 0"), ({}, "ends within")],
)
def test_another_archive_is_refused_by_name(tmp_path, change, message):
    archive = queen_archive(tmp_path / "queen.1c", {"070008P1.SB": b"x"}, **change)
    if not change:
        archive.write_bytes(archive.read_bytes()[:30])
    with pytest.raises(CorpusError, match=message):
        games.queen(archive)


def test_lines_of_drascula_go_by_their_letters(tmp_path):
    samples = (128 + 60 * np.sin(np.arange(11025) * 0.1)).astype(np.uint8).tobytes()
    for name in ("12", "VB3", "D5", "D60", "D82", "S4", "I1"):
        (tmp_path / f"{name}.ALS").write_bytes(b"\x80" * 32 + samples + b"\x80" * 64)
    (tmp_path / "1.ALG").write_bytes(b"picture")
    found = {name: [line.path.stem for line in own] for name, own in games.drascula(tmp_path).items()}
    assert found == {"john": ["12"], "vonbraun": ["VB3"], "dracula": ["D5"], "blind": ["D60"], "igor": ["I1"]}
    wave = games.decode_raw(Line(tmp_path / "12.ALS"))
    assert len(wave) == SAMPLE_RATE_HZ
    assert np.abs(wave).max() == pytest.approx(60 / 128, abs=0.02)
    (tmp_path / "13.ALS").write_bytes(b"\x80" * 90)
    with pytest.raises(AudioError, match="no samples"):
        games.decode_raw(Line(tmp_path / "13.ALS"))


class Named:
    """A pickle that names a function or class and calls it."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


def torch_zip(pickled: bytes, storages: dict[str, np.ndarray] | None = None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, values in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", values.astype("<f4").tobytes())
    return file.getvalue()


def tensor_pickle(shape: tuple, stride: tuple, *, offset: int = 0, size: int = 6) -> bytes:
    """Pickle of ``{"w": tensor}`` in protocol 0, written by hand as PyTorch need not be there."""
    numbers = ("(" + "".join(f"I{n}\n" for n in shape) + "t") + ("(" + "".join(f"I{n}\n" for n in stride) + "t")
    storage = f"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI{size}\ntQ"
    call = f"ctorch._utils\n_rebuild_tensor_v2\n({storage}I{offset}\n{numbers}I00\nccollections\nOrderedDict\n(tRtR"
    return f"(dS'w'\n{call}s.".encode()


def test_tensors_come_back_with_their_shape():
    values = np.arange(6)
    read = torch_file.read(torch_zip(tensor_pickle((2, 3), (3, 1)), {"0": values}))
    assert read["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    turned = torch_file.read(torch_zip(tensor_pickle((3, 2), (1, 3)), {"0": values}))
    assert turned["w"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_pickle_that_calls_a_function_is_refused_and_calls_nothing(tmp_path):
    target = tmp_path / "made"
    for hostile in (
        pickle.dumps(Named(os.mkdir, str(target))),
        pickle.dumps(Named(eval, f"__import__('os').mkdir({str(target)!r})")),
        f"ctorch\nFloatStorage\n(S'{target}'\ntR.".encode(),
        b"ctorch.nn.modules\n__import__\n(S'os'\ntR.",
        pickle.dumps(OrderedDict(w=Named(print, "called"))),
    ):
        with pytest.raises(CorpusError, match="read safely"):
            torch_file.read(torch_zip(hostile))
    assert not target.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        tensor_pickle((2, 3), (3, 1), offset=1),
        tensor_pickle((2, 3), (3, -1)),
        tensor_pickle((10**12,), (0,)),
        tensor_pickle((2, 3), (3, 1), size=99),
        b"not a pickle",
        b"",
    ],
)
def test_a_tensor_outside_its_storage_is_refused(pickled):
    with pytest.raises(CorpusError):
        torch_file.read(torch_zip(pickled, {"0": np.arange(6)}))


def test_what_is_no_zip_is_refused():
    with pytest.raises(CorpusError, match="not a PyTorch file"):
        torch_file.read(b"plain text")


@pytest.mark.parametrize(
    ("rate_hz", "codec"),
    [(11025, "mp3"), (11025, "pcm8"), (16000, "g722"), (8000, "gsm"), (8000, "pcm16"), (16000, "vorbis")],
)
def test_storage_keeps_length_and_place_and_loses_what_it_should(rate_hz, codec):
    times_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    wave = (0.5 * np.sin(2 * np.pi * (300 + 900 * times_s) * times_s)).astype(np.float32)
    kept = storage.through(wave, storage.Storage(rate_hz, codec))
    assert kept.shape == wave.shape
    assert kept.dtype == np.float32
    lags = [np.dot(np.roll(kept, -lag), wave) for lag in range(-20, 21)]
    assert abs(int(np.argmax(lags)) - 20) <= 2
    assert np.corrcoef(kept, wave)[0, 1] > 0.9
    assert not np.array_equal(kept, wave)


def test_melgan_layers_match_scipy():
    from scipy import signal

    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 3)).astype(np.float32)
    kernel = rng.normal(size=(2, 3, 3)).astype(np.float32)  # (out, in, width)
    weights = {"c.weight": kernel.transpose(2, 1, 0), "c.bias": np.array([0.5, -1], np.float32)}
    expected = np.stack(
        [
            sum(signal.correlate(x[:, i], np.insert(w[i], [1, 2], 0.0), "valid") for i in range(3)) + b
            for w, b in zip(kernel, weights["c.bias"], strict=True)
        ],
        axis=1,
    )
    np.testing.assert_allclose(melgan._convolved(x, weights, "c", dilation=2), expected, rtol=1e-4)
    kernel = rng.normal(size=(3, 2, 4)).astype(np.float32)  # (in, out, width)
    up = {"u.weight": kernel.transpose(2, 0, 1), "u.bias": np.zeros(2, np.float32)}
    stretched = np.zeros((18, 3), np.float32)
    stretched[::2] = x
    full = np.stack([sum(np.convolve(stretched[:, i], kernel[i, o]) for i in range(3)) for o in range(2)], axis=1)
    np.testing.assert_allclose(melgan._upsampled(x, up, "u", 2, 1), full[1:19], rtol=1e-4, atol=1e-5)

"""Copies of speech by codecs that send parameters only: codec2, and LPCNet's neural decoder (Valin & Skoglund 2019).

Both are in Debian's ``libcodec2``, which is called in place, unpacked. It draws noise from generators that live as long
as the library is loaded, so it is loaded anew for each copy: the same speech always gives the same copy.
"""

import _ctypes
import ctypes
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.config import SAMPLE_RATE_HZ
from pipeline.errors import CorpusError

CODEC2_RATE_HZ = 8000
CODEC2_MODES = {0: 3200, 1: 2400, 3: 1400, 5: 1200, 8: 700}
"""Number in the library's interface and bits per second."""
LPCNET_DELAY = 880
"""Samples by which LPCNet's decoder lags behind."""
MOST_BYTES = 512
"""More than a frame of any mode takes."""


def codec2(wave: np.ndarray, tree: Path, mode: int) -> np.ndarray:
    """The speech ``[samples]`` at 16 kHz sent at 700 to 3200 bit/s, same shape float32, with a telephone band."""
    import soxr

    library = _loaded(tree)
    state = library.codec2_create(mode)
    size = library.codec2_samples_per_frame(state)
    low = soxr.resample(wave.astype(np.float32), SAMPLE_RATE_HZ, CODEC2_RATE_HZ)

    def frame(given: np.ndarray, taken: np.ndarray, packet: np.ndarray) -> None:
        library.codec2_encode(state, packet.ctypes.data, given.ctypes.data)
        library.codec2_decode(state, taken.ctypes.data, packet.ctypes.data)

    sent = _by_frames(low, size, frame)
    library.codec2_destroy(state)
    _ctypes.dlclose(library._handle)
    return _as_long_as(soxr.resample(sent, CODEC2_RATE_HZ, SAMPLE_RATE_HZ), wave)


def lpcnet(wave: np.ndarray, tree: Path) -> np.ndarray:
    """The speech ``[samples]`` at 16 kHz sent at 1733 bit/s and decoded by LPCNet, same shape float32."""
    library = _loaded(tree)
    state = library.lpcnet_freedv_create(1)
    size = library.lpcnet_samples_per_frame(state)

    def frame(given: np.ndarray, taken: np.ndarray, packet: np.ndarray) -> None:
        library.lpcnet_enc(state, given.ctypes.data, packet.ctypes.data)
        library.lpcnet_dec(state, packet.ctypes.data, taken.ctypes.data)

    sent = _by_frames(np.pad(wave, (0, LPCNET_DELAY)), size, frame)[LPCNET_DELAY:]
    library.lpcnet_freedv_destroy(state)
    _ctypes.dlclose(library._handle)
    return _as_long_as(sent, wave)


def _by_frames(wave: np.ndarray, size: int, frame) -> np.ndarray:
    """Samples after coding frame by frame, ``[samples + padding]`` float32."""
    scaled = wave * (0.5 / max(np.abs(wave).max(), 1e-9))
    given = np.rint(np.pad(scaled, (0, -len(wave) % size)) * 32767).astype(np.int16)
    taken = np.zeros(len(given), np.int16)
    packet = np.zeros(MOST_BYTES, np.uint8)
    for start in range(0, len(given), size):
        frame(given[start : start + size], taken[start : start + size], packet)
    return taken.astype(np.float32) / 32768


def _as_long_as(sent: np.ndarray, wave: np.ndarray) -> np.ndarray:
    return np.pad(sent[: len(wave)], (0, max(len(wave) - len(sent), 0)))


@cache
def _path(tree: Path) -> Path:
    path = next(tree.rglob("libcodec2.so*"), None)
    if path is None:
        raise CorpusError(f"{tree}: no libcodec2.so; delete the folder and try again")
    return path


def _loaded(tree: Path) -> ctypes.CDLL:
    """The unpacked library with the types of the functions used; raises ``CorpusError`` if it cannot be loaded."""
    path = _path(tree)
    ctypes.CDLL(None).srand(1)  # LPCNet's generator is the C library's
    try:
        library = ctypes.CDLL(str(path))
        for name in ("codec2_create", "lpcnet_freedv_create"):
            function = getattr(library, name)
            function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_int]
        for name in ("codec2_samples_per_frame", "codec2_destroy", "lpcnet_samples_per_frame", "lpcnet_freedv_destroy"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        for name in ("codec2_encode", "codec2_decode", "lpcnet_enc", "lpcnet_dec"):
            getattr(library, name).argtypes = [ctypes.c_void_p] * 3
    except (OSError, AttributeError) as error:
        raise CorpusError(f"{path}: codec2 with LPCNet cannot be loaded ({error})") from None
    return library

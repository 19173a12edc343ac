"""Format of the file that a recording was decoded from, recorded for the shortcut audit."""

import os
from pathlib import Path

from pipeline.audio import containers, ffmpeg
from pipeline.store.manifest import FILE_COLUMNS

Header = tuple[str, int, int, bool]
"""Container and codec, sample rate in Hz, channels, and whether the codec is lossless."""
UNKNOWN: Header = ("", 0, 0, True)


def describe(path: str, duration_s: float) -> dict[str, object]:
    """``FILE_COLUMNS`` of a file: container and codec, sample rate, channels and bit rate; "" and 0 if unknown.

    The bit rate is the size of the file over the duration of its audio. It is 0 for lossless codecs, as the size of
    their files depends on what was recorded.
    """
    name, rate_hz, channels, lossless = _by_libsndfile(path) or _by_ffmpeg(path) or UNKNOWN
    kbit_s = 0.0 if lossless else 8 * os.stat(path).st_size / 1000 / duration_s
    return dict(zip(FILE_COLUMNS, (name, rate_hz, channels, kbit_s), strict=True))


def _by_libsndfile(path: str) -> Header | None:
    import soundfile

    if containers.headerless_format(path):
        return None
    try:
        found = soundfile.info(os.fsencode(path))
    except (soundfile.LibsndfileError, TypeError):
        return None
    lossless = found.subtype.startswith(("PCM", "ALAC", "FLOAT", "DOUBLE"))
    return f"{found.format} {found.subtype}", found.samplerate, found.channels, lossless


def _by_ffmpeg(path: str) -> Header | None:
    import av

    options = {"format_whitelist": ffmpeg.FORMATS, "protocol_whitelist": ""}
    hint = containers.headerless_format(path) or None
    try:
        with Path(path).open("rb") as file, av.open(file, format=hint, options=options) as container:
            stream = container.streams.audio[0]
            codec = stream.codec_context.codec
            return f"{container.format.name} {codec.name}", stream.rate, stream.channels, codec.lossless
    except (av.FFmpegError, ValueError, IndexError, AttributeError):
        return None

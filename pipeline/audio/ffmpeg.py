"""Decoding by FFmpeg of formats that libsndfile does not read; a stream may change its rate or channels."""

import io
import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.audio.limits import OVERSHOOT, Limits, Source
from pipeline.audio.notes import Note, NoteKind
from pipeline.errors import AudioError, AudioFault

FORMATS = (
    "aac,ac3,aiff,ape,amr,amrnb,amrwb,asf,au,avi,caf,dts,eac3,flac,flv,g722,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,"
    "mpeg,mpegts,ogg,tta,w64,wav,wv"
)
"""Containers that FFmpeg may detect. Playlists are excluded: they name other files and addresses, which FFmpeg would
read."""
FRAMES_PER_BLOCK = 64
TIMED = ("asf", "flac", "flv", "matroska", "mov")
"""Containers whose header states a duration; for others FFmpeg guesses it."""
TOLERANCE_S = 0.2
"""Difference between the stated duration and the end of the last packet that encoders leave."""


def blocks(source: Source, hint: str, limits: Limits, notes: list[Note]) -> Iterator[tuple[int, np.ndarray]]:
    """Sample rate in Hz and float32 ``[samples, channels]`` of each block of the default track.

    ``hint`` is FFmpeg's name of a format without a header, or "". Raises ``AudioError``.
    """
    import av

    try:
        options = {"format_whitelist": FORMATS, "protocol_whitelist": ""}
        with av.open(_opened(source), format=hint or None, options=options, metadata_errors="ignore") as container:
            track = _track(container, notes)
            is_uncompressed = track.codec_context.name.startswith("pcm_")
            for rate_hz, block in _gathered(_frames(container, track, notes), limits):
                yield rate_hz, block if is_uncompressed else np.clip(block, -OVERSHOOT, OVERSHOOT)
    except (av.FFmpegError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", "") or error  # the whole text names the file with its folder
        raise AudioError(AudioFault.UNREADABLE, f"not audio that libsndfile or FFmpeg can decode ({reason})") from None


def as_float(frame: "av.AudioFrame") -> np.ndarray:  # noqa: F821
    """Samples of a frame as float32 ``[samples, channels]``, integers divided by their full scale."""
    samples = frame.to_ndarray()
    kind, full_scale = samples.dtype.kind, np.float32(2.0 ** (8 * samples.itemsize - 1))
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
    samples = samples.astype(np.float32)
    if kind == "u":
        samples -= full_scale
    return samples if kind == "f" else samples / full_scale


def _gathered(frames: Iterator["av.AudioFrame"], limits: Limits) -> Iterator[tuple[int, np.ndarray]]:  # noqa: F821
    """Blocks of consecutive frames of the same rate and channels."""
    for (rate_hz, channels), alike in itertools.groupby(
        frames, lambda frame: (frame.sample_rate, frame.layout.nb_channels)
    ):
        limits.check_layout(rate_hz, channels)
        while some := list(itertools.islice(alike, FRAMES_PER_BLOCK)):
            yield rate_hz, np.concatenate([as_float(frame) for frame in some])


def _opened(source: Source) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise AudioError(AudioFault.UNREADABLE, f"{error.strerror or error}") from None


def _track(container: "av.container.InputContainer", notes: list[Note]) -> "av.AudioStream":  # noqa: F821
    """The default audio track, as players choose it; a note names the others."""
    tracks = container.streams.audio
    if not tracks:
        raise AudioError(AudioFault.UNREADABLE, "the file has no audio stream")
    chosen = container.streams.best("audio") or tracks[0]
    if chosen.codec_context is None:
        raise AudioError(AudioFault.UNREADABLE, "FFmpeg does not know the codec of the file's audio")
    if len(tracks) > 1:
        names = {track.index: _name(number, track) for number, track in enumerate(tracks, 1)}
        others = ", ".join(name for index, name in names.items() if index != chosen.index)
        notes.append(Note(NoteKind.TRACKS, f"only track {names[chosen.index]} is decoded, not {others}"))
    return chosen


def _name(number: int, track: "av.AudioStream") -> str:  # noqa: F821
    known = [track.metadata[key] for key in ("language", "title") if track.metadata.get(key, "und") != "und"]
    return f"{number} ({', '.join(known)})" if known else str(number)


def _frames(
    container: "av.container.InputContainer",  # noqa: F821
    track: "av.AudioStream",  # noqa: F821
    notes: list[Note],
) -> Iterator["av.AudioFrame"]:  # noqa: F821
    """Frames of a track; its missing or damaged end is noted, damage before that is an error."""
    import av

    failure, decoded, end_s = None, 0, 0.0
    first_s = float((track.start_time or 0) * track.time_base)
    for packet in container.demux(track):
        if failure and packet.size:
            raise failure
        try:
            frames = packet.decode()
        except av.error.InvalidDataError as error:
            failure = error
            continue
        decoded += len(frames)
        if packet.pts is not None:
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base) - first_s
        yield from frames
    if failure and not decoded:
        raise failure
    stated_s = _stated_s(container, track)
    if end_s + TOLERANCE_S < stated_s:
        notes.append(Note(NoteKind.TRUNCATED, f"the header promises {stated_s:.1f} s, the file holds {end_s:.1f} s"))
    elif failure:
        notes.append(Note(NoteKind.TRUNCATED, "the last packet is incomplete"))


def _stated_s(container: "av.container.InputContainer", track: "av.AudioStream") -> float:  # noqa: F821
    """Duration that the header states for a track, or 0 if it states none."""
    if container.format.name.split(",")[0] not in TIMED:
        return 0.0
    if track.duration:
        return float(track.duration * track.time_base)
    if stated := track.metadata.get("DURATION"):  # 00:00:02.000000000
        hours, minutes, seconds = map(float, stated.split(":"))
        return timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    return container.duration / 1e6 if container.duration and len(container.streams) == 1 else 0.0

"""Replays in drawn configurations: each clip has a loudspeaker, a room and a recorder drawn for it alone."""

import numpy as np

from pipeline.corpora.demo.replay import Loudspeaker, Recorder, Room

LOUDSPEAKERS = {
    "P21": ("phone loudspeaker", (350, 550), (4000, 5500), (2.0, 4.0)),
    "P22": ("small loudspeaker", (180, 350), (5500, 7000), (1.2, 2.5)),
    "P23": ("large loudspeaker", (60, 150), (7000, 7800), (0.5, 1.3)),
}
"""Name, and ranges of the lower and the upper edge in Hz and of the drive, by playback code."""
ROOMS = {
    "E01": ("small room", (0.15, 0.35), (4, 10), (30, 42)),
    "E02": ("medium room", (0.35, 0.6), (2, 6), (28, 38)),
    "E03": ("large room", (0.6, 1.1), (0, 3), (25, 34)),
}
"""Name, and ranges of reverberation time in s, direct-to-reverberant ratio and noise ratio in dB, by room code."""
SEEN_ROOMS = ("E01", "E02")
"""Rooms of train and dev; eval has all."""
CODES = tuple((room, loudspeaker, "R01") for room in ROOMS for loudspeaker in LOUDSPEAKERS)
NAMES = {codes: f"replay, {LOUDSPEAKERS[codes[1]][0]} in a {ROOMS[codes[0]][0]}" for codes in CODES}


def codes_of(subset: str) -> list[tuple[str, str, str]]:
    """Environment, playback and recorder codes of a subset."""
    return [codes for codes in CODES if subset == "eval" or codes[0] in SEEN_ROOMS]


def draw(codes: tuple[str, str, str], rng: np.random.Generator) -> tuple[Loudspeaker, Room, Recorder]:
    """A configuration within the ranges of its codes."""
    _, low_hz, high_hz, drive = LOUDSPEAKERS[codes[1]]
    _, rt60_s, direct_db, snr_db = ROOMS[codes[0]]
    return (
        Loudspeaker(rng.uniform(*low_hz), rng.uniform(*high_hz), rng.uniform(*drive)),
        Room(rng.uniform(*rt60_s), rng.uniform(*direct_db), rng.uniform(*snr_db)),
        Recorder(rng.uniform(70, 220), rng.uniform(6200, 7700), rng.uniform(1200, 4500)),
    )

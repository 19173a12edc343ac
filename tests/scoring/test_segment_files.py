"""Spoofed segments as RTTM and CSV, by hand."""

import numpy as np

from pipeline.scoring import segment_files
from pipeline.scoring.parties import Party
from pipeline.scoring.row import Row
from pipeline.scoring.spoofed_segments import SpoofedSegment
from tests.support.made_windows import scored_windows


def party(channel: int, *found: SpoofedSegment) -> Party:
    scored = scored_windows([1.0] * 8, window_s=2.0, hop_s=1.0)
    return Party(channel, Row("a b"), scored, [one.later(60.0) for one in found], np.zeros((1, 2)), 60.0)


PARTIES = [party(1), party(2, SpoofedSegment(1.25, 3.0, -2.5, 0.9), SpoofedSegment(4.0, 4.5, -1.0, 0.75))]


def test_rttm_has_ten_fields_in_the_time_of_the_recording():
    assert segment_files.rttm("a b", PARTIES) == (
        "SPEAKER a_b 2 61.250 1.750 <NA> <NA> spoof 0.900 <NA>\nSPEAKER a_b 2 64.000 0.500 <NA> <NA> spoof 0.750 <NA>\n"
    )
    assert segment_files.rttm("a", [party(0, SpoofedSegment(0.0, 1.0, -2.0, 1.0))]).split()[2:5] == [
        "1",
        "60.000",
        "1.000",
    ]


def test_csv_has_a_row_per_segment():
    assert segment_files.table(PARTIES).splitlines() == [
        "channel,start_s,end_s,score,confidence",
        "2,61.250,63.000,-2.5000,0.9000",
        "2,64.000,64.500,-1.0000,0.7500",
    ]


def test_times_of_a_part_are_those_of_the_recording():
    assert PARTIES[0].times_s.tolist() == [61.0 + second for second in range(8)]
    assert PARTIES[0].speech[0][0] == 60.0

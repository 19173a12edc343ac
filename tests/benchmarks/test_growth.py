"""Growth benchmark: arithmetic by hand, memory of a real process, and one run of all stages."""

import subprocess
import sys

import pytest

from benchmarks import growth, memory
from benchmarks.growth import Stage
from pipeline.common.parallel import cores

HOLD = """
import mmap, sys, time
held = b"x" * 60_000_000
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
mapped.find(b"y")
time.sleep(1)
"""


def stages(*values: tuple[int, float, float]) -> dict[int, Stage]:
    return {4**i: Stage(clips, [seconds], [peak_mb]) for i, (clips, seconds, peak_mb) in enumerate(values)}


def test_what_is_linear_and_flat_meets_both_lines():
    found = {"preprocess": stages((10, 3.0, 100.0), (40, 9.0, 90.0), (160, 33.0, 105.0))}
    assert growth.further_cost_s(list(found["preprocess"].values())) == pytest.approx([0.2, 0.2])
    flat, linear = growth.lines(found)
    assert (flat.name, linear.name) == ("memory_growth", "cost_growth")
    assert flat.figures[0].values == pytest.approx([1.05])
    assert linear.figures[0].values == pytest.approx([1.0])
    assert flat.met
    assert linear.met


def test_what_grows_faster_misses():
    found = {"scoring": stages((10, 1.0, 100.0), (40, 4.0, 110.0), (160, 40.0, 150.0))}
    flat, linear = growth.lines(found)
    assert flat.figures[0].values == pytest.approx([1.5])
    assert linear.figures[0].values == pytest.approx([3.0])
    assert not flat.met
    assert not linear.met


def test_a_cost_that_falls_has_not_grown():
    found = {"preprocess": stages((10, 10.0, 100.0), (40, 40.0, 100.0), (160, 100.0, 100.0))}
    _, linear = growth.lines(found)
    assert linear.figures[0].values == pytest.approx([0.5])
    assert linear.met


def test_steps_that_are_as_many_at_every_size_cost_the_same():
    assert growth.further_cost_s(list(stages((32, 4.0, 1.0), (32, 4.4, 1.0)).values())) == pytest.approx(
        [0.125, 0.1375]
    )


def test_core_hours_and_money_follow_from_a_further_clip():
    found = {"scoring": stages((10, 3.0, 1.0), (40, 9.0, 1.0), (160, 33.0, 1.0))}
    name, clips, hours, money = growth.estimate(found, [9000.0], 2.0).splitlines()[1].split()
    assert (name, float(clips)) == ("scoring", 9000)
    assert float(hours) == pytest.approx(0.5 * cores())
    assert float(money) == pytest.approx(1.0 * cores())


def test_the_table_says_what_a_clip_and_a_further_one_cost():
    found = {"scoring": stages((10, 3.0, 100.0), (40, 9.0, 110.0))}
    rows = growth.table(found).splitlines()
    assert len(set(map(len, rows))) == 1, "the columns stand below their names"
    assert [row.split() for row in rows[1:]] == [
        ["scoring", "1x", "10", "3.00", "300.000", "100"],
        ["scoring", "4x", "40", "9.00", "225.000", "200.000", "110"],
    ]


def test_memory_is_what_a_process_holds_without_the_files_it_maps(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 100_000_000)
    command = [sys.executable, "-c", HOLD, str(tmp_path / "file")]
    process = subprocess.Popen(command)
    with memory.watched(process.pid) as peak:
        process.wait()
    assert 60e6 < peak.bytes < 90e6


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_whole_way_on_the_synthetic_corpus(make_model_folder, capsys):
    model = str(make_model_folder().folder)
    assert growth.main(["--quick", "true", "--preset", "smoke", "--model", model]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name:<12}    2x" in printed for name in growth.STAGES)

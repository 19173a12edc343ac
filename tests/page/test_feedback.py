"""Table of answers without a server: names as paths, and mistakes in its options."""

import pytest

from pipeline.errors import ConfigError
from pipeline.page.__main__ import main
from pipeline.page.feedback import COLUMNS, Feedback, plain_path


def test_names_become_paths_that_are_plain():
    names = {"a.wav": "a.wav", "../../etc/a.wav": "a.wav", "C:\\x\\a.wav": "a.wav", "=1+2.wav": "./=1+2.wav"}
    names |= {"a\r\nb.wav": "a  b.wav", "": "recording", "-x": "./-x"}
    assert {name: plain_path(name) for name in names} == names


def test_without_a_folder_the_path_is_the_visitors_name(tmp_path):
    feedback = Feedback(tmp_path / "answers.csv")
    key = feedback.remember(b"recording", {"score": 1.5, "model_version": "m-1", "source": "x"})
    feedback.add(key, "unknown", "a, b.wav", b"")
    heading, line = (tmp_path / "answers.csv").read_text().splitlines()
    assert heading == ",".join(COLUMNS)
    assert line.startswith('"a, b.wav",,unknown,')
    assert line.endswith(",1.5,m-1")
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]


def test_mistakes_are_named(tmp_path):
    (tmp_path / "other.csv").write_text("path,label\n")
    with pytest.raises(ConfigError, match="its columns are path, label in place of path, label, answer"):
        Feedback(tmp_path / "other.csv")
    with pytest.raises(ConfigError, match=r"--feedback .*none.answers.csv.*No such file"):
        Feedback(tmp_path / "none" / "answers.csv")
    with pytest.raises(ConfigError, match=r"--keep kept: .*name a table, --feedback FILE.csv"):
        main(["--keep", "kept"])

"""Downloads of the voices corpus: their size is told before, and a source that fails is left out with its reason."""

from pathlib import Path

from pipeline.corpora.demo.fetch import Packages
from pipeline.corpora.voices import fetch
from pipeline.errors import ProjectError


def test_a_source_that_fails_is_left_out_and_one_that_is_there_is_not_fetched_again(tmp_path, monkeypatch, capsys):
    fetched = []

    def apt(_: Path, command: str, *packages: str, cwd: Path) -> str:
        fetched.append(packages)
        if "drascula" in packages:
            raise ProjectError("apt-get download failed: no such package")
        return ""

    for name, source in fetch.SOURCES.items():
        if source.wheel:
            (tmp_path / "own" / name).mkdir(parents=True)
            (tmp_path / "own" / name / "it.whl").touch()
            (tmp_path / "own" / name / "complete").touch()
    monkeypatch.setattr(fetch.demo_fetch, "fetch", lambda folder: Packages(folder / "tree", {}))
    monkeypatch.setattr(fetch.demo_fetch, "apt", apt)
    places = fetch.fetch(tmp_path / "own")
    assert set(places.found) == set(fetch.SOURCES) - {"drascula"}
    assert places.found["queen"] == tmp_path / "own" / "queen" / "tree"
    told = capsys.readouterr().err
    missing = [source for source in fetch.SOURCES.values() if not source.wheel]
    assert f"downloads {sum(source.size_mb for source in missing)} MB" in told
    assert "drascula is left out: apt-get download failed: no such package" in told
    count = len(fetched)
    fetch.fetch(tmp_path / "own")
    assert len(fetched) == count + 1, "only what was left out is tried again"

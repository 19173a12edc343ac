"""Download by the command: licence, publisher's server, archives, and a corpus that its reader finds complete."""

import dataclasses
import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from pipeline import corpora, download
from pipeline.common import files
from pipeline.config import CorpusConfig, ModelConfig
from pipeline.downloads.publishers import CORPORA, ENCODERS, File, Publisher
from pipeline.errors import ConfigError, DownloadError
from tests.support.corpus_trees import tree
from tests.support.publisher_server import Published, Server, serve

BACKBONES = next(f.metadata["choices"] for f in dataclasses.fields(ModelConfig) if f.name == "backbone")


@pytest.fixture
def server(tmp_path) -> Server:
    """ASVspoof 2021 LA, published as it is: keys at an address, audio in a record."""
    root = tree("asvspoof2021_la", tmp_path / "published")
    with serve() as running:
        for name, folder in (("keys.tar.gz", "keys"), ("audio.tar.gz", "ASVspoof2021_LA_eval")):
            with tarfile.open(tmp_path / name, "w:gz") as archive:
                archive.add(root / folder, folder)
            running.files[f"/{name}"] = Published((tmp_path / name).read_bytes())
        stated = {"key": "audio.tar.gz", "links": {"self": f"{running.url}/audio.tar.gz"}, "checksum": md5(running)}
        stated["size"] = len(running.files["/audio.tar.gz"].content)
        running.files["/api/records/7"] = Published(json.dumps({"files": [stated]}).encode())
        yield running


def md5(server: Server, path: str = "/audio.tar.gz") -> str:
    return f"md5:{hashlib.md5(server.files[path].content).hexdigest()}"


def publisher(server: Server, **changes: object) -> Publisher:
    values = {"licence": "ODC-By 1.0", "page": "https://page.example", "records": ("7",)}
    keys = File("keys.tar.gz", f"{server.url}/keys.tar.gz", None, md5(server, "/keys.tar.gz"))
    return Publisher(**values | {"files": (keys,)} | changes)


def test_what_was_downloaded_is_the_corpus(server, tmp_path):
    server.files["/audio.tar.gz"].breaks_after = 2000
    folder = tmp_path / "corpus"
    assert download.fetch(publisher(server), folder, zenodo=server.url) == ["keys.tar.gz", "audio.tar.gz"]
    table, rejected = corpora.read(CorpusConfig(corpus="asvspoof2021_la", data_dir=str(folder)))
    assert (len(table), rejected) == (6, [])
    assert not list(folder.glob("*.tar.gz*"))
    asked = len(server.asked)
    download.fetch(publisher(server), folder, zenodo=server.url)
    assert server.asked[asked:] == [("/api/records/7", "")]


def test_files_finished_before_a_failure_are_not_downloaded_again(server, tmp_path):
    audio = server.files["/audio.tar.gz"]
    server.files["/audio.tar.gz"] = Published(audio.content[:-1] + b"?")
    with pytest.raises(DownloadError, match="the file was deleted"):
        download.fetch(publisher(server), tmp_path / "corpus", zenodo=server.url)
    server.files["/audio.tar.gz"] = audio
    asked = len(server.asked)
    download.fetch(publisher(server), tmp_path / "corpus", zenodo=server.url, keep_archives=True)
    assert [path for path, _ in server.asked[asked:]] == ["/api/records/7", "/audio.tar.gz"]
    assert [path.name for path in (tmp_path / "corpus").glob("*.tar.gz")] == ["audio.tar.gz"]


def test_a_hostile_archive_leaves_the_download_undone(server, tmp_path):
    with tarfile.open(tmp_path / "hostile.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../owned"))
    server.files["/keys.tar.gz"] = Published((tmp_path / "hostile.tar.gz").read_bytes())
    with pytest.raises(DownloadError, match=r"'../../owned', which leads out of the folder"):
        download.fetch(publisher(server, records=()), tmp_path / "a" / "corpus")
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "a/corpus/downloaded.json").exists()


def test_two_at_once_in_a_folder_are_refused(server, tmp_path):
    (tmp_path / "corpus").mkdir()
    with (
        files.locked(tmp_path / "corpus" / download.LOCK, DownloadError("held by the test")),
        pytest.raises(DownloadError, match="another process downloads to it; wait for it, or stop it"),
    ):
        download.fetch(publisher(server), tmp_path / "corpus")


def test_the_command_asks_for_the_licence_first(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(CORPORA, "asvspoof2021_la", publisher(server, records=(), by_hand="fetch the audio"))
    command = ["asvspoof2021_la", str(tmp_path / "corpus")]
    with pytest.raises(ConfigError, match="read the licence, then add --accept_licence true"):
        download.main(command)
    assert "published under: ODC-By 1.0\nIts page: https://page.example" in capsys.readouterr().out
    assert server.asked == []
    assert download.main([*command, "--accept_licence", "true"]) == 0
    printed = capsys.readouterr().out
    assert "left to do: fetch the audio" in printed
    assert f"-P corpus=asvspoof2021_la -P data_dir={tmp_path / 'corpus'}" in printed
    assert (tmp_path / "corpus/keys/LA/CM/trial_metadata.txt").is_file()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["asvspoof2019"], "'asvspoof2019': expected a corpus or an encoder, and a folder"),
        (["vctk", "x"], "'vctk' cannot be downloaded; choose one of asvspoof2017, "),
        (["in_the_wild", "x", "--revision", "v1"], "--revision 'v1': in_the_wild lies in no repository; give none"),
        (["asvspoof2019_pa", "x"], r"download PA\.zip from the page in a browser, and unpack it: https://"),
    ],
)
def test_errors_name_why_a_corpus_cannot_be_downloaded(command, message):
    with pytest.raises((ConfigError, DownloadError), match=message):
        download.main(command)


def test_without_a_name_the_command_lists_all(capsys):
    assert download.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["corpus", *CORPORA, "encoder", *ENCODERS]


ENCODER = {"config.json": b'{"model_type": "whisper"}', "model.safetensors": bytes(range(256)) * 40}


@pytest.fixture
def hub(server) -> Server:
    """The repository of an encoder, whose weights break off every 4,000 bytes."""
    weights, config = ENCODER["model.safetensors"], ENCODER["config.json"]
    blob = hashlib.sha1(f"blob {len(config)}".encode() + bytes(1) + config).hexdigest()
    large = {"size": len(weights), "lfs": {"sha256": hashlib.sha256(weights).hexdigest()}}
    siblings = [
        {"rfilename": "config.json", "size": len(config), "blobId": blob},
        {"rfilename": "model.safetensors", "blobId": "0" * 40, **large},
    ]
    for commit in ("c1", "c2"):
        stated = json.dumps({"sha": commit, "siblings": siblings}).encode()
        server.files[f"/api/models/who/speech/revision/{commit}?blobs=true"] = Published(stated)
        server.files |= {f"/who/speech/resolve/{commit}/{name}": Published(own) for name, own in ENCODER.items()}
    server.files["/who/speech/resolve/c1/model.safetensors"].breaks_after = 4000
    return server


def test_an_encoder_is_fetched_from_one_commit_resumed_and_checked(hub, tmp_path):
    source = Publisher("MIT", "https://page.example", repository="who/speech", backbone="whisper")
    download.fetch(source, tmp_path / "encoder", revision="c1", hub=hub.url)
    assert {name: (tmp_path / "encoder" / name).read_bytes() for name in ENCODER} == ENCODER
    asked = len(hub.asked)
    assert ("/who/speech/resolve/c1/model.safetensors", "bytes=8000-") in hub.asked
    (tmp_path / "encoder" / "config.json").unlink()
    download.fetch(source, tmp_path / "encoder", revision="c2", hub=hub.url)
    assert [path for path, _ in hub.asked[asked:]] == [
        "/api/models/who/speech/revision/c2?blobs=true",
        "/who/speech/resolve/c2/config.json",
    ], "the same weights at another commit are not fetched again"


def test_the_command_ends_with_the_options_of_the_encoder(hub, tmp_path, monkeypatch, capsys):
    source = Publisher("MIT", "https://page.example", repository="who/speech", backbone="whisper")
    monkeypatch.setitem(ENCODERS, "whisper-base", source)
    monkeypatch.setattr(download.fetch, "__kwdefaults__", download.fetch.__kwdefaults__ | {"hub": hub.url})
    command = ["whisper-base", str(tmp_path / "encoder"), "--revision", "c2", "--accept_licence", "true"]
    assert download.main(command) == 0
    assert f"complete: --backbone whisper --encoder {tmp_path / 'encoder'}" in capsys.readouterr().out


def test_the_table_names_corpora_that_can_be_read_and_checksums_that_can_be_checked():
    assert set(CORPORA) < set(corpora.READERS)
    assert {publisher.backbone for publisher in ENCODERS.values()} <= set(BACKBONES)
    assert not set(CORPORA) & set(ENCODERS)
    files = [file for publisher in CORPORA.values() for file in publisher.files]
    assert len({file.url for file in files}) == len(files)
    lengths = {"md5": 32, "sha256": 64}
    for file in files:
        assert file.url.startswith("https://")
        assert Path(file.name).name == file.name
        if file.checksum:
            method, _, digits = file.checksum.partition(":")
            assert len(bytes.fromhex(digits)) * 2 == lengths[method]

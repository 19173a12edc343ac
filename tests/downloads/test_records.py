"""Descriptions that publishers serve: files of a Zenodo record, and of an encoder on the Hub."""

import hashlib
import json

import pytest

from pipeline.downloads import records
from pipeline.downloads.publishers import File
from pipeline.errors import DownloadError
from tests.support.publisher_server import Published, Server, serve

CONTENT = bytes(range(256)) * 1000
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
COMMIT = "c" * 40
REVISION = "/api/models/who/speech/revision/main?blobs=true"


@pytest.fixture
def server() -> Server:
    with serve() as running:
        yield running


def record(server: Server, **changes: object) -> bytes:
    stated = {"key": "a.bin", "size": len(CONTENT), "checksum": MD5, "links": {"self": f"{server.url}/a.bin"}}
    return json.dumps({"files": [stated | changes]}).encode()


def test_a_record_states_its_files(server, tmp_path):
    server.files["/api/records/12"] = Published(record(server))
    assert records.zenodo_files("12", server=server.url) == [File("a.bin", f"{server.url}/a.bin", len(CONTENT), MD5)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "not the description of a record"),
        (b'{"files": [{"key": "a"}]}', "not the description of a record"),
        (None, "the server answers 404"),
    ],
)
def test_an_answer_that_is_no_record_is_named(server, content, message):
    if content:
        server.files["/api/records/12"] = Published(content)
    with pytest.raises(DownloadError, match=message):
        records.zenodo_files("12", server=server.url)


@pytest.mark.parametrize("name", ["../a", "/etc/a", "..", "a/b", ".downloading"])
def test_a_record_names_no_place_but_the_folder(server, name):
    server.files["/api/records/12"] = Published(record(server, key=name))
    with pytest.raises(DownloadError, match="which is no name for a file"):
        records.zenodo_files("12", server=server.url)


def test_a_record_leads_to_no_other_server_unencrypted(server):
    server.files["/api/records/12"] = Published(record(server, links={"self": "http://elsewhere.example/a"}))
    with pytest.raises(DownloadError, match="which is not encrypted"):
        records.zenodo_files("12", server=server.url)


def repository(*names: str) -> Published:
    """Description of a repository with these files, the safetensors large."""
    siblings = []
    for name in names:
        stated = {"rfilename": name, "size": len(name), "blobId": "b" * 40}
        large = {"lfs": {"sha256": "a" * 64, "size": len(name), "pointerSize": 130}}
        siblings.append(stated | (large if name.endswith((".safetensors", ".bin")) else {}))
    return Published(json.dumps({"id": "who/speech", "sha": COMMIT, "siblings": siblings}).encode())


def test_a_repository_states_the_files_of_an_encoder_at_one_commit(server):
    server.files[REVISION] = repository(
        "README.md", "config.json", "preprocessor_config.json", "pytorch_model.bin", "model.safetensors", "vocab.json"
    )
    folder = f"{server.url}/who/speech/resolve/{COMMIT}"
    assert records.hub_files("who/speech", server=server.url) == [
        File("config.json", f"{folder}/config.json", 11, f"git:{'b' * 40}"),
        File("preprocessor_config.json", f"{folder}/preprocessor_config.json", 24, f"git:{'b' * 40}"),
        File("model.safetensors", f"{folder}/model.safetensors", 17, f"sha256:{'a' * 64}"),
    ]


def test_sharded_weights_come_with_their_index(server):
    shards = [f"model-0000{k}-of-00002.safetensors" for k in (1, 2)]
    address = "/api/models/who/speech/revision/refs%2Fpr%2F7?blobs=true"
    server.files[address] = repository("model.safetensors.index.json", *shards, "config.json", "model-x.safetensors")
    found = records.hub_files("who/speech", "refs/pr/7", server=server.url)
    assert [file.name for file in found] == ["config.json", "model.safetensors.index.json", *shards]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["config.json", "pytorch_model.bin"],
            r"/who/speech: no model\.safetensors at revision 'main', only pytorch_model\.bin, and no pickle is read\. "
            r"Look for a conversion among .*/who/speech/discussions .* \(--revision refs/pr/NUMBER\)",
        ),
        (["config.json", "model-00001-of-00002.safetensors"], "only model-00001-of-00002.safetensors"),
        (["config.json"], "only no weights"),
        (["model.safetensors"], r"no config\.json at revision 'main'; check --revision"),
    ],
)
def test_a_repository_without_an_encoder_is_named(server, names, message):
    server.files[REVISION] = repository(*names)
    with pytest.raises(DownloadError, match=message):
        records.hub_files("who/speech", server=server.url)


def test_an_answer_that_describes_no_repository_is_named(server):
    server.files[REVISION] = Published(
        b'{"siblings": [{"rfilename": "config.json"}, {"rfilename": "model.safetensors"}]}'
    )
    with pytest.raises(DownloadError, match="not the description of a record"):
        records.hub_files("who/speech", server=server.url)

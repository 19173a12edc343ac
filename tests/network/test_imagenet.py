"""ImageNet weights: taken from the cache, fetched from a real server, or done without in seconds."""

import hashlib
import socket
import time

import pytest

from pipeline import train
from pipeline.config import ModelConfig, preset
from pipeline.errors import ConfigError, DownloadError
from pipeline.network import imagenet, networks
from tests.support.publisher_server import Published, serve

CONTENT = bytes(range(256)) * 9000
AUTO = preset("default").replace(weights="auto")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """An empty cache, and an address where nothing answers."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(imagenet, "URL", "http://127.0.0.1:9/notop.h5")
    monkeypatch.setattr(imagenet, "MD5", hashlib.md5(CONTENT).hexdigest())
    monkeypatch.setattr(imagenet, "TIMEOUT_S", 0.2)


@pytest.fixture
def server(monkeypatch):
    with serve() as running:
        running.files["/notop.h5"] = Published(CONTENT)
        monkeypatch.setattr(imagenet, "URL", f"{running.url}/notop.h5")
        yield running


def test_auto_fetches_once_and_says_so(server, tmp_path, capsys):
    for _ in range(2):
        assert imagenet.settle(AUTO) == AUTO.replace(weights="imagenet")
        assert f"--weights auto takes imagenet: {tmp_path}/models/{imagenet.NAME}" in capsys.readouterr().out
    assert imagenet.path().read_bytes() == CONTENT
    assert [file.name for file in (tmp_path / "models").iterdir()] == [imagenet.NAME]
    assert len(server.asked) == 1


def test_a_cached_file_that_is_damaged_is_fetched_again(server, tmp_path):
    imagenet.path().write_bytes(CONTENT[:1000])
    assert imagenet.path().read_bytes() == CONTENT


def test_auto_does_without_if_nothing_answers(capsys):
    assert imagenet.settle(AUTO) == AUTO.replace(weights="none")
    assert "--weights auto takes none: http://127.0.0.1:9/notop.h5 cannot be fetched" in capsys.readouterr().out


def test_a_server_that_is_silent_is_given_up(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(imagenet, "URL", f"http://127.0.0.1:{silent.getsockname()[1]}/notop.h5")
        started = time.monotonic()
        assert imagenet.settle(AUTO).model.weights == "none"
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("published", [Published(CONTENT[:5000]), Published(CONTENT, breaks_after=5000)])
def test_another_or_a_broken_file_is_not_kept(server, published, tmp_path):
    server.files["/notop.h5"] = published
    with pytest.raises(DownloadError, match=r"another file|cannot be fetched"):
        imagenet.path()
    assert list((tmp_path / "models").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch, server, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    assert imagenet.settle(AUTO).model.weights == "none"


def test_other_weights_and_networks_are_left_alone(server, capsys):
    for weights in ("none", "imagenet", "mine.h5"):
        assert imagenet.settle(AUTO.replace(weights=weights)).model.weights == weights
    assert imagenet.settle(AUTO.replace(backbone="lcnn")).model.weights == "none"
    assert capsys.readouterr().out == "--weights auto takes none: lcnn has no ImageNet weights\n"
    assert server.asked == []


def test_imagenet_is_strict():
    with pytest.raises(ConfigError, match=r"--weights imagenet: .*cannot be fetched .*; download efficientnetb0"):
        networks.build(preset("smoke").replace(weights="imagenet"))


def test_a_file_of_weights_is_known_by_its_content(tmp_path):
    config = preset("smoke").replace(weights=str(tmp_path / "mine.h5"))
    found = [train._initial(config)]
    for content in (b"a", b"b"):
        (tmp_path / "mine.h5").write_bytes(content)
        found.append(train._initial(config))
    assert [len(one) for one in found] == [0, 1, 1]
    assert found[1] != found[2]
    assert train._initial(preset("smoke")) == []
    assert ModelConfig().weights == "none"

"""Download from a real server that breaks off, cannot resume, states wrong lengths or serves another file."""

import hashlib

import pytest

from pipeline.downloads import transfer
from pipeline.downloads.publishers import File
from pipeline.errors import DownloadError
from tests.support.publisher_server import Published, Server, serve

CONTENT = bytes(range(256)) * 1000
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
GIT = f"git:{hashlib.sha1(b'blob 256000' + bytes(1) + CONTENT).hexdigest()}"


@pytest.fixture
def server() -> Server:
    with serve() as running:
        yield running


def file(server: Server, size: int | None = len(CONTENT), checksum: str = MD5) -> File:
    return File("a.bin", f"{server.url}/a.bin", size, checksum)


@pytest.mark.parametrize(("size", "checksum"), [(len(CONTENT), MD5), (None, SHA256), (None, GIT), (None, "")])
def test_a_file_is_fetched_as_it_was_published(server, tmp_path, size, checksum):
    server.files["/a.bin"] = Published(CONTENT)
    assert transfer.fetch(file(server, size, checksum), tmp_path).read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert server.asked == [("/a.bin", "")]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_broken_connection_is_resumed(server, tmp_path, size):
    server.files["/a.bin"] = Published(CONTENT, breaks_after=100_000)
    assert transfer.fetch(file(server, size), tmp_path).read_bytes() == CONTENT
    assert [range_ for _, range_ in server.asked] == ["", "bytes=100000-", "bytes=200000-"]


def test_a_stopped_program_resumes(server, tmp_path):
    server.files["/a.bin"] = Published(CONTENT)
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:77_777])
    assert transfer.fetch(file(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a.bin", "bytes=77777-")]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_complete_but_unchecked_file_is_only_checked(server, tmp_path, size):
    server.files["/a.bin"] = Published(CONTENT)
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert transfer.fetch(file(server, size), tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == (0 if size else 1)


def test_a_server_that_cannot_resume_sends_the_whole_file(server, tmp_path):
    server.files["/a.bin"] = Published(CONTENT, resumes=False)
    (tmp_path / "a.bin.part").write_bytes(b"x" * 1000)
    assert transfer.fetch(file(server), tmp_path).read_bytes() == CONTENT


def test_a_file_that_changed_on_the_server_is_begun_again(server, tmp_path):
    server.files["/a.bin"] = Published(b"old" * 1000, breaks_after=1000, claims=3000)
    first = iter([server.files["/a.bin"]])

    class Changing(dict):
        """Serves the old file to the first request, and another of the same name to later ones."""

        def get(self, path):
            return next(first, Published(CONTENT, etag='"2"'))

    server.files = Changing()
    assert transfer.fetch(file(server, None, ""), tmp_path).read_bytes() == CONTENT


def test_a_server_that_sends_no_bytes_is_an_error_after_some_attempts(server, tmp_path):
    server.files["/a.bin"] = Published(CONTENT, breaks_after=0)
    with pytest.raises(
        DownloadError, match=r"ended after 0 of 256,000 bytes, 5 times in a row after 0 bytes; the same"
    ):
        transfer.fetch(file(server), tmp_path, pause_s=0.001)
    assert len(server.asked) == transfer.ATTEMPTS


@pytest.mark.parametrize("status", [404, 403])
def test_a_refusal_is_not_tried_again(server, tmp_path, status):
    server.files["/a.bin"] = Published(CONTENT, status=status)
    with pytest.raises(DownloadError, match=rf"the server answers {status} .*page has moved it"):
        transfer.fetch(file(server), tmp_path)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/a: .*Connection refused, 5 times in a row"):
        transfer.fetch(File("a", "http://127.0.0.1:9/a"), tmp_path, pause_s=0.001)


def test_a_length_that_is_not_the_published_one_is_refused_at_once(server, tmp_path):
    server.files["/a.bin"] = Published(CONTENT)
    with pytest.raises(DownloadError, match="the server has 256,000 bytes where 255,999 were published"):
        transfer.fetch(file(server, len(CONTENT) - 1), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_stated_length_beyond_the_file_is_refused(server, tmp_path):
    server.files["/a.bin"] = Published(CONTENT, claims=len(CONTENT) + 1)
    with pytest.raises(DownloadError, match=r"256,001 bytes where 256,000 were published"):
        transfer.fetch(file(server), tmp_path)
    # Without a published size the server is asked for the missing byte, and says that there is none.
    assert transfer.fetch(file(server, None), tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("/a.bin", "bytes=256000-")


def test_a_length_beyond_the_disk_is_refused_before_the_download(server, tmp_path):
    server.files["/a.bin"] = Published(CONTENT, claims=10**15)
    with pytest.raises(DownloadError, match=r"1,000,000,000,000,000 bytes are needed, [\d,]+ free"):
        transfer.fetch(file(server, None), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_length_shorter_than_the_file_is_caught_by_the_checksum(server, tmp_path):
    server.files["/a.bin"] = Published(CONTENT, claims=1000)
    with pytest.raises(DownloadError, match=r"md5 [0-9a-f]{32} where [0-9a-f]{32} was published"):
        transfer.fetch(file(server, None), tmp_path)
    assert not (tmp_path / "a.bin").exists()


@pytest.mark.parametrize("checksum", [MD5, SHA256])
def test_a_file_with_a_wrong_checksum_is_deleted_and_begun_again(server, tmp_path, checksum):
    server.files["/a.bin"] = Published(b"y" + CONTENT[1:])
    with pytest.raises(DownloadError, match="the file was deleted"):
        transfer.fetch(file(server, checksum=checksum), tmp_path)
    assert not list(tmp_path.glob("a.bin")) + list(tmp_path.glob("*.part"))
    server.files["/a.bin"] = Published(CONTENT)
    assert transfer.fetch(file(server, checksum=checksum), tmp_path).read_bytes() == CONTENT


def test_a_web_page_in_place_of_the_file_is_named(server, tmp_path):
    server.files["/a.bin"] = Published(b"<html>please log in</html>", kind="text/html; charset=utf-8")
    with pytest.raises(DownloadError, match=r"answers with a web page, not with a\.bin; download it by hand"):
        transfer.fetch(file(server, None, ""), tmp_path)

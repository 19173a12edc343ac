"""Unpacking of sound archives, and refusal of each kind that does harm."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline.downloads import unpack
from pipeline.errors import DownloadError


def tar(path: Path, members: list[tarfile.TarInfo | tuple[str, bytes]], mode: str = "w:gz") -> Path:
    """An archive of files, given as name and content, or of headers as they are."""
    with tarfile.open(path, mode) as opened:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                opened.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, members: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return path


def header(name: str, kind: bytes, linkname: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, linkname
    return info


def left_behind(folder: Path) -> list[str]:
    """All files under the folder except the archive."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not unpack.is_archive(p))


FILES = [("LA/flac/LA_T_1.flac", b"one"), ("LA/README.txt", b"two"), ("./LA/empty", b"")]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.zip"])
def test_files_are_written_at_their_names(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".zip"):
        zipped(path, FILES)
    else:
        tar(path, [header("LA", tarfile.DIRTYPE), *FILES], {"a.tar": "w", "a.tar.bz2": "w:bz2"}.get(name, "w:gz"))
    (tmp_path / "LA").mkdir()
    (tmp_path / "LA" / "README.txt").write_text("of another archive")
    assert unpack.unpack(path, tmp_path) == 3
    assert (tmp_path / "LA/flac/LA_T_1.flac").read_bytes() == b"one"
    assert (tmp_path / "LA/README.txt").read_bytes() == b"two"
    assert left_behind(tmp_path) == ["LA", "LA/README.txt", "LA/empty", "LA/flac", "LA/flac/LA_T_1.flac"]


@pytest.mark.parametrize("name", ["../out", "LA/../../out", "/tmp/out", "C:/out", "LA\\..\\out", "LA/\x01"])
@pytest.mark.parametrize("make", [tar, zipped])
def test_a_name_that_leads_out_is_refused(tmp_path, make, name):
    folder = tmp_path / "in"
    folder.mkdir()
    path = make(folder / ("a.tar.gz" if make is tar else "a.zip"), [("good", b"x"), (name, b"bad")])
    with pytest.raises(DownloadError, match="which leads out of the folder; not unpacked"):
        unpack.unpack(path, folder)
    assert left_behind(folder) == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "member",
    [
        header("link", tarfile.SYMTYPE, "/etc/passwd"),
        header("link", tarfile.LNKTYPE, "../../etc/passwd"),
        header("inside", tarfile.SYMTYPE, "good"),
        header("pipe", tarfile.FIFOTYPE),
        header("device", tarfile.CHRTYPE),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, member):
    path = tar(tmp_path / "a.tar.gz", [("good", b"x"), member, (f"{member.name}/through", b"bad")])
    with pytest.raises(DownloadError, match="is a link or device, not a file; not unpacked"):
        unpack.unpack(path, tmp_path)
    assert left_behind(tmp_path) == []


def test_links_in_a_zip_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(tmp_path / "a.zip", [("good", b"x"), (link, b"/etc/passwd")])
    with pytest.raises(DownloadError, match="'link' is a link or device"):
        unpack.unpack(path, tmp_path)
    assert left_behind(tmp_path) == []


def test_a_link_already_in_the_folder_leads_nothing_out(tmp_path):
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "LA").symlink_to(tmp_path / "outside")
    with pytest.raises(DownloadError, match="a link leads out of"):
        unpack.unpack(zipped(folder / "a.zip", [("LA/flac", b"x")]), folder)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("make", [tar, zipped])
@pytest.mark.parametrize("contents", [[bytes(4 << 20)], [bytes(1 << 18)] * 8])
def test_an_archive_far_larger_inside_is_refused(tmp_path, monkeypatch, make, contents):
    monkeypatch.setattr(unpack, "FLOOR_BYTES", 1 << 16)
    members = [(f"zeros{number}", content) for number, content in enumerate(contents)]
    path = make(tmp_path / ("a.tar.gz" if make is tar else "a.zip"), members)
    assert path.stat().st_size < 20_000
    with pytest.raises(DownloadError, match=r"unpacks to more than [\d,]+ bytes, far more than its own size"):
        unpack.unpack(path, tmp_path)
    assert left_behind(tmp_path) == []


def test_headers_without_contents_count_too(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "FLOOR_BYTES", 1 << 16)
    folders = tar(tmp_path / "b.tar.gz", [header(f"{n}", tarfile.DIRTYPE) for n in range(1000)])
    with pytest.raises(DownloadError, match="unpacks to more than"):
        unpack.unpack(folders, tmp_path)


def test_a_name_of_gigabytes_is_damage(tmp_path):
    info = header("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 1 << 32
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(DownloadError, match="damaged"):
        unpack.unpack(tmp_path / "a.tar.gz", tmp_path)


def test_a_zip_with_a_wrong_size_is_damaged(tmp_path):
    path = zipped(tmp_path / "a.zip", [("zeros", bytes(1 << 20))])
    data = path.read_bytes()
    path.write_bytes(data.replace((1 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(DownloadError, match="damaged"):
        unpack.unpack(path, tmp_path)
    assert left_behind(tmp_path) == []


DAMAGED = [(name, damage) for name in ("a.tar", "a.tar.gz", "a.tar.bz2", "a.zip") for damage in ("cut", "nonsense")]
# A plain tar has no checksum of its contents; the publisher's finds what was changed.
DAMAGED += [(name, "changed") for name in ("a.tar.gz", "a.tar.bz2", "a.zip")]


@pytest.mark.parametrize(("name", "damage"), DAMAGED)
def test_a_damaged_archive_leaves_nothing(tmp_path, name, damage):
    path, noise = tmp_path / name, [("noise", os.urandom(50_000)), ("more", os.urandom(50_000))]
    zipped(path, noise) if name.endswith(".zip") else tar(
        path, noise, {"a.tar": "w", "a.tar.bz2": "w:bz2"}.get(name, "w:gz")
    )
    data = bytearray(path.read_bytes())
    if damage == "changed":
        data[len(data) // 3] ^= 0x55
    path.write_bytes(data[:60_000] if damage == "cut" else data if damage == "changed" else b"no archive at all" * 99)
    with pytest.raises(DownloadError, match=r"damaged \(.*delete it and download it again"):
        unpack.unpack(path, tmp_path)
    assert left_behind(tmp_path) == []


def test_names_that_exclude_one_another_are_damage(tmp_path):
    with pytest.raises(DownloadError, match="damaged"):
        unpack.unpack(tar(tmp_path / "a.tar.gz", [("a", b"x"), ("a/b", b"y")]), tmp_path)

"""No failure loses a file that was there."""

import errno
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mage_mcp.hosts.files import CannotWrite, find, write

resource = pytest.importorskip("resource", reason="POSIX")

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_bytes(b"\xef\xbb\xbfold\r\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def full_disk() -> Iterator[int]:
    """No file may grow beyond so many bytes: what the system then says is as good as a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))
    yield 2_000_000
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o755], ids=oct)
def test_the_new_bytes_and_a_copy_of_the_old_ones_both_with_the_files_mode(file: Path, mode: int):
    file.chmod(mode)
    backup = write(find(file), b"new", now=NOW)
    assert file.read_bytes() == b"new"
    assert backup == file.with_name("settings.json.bak-20260102T030405Z")
    assert backup.read_bytes() == b"\xef\xbb\xbfold\r\n"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file, backup)} == {mode}
    assert names(file.parent) == ["settings.json", backup.name]


def test_the_second_copy_of_a_second_has_a_name_of_its_own(file: Path):
    first = write(find(file), b"1", now=NOW)
    second = write(find(file), b"2", now=NOW)
    assert first != second
    assert second
    assert second.read_bytes() == b"1"


def test_a_byte_order_mark_stays(file: Path):
    found = find(file)
    assert found.text == "old\r\n"
    assert found.encoded("new") == b"\xef\xbb\xbfnew"


def test_a_new_file_with_its_folders(tmp_path: Path):
    path = tmp_path / "a" / "b" / "mcp.json"
    found = find(path)
    assert found.data is None
    assert found.encoded("x") == b"x"
    assert write(found, b"x") is None
    assert names(path.parent) == ["mcp.json"]


def test_a_link_stays_a_link(file: Path, tmp_path: Path):
    link = tmp_path / "elsewhere" / "link.json"
    link.parent.mkdir()
    link.symlink_to("../settings.json")
    backup = write(find(link), b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert backup
    assert backup.parent == file.parent
    assert names(link.parent) == ["link.json"]


def test_a_read_only_file_is_left_alone(file: Path):
    file.chmod(0o444)
    with pytest.raises(CannotWrite, match="read-only"):
        write(find(file), b"new")
    assert file.read_bytes().endswith(b"old\r\n")
    assert names(file.parent) == ["settings.json"]


def test_a_file_that_another_program_changed_meanwhile_is_left_alone(file: Path):
    found = find(file)
    file.write_bytes(b"theirs")
    with pytest.raises(CannotWrite, match="another program"):
        write(found, b"new")
    assert file.read_bytes() == b"theirs"
    assert names(file.parent) == ["settings.json"]


def test_a_file_that_another_program_made_meanwhile_is_left_alone(tmp_path: Path):
    path = tmp_path / "mcp.json"
    found = find(path)
    path.write_bytes(b"theirs")
    with pytest.raises(CannotWrite, match="another program"):
        write(found, b"new")
    assert path.read_bytes() == b"theirs"


def test_a_disk_without_room_for_the_new_file_changes_nothing(file: Path, full_disk: int):
    with pytest.raises(CannotWrite, match=os.strerror(errno.EFBIG)):
        write(find(file), b"x" * (full_disk + 1))
    assert file.read_bytes().endswith(b"old\r\n")
    assert names(file.parent) == ["settings.json"]


def test_a_disk_without_room_for_the_copy_changes_nothing(file: Path, request: pytest.FixtureRequest):
    old = b"x" * 2_000_001
    file.write_bytes(old)
    request.getfixturevalue("full_disk")
    with pytest.raises(CannotWrite, match=os.strerror(errno.EFBIG)):
        write(find(file), b"new")
    assert file.read_bytes() == old
    assert names(file.parent) == ["settings.json"]


def test_a_folder_that_takes_no_further_file_changes_nothing(tmp_path: Path):
    path = tmp_path / ("a" * 250)  # with anything behind it, the name is too long
    path.write_bytes(b"old")
    with pytest.raises(CannotWrite, match=os.strerror(errno.ENAMETOOLONG)):
        write(find(path), b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == [path.name]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_changes_nothing(file: Path):
    file.parent.chmod(0o555)
    try:
        with pytest.raises(CannotWrite, match="cannot be written"):
            write(find(file), b"new")
        assert file.read_bytes().endswith(b"old\r\n")
    finally:
        file.parent.chmod(0o755)


def test_a_folder_that_is_none_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=os.strerror(errno.ENOTDIR)):
        find(tmp_path / "file" / "mcp.json")


def test_a_folder_in_the_files_place_is_told(tmp_path: Path):
    with pytest.raises(IsADirectoryError):
        find(tmp_path)

"""Files are whole or absent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.data import files
from edgewright.errors import DamagedFileError, EdgewrightError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def fail(scratch: Path) -> None:
        scratch.write_text("half", encoding="utf-8")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        files.write_atomically(path, fail)
    assert path.read_text(encoding="utf-8") == "old" and names(tmp_path) == {"a.txt"}


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    def write(name: str) -> None:
        def fill(folder: Path) -> None:
            folder.mkdir()
            (folder / name).write_text(name, encoding="utf-8")

        files.write_atomically(tmp_path / "folder", fill)

    write("first")
    write("second")
    assert names(tmp_path / "folder") == {"second"} and names(tmp_path) == {"folder"}


def test_a_killed_write_leaves_no_file_under_the_name(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from edgewright.data import files\n"
        "def write(p):\n    p.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_atomically(Path(sys.argv[1]), write)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")])
    assert done.returncode == -signal.SIGKILL
    assert "a.txt" not in names(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    def write(scratch: Path) -> None:
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(EdgewrightError, match=r"a\.txt: the disk is full; free some space"):
        files.write_atomically(tmp_path / "a.txt", write)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": 1' + b"0" * 5000 + b"}"])
def test_hostile_json_is_a_damaged_file_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"a\.json: not readable as JSON") as error:
        files.read_json(path)
    assert "\n" not in str(error.value)


def test_the_checksum_of_a_folder_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("1", encoding="utf-8")
    first = files.sha256(tmp_path)
    (tmp_path / "sub" / "a").rename(tmp_path / "sub" / "b")
    renamed = files.sha256(tmp_path)
    (tmp_path / "sub" / "b").write_text("2", encoding="utf-8")
    assert len({first, renamed, files.sha256(tmp_path)}) == 3


@pytest.mark.parametrize("relative", ["../a", "sub/../../a", "/etc/hostname"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(DamagedFileError, match="leaves the folder"):
        files.inside(tmp_path, relative)


def test_a_link_that_points_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "secret").write_text("", encoding="utf-8")
    (tmp_path / "bundle" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(DamagedFileError, match="leaves the folder"):
        files.inside(tmp_path / "bundle", "link")

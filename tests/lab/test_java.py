"""The archive of classes that makes later servers start quickly, kept beside others' of its kind."""

import os
from pathlib import Path

from pipeline.lab.java import Java

DAYS_S = 86_400


def test_an_archive_is_kept_whatever_happens_to_its_neighbours(tmp_path: Path) -> None:
    folder, recording = tmp_path / "archives", tmp_path / "classes.recording"
    folder.mkdir()
    recording.write_bytes(b"classes")
    # There when the folder is listed, gone when it is looked at: somebody else's, renamed.
    (folder / "other.part").symlink_to(tmp_path / "gone")
    for name, days in (("used.aot", 29), ("unused.aot", 31)):
        path = folder / name
        path.touch()
        os.utime(path, (path.stat().st_mtime - days * DAYS_S,) * 2)
    java = Java((), folder / "ours.aot")
    java.keep(recording)
    assert (folder / "ours.aot").read_bytes() == b"classes"
    assert sorted(path.name for path in folder.iterdir()) == ["other.part", "ours.aot", "used.aot"]
    assert not recording.exists()


def test_a_process_that_wrote_none_leaves_none(tmp_path: Path) -> None:
    java = Java((), tmp_path / "ours.aot")
    java.keep(tmp_path / "classes.recording")
    java.keep(None)
    assert list(tmp_path.iterdir()) == []

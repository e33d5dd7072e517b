"""The archive on disk: whole files at the paths that others know, each content once, nothing outside of it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ckanext.archiver.storage import DiskFull, QuotaReached, Store, StoreError, Usage

ID = "6f1d0a8e-0c45-4e0e-9a39-6f3d4f1b2c01"
OTHER = "7a1d0a8e-0c45-4e0e-9a39-6f3d4f1b2c02"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "archive"))


def keep(store: Store, content: bytes, resource_id: str = ID, name: str = "data.csv") -> str:
    """Store a content the way a worker does."""
    with store.temporary(f"host:1:2:{uuid.uuid4().hex}") as folder:
        temp = os.path.join(folder, uuid.uuid4().hex)
        Path(temp).write_bytes(content)
        return store.keep(resource_id, name, temp, hashlib.sha256(content).hexdigest())


def everything(store: Store) -> dict[str, int]:
    """All files below the root, by relative path, with their numbers of links."""
    return {
        os.path.relpath(os.path.join(folder, name), store.root): os.lstat(os.path.join(folder, name)).st_nlink
        for folder, _, names in os.walk(store.root)
        for name in names
    }


def content_of(content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    return f".content/{sha256[:2]}/{sha256}"


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# -- storing


def test_a_copy_is_at_the_path_that_others_know(store: Store) -> None:
    """``<2>/<id>/<name>``, readable for a web server whatever the umask, beside its content; no temporary file."""
    before = os.umask(0o077)
    try:
        path = keep(store, b"a,b\n")
    finally:
        os.umask(before)
    assert path == f"{store.root}/6f/{ID}/data.csv"
    assert Path(path).read_bytes() == b"a,b\n"
    assert everything(store) == {f"6f/{ID}/data.csv": 2, content_of(b"a,b\n"): 2}
    assert mode(path) == 0o644
    assert [mode(os.path.join(store.root, each)) for each in ("6f", f"6f/{ID}", ".content")] == [0o755] * 3
    assert mode(os.path.join(store.root, ".tmp")) == 0o700


def test_a_content_is_on_disk_once(store: Store) -> None:
    """Two resources with the same file share its bytes."""
    paths = [keep(store, b"same", ID), keep(store, b"same", OTHER), keep(store, b"same", ID, "other name")]
    assert len({os.stat(path).st_ino for path in paths}) == 1
    assert everything(store)[content_of(b"same")] == 4
    assert store.usage() == Usage(files=3, contents=1, size=4)


def test_a_new_content_replaces_the_old_one(store: Store) -> None:
    """The old one goes if nobody else needs it; another resource's copy of it stays as it is."""
    keep(store, b"old")
    keep(store, b"old", OTHER)
    path = keep(store, b"new")
    assert Path(path).read_bytes() == b"new"
    assert everything(store)[content_of(b"old")] == 2
    keep(store, b"new", OTHER)
    assert set(everything(store)) == {f"6f/{ID}/data.csv", f"7a/{OTHER}/data.csv", content_of(b"new")}


def test_the_same_again_changes_nothing(store: Store) -> None:
    """Storing what is stored leaves the file untouched and nothing behind."""
    path = keep(store, b"same")
    before = os.stat(path).st_ino, everything(store)
    assert keep(store, b"same") == path
    assert (os.stat(path).st_ino, everything(store)) == before


def test_a_copy_that_ckanext_archiver_stored_is_replaced(store: Store) -> None:
    """Its files have no content beside them."""
    path = Path(store.root, "6f", ID, "data.csv")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"theirs")
    assert store.find(str(path)) == str(path)
    keep(store, b"ours")
    assert path.read_bytes() == b"ours"
    assert set(everything(store)) == {f"6f/{ID}/data.csv", content_of(b"ours")}


def test_removing_their_copy_leaves_the_content_of_others(store: Store) -> None:
    """A file that ckanext-archiver stored is no link to the content, though it has the same bytes."""
    theirs = Path(store.root, "6f", ID, "data.csv")
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"same")
    mine = keep(store, b"same", OTHER)
    assert store.remove(str(theirs))
    assert everything(store) == {os.path.relpath(mine, store.root): 2, content_of(b"same"): 2}


def test_a_file_downloaded_elsewhere_is_brought_in(store: Store, tmp_path: Path) -> None:
    """Other extensions download to the system's folder for temporary files, which may be on another disk."""
    mine = tmp_path / "download"
    mine.write_bytes(b"x")
    path = store.keep(ID, "data.csv", str(mine), hashlib.sha256(b"x").hexdigest())
    assert Path(path).read_bytes() == b"x"
    assert not mine.exists()
    assert set(everything(store)) == {f"6f/{ID}/data.csv", content_of(b"x")}


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS])
def test_without_hard_links_each_copy_is_a_file(store: Store, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A file system that has none (some network ones, FAT) costs space, nothing else."""

    def link(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)
    for content in (b"one", b"two"):
        path = keep(store, content)
        assert Path(path).read_bytes() == content
        assert everything(store) == {f"6f/{ID}/data.csv": 1}
    assert store.usage() == Usage(files=1, contents=1, size=3)
    assert store.remove(path)
    assert everything(store) == {}


def test_more_links_than_a_file_may_have(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the content is stored a second time, and the next ones link to that."""
    full = os.stat(keep(store, b"same", ID)).st_ino
    link = os.link

    def limited(source: str, target: str, **options: Any) -> None:
        if os.lstat(source).st_ino == full:
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
        link(source, target, **options)

    monkeypatch.setattr(os, "link", limited)
    second, third = keep(store, b"same", OTHER), keep(store, b"same", OTHER, "third")
    assert os.stat(second).st_ino == os.stat(third).st_ino != full
    assert Path(third).read_bytes() == b"same"
    assert len(everything(store)) == 4


def test_a_content_that_is_damaged_is_replaced(store: Store) -> None:
    """A file of another size under the name of a content is none: a power cut, or a person, left it."""
    keep(store, b"whole", OTHER)
    Path(store.root, content_of(b"whole")).unlink()
    Path(store.root, content_of(b"whole")).write_bytes(b"")
    path = keep(store, b"whole")
    assert Path(path).read_bytes() == b"whole"
    assert Path(store.root, content_of(b"whole")).read_bytes() == b"whole"


# -- many at a time


def test_many_store_the_same_content_at_a_time(store: Store) -> None:
    """Each gets its whole copy; nothing is left over."""
    ids = [str(uuid.uuid4()) for _ in range(40)]
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        for each in ids[number::8]:
            keep(store, b"same" * 1000, each)
            keep(store, b"mine" + each.encode(), each)
            keep(store, b"same" * 1000, each)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert {Path(path).read_bytes() for path in store.files()} == {b"same" * 1000}
    assert len(list(store.files())) == 40
    store.sweep_contents()
    assert store.usage().contents >= 1
    assert all(path.startswith(".content/") or path[2] == "/" for path in everything(store))


def test_a_reader_never_sees_half_a_file(store: Store) -> None:
    """While a copy is replaced again and again, whoever opens it finds one whole content or another."""
    contents = [bytes([number]) * 100_000 for number in range(8)]
    path = keep(store, contents[0])
    stop = threading.Event()
    wrong: list[int] = []

    def read() -> None:
        while not stop.is_set():
            found = Path(path).read_bytes()
            if found not in contents:
                wrong.append(len(found))

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        try:
            for _ in range(10):
                for content in contents:
                    keep(store, content)
        finally:
            stop.set()
        reader.result()  # raises if the file was not there for a moment
    assert wrong == []


def test_one_stores_while_another_removes(store: Store) -> None:
    """The folder may vanish between making it and moving the file there; the last one to store wins."""

    def work(number: int) -> None:
        for _ in range(100):
            if number % 2:
                store.remove(store.path_of(ID, "data.csv"))
            else:
                keep(store, b"x")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    path = keep(store, b"x")
    assert Path(path).read_bytes() == b"x"
    store.sweep_contents()
    assert set(everything(store)) == {f"6f/{ID}/data.csv", content_of(b"x")}


def test_the_folder_goes_just_before_the_file_comes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is made again."""
    replace, folder = os.replace, Path(store.root, "6f", ID)

    def late(source: str, target: str) -> None:
        if target.startswith(str(folder)) and not removed:
            folder.rmdir()
            removed.append(target)
        replace(source, target)

    removed: list[str] = []
    monkeypatch.setattr(os, "replace", late)
    assert Path(keep(store, b"x")).read_bytes() == b"x"
    assert removed
    assert len(everything(store)) == 2


# -- what goes wrong


@pytest.mark.parametrize(
    "resource_id", ["..", "../../etc", "a/b", "", "x", "6f\0", "6f" * 60, ".content", "żółw-żółw", f"{ID}\n"]
)
def test_an_id_that_ckan_does_not_give_is_refused(store: Store, resource_id: str) -> None:
    """Nothing is made of it, and the download is removed."""
    with pytest.raises(StoreError, match="no id of a resource"):
        keep(store, b"x", resource_id)
    assert everything(store) == {}


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc/passwd", "\0", "x" * 300, ".htaccess", "a\nb", " "])
def test_a_name_that_is_no_plain_one_is_refused(store: Store, name: str) -> None:
    """Names come from URLs; who does not make them harmless gets nothing stored."""
    with pytest.raises(StoreError, match="no plain file name"):
        keep(store, b"x", name=name)
    assert everything(store) == {}


def test_a_digest_that_is_none_is_refused(store: Store, tmp_path: Path) -> None:
    """It becomes a path, too."""
    mine = tmp_path / "download"
    mine.write_bytes(b"x")
    with pytest.raises(StoreError, match="no SHA-256"):
        store.keep(ID, "data.csv", str(mine), "../../../etc/passwd")
    assert not mine.exists()


@pytest.mark.parametrize("link", ["6f", f"6f/{ID}", ".content"])
def test_a_folder_that_is_a_link_is_not_followed(store: Store, tmp_path: Path, link: str) -> None:
    """Nothing is stored, found, listed or removed where it leads."""
    elsewhere = tmp_path / "elsewhere"
    inside = elsewhere / ID / "data.csv" if link == "6f" else elsewhere / "data.csv"
    inside.parent.mkdir(parents=True)
    inside.write_bytes(b"precious")
    place = Path(store.root, link)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is not a folder"):
        keep(store, b"x")
    if link != ".content":
        path = f"{store.root}/6f/{ID}/data.csv"
        assert store.find(path) is None
        assert list(store.files()) == []
        with pytest.raises(StoreError, match="leads out"):
            store.remove(path)
    assert [path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()] == [b"precious"]


def test_a_copy_that_is_a_link_is_replaced_and_never_served(store: Store, tmp_path: Path) -> None:
    """The file that it leads to stays as it is."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path = Path(store.root, "6f", ID, "data.csv")
    path.parent.mkdir(parents=True)
    path.symlink_to(secret)
    assert store.find(str(path)) is None
    keep(store, b"x")
    assert path.read_bytes() == b"x"
    assert secret.read_bytes() == b"secret"
    path.unlink()
    path.symlink_to(secret)
    assert store.remove(str(path))
    assert secret.read_bytes() == b"secret"


@pytest.mark.parametrize("step", ["copyfile", "link", "replace", "fsync", "mkdir"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing_and_the_former_copy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    """Wherever the space runs out."""
    if step != "mkdir":
        keep(store, b"former")
    before = everything(store)
    mine = tmp_path / "download"
    mine.write_bytes(b"new")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    module = "shutil" if step == "copyfile" else "os"
    with monkeypatch.context() as patch, pytest.raises(DiskFull):
        patch.setattr(f"{module}.{step}", full)
        store.keep(ID, "data.csv", str(mine), hashlib.sha256(b"new").hexdigest())
    assert everything(store) == before
    assert not mine.exists()


def test_a_folder_in_the_way_is_an_error(store: Store) -> None:
    """A folder of the name of the copy is not replaced."""
    Path(store.root, "6f", ID, "data.csv").mkdir(parents=True)
    assert store.find(store.path_of(ID, "data.csv")) is None
    with pytest.raises(StoreError):
        keep(store, b"x")
    assert [path for path in everything(store) if not path.startswith(".content")] == []
    assert store.sweep_contents() <= 1
    assert everything(store) == {}


def test_no_more_than_the_quota(tmp_path: Path) -> None:
    """What is stored already costs nothing more, and what is removed makes room once it is counted again."""
    store = Store(str(tmp_path), quota=10)
    assert store.has_room(10)
    assert not store.has_room(11)
    path = keep(store, b"12345678")
    keep(store, b"12345678", OTHER)
    with pytest.raises(QuotaReached, match="10 bytes"):
        keep(store, b"new")
    assert Path(path).read_bytes() == b"12345678"
    assert len(everything(store)) == 3
    keep(store, b"9", OTHER)
    store.remove(path)
    assert Store(str(tmp_path), quota=10).has_room(9)


# -- finding and removing


def test_only_a_path_of_the_archive_is_one(store: Store) -> None:
    """Uploads, parents, and what lies elsewhere are never taken for copies."""
    here = f"{store.root}/6f/{ID}/data.csv"
    assert store.relative(here) == f"6f/{ID}/data.csv"
    for path in (
        *(None, "", "/", store.root, f"{store.root}/6f", f"{store.root}/6f/{ID}", f"{store.root}/6f/{ID}/"),
        *(f"{store.root}/6f/{ID}/..", f"{store.root}/6f/{ID}/.", f"{store.root}/../6f/{ID}/data.csv", f"{here}\0"),
        *(f"{store.root}/aa/{ID}/data.csv", f"{store.root}/6f1/d0a/{ID[6:]}", f"{store.root}x/6f/{ID}/data.csv"),
        *(f"6f/{ID}/data.csv", f"/var/lib/ckan/resources/6f1/d0a/{ID[6:]}", f"{here}/more", f"{store.root}//{ID}/x"),
        f"{store.root}/.content/6f/data.csv",
    ):
        assert store.relative(path) is None, path
        assert store.find(path) is None
        if path:
            with pytest.raises(StoreError):
                store.remove(path)


def test_an_archive_behind_a_link_is_one_archive(store: Store, tmp_path: Path) -> None:
    """Operators link the folder to another disk, and rows name either path."""
    path = keep(store, b"x")
    (tmp_path / "link").symlink_to(store.root)
    linked = Store(str(tmp_path / "link"))
    assert linked.find(path) == path
    assert linked.find(f"{tmp_path}/link/6f/{ID}/data.csv") == path
    keep(linked, b"y")
    assert Path(path).read_bytes() == b"y"
    assert linked.remove(path)
    assert everything(store) == {}


def test_the_last_path_takes_the_content_with_it(store: Store) -> None:
    """And the folder of the resource; removing what is not there is no error."""
    first, second = keep(store, b"same"), keep(store, b"same", OTHER)
    assert store.remove(first)
    assert not os.path.exists(os.path.dirname(first))
    assert Path(second).read_bytes() == b"same"
    assert store.remove(second)
    assert everything(store) == {}
    assert not store.remove(second)


def test_what_dead_workers_leave_goes(store: Store) -> None:
    """Folders of leases that do not hold, and contents that no path needs; those of the living stay."""
    keep(store, b"x")
    with store.temporary("alive:1:2") as mine:
        Path(mine, "download").write_bytes(b"half")
        dead = Path(store.root, ".tmp", "dead%3A1%3A2")
        dead.mkdir()
        (dead / "download").write_bytes(b"half")
        fresh, stale = Path(store.root, ".tmp", "1-abc"), Path(store.root, ".tmp", "1-def")
        fresh.write_bytes(b"half")
        stale.write_bytes(b"half")
        os.utime(stale, (0, 0))
        assert store.sweep_temporary(lambda: {"alive:1:2", "other"}) == 2
        assert sorted(os.listdir(Path(store.root, ".tmp"))) == ["1-abc", os.path.basename(mine)]
        assert Path(mine, "download").exists()
    assert os.listdir(Path(store.root, ".tmp")) == ["1-abc"]
    loose = Path(store.root, content_of(b"lost"))
    loose.parent.mkdir()
    loose.write_bytes(b"lost")
    assert store.sweep_contents() == 1
    assert set(everything(store)) == {f"6f/{ID}/data.csv", content_of(b"x"), ".tmp/1-abc"}


def test_nothing_is_made_by_looking(store: Store) -> None:
    """A portal that has stored nothing yet has no folder."""
    assert list(store.files()) == []
    assert store.usage() == Usage(0, 0, 0)
    assert store.sweep_contents() == store.sweep_temporary(set) == 0
    assert store.find(f"{store.root}/6f/{ID}/data.csv") is None
    assert not store.remove(f"{store.root}/6f/{ID}/data.csv")
    assert not os.path.exists(store.root)

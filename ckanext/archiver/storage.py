"""The archive on disk.

::

    <archive_dir>/<first 2 characters of the resource id>/<resource id>/<file name>    what others know: one path a copy
                 /.content/<first 2>/<sha256>                                          each content once
                 /.tmp/<lease>/…                                                       what workers are downloading

A path is a hard link to its content, so the number of links says who still needs it. Where hard links are impossible
a path is a file of its own. A path appears, or changes its content, in one step, when all of its bytes are on disk.

Nothing here knows CKAN. All of it may be called by many threads and processes at a time.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote

from ckanext.relay.errors import RelayError

from . import config
from .domain import file_name

_RESOURCE_ID = re.compile(r"[0-9A-Za-z _-]{2,100}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: No hard link: not by this file system, not across two of them, not to a file of another user.
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EINVAL}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_USAGE_SECONDS = 600
#: How often a folder is made again that somebody else takes away, since it is empty, before a copy is in it.
_TRIES = 20


class StoreError(RelayError):
    """A copy could not be stored."""


class DiskFull(StoreError):
    """The disk, or what the system allows this user of it, is full."""

    hint = "Free some space, or keep fewer copies: ckanext.archiver.policies, ckanext.archiver.quota_bytes."


class QuotaReached(StoreError):
    """The archive may not grow: ``ckanext.archiver.quota_bytes``."""


@dataclass(frozen=True)
class Usage:
    """What is on disk: paths, distinct contents, and the bytes that they take."""

    files: int
    contents: int
    size: int


def store() -> Store:
    """Return the archive that the settings name; the same object each time, since it knows how full it is."""
    return _store(config.archive_dir(), config.quota_bytes())


@functools.lru_cache(maxsize=4)
def _store(root: str, quota: int | None) -> Store:
    return Store(root, quota)


class Store:
    """The archive in a folder.

    :param root: the folder; made when something is stored
    :param quota: how many bytes the contents may take together, or None. It is counted anew every ten minutes, so
        several workers may go over it by what they store in that time.
    """

    def __init__(self, root: str, quota: int | None = None) -> None:
        self.root = os.path.abspath(root)
        self._quota = quota or None
        self._lock = threading.Lock()
        self._used = 0
        self._counted: float | None = None

    # -- while downloading

    @contextlib.contextmanager
    def temporary(self, lease_id: str) -> Iterator[str]:
        """Make a folder for the downloads of one holder of a lease; yields its path and removes it at the end."""
        folder = os.path.join(self._folder(".tmp", mode=0o700), quote(lease_id, safe=""))
        os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep_temporary(self, alive: Callable[[], Collection[str]]) -> int:
        """Remove the folders of workers that died and return how many.

        :param alive: returns the ids of the leases that hold; asked after the folders are listed
        """
        base = os.path.join(self.root, ".tmp")
        found = os.listdir(base) if os.path.isdir(base) else []
        if not found:
            return 0
        kept = {quote(lease_id, safe="") for lease_id in alive()}
        dead = [path for name in found if name not in kept and _is_dead(path := os.path.join(base, name))]
        for path in dead:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                _unlink(path)
        return len(dead)

    # -- storing

    def has_room(self, size: int = 0) -> bool:
        """Return whether so many bytes more stay within the quota."""
        if self._quota is None:
            return True
        with self._lock:
            if self._counted is None or time.monotonic() - self._counted > _USAGE_SECONDS:
                self._used, self._counted = self.usage().size, time.monotonic()
            return self._used + size <= self._quota

    def keep(self, resource_id: str, name: str, temp_path: str, sha256: str) -> str:
        """Store a complete download as the copy of a resource, in place of one of the same name, and return its path.

        :param name: the file name, see :func:`ckanext.archiver.domain.file_name.file_name`
        :param temp_path: the download, best in a folder of :meth:`temporary`; it is gone afterwards, whatever happens
        :param sha256: of its bytes, in hexadecimal
        :raises DiskFull: there is no space left
        :raises QuotaReached: it would be more than the quota
        :raises StoreError: anything else; the former copy is as it was
        """
        mine = temp_path
        try:
            path = self.path_of(resource_id, name)
            if _SHA256.fullmatch(sha256) is None:
                raise StoreError(f"{sha256!r} is no SHA-256")
            mine = self._bring_in(temp_path)
            size = _settle(mine)
            new = not self._is_stored(sha256)
            if new and not self.has_room(size):
                raise QuotaReached(f"The archive may not be larger than {self._quota} bytes")
            self._publish(mine, self._content(sha256), path)
            with self._lock:
                self._used += size if new else 0
            return path
        except OSError as error:
            kind = DiskFull if error.errno in _FULL else StoreError
            raise kind(f"Could not store a copy of resource {resource_id}: {error.strerror or error}") from error
        finally:
            for left in {temp_path, mine, _link_name(mine)}:
                _unlink(left)

    def path_of(self, resource_id: str, name: str) -> str:
        """Return the absolute path of a copy.

        :raises StoreError: the id is none that CKAN gives, or the name is no plain file name
        """
        if _RESOURCE_ID.fullmatch(resource_id) is None:
            raise StoreError(f"{resource_id[:100]!r} is no id of a resource")
        if name != file_name.safe(name):
            raise StoreError(f"{name[:100]!r} is no plain file name")
        return os.path.join(self.root, resource_id[:2], resource_id, name)

    # -- finding

    def relative(self, path: str | None) -> str | None:
        """Return ``<2>/<id>/<name>`` of the path of a copy, or None if it is not one of this archive.

        A path of anything else on this machine (an upload, say) never is.
        """
        if not path or "\0" in path:
            return None
        for root in (self.root, os.path.realpath(self.root)):
            parts = path[len(root) + 1 :].split("/") if path.startswith(f"{root}/") else []
            if len(parts) == 3 and _RESOURCE_ID.fullmatch(parts[1]) and parts[0] == parts[1][:2]:
                return None if parts[2] in ("", ".", "..") else "/".join(parts)
        return None

    def find(self, path: str | None) -> str | None:
        """Return the path at which the copy can be read, or None if there is none: no such file, a link, a folder."""
        relative = self.relative(path)
        if relative is None:
            return None
        inside = os.path.join(os.path.realpath(self.root), relative)
        return inside if os.path.realpath(inside) == inside and _is_file(inside) else None

    def files(self) -> Iterator[str]:
        """Yield the path of each copy, ordered by shard."""
        for shard in self._folders(self.root):
            for resource in self._folders(shard.path):
                with os.scandir(resource.path) as entries:
                    for entry in entries:
                        if self.relative(entry.path) and entry.is_file(follow_symlinks=False):
                            yield entry.path

    def usage(self) -> Usage:
        """Count what is on disk; each content once. Looks at every file."""
        sizes: dict[tuple[int, int], int] = {}
        files = 0
        for path in self.files():
            files += _note_size(path, sizes)
        for path in self._contents():
            _note_size(path, sizes)
        return Usage(files=files, contents=len(sizes), size=sum(sizes.values()))

    # -- removing

    def remove(self, path: str) -> bool:
        """Remove a copy, and its content if no other path needs it; return whether there was one.

        :raises StoreError: the path is none of this archive, or it could not be removed
        """
        if self.relative(path) is None:
            raise StoreError(f"{path} is no copy in the archive {self.root}")
        parent = os.path.dirname(path)
        if os.path.realpath(parent) != os.path.join(os.path.realpath(self.root), *parent.split("/")[-2:]):
            raise StoreError(f"{parent} leads out of the archive {self.root}")
        try:
            with self._releasing(path):
                os.unlink(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"Could not remove {path}: {error.strerror or error}") from error
        with contextlib.suppress(OSError):  # another file is in it, or has just come
            os.rmdir(parent)
        return True

    def sweep_contents(self) -> int:
        """Remove contents that no path needs, which a worker that died may leave; return how many."""
        removed = 0
        for path in self._contents():
            with contextlib.suppress(FileNotFoundError):
                if os.lstat(path).st_nlink == 1:
                    os.unlink(path)
                    removed += 1
        return removed

    # -- how it is done

    def _folder(self, *parts: str, mode: int = 0o755) -> str:
        """Make a folder of the archive, and return its path.

        :raises StoreError: it, or one above it, is a link or no folder
        """
        path = self.root
        os.makedirs(path, mode=0o755, exist_ok=True)
        for part in parts:
            path = os.path.join(path, part)
            try:
                os.mkdir(path)
                os.chmod(path, mode)  # whatever the umask says: a web server may read the copies
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    raise StoreError(f"{path} is not a folder") from None
        return path

    def _content(self, sha256: str) -> str:
        return os.path.join(self._folder(".content", sha256[:2]), sha256)

    def _is_stored(self, sha256: str) -> bool:
        return _is_file(os.path.join(self.root, ".content", sha256[:2], sha256))

    def _contents(self) -> Iterator[str]:
        base = os.path.join(self.root, ".content")
        for shard in self._folders(base, hidden=True):
            with os.scandir(shard.path) as entries:
                yield from (entry.path for entry in entries if entry.is_file(follow_symlinks=False))

    def _folders(self, path: str, hidden: bool = False) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                found = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:  # removed in the meantime, or nothing stored yet
            return []
        return sorted((each for each in found if hidden or not each.name.startswith(".")), key=lambda each: each.name)

    def _bring_in(self, temp_path: str) -> str:
        """Return a path of the download on the archive's own file system."""
        base = self._folder(".tmp", mode=0o700)
        if os.path.realpath(temp_path).startswith(f"{os.path.realpath(base)}/"):
            return temp_path
        inside = os.path.join(base, f"{os.getpid()}-{uuid.uuid4().hex}")
        try:
            shutil.copyfile(temp_path, inside)
        except BaseException:
            _unlink(inside)
            raise
        return inside

    def _publish(self, mine: str, content: str, path: str) -> None:
        """Let a path have the content of a complete file."""
        parts = os.path.relpath(path, self.root).split("/")[:-1]
        ready = self._linked(mine, content)
        for tries_left in reversed(range(_TRIES)):
            try:
                self._folder(*parts)
                with self._releasing(path):
                    os.replace(ready, path)
                return
            except FileNotFoundError:  # remove() has just taken the empty folder away
                if not tries_left or not os.path.exists(ready):
                    raise

    def _linked(self, mine: str, content: str) -> str:
        """Return a path, to be moved, of the content: a link to what is stored of it, which may be ``mine`` now."""
        ready = _link_name(mine)
        for _ in range(3):
            _unlink(ready)
            try:
                if _is_file(content) and os.path.getsize(content) == os.path.getsize(mine):
                    os.link(content, ready, follow_symlinks=False)
                    return ready
                os.link(mine, ready)  # first, so that the new content always has a second link
                self._supersede(mine, content)
                return ready
            except FileNotFoundError:  # the last path that needed the content went in the meantime
                continue
            except OSError as error:
                if error.errno == errno.EMLINK:  # tens of thousands of paths already; the next ones link to mine
                    os.link(mine, ready)
                    self._supersede(mine, content)
                    return ready
                if error.errno not in _NO_LINKS:
                    raise
                break
        _unlink(ready)
        return mine

    def _supersede(self, mine: str, content: str) -> None:
        """Let ``content`` be ``mine``, which stays."""
        spare = f"{_link_name(mine)}.2"
        os.link(mine, spare)
        try:
            os.replace(spare, content)
        finally:
            _unlink(spare)

    @contextlib.contextmanager
    def _releasing(self, path: str) -> Iterator[None]:
        """While the block takes a path away, hold its file; then remove the content if that was its last path."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # nothing there, a link, or not ours to read: nothing to release
            yield
            return
        with os.fdopen(descriptor, "rb") as former:
            yield
            found = os.fstat(former.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                return
            digest = sha256(former)
            content = os.path.join(self.root, ".content", digest[:2], digest)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.lstat(content), found):
                    os.unlink(content)


def _link_name(path: str) -> str:
    return f"{path}.link"


def _is_dead(path: str) -> bool:
    """Tell whether a path that belongs to no lease is left over: keep() makes files for a moment."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) or time.time() - found.st_mtime > 3600


def _settle(path: str) -> int:
    """Make a complete file readable by all and put it on disk; return its size."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def sha256(file: BinaryIO) -> str:
    """Return the SHA-256 of a file from where it is on, in hexadecimal."""
    digest = hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest()


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _note_size(path: str, sizes: dict[tuple[int, int], int]) -> bool:
    """Note the size of a file by what it is, not by its name; return whether it is still there."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    sizes[found.st_dev, found.st_ino] = found.st_size
    return True


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)

"""Files that appear whole or not at all, and sets of files of which all or none are new."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from host.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place when the block succeeds, delete it when it fails.

    Raise InputError, with `path` as it was, where the file cannot be written or is a device or folder."""
    with _beside(path) as temporary:
        try:
            yield temporary
            _settle(temporary)
            _replace(temporary, path)
        except OSError as error:
            raise _unwritable(path, error) from error


def check_writable(path: Path) -> None:
    """Raise InputError where `path` can certainly not be written later: for commands that work for long before."""
    if path.exists() and not path.is_file():
        raise _no_file(path)
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: cannot be written: the folder {path.parent} is read-only; choose another place")


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8 with Unix line ends."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`. A device or pipe that stands there (/dev/null, /dev/stdout) is written into instead."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(data)
            return
    except OSError as error:
        raise _unwritable(path, error) from error
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def copy_file(source: Path, path: Path) -> None:
    """Copy `source` with its permissions to `path`, whole or not at all; not brought to the disk, since it can be
    copied again. Raise InputError where that fails."""
    with _beside(path) as temporary:
        try:
            shutil.copyfile(source, temporary)
            shutil.copymode(source, temporary)
            os.replace(temporary, path)  # noqa: PTH105
        except OSError as error:
            raise _unwritable(path, error) from error


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Replace files of `folder` that belong together; return their paths in the mapping's order.

    All are written and on the disk before the first is moved into place. Where a move fails or is interrupted, those
    before it are taken back; a second interrupt while that is done can leave some. Raise InputError with every file as
    it was."""
    paths = [folder / name for name in texts]
    with ExitStack() as undo:
        staged = [(undo.enter_context(_beside(path)), path) for path in paths]
        for (temporary, path), text in zip(staged, texts.values(), strict=True):
            try:
                temporary.write_bytes(text.encode())
                _settle(temporary)
            except OSError as error:
                raise _unwritable(path, error) from error
        kept = [undo.enter_context(_kept(path)) for path in paths]
        try:
            for temporary, path in staged:
                _replace(temporary, path)
        except OSError as error:
            _take_back(staged, kept)
            raise _unwritable(path, error) from error
        except BaseException:  # Ctrl-C
            _take_back(staged, kept)
            raise
    return paths


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A new empty file in `path`'s folder, which is gone after the block unless it has been moved.

    Its name is chosen before it is made, so that an interrupt at any moment finds it inside the `try`; and its removal
    is one call into C, behind which alone Python looks for signals."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            if path.exists() and not path.is_file():
                raise _no_file(path)
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise _unwritable(path, error) from error
        yield temporary
    finally:
        try:  # noqa: SIM105 (suppress() would be a call before the call)
            os.unlink(temporary)  # noqa: PTH108
        except OSError:
            pass


@contextmanager
def _kept(path: Path) -> Iterator[Path | None]:
    """The old file's content under another name while the block lasts; None where there is no old file."""
    if not path.exists():
        yield None
        return
    with _beside(path) as name:
        try:
            name.write_bytes(path.read_bytes())
            name.chmod(path.stat().st_mode & 0o777)
        except OSError as error:
            raise _unwritable(path, error) from error
        yield name


def _take_back(staged: list[tuple[Path, Path]], kept: list[Path | None]) -> None:
    """Undo the moves that were made: those whose temporary file is gone."""
    for (temporary, path), old in zip(staged, kept, strict=True):
        if temporary.exists():
            continue
        with suppress(OSError):
            if old is None:
                path.unlink(missing_ok=True)
            else:
                old.replace(path)


def _settle(temporary: Path) -> None:
    """Bring the content to the disk, with the permissions that a new file would have had."""
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.chmod(0o666 & ~_umask())


def _replace(temporary: Path, path: Path) -> None:
    """Rename, and bring the folder's new entry to the disk where the system can (some file systems cannot)."""
    os.replace(temporary, path)  # noqa: PTH105 (one name for all Python versions, so that tests can let it fail)
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _no_file(path: Path) -> InputError:
    return InputError(f"{path}: cannot be replaced: found a folder or device, need a file; choose another place")


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written: {error.strerror or error}; choose another place or free some space")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

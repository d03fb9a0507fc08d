"""Brings USPS and MNIST into the user's cache, from mirrors or from a directory.

Nothing is trusted before its hash and nothing reaches its final name before that, so an interrupted or failed call
leaves the cache as it was. Only genuine sets are admitted; other data is loaded by its PATH instead.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from host.cache import cache_directory
from host.data.dataset import content_sha256
from host.data.download import FetchProgress, OnProgress, download_file, md5_of
from host.data.named import find_layout, find_source, read_layout, variants
from host.data.problem import one_line, problem
from host.data.sources import SOURCES, Layout, Source
from host.errors import InputError, LinkError, near

__all__ = ["FetchProgress", "fetch"]

Files = tuple[Path, ...]


def fetch(
    name: str,
    *,
    source_dir: Path | str | None = None,
    cache: Path | str | None = None,
    mirrors: Sequence[str] | None = None,
    progress: OnProgress | None = None,
) -> list[Path]:
    """The dataset's files in the cache, fetched if need be; an empty list for the embedded digits.

    `mirrors` are base URLs that replace the known ones. Raises InputError for unknown names, data that is not the
    genuine set and an unwritable cache, LinkError when no mirror answers.
    """
    if name == "digits":
        return []
    if name not in SOURCES:
        names = ("digits", *SOURCES)
        raise problem(name, "dataset", "an unknown name" + near(name, names), ", ".join(names), "choose one of these")
    source = SOURCES[name]
    folder = Path(cache if cache is not None else cache_directory()) / name
    try:
        files = _import(source, Path(source_dir), folder) if source_dir is not None else None
        if files is None:
            files = _cached(source, folder) or _download(source, folder, mirrors, progress)
        _drop_others(source, folder, files)
    except OSError as error:
        found = f"it unusable ({error.strerror or one_line(str(error))})"
        raise problem(
            folder, "cache", found, "a writable directory with room", "free it or set DIGITDUINO_CACHE"
        ) from error
    return list(files)


def _cached(source: Source, folder: Path) -> Files | None:
    """The first complete layout in the cache that is genuine."""
    for layout in source.layouts:
        files = find_layout(layout, folder)
        if files:
            with suppress(InputError):
                _check_genuine(source, layout, files)
                return files
    return None


def _import(source: Source, origin: Path, folder: Path) -> Files:
    """Copies the first complete layout under `origin`, checks the copy, then moves it into the cache."""
    if not origin.is_dir():
        raise problem(origin, "source", "no directory there", "a directory", "check the path")
    found = find_source(source, origin)
    if found is None:
        need = " or ".join(" + ".join(f.name for f in layout.files) for layout in source.layouts)
        raise problem(origin, source.name, "no complete set", need, "give the directory that holds them")
    layout, files = found
    with _staging(folder) as stage:
        copies = tuple(Path(shutil.copyfile(file, stage / file.name)) for file in files)
        try:
            return _admit(source, layout, copies, folder)
        except InputError as error:  # name the file the user knows, not its copy
            raise InputError(str(error).replace(str(stage), str(files[0].parent))) from error


def _download(source: Source, folder: Path, mirrors: Sequence[str] | None, progress: OnProgress | None) -> Files:
    """Tries the published layouts in turn; a file with a hash is kept as soon as it is there, so a retry is short."""
    published = [layout for layout in source.layouts if layout.mirrors]
    failures: list[InputError | LinkError] = []
    for layout in published if mirrors is None else published[:1]:
        bases = layout.mirrors if mirrors is None else tuple(mirrors)
        with _staging(folder) as stage:
            target = folder if layout.hashed else stage
            try:
                files = tuple(download_file(file, bases, target, progress) for file in layout.files)
                return files if layout.hashed else _admit(source, layout, files, folder)
            except (InputError, LinkError) as error:
                failures.append(error)
    kind = LinkError if all(isinstance(error, LinkError) for error in failures) else InputError
    found = " and ".join(map(str, failures))
    do = f"check the network, or run `host fetch {source.name} --from DIR`"
    raise kind(one_line(f"{source.name}: download: found {found}, need one that serves the genuine file; {do}"))


def _admit(source: Source, layout: Layout, staged: Files, folder: Path) -> Files:
    """Moves checked files to their final names."""
    _check_genuine(source, layout, staged)
    return tuple(file.replace(folder / file.name) for file in staged)


def _check_genuine(source: Source, layout: Layout, files: Files) -> None:
    """InputError unless every file has its published hash or the decoded set has the known content."""
    if layout.hashed and all(md5_of(path) == file.md5 for path, file in zip(files, layout.files, strict=True)):
        return
    train, test = read_layout(layout, files)
    digest = content_sha256(train, test)
    if digest != source.sha256:
        found = f"{len(train)} + {len(test)} images with content {digest[:16]}"
        need = f"the genuine set, {source.sha256[:16]}"
        raise problem(files[0].parent, source.name, found, need, "load other data by its path: --data PATH")


def _drop_others(source: Source, folder: Path, kept: Files) -> None:
    """Removes the set's other layouts from the cache: a damaged one would be found before the good one."""
    names = {path.name for path in kept}
    for layout in source.layouts:
        for file in layout.files:
            for path in variants(folder, file.name):
                if path.name not in names:
                    path.unlink(missing_ok=True)


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A private directory inside the cache, on the same disk; it goes, and an empty cache folder with it."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):
            folder.rmdir()

"""Downloads against a server on this machine: right, wrong, short, dead; and imports from a directory."""

import bz2
import dataclasses
import hashlib
import http.server
import socket
import threading

import pytest
from data_files import small_split, write_csv, write_hdf5, write_idx
from requests.adapters import HTTPAdapter

from host import data
from host.data import sources
from host.data.dataset import content_sha256
from host.data.download import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from host.data.fetch import FetchProgress, fetch
from host.errors import InputError, LinkError

TRAIN, TEST = small_split(40), small_split(20, seed=1)
NAMES = [file.name for file in sources.IDX_LAYOUT.files]


class Handler(http.server.BaseHTTPRequestHandler):
    """/good serves the files, every other prefix one kind of failure."""

    def do_GET(self):
        mode, name = self.path.lstrip("/").split("/", 1)
        self.server.requests.append(self.path)
        body = self.server.files.get(name)
        if mode == "missing" or body is None:
            self.send_error(404)
            return
        if mode == "stall":
            self.rfile.read(1)  # until the client hangs up
            return
        if mode == "wrong" or (mode == "second-wrong" and name != NAMES[0]):
            body = b"x" * len(body)
        if mode == "endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(bytes(1 << 16))
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + (1000 if mode == "short" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local mirror of a small MNIST whose hashes take the place of the genuine ones."""
    folder = tmp_path / "published"
    folder.mkdir()
    write_idx(folder, TRAIN, TEST)
    publish(monkeypatch, folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files = {name: (folder / name).read_bytes() for name in NAMES}
        running.requests = []
        running.base = f"http://127.0.0.1:{running.server_port}/"
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def publish(monkeypatch, folder):
    files = tuple(sources.KnownFile(n, hashlib.md5((folder / n).read_bytes()).hexdigest()) for n in NAMES)
    layout = dataclasses.replace(sources.IDX_LAYOUT, files=files)
    source = sources.Source("mnist", content_sha256(TRAIN, TEST), (layout,))
    monkeypatch.setitem(sources.SOURCES, "mnist", source)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache, moved; nothing is found elsewhere."""
    monkeypatch.delenv("DIGITDUINO_DATA", raising=False)
    monkeypatch.setenv("DIGITDUINO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def left_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) if folder.exists() else []


def dead_mirror():
    """An address of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def refused(kind, *args, **options):
    with pytest.raises(kind) as caught:
        fetch(*args, **options)
    text = str(caught.value)
    assert type(caught.value) is kind
    assert text.isprintable()
    assert ": found " in text
    assert ", need " in text
    return text


def test_what_is_fetched_is_loaded_and_not_fetched_twice(server, cache):
    seen = []
    files = fetch("mnist", mirrors=[server.base + "good"], progress=seen.append)
    assert [f.name for f in files] == NAMES
    assert left_in(cache) == sorted(f"mnist/{n}" for n in NAMES)
    assert data.load("mnist").sha256 == content_sha256(TRAIN, TEST)
    for name, body in server.files.items():
        steps = [s for s in seen if s.file == name]
        assert steps[-1] == FetchProgress(name, len(body), len(body))
    assert len(server.requests) == 4
    assert fetch("mnist", mirrors=[server.base + "good"]) == files
    assert len(server.requests) == 4


def test_nothing_is_printed(server, cache, capfd):
    fetch("mnist", mirrors=[server.base + "good"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("wrong", "another MD5"), ("short", "ended early"), ("missing", "HTTP 404"), ("endless", "more than 1 MiB")],
)
def test_a_mirror_that_serves_wrongly_leaves_nothing_and_the_next_one_helps(server, cache, mode, reason, monkeypatch):
    monkeypatch.setattr("host.data.download.MAX_DOWNLOAD_BYTES", 1 << 20)
    kind = LinkError if mode == "short" else InputError
    text = refused(kind, "mnist", mirrors=[server.base + mode])
    assert reason in text
    assert "host fetch mnist --from DIR" in text
    assert left_in(cache) == []
    assert not (cache / "mnist").exists()
    assert len(fetch("mnist", mirrors=[server.base + mode, server.base + "good"])) == 4


@pytest.fixture
def tries(monkeypatch):
    """The addresses asked; each once, and for so long as the product says."""
    asked, send = [], HTTPAdapter.send

    def once(self, request, **options):
        asked.append(request.url)
        assert options["timeout"] == (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        assert self.max_retries.total == 0
        return send(self, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", once)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("it waits"))
    return asked


def test_a_dead_mirror_is_passed_over(server, cache, tries):
    bases = [dead_mirror(), server.base + "good/"]
    assert len(fetch("mnist", mirrors=bases)) == 4
    assert tries == [base + name for name in NAMES for base in bases]


def test_all_mirrors_dead_is_one_line_after_one_try_each(cache, tries):
    bases = [dead_mirror(), dead_mirror()]
    text = refused(LinkError, "mnist", mirrors=bases)
    assert "no connection" in text
    assert tries == [base + NAMES[0] for base in bases]
    assert not (cache / "mnist").exists()


def test_a_mirror_that_stalls_times_out(server, cache, monkeypatch):
    monkeypatch.setattr("host.data.download.READ_TIMEOUT_S", 0.2)
    assert "timed out" in refused(LinkError, "mnist", mirrors=[server.base + "stall"])


def test_a_second_attempt_keeps_what_was_verified(server, cache):
    refused(InputError, "mnist", mirrors=[server.base + "second-wrong"])
    assert left_in(cache) == [f"mnist/{NAMES[0]}"]
    with pytest.raises(InputError, match="host fetch mnist"):
        data.load("mnist")
    server.requests.clear()
    assert len(fetch("mnist", mirrors=[server.base + "good"])) == 4
    assert len(server.requests) == 3


def test_a_damaged_cache_is_mended(server, cache):
    files = fetch("mnist", mirrors=[server.base + "good"])
    files[1].write_bytes(b"damaged")
    fetch("mnist", mirrors=[server.base + "good"])
    assert data.load("mnist").sha256 == content_sha256(TRAIN, TEST)
    assert len(server.requests) == 5


def test_the_next_layout_is_tried_and_checked_by_its_content(server, cache, monkeypatch):
    """As for USPS: the hashed layout's server is dead, the other layout has no published hash."""
    unhashed = tuple(sources.KnownFile(n) for n in NAMES)
    layouts = (
        sources.Layout(sources.Kind.IDX, sources.IDX_LAYOUT.files, (dead_mirror(),)),
        sources.Layout(sources.Kind.IDX, unhashed, (server.base + "wrong", server.base + "good")),
        sources.Layout(sources.Kind.IDX, unhashed, (server.base + "good",)),
    )
    source = sources.Source("mnist", content_sha256(TRAIN, TEST), layouts)
    monkeypatch.setitem(sources.SOURCES, "mnist", source)
    assert len(fetch("mnist")) == 4
    assert left_in(cache) == sorted(f"mnist/{n}" for n in NAMES)
    monkeypatch.setitem(sources.SOURCES, "mnist", dataclasses.replace(source, sha256="0" * 64))
    assert "the genuine set, 0000" in refused(InputError, "mnist", cache=cache / "other")
    assert left_in(cache / "other") == []


@pytest.mark.parametrize("pack", [{}, {"pack": bytes, "suffix": ""}, {"pack": bz2.compress}])
def test_import_takes_the_files_however_compressed(server, cache, tmp_path, pack):
    (tmp_path / "mine" / "MNIST" / "raw").mkdir(parents=True)
    write_idx(tmp_path / "mine" / "MNIST" / "raw", TRAIN, TEST, **pack)
    assert len(fetch("mnist", source_dir=tmp_path / "mine")) == 4
    assert server.requests == []
    assert data.load("mnist").sha256 == content_sha256(TRAIN, TEST)


def test_import_replaces_a_damaged_file_of_another_name(server, cache, tmp_path):
    fetch("mnist", mirrors=[server.base + "good"])[0].write_bytes(b"damaged")
    (tmp_path / "mine").mkdir()
    write_idx(tmp_path / "mine", TRAIN, TEST, pack=bytes, suffix="")
    fetch("mnist", source_dir=tmp_path / "mine")
    assert data.load("mnist").sha256 == content_sha256(TRAIN, TEST)


def test_import_refuses_other_data_and_says_how_to_use_it(server, cache, tmp_path):
    (tmp_path / "mine").mkdir()
    write_idx(tmp_path / "mine", TEST, TRAIN)
    text = refused(InputError, "mnist", source_dir=tmp_path / "mine")
    assert "--data PATH" in text
    assert str(tmp_path / "mine") in text
    assert ".partial" not in text
    assert left_in(cache) == []


def test_import_names_the_users_damaged_file(server, cache, tmp_path):
    (tmp_path / "mine").mkdir()
    write_idx(tmp_path / "mine", TRAIN, TEST)
    (tmp_path / "mine" / NAMES[2]).write_bytes(b"junk")
    text = refused(InputError, "mnist", source_dir=tmp_path / "mine")
    assert str(tmp_path / "mine" / NAMES[2]) in text
    assert "magic" in text
    assert left_in(cache) == []


def test_import_from_nowhere_or_from_too_little(cache, tmp_path):
    assert "no directory" in refused(InputError, "usps", source_dir=tmp_path / "nowhere")
    write_csv(tmp_path / "train.csv", TRAIN)
    assert "usps.h5 or usps.bz2 + usps.t.bz2 or zip.train.gz" in refused(InputError, "usps", source_dir=tmp_path)
    write_hdf5(tmp_path / "usps.h5", TRAIN, TEST)
    assert "the genuine set" in refused(InputError, "usps", source_dir=tmp_path)


@pytest.mark.parametrize("name", ["usps", "mnist"])
def test_the_genuine_sets_are_imported(real_data, cache, name):
    fetch(name, source_dir=real_data)
    assert data.load(name).sha256 == sources.SOURCES[name].sha256
    names = NAMES if name == "mnist" else ["usps.h5"]
    assert fetch(name, mirrors=[]) == [cache / name / file for file in names]


def test_an_unusable_cache_is_one_line(server, cache, tmp_path):
    (tmp_path / "file").write_text("")
    text = refused(InputError, "mnist", cache=tmp_path / "file", mirrors=[server.base + "good"])
    assert "writable directory" in text


def test_a_full_disk_is_one_line_and_leaves_nothing(server, cache, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.move", full)
    text = refused(InputError, "mnist", mirrors=[server.base + "good"])
    assert "No space left on device" in text
    assert left_in(cache) == []


def test_names_of_fetch():
    assert fetch("digits") == []
    assert "did you mean mnist?" in refused(InputError, "mnits")


def test_every_published_file_has_two_mirrors_and_a_check():
    for source in sources.SOURCES.values():
        assert len(source.sha256) == 64
        for layout in source.layouts:
            assert len(layout.mirrors) >= 2 or layout.kind is sources.Kind.HDF5
            assert all(base.startswith("http") and base.endswith("/") for base in layout.mirrors)

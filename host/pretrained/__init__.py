"""The trained models that come with the package: what is known of them, and where the file of a name is.

`index.json` lists them; tools/make_pretrained.py writes it together with the files. A file is handed out only where its
SHA-256 is the index's. Imports nothing of host but its errors, so that a command may ask before it loads anything.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from host.errors import InputError, near

SCHEMA = 1
FOLDER = Path(__file__).resolve().parent
INDEX = "index.json"


@dataclass(frozen=True)
class Predicted:
    """What the int8 firmware costs on the board: bytes of flash and RAM, CPU cycles of a digit."""

    board: str
    kernel: str
    flash: int
    ram_static: int
    stack: int
    cycles: int


@dataclass(frozen=True)
class Pretrained:
    """One model. `accuracy` (0..1 on the test images) and `weights` (bytes) are by format; `content_hash` is the
    model's own, `sha256` and `bytes` are the file's; `command` made it from `data`, which `origin` describes."""

    name: str
    preset: str
    data: str
    data_sha256: str
    origin: str
    command: str
    content_hash: str
    sha256: str
    bytes: int
    accuracy: dict[str, float]
    weights: dict[str, int]
    predicted: Predicted

    @property
    def file_name(self) -> str:
        return f"{self.name}.h5"


def index() -> tuple[Pretrained, ...]:
    """Every model of the index, in its order. Raise InputError where the index is damaged."""
    path = FOLDER / INDEX
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']}")
        return tuple(_entry(known) for known in document["models"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: found no readable index ({error}), need the one that was installed; install again"
        ) from error


def index_text(models: tuple[Pretrained, ...]) -> str:
    """What stands in the index for these models."""
    return json.dumps({"schema": SCHEMA, "models": [asdict(model) for model in models]}, indent=1) + "\n"


def path_of(text: str) -> str:
    """What a command shall open where it was given `text` for a model: the file itself, or the file of that name.

    Raise InputError for a word that is neither, with the nearest name, and for a file that is not the index's.
    """
    looks_like_path = os.sep in text or "/" in text or bool(Path(text).suffix)
    if looks_like_path or Path(text).is_file():
        return text
    known = {model.name: model for model in index()}
    if text in known:
        return str(_checked(known[text]))
    if os.path.lexists(text):  # a folder: who opens it says so
        return text
    found = f"'{text}', neither a file nor a known name{near(text, known)}"
    raise InputError(f"model: found {found}, need one of {', '.join(known)}; see `host models`")


def _checked(model: Pretrained) -> Path:
    path = FOLDER / model.file_name
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"{path}: found no readable file ({error.strerror}), need the one that was installed; install again"
        ) from error
    if found != model.sha256:
        raise InputError(
            f"{path}: SHA-256: found {found[:16]}…, need {model.sha256[:16]}… as in the index; install again"
        )
    return path


def _entry(known: dict[str, Any]) -> Pretrained:
    facts = {field.name: known[field.name] for field in fields(Pretrained)}
    facts["predicted"] = Predicted(**known["predicted"])
    return Pretrained(**facts)

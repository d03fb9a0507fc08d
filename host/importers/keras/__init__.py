"""Keras: `.h5` and `.keras` by HDF5 and JSON alone. No TensorFlow, nothing unpickled, no Lambda run."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from host.data.sandbox import Grant
from host.importers.base import Imported, Options, what_goes_in
from host.importers.guard import read_guarded
from host.importers.keras.archive import opened
from host.importers.keras.layers import Walk

_DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error)
SOURCE, ENGINE = "Keras", "keras"


def read(path: Path, options: Options) -> Imported:
    """A net of floats; raise InputError, naming the layer, for one that cannot be taken."""

    def take(path: Path, grant: Grant) -> Imported:
        with opened(path, grant) as saved, np.errstate(all="ignore"):
            walk = Walk(path, saved, options)
            walk.take_all()
            network = walk.chain.finish(ENGINE, options.labels)
        notes = (*walk.chain.notes, what_goes_in(network))
        return Imported(network, SOURCE, notes, tuple(walk.left))

    return read_guarded(path, "Keras file", take, _DAMAGED_ZIP)

"""What is publicly known of USPS and MNIST: file names, hashes, where they are served. Data only.

MD5 is what the publishers' own tools check, so it names the genuine files; it guards against damage. The SHA-256 is
`content_sha256` of the decoded set and recognises the genuine digits in any layout and compression.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Which reader a layout needs."""

    HDF5 = "HDF5"
    LIBSVM = "LIBSVM"
    ESL = "ESL text"
    IDX = "IDX"


@dataclass(frozen=True)
class KnownFile:
    """A published file; without `md5` only the content of the whole set can be checked."""

    name: str
    md5: str | None = None


@dataclass(frozen=True)
class Layout:
    """Files that together are both splits, in the reader's order; each `mirrors` entry + name is a URL."""

    kind: Kind
    files: tuple[KnownFile, ...]
    mirrors: tuple[str, ...] = ()

    @property
    def hashed(self) -> bool:
        """True when every file can be checked by itself."""
        return all(file.md5 for file in self.files)


@dataclass(frozen=True)
class Source:
    """A named dataset: the layouts in the order in which they are looked for and downloaded."""

    name: str
    sha256: str
    layouts: tuple[Layout, ...]


IDX_LAYOUT = Layout(
    Kind.IDX,
    (
        KnownFile("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        KnownFile("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        KnownFile("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        KnownFile("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
)

_USPS_HDF5 = Layout(Kind.HDF5, (KnownFile("usps.h5"),))
_USPS_LIBSVM = Layout(
    Kind.LIBSVM,
    (
        KnownFile("usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"),
        KnownFile("usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"),
    ),
    (
        "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",
        "http://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",
    ),
)
_USPS_ESL = Layout(
    Kind.ESL,
    (KnownFile("zip.train.gz"), KnownFile("zip.test.gz")),
    (
        "https://hastie.su.domains/ElemStatLearn/datasets/",
        "https://web.stanford.edu/~hastie/ElemStatLearn/datasets/",
    ),
)

SOURCES = {
    "usps": Source(
        "usps",
        "9f0f6baafa267822e2a8ee1951fd4aa8c89d2d6e3c92bf4478f350201e6dbf27",
        (_USPS_HDF5, _USPS_LIBSVM, _USPS_ESL),
    ),
    "mnist": Source("mnist", "37e4df7f0a732b879cd03d1a0edaab2efc66c5adcb4f754c93018a1357ba90a7", (IDX_LAYOUT,)),
}

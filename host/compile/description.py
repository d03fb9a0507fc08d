"""A step's description in flash: what its kernel is told, as C writes it down and as READY's CRC takes it.

Fields stand in the order of the struct in C (nn.h, nn_avr.h), little-endian, no byte between them. Of a struct this is
all but its addresses of routines, which a linker chooses, and its padding, which differs from machine to machine: both
stand behind the last field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

ROWS = "rows"
"""The field, in C also of a struct in it, that says where a step's numbers begin: only its program knows."""


@dataclass(frozen=True)
class Field:
    """`name` as C designates it, `size` in bytes. No value: left out, which C makes 0."""

    name: str
    size: int
    value: int | None

    @property
    def bytes(self) -> bytes:
        return (self.value or 0).to_bytes(self.size, "little")


@dataclass(frozen=True)
class Description:
    """Of the C type `ctype`; `routines` are (name of a field, routine), behind the fields."""

    ctype: str
    fields: tuple[Field, ...]
    routines: tuple[tuple[str, str], ...] = ()

    @property
    def bytes(self) -> bytes:
        """What the CRC is over."""
        return b"".join(field.bytes for field in self.fields)

    @property
    def numbers(self) -> tuple[tuple[str, int], ...]:
        """(name, value) of all that C is told."""
        return tuple((field.name, field.value) for field in self.fields if field.value is not None)

    def at(self, rows: int) -> Description:
        """The same of numbers that begin there."""
        return replace(self, fields=tuple(_placed(field, rows) for field in self.fields))


def _placed(field: Field, rows: int) -> Field:
    return replace(field, value=rows) if field.name.rpartition(".")[2] == ROWS else field


def rows_field(prefix: str = "") -> Field:
    """Where the numbers begin, to be filled in by Description.at."""
    return Field(f"{prefix}{ROWS}", 4, None)


def small(values: Iterable[tuple[str, int | None]], prefix: str = "") -> tuple[Field, ...]:
    """Fields of one byte each."""
    return tuple(Field(f"{prefix}{name}", 1, value) for name, value in values)

"""What a linked program holds: its sizes, and the bytes that a chip would be given."""

from __future__ import annotations

from pathlib import Path

_NO_PROGRAM = (".eeprom", ".fuse", ".lock")
_BUILD_ID = ".note.gnu.build-id"
"""A digest that the linker takes of debugging information too, which names the folder of the build."""


def elf_sizes(elf: Path) -> tuple[int, int]:
    """(flash, static RAM) in bytes, as the linker placed them: .data counts for both."""
    from elftools.elf.constants import SH_FLAGS  # not where no chip's program is looked at
    from elftools.elf.elffile import ELFFile

    flash = ram = 0
    with elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC or section.name in _NO_PROGRAM:
                continue
            stored = section["sh_type"] != "SHT_NOBITS"
            writable = bool(section["sh_flags"] & SH_FLAGS.SHF_WRITE)
            flash += section["sh_size"] if stored else 0
            ram += section["sh_size"] if writable else 0
    return flash, ram


def image(program: Path) -> list[tuple[str, int, int, bytes]]:
    """All that is loaded to run `program`: name, address, size and content of each section. Of a file that is no ELF
    all its bytes."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.constants import SH_FLAGS
    from elftools.elf.elffile import ELFFile

    with program.open("rb") as file:
        try:
            sections = [
                section
                for section in ELFFile(file).iter_sections()
                if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section.name != _BUILD_ID
            ]
        except ELFError:
            return [("", 0, 0, program.read_bytes())]
        return [
            (
                section.name,
                section["sh_addr"],
                section["sh_size"],
                b"" if section["sh_type"] == "SHT_NOBITS" else section.data(),
            )
            for section in sections
        ]

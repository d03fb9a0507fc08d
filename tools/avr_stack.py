"""The deepest stack that a linked AVR program can need, from its disassembly: every path through every function.

python tools/avr_stack.py firmware.elf

Pushes, frames, calls and tail calls are followed instruction by instruction, hand-written assembly included. Interrupts
do not nest, so the deepest one comes on top once. What cannot be followed is refused: recursion, a stack that grows in
a loop, and an indirect call that INDIRECT does not name.
"""

from __future__ import annotations

import re
import subprocess
import sys
from bisect import bisect_right
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

_SUMS = ("nn_avr_patch*", "nn_avr_depth24*")
INDIRECT = {
    "wire_encode": ("put",),
    "pool": ("window_*", "nn_avr_window_*"),
    "nn_walk": ("convolve*",),
    "walk_line": ("convolve*",),
    "convolve": _SUMS,
    "convolve_depth": _SUMS,
    "convolve_either": _SUMS,
    "nn_avr_dense_hidden": _SUMS,
    "nn_avr_dense_scores": _SUMS,
    "nn_avr_affine_dense_hidden": _SUMS,
    "nn_avr_affine_dense_scores": _SUMS,
    "nn_avr_long_hidden": _SUMS,
    "nn_avr_long_scores": _SUMS,
    "add_up": _SUMS,
}
"""Function → whom it calls through a pointer; the names are those of firmware/lib, without the linker's
suffixes; a pattern stands for every function that the program has of it."""

SKIPS = {"cpse", "sbrc", "sbrs", "sbic", "sbis"}
SPL = "0x3d"
MOST_STATES = 30_000
_LINE = re.compile(r"^\s*([0-9a-f]+):\t(\S+)(?:\t([^;]*))?")
_SYMBOL = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")


class CannotFollow(Exception):
    """The program does something whose stack this analysis cannot bound."""


@dataclass(frozen=True)
class Instruction:
    """One line of the disassembly; `next` is the address behind it."""

    name: str
    operands: tuple[str, ...]
    next: int

    def target(self) -> int:
        """Where a jump, branch or call goes."""
        place = self.operands[-1]
        return self.next + int(place[1:]) if place.startswith(".") else int(place, 16)


@dataclass(frozen=True)
class State:
    """Before an instruction: bytes pushed since the function began, and the depth at which Y points, where it is a
    frame pointer. `low` is the lower half of a subtraction from Y that is under way."""

    at: int
    depth: int = 0
    y: int | None = None
    low: int | None = None


@dataclass
class Program:
    """A disassembly; `return_bytes` is what a call pushes: 3 where flash is more than 128 KB."""

    code: dict[int, Instruction]
    symbols: list[tuple[int, str]]
    return_bytes: int = 2
    _known: dict[int, int] = field(default_factory=dict)
    _open: list[int] = field(default_factory=list)
    own: dict[int, int] = field(default_factory=dict)
    """Function → its own deepest frame, without those that it calls."""

    def address(self, name: str) -> int:
        """Of the function of this name, whatever suffix the linker's optimiser gave it."""
        for address, symbol in self.symbols:
            if symbol.partition(".")[0] == name:
                return address
        raise CannotFollow(f"{name}: no such function")

    def name_at(self, address: int) -> str:
        """The function in which `address` lies."""
        place = bisect_right(self.symbols, address, key=lambda symbol: symbol[0]) - 1
        return self.symbols[max(place, 0)][1].partition(".")[0]

    def vectors(self) -> list[int]:
        """The interrupts that the program serves."""
        return [address for address, name in self.symbols if re.fullmatch(r"__vector_\d+", name)]

    def worst(self, start: int) -> int:
        """Bytes below the return address of a function, at most, with all that it calls. Raise CannotFollow."""
        if start in self._known:
            return self._known[start]
        if start in self._open:
            raise CannotFollow(f"{self.name_at(start)}: calls itself")
        self._open.append(start)
        deepest = own = 0
        waiting, seen = [State(start)], {State(start)}
        while waiting:
            state = waiting.pop()
            called, following = self._step(state)
            own = max(own, state.depth)
            deepest = max(deepest, state.depth, *(state.depth + self.return_bytes + self.worst(at) for at in called))
            for new in following:
                if new not in seen and new.at:  # address 0: the program begins anew
                    seen.add(new)
                    waiting.append(new)
            if len(seen) > MOST_STATES:
                raise CannotFollow(f"{self.name_at(start)}: its stack grows in a loop")
        self._open.pop()
        self._known[start], self.own[start] = deepest, own
        return deepest

    def _step(self, state: State) -> tuple[list[int], list[State]]:
        """Whom the instruction calls, and the states behind it."""
        if state.at not in self.code:
            raise CannotFollow(f"{self.name_at(state.at)}: runs into {state.at:#x}, which is no code")
        one = self.code[state.at]
        if one.name in ("ret", "reti"):
            return [], []
        if one.name in ("ijmp", "eijmp", "icall", "eicall"):
            targets = self._indirect(state.at)
            if one.name.endswith("jmp"):
                return [], [State(target, state.depth) for target in targets]
            return targets, [self._after(state, one)]
        if one.name in ("call", "rcall") and one.target() != one.next:
            return [one.target()], [self._after(state, one)]
        if one.name in ("jmp", "rjmp"):
            return [], [State(one.target(), state.depth, state.y)]
        behind = self._after(state, one)
        if one.name.startswith("br") and one.name != "break":
            return [], [behind, State(one.target(), behind.depth, behind.y)]
        if one.name in SKIPS:
            return [], [behind, State(self.code[one.next].next, behind.depth, behind.y)]
        return [], [behind]

    def _indirect(self, at: int) -> list[int]:
        name = self.name_at(at)
        if name not in INDIRECT:
            raise CannotFollow(f"{name}: calls through a pointer; say whom in INDIRECT")
        found = [
            address
            for address, symbol in self.symbols
            if any(fnmatch(symbol.partition(".")[0], pattern) for pattern in INDIRECT[name])
        ]
        if not found:
            raise CannotFollow(f"{name}: found none of {', '.join(INDIRECT[name])}; mend INDIRECT")
        return found

    def _after(self, state: State, one: Instruction) -> State:
        """What the instruction does to the stack pointer and to Y."""
        depth, y, low = state.depth, state.y, None
        first = one.operands[0] if one.operands else ""
        if one.name == "push":
            depth += 1
        elif one.name == "pop":
            depth -= 1
            y = None if first in ("r28", "r29") else y
        elif one.name == "rcall" and one.target() == one.next:
            depth += self.return_bytes  # room on the stack, in the shortest way
        elif one.name == "in" and first == "r28":
            y = depth if one.operands[1].lower() == SPL else None
        elif one.name in ("sbiw", "adiw") and first == "r28" and y is not None:
            y += int(one.operands[1], 16) * (1 if one.name == "sbiw" else -1)
        elif one.name == "subi" and first == "r28":
            low = int(one.operands[1], 16)
        elif one.name in ("sbci", "sbc") and first == "r29" and y is not None and state.low is not None:
            # r1 is 0 wherever a frame is made.
            whole = state.low | (int(one.operands[1], 16) << 8 if one.name == "sbci" else 0)
            y += whole - 0x10000 if whole >= 0x8000 else whole
        elif one.name == "out" and first.lower() == SPL:
            if y is None or one.operands[1] != "r28":
                raise CannotFollow(f"{self.name_at(state.at)}: sets the stack pointer from elsewhere")
            depth = y
        elif first in ("r28", "r29", "Y+", "-Y") or "Y+" in one.operands or "-Y" in one.operands:
            reads = one.name in ("cp", "cpc", "cpi", "cpse", "out", "sbrc", "sbrs") or (one.name, first) == (
                "in",
                "r29",
            )
            y = y if reads else None
        return State(one.next, depth, y, low)


@dataclass(frozen=True)
class Depths:
    """Bytes: main with all that it calls and its own return address, and the deepest interrupt with its own."""

    main: int
    interrupt: int

    @property
    def total(self) -> int:
        return self.main + self.interrupt


def disassemble(elf: Path) -> Program:
    """The program of an ELF file for an AVR."""
    command = ["avr-objdump", "-d", "--no-show-raw-insn", str(elf)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    symbols = [(int(found[1], 16), found[2]) for line in lines if (found := _SYMBOL.match(line))]
    parsed = [found for line in lines if (found := _LINE.match(line))]
    places = [int(found[1], 16) for found in parsed]
    code = {}
    for place, behind, found in zip(places, [*places[1:], places[-1] + 2], parsed, strict=True):
        operands = tuple(part.strip() for part in (found[3] or "").split(",") if part.strip())
        code[place] = Instruction(found[2], operands, behind)
    is_large = any(one.name in ("eicall", "eijmp") for one in code.values()) or places[-1] >= 1 << 17
    return Program(code, sorted(symbols), 3 if is_large else 2)


def depths(program: Program) -> Depths:
    """Raise CannotFollow where there is no bound."""
    main = program.return_bytes + program.worst(program.address("main"))
    interrupts = [program.return_bytes + program.worst(at) for at in program.vectors()]
    return Depths(main, max(interrupts, default=0))


def main() -> int:
    found = depths(disassemble(Path(sys.argv[1])))
    print(f"stack at most {found.total} bytes: main {found.main}, an interrupt {found.interrupt}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

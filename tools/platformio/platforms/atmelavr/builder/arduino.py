"""The Arduino framework out of the system's package arduino-core-avr.

The compiler flags are those that Arduino itself and the official platform give, so that a build here and there differ
by the compiler's version alone.
"""

import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment

CORE_ROOT = Path("/usr/share/arduino/hardware/arduino/avr")

env = DefaultEnvironment()
board = env.BoardConfig()
core = CORE_ROOT / "cores" / board.get("build.core")
variant = CORE_ROOT / "variants" / board.get("build.variant")

if not core.is_dir():
    sys.stderr.write(f"Error: {core}: not found; install the package arduino-core-avr\n")
    env.Exit(1)

shared = ["-Os", "-flto", "-mmcu=$BOARD_MCU"]
compile_flags = [*shared, "-Wall", "-ffunction-sections", "-fdata-sections"]

env.Append(
    ASFLAGS=["-x", "assembler-with-cpp", *compile_flags],
    CFLAGS=["-std=gnu11", "-fno-fat-lto-objects"],
    CCFLAGS=compile_flags,
    CXXFLAGS=["-std=gnu++11", "-fno-exceptions", "-fno-threadsafe-statics", "-fpermissive"],
    CPPDEFINES=[("F_CPU", "$BOARD_F_CPU"), "ARDUINO_ARCH_AVR", ("ARDUINO", 10808)],
    CPPPATH=[str(core), str(variant)],
    LINKFLAGS=[*shared, "-Wl,--gc-sections", "-fuse-linker-plugin"],
    LIBS=["m"],
    LIBSOURCE_DIRS=[str(CORE_ROOT / "libraries")],
)

# avr-gcc 5 knows DECIMAL_DIG in C only, and the core's WString.cpp asks for it in C++.
core_env = env.Clone()
core_env.Append(CXXFLAGS=["-DDECIMAL_DIG=__DECIMAL_DIG__"])
env.Prepend(LIBS=[core_env.BuildLibrary("$BUILD_DIR/FrameworkArduino", str(core))])

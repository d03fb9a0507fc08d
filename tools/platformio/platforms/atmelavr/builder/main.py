"""Builds, measures and uploads AVR firmware with the system's avr-gcc, binutils and avrdude.

DIGITDUINO_AVR_GCC chooses another avr-gcc: a version that tools/provision_platformio.py has brought, or a folder.

Targets: the default (firmware.elf and firmware.hex), `size`, `upload`.
"""

import os
import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Builder, Default, DefaultEnvironment

env = DefaultEnvironment()

if compiler := os.environ.get("DIGITDUINO_AVR_GCC"):
    brought = Path(env.subst("$PROJECT_PACKAGES_DIR")) / f"digitduino-avr-gcc-{compiler}" / "bin"
    folder = Path(compiler) if os.sep in compiler else brought
    if not (folder / "avr-gcc").is_file():
        sys.stderr.write(f"Error: DIGITDUINO_AVR_GCC: {folder}: found no avr-gcc there\n")
        env.Exit(1)
    env.PrependENVPath("PATH", str(folder))

env.Replace(
    AR="avr-gcc-ar",  # the plain avr-ar cannot index LTO objects
    AS="avr-as",
    CC="avr-gcc",
    CXX="avr-g++",
    GDB="avr-gdb",
    OBJCOPY="avr-objcopy",
    RANLIB="avr-gcc-ranlib",
    SIZETOOL="avr-size",
    ARFLAGS=["rc"],
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    # What CheckUploadSize adds up: initialised data lies in flash and again in RAM.
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPROGREGEXP=r"^(?:\.text|\.data|\.bootloader)\s+(\d+)",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.noinit)\s+(\d+)",
    SIZEPRINTCMD="$SIZETOOL --mcu=$BOARD_MCU -C -d $SOURCES",
    UPLOADER="avrdude",
    UPLOADERFLAGS=["-p", "$BOARD_MCU", "-c", "$UPLOAD_PROTOCOL"],
    UPLOADCMD="$UPLOADER $UPLOADERFLAGS -U flash:w:$SOURCE:i",
)
env.Append(
    BUILDERS={
        "ElfToHex": Builder(
            action=env.VerboseAction("$OBJCOPY -O ihex -R .eeprom $SOURCES $TARGET", "Building $TARGET"),
            suffix=".hex",
        )
    }
)


def is_terminal(port):
    """Whether `port` is a serial port, or at least behaves as one; avrdude's `net:` addresses count too."""
    if port.startswith("net:"):
        return True
    try:
        handle = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.isatty(handle)
    finally:
        os.close(handle)


def prepare_upload(target, source, env):
    """Adds the port and rate, found or given; a bootloader cannot erase the chip, hence -D."""
    env.AutodetectUploadPort()
    port = env.subst("$UPLOAD_PORT")
    # avrdude 7.1 ends with a message of its own where the `arduino` protocol finds no port, but loops on `wiring`.
    if env.subst("$UPLOAD_PROTOCOL") == "wiring" and not is_terminal(port):
        sys.stderr.write(
            f"Error: {port}: no serial port, or no permission; `pio device list` shows what is connected\n"
        )
        env.Exit(1)
    if env.subst("$UPLOAD_SPEED"):
        env.Append(UPLOADERFLAGS=["-b", "$UPLOAD_SPEED"])
    env.Append(UPLOADERFLAGS=["-D", "-P", '"$UPLOAD_PORT"'])


elf = env.BuildProgram()
firmware = env.ElfToHex("$BUILD_DIR/${PROGNAME}", elf)

build = env.Alias("buildprog", firmware, firmware)
size = env.Alias("size", elf, env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE"))
upload = env.Alias(
    "upload",
    firmware,
    [
        env.VerboseAction(prepare_upload, "Looking for upload port..."),
        env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE"),
    ],
)
AlwaysBuild(size, upload)
Default([build, size])

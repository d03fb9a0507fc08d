"""Builds a program for this computer with its own gcc, with no flag but those of platformio.ini."""

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
# The tools named `cc` and `c++`, which PlatformIO loads first, drop what platformio.ini set when gcc replaces them.
c_flags, cxx_flags = env.get("CFLAGS", []), env.get("CXXFLAGS", [])
env.Tool("gcc")
env.Tool("g++")
env.Append(CFLAGS=c_flags, CXXFLAGS=cxx_flags)
env.Replace(SIZEPRINTCMD="size $SOURCES")

program = env.BuildProgram()

AlwaysBuild(env.Alias("size", program, env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE")))
AlwaysBuild(env.Alias("exec", program, env.VerboseAction("$SOURCE $PROGRAM_ARGS", "Running $SOURCE")))
Default([program])

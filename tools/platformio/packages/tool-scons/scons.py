"""Starts the SCons that pip put beside this file; PlatformIO runs it by this name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from SCons.Script.Main import main

if __name__ == "__main__":
    main()

"""`host fetch`: data sets by download or from a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.cli.console import Console, Update
from host.data import fetch


def run(arguments: argparse.Namespace) -> int:
    console = Console()
    for name in arguments.names:
        source = Path(arguments.source) if arguments.source else None
        with console.progress(f"fetching {name}", "B") as update:

            def show(at: fetch.FetchProgress, update: Update = update) -> None:
                update(at.done, at.total or at.done, at.file)

            files = fetch.fetch(name, source_dir=source, progress=show)
        for path in files:
            console.say(f"{name}: {path}")
    return 0

"""Which journal a `host verify` keeps, and what must be the same when it goes on with one."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from host.api.samples import Asked
from host.cache import cache_directory
from host.cli.console import Console
from host.compile.candidates import Candidate
from host.errors import InputError
from host.link.journal import Journal, open_journal
from host.modelfile.file import content_hash
from host.nn.network import Network


@contextmanager
def journal_of(
    arguments: argparse.Namespace,
    console: Console,
    network: Network,
    asked: Asked,
    carried: Sequence[Candidate],
) -> Iterator[Journal | None]:
    """The run's journal; None where the user asked for none and the usual place cannot be had."""
    path = Path(arguments.journal) if arguments.journal is not None else _usual_place(arguments)
    board = arguments.port if arguments.port is not None else arguments.board
    facts = {
        "model": content_hash(network),
        "dataset": asked.name,
        "dataset_sha256": asked.sha256,
        "split": asked.part,
        "n": len(asked.samples),
        "board": board,
        "exports": sorted({each.graph.hash for each in carried}),
        "profile": arguments.profile,
    }
    if arguments.trace is not None:
        facts["trace"] = True  # such a build takes a few cycles more
    with ExitStack() as stack:
        journal: Journal | None = None
        try:
            journal = stack.enter_context(open_journal(path, facts, len(asked.samples), resume=arguments.resume))
        except InputError:
            if arguments.resume or arguments.journal is not None:
                raise
        if journal is not None and arguments.resume:
            console.say(f"resuming: {len(journal.known):,} of {len(asked.samples):,} {asked.unit}s are in {path}")
        yield journal


def _usual_place(arguments: argparse.Namespace) -> Path:
    """One for each model file, data set and board, whatever they hold: so that a change of what they hold is noticed
    instead of beginning another journal."""
    model, source = str(Path(arguments.model).resolve()), arguments.data
    named = str(Path(source).resolve()) if Path(source).exists() else source
    place = "\0".join((model, named, arguments.port or f"board {arguments.board}"))
    return cache_directory() / "journals" / f"{hashlib.sha256(place.encode()).hexdigest()[:24]}.journal"

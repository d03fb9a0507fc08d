"""Which journal a `host verify` keeps, and what must be the same when it goes on with one."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from host import data
from host.cache import cache_directory
from host.cli.console import Console
from host.deploy.model import content_hash
from host.deploy.plan import Plan
from host.errors import InputError
from host.link.journal import Journal, open_journal
from host.train.network import Network


@contextmanager
def journal_of(
    arguments: argparse.Namespace,
    console: Console,
    network: Network,
    dataset: data.Dataset,
    split: data.Split,
    plans: Sequence[Plan],
) -> Iterator[Journal | None]:
    """The run's journal; None where the user asked for none and the usual place cannot be had."""
    path = Path(arguments.journal) if arguments.journal is not None else _usual_place(arguments)
    board = arguments.port if arguments.port is not None else arguments.board
    facts = {
        "model": content_hash(network),
        "dataset": dataset.name,
        "dataset_sha256": dataset.sha256,
        "split": arguments.split,
        "n": len(split.images),
        "board": board,
        "exports": sorted({planned.net.hash for planned in plans}),
        "profile": arguments.profile,
    }
    opening = open_journal(path, facts, len(split.images), resume=arguments.resume)
    try:
        journal = opening.__enter__()
    except InputError:
        if arguments.resume or arguments.journal is not None:
            raise
        yield None
        return
    with _closing(opening, journal):
        if arguments.resume:
            console.say(f"resuming: {len(journal.known):,} of {len(split.images):,} digits are in {path}")
        yield journal

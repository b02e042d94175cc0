"""What every script of the workflow has around its work: a log, its threads, and one line for what was given wrong."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from extensive.errors import InputError


@contextlib.contextmanager
def logged(snakemake: Any, *failures: type[Exception], append: bool = False) -> Iterator[None]:
    """Run a script's work with all that it prints in the rule's log, and with the threads that it was given.

    Standard output and standard error, warnings, tracebacks and what libraries and child processes print go to the
    log; `append` keeps what an attempt that was killed left there. An InputError, or another of `failures`, ends the
    script with one line in the log and exit status 1.
    """
    with open(snakemake.log[0], "a" if append else "w") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            # The descriptor and not the Python object: a child process inherits it.
            os.dup2(log.fileno(), stream.fileno())
            stream.reconfigure(line_buffering=True)
    # Other libraries take theirs from OMP_NUM_THREADS, which Snakemake sets.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(snakemake.threads)
        # Adam's mean of a gradient that has become zero, and SiLU far below zero, fade through numbers below 1e-38,
        # which processors handle up to a hundred times more slowly. Here they are zero.
        sys.modules["torch"].set_flush_denormal(True)
    try:
        yield
    except (InputError, *failures) as error:
        print(f"{snakemake.rule}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)

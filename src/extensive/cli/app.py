"""The command line: the verbs are the stages, and call the functions that the workflow's rules call.

Errors are one line on stderr with exit status 2; progress bars go to stderr, and only to a terminal.
"""

import contextlib
import gc
import os
import re
import sys
from collections.abc import Iterator, Sequence

import typer

from extensive.cli import data, models
from extensive.errors import InputError

# Objects between two looks for garbage (Python's own number is 700 to 2,000): loading PyTorch makes hundreds of
# thousands that stay, and to look at them over and over is a tenth of `extensive predict`.
OBJECTS_BETWEEN_COLLECTIONS = 100_000
EXIT_INPUT = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="extensive",
    help="The energy of any sheet of atoms, at DFT accuracy, at the price of an image."
    " Units: eV, Angstrom, eV/Angstrom, seconds; errors in meV/atom.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (*data.VERBS, *models.VERBS):
    app.command()(verb)
app.command("time")(models.time_models)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 2 for what the user gave wrong, 130 if interrupted."""
    with _few_collections(last=arguments is None):
        return _run(list(sys.argv[1:] if arguments is None else arguments))


@contextlib.contextmanager
def _few_collections(last: bool) -> Iterator[None]:
    """Look for garbage rarely; `last` where the process ends after this, and need not look at what it leaves."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if last:
            gc.freeze()


def _run(given: list[str]) -> int:
    # What tqdm reads as the default of every bar.
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        status = app(args=given or ["--help"], standalone_mode=False)
        return int(status or 0)
    except InputError as error:
        return _fail(str(error))
    except typer.TyperException as error:  # wrong options and arguments
        return _fail(error.format_message() if hasattr(error, "format_message") else str(error))
    except (KeyboardInterrupt, typer.Abort):
        print("extensive: interrupted; what was finished is kept", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # Files are written beside their place under a temporary name, which is nobody's business.
        what = re.sub(r"\.tmp-.{8}-", "", f"{error.filename}: ") if error.filename else ""
        return _fail(f"{what}{error.strerror or error}")
    except ImportError as error:
        return _fail(f"{error.name or error} is not installed; see envs/ for what each part needs")
    except MemoryError:
        return _fail("out of memory; take a smaller batch, sheet or image, or a machine with more")


def _fail(message: str) -> int:
    print(f"extensive: error: {' '.join(message.split())}", file=sys.stderr)
    return EXIT_INPUT

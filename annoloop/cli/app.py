"""The commands in the order of the loop, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings

import typer

from annoloop.cli.add import add
from annoloop.cli.agreement import agreement
from annoloop.cli.apply import apply
from annoloop.cli.evaluate import evaluate
from annoloop.cli.export import export
from annoloop.cli.init import init
from annoloop.cli.llm import llm_app
from annoloop.cli.look_again import look_again
from annoloop.cli.loop import loop
from annoloop.cli.report import report
from annoloop.cli.review import review
from annoloop.cli.rules import rules_app
from annoloop.cli.settings import settings
from annoloop.cli.similar import similar
from annoloop.cli.simulate import simulate
from annoloop.cli.status import status
from annoloop.cli.train import train
from annoloop.cli.train_curve import train_curve
from annoloop.errors import AnnoloopError

app = typer.Typer(
    name="annoloop",
    help="From raw texts to a small, private, fast spaCy model that provably beats the LLM it learned from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Any command takes --debug, which shows the traceback of an error.",
)
for command in (
    init,
    add,
    status,
    review,
    loop,
    train,
    train_curve,
    simulate,
    agreement,
    look_again,
    similar,
    evaluate,
    report,
    export,
    apply,
    settings,
):
    app.command()(command)
app.add_typer(rules_app, name="rules")
app.add_typer(llm_app, name="llm")

STOPPED = 130


def main() -> None:
    """Run the command line; every error is one clear line and an exit code that is not 0."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if threading.current_thread() is threading.main_thread():
        # A service manager's way to say Ctrl+C: answers that are paid for are kept first.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    # PyTorch's word on how curated-transformers compiles: no user of the extra can change that.
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.script`", category=FutureWarning)
    try:
        try:
            app(arguments, standalone_mode=True)
        except SystemExit as ended:
            if ended.code == STOPPED:  # Typer's own way out of Ctrl+C says nothing.
                raise KeyboardInterrupt from None
            raise
    except AnnoloopError as error:
        _fail(error.message, error.hint, debug)
    except KeyboardInterrupt:
        _say("stopped; what was done so far is kept. The same command goes on from there")
        _leave(STOPPED)
    except BrokenPipeError:
        # The reader of our output has gone, as with `| head`: nobody is left to tell.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        _leave(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(
            f"{where}{error.strerror or error}", "check the path, the rights and the free disk space", debug
        )
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        _fail(f"unexpected error, {reason}", "run again with --debug and report what it shows", debug)


def _fail(message: str, hint: str, debug: bool) -> None:
    if debug:
        raise
    _say(f"error: {message}" + (f"\n  -> {hint}" if hint else ""))
    _leave(1)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _leave(code: int) -> None:
    raise SystemExit(code)

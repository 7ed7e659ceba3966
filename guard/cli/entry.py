"""Where the `guard` command begins: before its libraries are there, Ctrl-C ends it at once and without a word.

Loading them takes a good part of a second, and whoever presses Ctrl-C meanwhile wants no trace of the imports. Where
the signal is ignored, as in the background of a script, it stays so.
"""

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> None:
    """The entry point of the distribution."""
    if sys.argv[1:2] == ["serve"]:
        from guard.cli.serve import main as command  # noqa: PLC0415 - what takes the time that this module is about
    else:
        from guard.cli.main import main as command  # noqa: PLC0415 - likewise

    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command()

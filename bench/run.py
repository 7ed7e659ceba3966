"""What the guard adds, measured on this machine: `make bench`.

The daemon itself, the guard in front of it, and beside it nginx, nginx with an equivalent policy in Lua, Envoy, an
aiohttp proxy with the same policy, and whatever other gateway can be had: all alive at once on loopback, all Python on
one interpreter. See docs/performance.md for the method and for figures.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import interpreter

HERE: Final = Path(__file__).parent


def _arguments() -> argparse.Namespace:
    """The command line. Nothing but the standard library is needed to read it."""
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds: does it run, and roughly how fast")
    parser.add_argument("--rounds", type=int, help="how many rounds (default 9, with --quick 2)")
    parser.add_argument("--patience", type=float, help="seconds to spend on measuring again what others disturbed")
    parser.add_argument("--work", type=Path, default=HERE / "records", help="where records are written: on a real disk")
    parser.add_argument("--keep", action="store_true", help="leave records and logs where they were written")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "latest.json", help="where figures go")
    parser.add_argument("--report", type=Path, help="also write the document, such as docs/performance.md")
    parser.add_argument(
        "--python",
        type=Path,
        default=os.environ.get("BENCH_PYTHON"),
        help="the interpreter of all Python programs (default: BENCH_PYTHON, else the fastest at hand)",
    )
    parser.add_argument("--again", type=Path, help="measure nothing: tables and document from earlier results")
    parser.add_argument(
        "--memory",
        type=Path,
        help="half the time: memory is not measured but that of these earlier results, as the document then says",
    )
    return parser.parse_args()


def _measured(given: argparse.Namespace) -> bytes:
    """The encoded results of a new run."""
    import field  # noqa: PLC0415 - `--help` should not wait for the libraries
    import machine  # noqa: PLC0415 - likewise
    import measure  # noqa: PLC0415 - likewise
    import msgspec  # noqa: PLC0415 - likewise
    import report  # noqa: PLC0415 - likewise
    import summary  # noqa: PLC0415 - likewise

    earlier = None if given.memory is None else report.decoded(given.memory.read_bytes())
    machine.check_linux()
    given.work.mkdir(parents=True, exist_ok=True)
    machine.real_disk(given.work)
    plan = field.QUICK if given.quick else field.Plan()
    plan.rounds = given.rounds or plan.rounds
    plan.patience_s = plan.patience_s if given.patience is None else given.patience
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=given.work))
    try:
        results = measure.run(plan, folder, lambda text: print(text, file=sys.stderr, flush=True), earlier=earlier)
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    results.summary = summary.summed(results)
    encoded = msgspec.json.format(msgspec.json.encode(results), indent=1)
    given.results.parent.mkdir(parents=True, exist_ok=True)
    given.results.write_bytes(encoded + b"\n")
    return encoded


def main() -> int:
    """Measure, print, write. Exit 2: this machine or directory cannot give true figures, and why."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # no contestant is left behind
    if not given.again:
        interpreter.go_over(given.python)
    import report  # noqa: PLC0415 - `--help` should not wait for the libraries
    from machine import Unfit  # noqa: PLC0415 - likewise

    try:
        encoded = given.again.read_bytes() if given.again else _measured(given)
    except Unfit as unfit:
        print(f"bench: {unfit}", file=sys.stderr)
        return 2
    results = report.decoded(encoded)
    print(report.summary(results))
    if given.report:
        given.report.write_text(report.document(results), encoding="utf-8")
        print(f"written: {given.report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

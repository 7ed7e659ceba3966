"""`python -m guard.serving WANTED`: what `guard serve` executes in its own place. WANTED is `ServeRequest` as JSON."""

import sys

import msgspec

# structlog loads rich, where it is there, for tracebacks in colour: 3 MB for what this log never shows. None is how
# Python itself marks a module that must not be imported.
sys.modules["rich"] = None  # type: ignore[assignment]

from guard.serving.handover import ServeRequest  # noqa: E402 - only now may structlog be imported
from guard.serving.process import serve  # noqa: E402 - likewise

if __name__ == "__main__":
    sys.exit(serve(msgspec.json.decode(sys.argv[1], type=ServeRequest)))

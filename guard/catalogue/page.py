"""`docs/endpoints.md` and the table of `guard endpoints`, generated from the catalogue.

`python -m guard.catalogue.page FILE` writes the page; a test fails when page and table drift apart.
"""

import sys
from pathlib import Path
from typing import Final

from guard.catalogue.lookup import ENDPOINTS, GROUPS
from guard.terms import Endpoint

COLUMNS: Final = ("group", "method", "path", "proto_id", "scope", "runtime_scope", "effect", "record")

# ruff: noqa: E501 - table rows and paragraphs of a document are one line each

_INTRODUCTION: Final = """\
# Endpoints

The 68 endpoints of the daemon as the guard knows them. This page is generated from `guard/catalogue/table.py`
(`make docs`); `guard endpoints` prints the same. A request must match method and path exactly; anything else is
answered 404 or 405 and never reaches the daemon.

| column | says |
|---|---|
| proto | the FTAPI message the daemon turns the call into |
| scope | the scope that the reference documents; any one of several is enough (`scopes.profile = "documented"`, the default) |
| runtime scope | the scope that the daemon really checks (`scopes.profile = "runtime"`); in bold where it differs |
| effect | what the call does: `order_new`, `order_change` and `order_cancel` are *trade requests* |
| record | `durable`: on disk before the daemon sees it · `appended`: recorded without waiting · `account`, `market`: reads, recorded as `journal.reads` says; refusals are always recorded |
| broker limit | requests per window, and whom the broker counts by |
| account | where accounts appear: `header` in the body's trade header, `list` in a list, `answer` in the answer |
"""

_DIFFERENCES: Final = """\
## Where the guard differs from the daemon's reference, and why

- **Public endpoints lend no privilege.** Six rows are documented as public. The guard accepts them without a key, but then
  does not send its own key to the daemon. If the daemon wants one it answers 401, and the guard passes that on with a
  `Guard-Note`.
- **`reconfirm-order` is a trade.** It is documented under `acc:read` but confirms a live order. The guard also requires a
  trade scope, judges it as a change, and records it before sending.
- **`unlock-trade` never opens to `trade:simulate` alone.** It requires `trade:unlock` or `trade:real`.
- **Trade scopes are bound to the environment of the body.** A real order needs `trade:real`, a simulated one
  `trade:simulate`; a documented "either" does not leave the choice to the caller.
- **Two writes to watch-lists and reminders** (`modify-user-security`, `set-price-reminder`) need `qot:read` as documented, but
  are recorded as writes (`user_write`).
- **`is_unsub_all` is refused.** All callers share one connection to the daemon; one of them must not unsubscribe the rest.
- **`modify-order` with `for_all` is treated as a cancel-all.** A cancel-all cancels the caller's own orders of the account and
  market, one by one if other keys have working orders there; `s2c.results` lists each, `s2c.pending` counts those to come.
- **Unknown, misspelt or duplicate field names are refused** on every endpoint, even where the daemon would ignore them.
- **Aliases.** Bodies may use the names of the proto messages, the aliases of the reference and the names in its examples,
  in snake case. For a trade the daemon always gets the proto shape with integers.
"""


def scope(names: tuple[str, ...]) -> str:
    """Scopes as one word or two."""
    return " or ".join(names) or "public"


def row(endpoint: Endpoint) -> dict[str, object]:
    """One endpoint as `guard endpoints --json` gives it."""
    return {
        "group": endpoint.group,
        "method": endpoint.method,
        "path": endpoint.path,
        "proto_id": endpoint.proto_id,
        "scope": scope(endpoint.documented),
        "runtime_scope": scope(endpoint.runtime),
        "effect": endpoint.effect.value,
        "record": endpoint.record.value,
    }


def _line(endpoint: Endpoint) -> str:
    runtime = scope(endpoint.runtime)
    bucket = endpoint.bucket
    cells = (
        endpoint.method,
        f"`{endpoint.path}`",
        str(endpoint.proto_id or "-"),
        scope(endpoint.documented),
        f"**{runtime}**" if endpoint.runtime != endpoint.documented else runtime,
        endpoint.effect.value,
        endpoint.record.value,
        f"{bucket.count}/{bucket.window_s}s per {bucket.per}" if bucket else "-",
        endpoint.account.value,
    )
    return f"| {' | '.join(cells)} |"


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for group in GROUPS:
        rows = [endpoint for endpoint in ENDPOINTS if endpoint.group == group]
        head = "| method | path | proto | scope | runtime scope | effect | record | broker limit | account |"
        lines = [f"## {group} ({len(rows)})", "", head, f"|{'---|' * 9}", *map(_line, rows), ""]
        parts.append("\n".join(lines))
    return "\n".join([*parts, _DIFFERENCES])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")

"""The table read into `Endpoint` rows, and the exact look-up. A malformed row fails at import."""

from typing import Final

from guard.catalogue.table import TABLE
from guard.codes import Code
from guard.terms import AccountAt, Bucket, Effect, Endpoint, RecordMode, Refusal, refuse

_SCOPES: Final = {
    "PUBLIC": (),
    "QOT": ("qot:read",),
    "ACC": ("acc:read",),
    "TRADE": ("trade:real", "trade:simulate"),
    "UNLOCK": ("trade:unlock",),
    "ADMIN": ("admin",),
}


def _bucket(text: str) -> Bucket | None:
    if text == "-":
        return None
    rate, per = text.split(":")
    count, window = rate.split("/")
    return Bucket(int(count), int(window.removesuffix("s")), "account" if per == "account" else "user")


def _row(group: str, line: str) -> Endpoint:
    method, path, proto_id, documented, runtime, effect, record, bucket, account = line.split()
    return Endpoint(
        group=group,
        method="GET" if method == "GET" else "POST",
        path=path,
        proto_id=None if proto_id == "-" else int(proto_id),
        documented=_SCOPES[documented],
        runtime=_SCOPES[runtime],
        effect=Effect(effect),
        record=RecordMode(record),
        bucket=_bucket(bucket),
        account=AccountAt(account),
    )


def _read(table: str) -> tuple[Endpoint, ...]:
    group = ""
    rows: list[Endpoint] = []
    for line in table.strip().splitlines():
        if line.startswith("="):
            group = line.removeprefix("=").strip()
        else:
            rows.append(_row(group, line))
    return tuple(rows)


ENDPOINTS: Final = _read(TABLE)
GROUPS: Final = tuple(dict.fromkeys(endpoint.group for endpoint in ENDPOINTS))
_BY_CALL: Final[dict[tuple[str, str], Endpoint]] = {
    (endpoint.method, endpoint.path): endpoint for endpoint in ENDPOINTS
}
BY_PATH: Final = {path: tuple(e for e in ENDPOINTS if e.path == path) for path in {e.path for e in ENDPOINTS}}


def find(method: str, path: str) -> Endpoint | Refusal:
    """The endpoint of exactly this method and path; 404 for another path, 405 for another method of a known one."""
    endpoint = _BY_CALL.get((method, path))
    if endpoint is not None:
        return endpoint
    if path in BY_PATH:
        allowed = [endpoint.method for endpoint in BY_PATH[path]]
        return refuse(Code.METHOD, f"{path} is asked with {' or '.join(allowed)}", limit=", ".join(allowed))
    return refuse(Code.UNKNOWN_ENDPOINT, "no such endpoint; `guard endpoints` lists the 68 that exist")

"""Raw requests and what the edge makes of them: accepted as this call, or refused with this code.

One table for the pure reader (whole, byte by byte, cut anywhere) and for real sockets. Cases come from advisories
against gateways and servers, from RFC 9112, and from what general-purpose servers let through.
"""

from typing import Final, NamedTuple

from guard.codes import Code

HOST: Final = "Host: 127.0.0.1:22500"
JSON: Final = "Content-Type: application/json"
KEY: Final = "Authorization: Bearer k1"
ORDER: Final = b'{"code":"HK.00700"}'
WS: Final = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Case(NamedTuple):
    """One request. `code` None: accepted with `method`, `path`, `token`, `body`, and exactly `head` where given.

    `is_together`: refused only because bytes beyond the request's end arrived with it.
    """

    name: str
    raw: bytes
    code: Code | None = None
    method: str = "GET"
    path: str = "/api/ping"
    token: str | None = None
    body: bytes = b""
    head: dict[str, str] | None = None
    is_together: bool = False


def head(line: str, *fields: str) -> bytes:
    """A head of these lines."""
    return ("\r\n".join([line, *fields]) + "\r\n\r\n").encode("latin-1")


def get(*fields: str, target: str = "/api/ping") -> bytes:
    """A GET with a Host."""
    return head(f"GET {target} HTTP/1.1", HOST, *fields)


def post(*fields: str, body: bytes = ORDER, length: str | None = None, media: str | None = JSON) -> bytes:
    """A POST of an order with a Host, a media type and a length."""
    lines = [HOST, *([media] if media else []), *fields, f"Content-Length: {length or len(body)}"]
    return head("POST /api/order HTTP/1.1", *lines) + body


def _posted(name: str, raw: bytes, body: bytes = ORDER) -> Case:
    return Case(name, raw, method="POST", path="/api/order", body=body)


def _targets() -> list[Case]:
    good = {
        "root": "/",
        "trailing slash": "/api/order/",
        "own route": "/guard/v1/decisions/01K7Z9W3",
        "upper case": "/API/Ping",
        "underscore": "/api/a_b-c",
        "health by name": "/health",
    }
    bad = {
        "empty": "",
        "no slash": "api/ping",
        "asterisk": "*",
        "absolute form": "http://127.0.0.1/api/ping",
        "absolute form elsewhere": "http://evil/api/orders",
        "authority form": "evil:443",
        "two slashes first": "//evil/api/ping",
        "two slashes inside": "/api//ping",
        "dot segment": "/api/./ping",
        "dot dot segment": "/api/../api/order",
        "dot dot at the end": "/api/ping/..",
        "dot in a name": "/api/ping.json",
        "dot dot slashless": "/..",
        "encoded dots": "/api/%2e%2e/order",
        "encoded dots upper": "/api/%2E%2E/order",
        "encoded slash": "/api%2fping",
        "encoded backslash": "/api%5cping",
        "encoded NUL": "/api/ping%00",
        "encoded semicolon": "/api/ping%3b",
        "encoded percent": "/api/%25ping",
        "encoded percent of percent": "/api/%%36%36",
        "encoded query": "/api/ping%3fx",
        "encoded fragment": "/api/order%23/health",
        "encoded letter": "/api/%6frders",
        "encoded line end": "/api/ping%0d%0aX:y",
        "overlong dot": "/api/%c0%ae",
        "half an escape": "/api/ping%2",
        "semicolon": "/api/ping;a=b",
        "backslash": "/api\\ping",
        "fragment": "/api/ping#f",
        "query": "/api/ping?x=1",
        "health in the query": "/api/orders?p=/health",
        "empty query": "/api/ping?",
        "token elsewhere": "/api/ping?token=abc",
        "tilde": "/api/~ping",
        "colon": "/api/ping:80",
        "at": "/user@host",
        "braces": "/api/{ping}",
        "quote": "/api/'ping",
        "space": "/api/ping extra",
        "two spaces before": " /api/ping",
        "two spaces after": "/api/ping ",
        "tab": "/api/\tping",
        "NUL": "/api/ping\x00",
        "DEL": "/api/ping\x7f",
        "non-ASCII": "/api/p\xefng",
        "full-width letters": "/api/\xef\xbd\x81",
    }
    return [
        *(Case(f"target: {name}", get(target=target), path=target) for name, target in good.items()),
        *(Case(f"target: {name}", get(target=target), Code.BAD_TARGET) for name, target in bad.items()),
    ]


def _request_lines() -> list[Case]:
    lines = {
        "HTTP/1.0": ("GET /api/ping HTTP/1.0", Code.HTTP_VERSION),
        "HTTP/0.9 in words": ("GET /api/ping HTTP/0.9", Code.HTTP_VERSION),
        "HTTP/0.9 without": ("GET /api/ping", Code.HTTP_VERSION),
        "HTTP/2.0": ("GET /api/ping HTTP/2.0", Code.HTTP_VERSION),
        "HTTP/2 preface": ("PRI * HTTP/2.0", Code.HTTP_VERSION),
        "HTTP/1.2": ("GET /api/ping HTTP/1.2", Code.HTTP_VERSION),
        "HTTP/1.10": ("GET /api/ping HTTP/1.10", Code.HTTP_VERSION),
        "HTTP/01.1": ("GET /api/ping HTTP/01.1", Code.HTTP_VERSION),
        "lower-case version": ("GET /api/ping http/1.1", Code.HTTP_VERSION),
        "RTSP": ("GET /api/ping RTSP/1.0", Code.HTTP_VERSION),
        "ICE": ("SOURCE /api/ping ICE/1.0", Code.HTTP_VERSION),
        "space after the version": ("GET /api/ping HTTP/1.1 ", Code.HTTP_VERSION),
        "tab for space": ("GET\t/api/ping\tHTTP/1.1", Code.BAD_HEADER),
        "method alone": ("GET", Code.BAD_HEADER),
        "leading space": (" GET /api/ping HTTP/1.1", Code.BAD_HEADER),
        "brackets in the method": ("G(T /api/ping HTTP/1.1", Code.BAD_HEADER),
        "colon in the method": ("GET: /api/ping HTTP/1.1", Code.BAD_HEADER),
        "non-ASCII method": ("G\xcbT /api/ping HTTP/1.1", Code.BAD_HEADER),
        "quote first": ('"GET" /api/ping HTTP/1.1', Code.BAD_HEADER),
        "CONNECT": ("CONNECT evil:443 HTTP/1.1", Code.BAD_TARGET),
        "OPTIONS of all": ("OPTIONS * HTTP/1.1", Code.BAD_TARGET),
    }
    methods = ("HEAD", "OPTIONS", "DELETE", "PUT", "TRACE", "get", "BREW", "M-SEARCH", "POST")
    return [
        *(Case(f"line: {name}", head(line, HOST), code) for name, (line, code) in lines.items()),
        *(Case(f"method: {m}", head(f"{m} /api/ping HTTP/1.1", HOST), method=m) for m in methods),
    ]


def _line_ends() -> list[Case]:
    raws = {
        "bare LF everywhere": b"GET /api/ping HTTP/1.1\nHost: a\n\n",
        "bare LF after the request line": b"GET /api/ping HTTP/1.1\nHost: a\r\n\r\n",
        "bare LF between fields": b"GET /api/ping HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "bare LF ends the head": b"GET /api/ping HTTP/1.1\r\nHost: a\r\n\n",
        "LF CR LF ends the head": b"GET /api/ping HTTP/1.1\r\nHost: a\n\r\n",
        "bare CR in a value": b"GET /api/ping HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        "CR CR LF": b"GET /api/ping HTTP/1.1\r\r\nHost: a\r\n\r\n",
        "leading CR LF": b"\r\nGET /api/ping HTTP/1.1\r\nHost: a\r\n\r\n",
        "leading LF": b"\nGET /api/ping HTTP/1.1\r\nHost: a\r\n\r\n",
        "only line ends": b"\r\n\r\n",
        "TLS to a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "NUL first": b"\x00GET / HTTP/1.1\r\n\r\n",
        "a PROXY line": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    }
    codes = {"a PROXY line": Code.HTTP_VERSION}
    return [Case(f"lines: {name}", raw, codes.get(name, Code.BAD_HEADER)) for name, raw in raws.items()]


def _fields() -> list[Case]:
    bad = {
        "space before the colon": "X-A : b",
        "space in the name": "X A: b",
        "no colon": "X-A",
        "no name": ": b",
        "folded line": "X-A: b\r\n c",
        "folded first line": " X-A: b",
        "underscore": "X_Guard_Key: k",
        "underscore of a known name": "Content_Length: 5",
        "non-ASCII name": "X-\xc4: b",
        "NUL in a name": "X\x00A: b",
        "NUL in a value": "X-A: b\x00c",
        "ESC in a value": "X-A: \x1b[31m",
        "DEL in a value": "X-A: \x7f",
        "non-ASCII value": "X-A: \xe9",
        "vertical tab in a value": "X-A: a\x0bb",
        "dot in a name": "X.A: b",
        "a second Host": "Host: evil",
        "a second Host alike": HOST,
        "a second Host in lower case": "host: 127.0.0.1:22500",
        "chunked": "Transfer-Encoding: chunked",
        "chunked in odd case": "tRANSFER-eNCODING: cHuNkEd",
        "identity transfer": "Transfer-Encoding: identity",
        "empty Transfer-Encoding": "Transfer-Encoding:",
        "Transfer-Encoding with a tab": "Transfer-Encoding:\tchunked",
        "expects something else": "Expect: 200-ok",
        "expects two things": "Expect: 100-continue, 100-continue",
        "hop-by-hop Authorization": "Connection: close, Authorization",
        "hop-by-hop Host": "Connection: host",
        "a long Connection": "Connection: " + "close," * 60,
        "empty Idempotency-Key": "Idempotency-Key:",
        "Idempotency-Key with a space": "Idempotency-Key: a b",
        "Idempotency-Key too long": "Idempotency-Key: " + "a" * 256,
        "Idempotency-Key with a comma": "Idempotency-Key: a,b",
        "two Authorization in one": "Authorization: Bearer a, Bearer b",
    }
    twice = {
        "Authorization": KEY,
        "Content-Type": JSON,
        "Idempotency-Key": "Idempotency-Key: a",
        "Expect": "Expect: 100-continue",
        "Content-Encoding": "Content-Encoding: identity",
        "Origin": "Origin: http://localhost",
        "traceparent": f"traceparent: {TRACE}",
        "Guard-Intent": "Guard-Intent: hedge",
        "X-Request-Id": "X-Request-Id: 7",
    }
    return [
        *(Case(f"field: {name}", get(field), Code.BAD_HEADER) for name, field in bad.items()),
        *(Case(f"twice: {name}", get(field, field), Code.BAD_HEADER) for name, field in twice.items()),
        Case("twice: Authorization apart", get(KEY, "Accept: */*", "AUTHORIZATION: Bearer k2"), Code.BAD_HEADER),
    ]


def _hosts() -> list[Case]:
    good = ("localhost", "guard.internal:22500", "127.0.0.1", "[::1]:22500", "opend_guard:80")
    bad = ("", "a b", "a,b", "a/b", "user@a", "a:port", "a:123456", "[::1", "a#b", "%61", "a:80:80")
    line = "GET /api/ping HTTP/1.1"
    return [
        Case("host: none", head(line, "Accept: */*"), Code.BAD_HEADER),
        Case("host: no field at all", head(line), Code.BAD_HEADER),
        *(Case(f"host: {host}", head(line, f"Host: {host}")) for host in good),
        *(Case(f"host: {host!r}", head(line, f"Host: {host}"), Code.BAD_HEADER) for host in bad),
    ]


def _bodies() -> list[Case]:
    lengths = ("+19", "-19", "0x13", "19 19", "1_9", "019", "19,19", "", "1e1", "\uff11".encode().decode("latin-1"))
    line = "POST /api/order HTTP/1.1"
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    return [
        *(
            Case(f"length: {n!r}", head(line, HOST, JSON, f"Content-Length: {n}"), Code.BAD_HEADER)
            for n in lengths
        ),
        Case("length: twice alike", post("Content-Length: 19"), Code.BAD_HEADER),
        Case("length: twice apart", post("Content-Length: 5"), Code.BAD_HEADER),
        Case("length: and chunked", post("Transfer-Encoding: chunked"), Code.BAD_HEADER),
        Case("length: chunked alone", head(line, HOST, JSON, "Transfer-Encoding: chunked") + chunks, Code.BAD_HEADER),
        Case("length: body on GET", get("Content-Length: 2") + b"{}", Code.BAD_HEADER),
        Case("length: body on HEAD", head("HEAD /api/ping HTTP/1.1", HOST, "Content-Length: 2"), Code.BAD_HEADER),
        Case("length: zero on GET", get("Content-Length: 0")),
        Case("length: one too many", post(length="65537", body=b""), Code.BODY_TOO_LARGE),
        Case("length: a terabyte", post(length="1099511627776", body=b""), Code.BODY_TOO_LARGE),
        Case("length: five thousand digits", post(length="9" * 5000, body=b""), Code.BODY_TOO_LARGE),
        _posted("length: the most", post(body=b"x" * 65536), b"x" * 65536),
        _posted("length: none", head("POST /api/order HTTP/1.1", HOST), b""),
        _posted("length: zero", post(body=b""), b""),
        Case("body: of a PUT, for a 405", head("PUT /api/ping HTTP/1.1", HOST, "Content-Length: 2") + b"{}",
                  method="PUT", body=b"{}"),
        _posted("body: an order", post(KEY)),
        _posted("body: line ends inside", post(body=b"\r\n\r\n\n\n"), b"\r\n\r\n\n\n"),
        _posted("body: any bytes", post(body=bytes(range(256))), bytes(range(256))),
        _posted("body: looks like a request", post(body=get()), get()),
        _posted("expect: answered", post("Expect: 100-continue")),
        _posted("expect: in odd case", post("Expect: 100-Continue")),
        Case("expect: without a body", get("Expect: 100-continue")),
        Case("expect: of too large a body", post("Expect: 100-continue", length="65537", body=b""),
             Code.BODY_TOO_LARGE),
    ]  # fmt: skip


def _media() -> list[Case]:
    good = (
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json ; charset=utf-8",
    )
    bad = (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; x=y",
        "application/json; boundary=x",
        "application/jsonx",
        "application/problem+json",
        "application/json;",
    )
    return [
        *(_posted(f"media: {media}", post(media=f"Content-Type: {media}")) for media in good),
        *(Case(f"media: {media}", post(media=f"Content-Type: {media}"), Code.MEDIA_TYPE) for media in bad),
        Case("media: none", post(media=None), Code.MEDIA_TYPE),
        Case("media: two in one", post(media="Content-Type: application/json, text/plain"), Code.BAD_HEADER),
        Case("media: of no body", get("Content-Type: text/plain")),
        _posted("coding: identity", post("Content-Encoding: identity")),
        Case("coding: gzip", post("Content-Encoding: gzip"), Code.MEDIA_TYPE),
        Case("coding: br", post("Content-Encoding: br"), Code.MEDIA_TYPE),
        Case("coding: two", post("Content-Encoding: identity, gzip"), Code.BAD_HEADER),
    ]


def _sizes() -> list[Case]:
    room = 16_384 - len(get("X-A: "))
    return [
        Case("size: the largest head", get("X-A: " + "a" * room)),
        Case("size: one byte more", get("X-A: " + "a" * (room + 1)), Code.HEADERS_TOO_LARGE),
        Case("size: 20 kB of head", get("X-A: " + "a" * 20_000), Code.HEADERS_TOO_LARGE),
        Case("size: no end in sight", b"GET /" + b"a" * 17_000, Code.HEADERS_TOO_LARGE),
        Case("size: a hundred fields", get(*(["X-A: b"] * 99))),
        Case("size: one field more", get(*(["X-A: b"] * 100)), Code.HEADERS_TOO_LARGE),
        Case("size: thousands of fields", get(*(["a:"] * 4000)), Code.HEADERS_TOO_LARGE),
    ]


def _together() -> list[Case]:
    body = post()
    return [
        Case(f"together: {name}", raw, Code.BAD_HEADER, is_together=True)
        for name, raw in {
            "a byte after a GET": get() + b"x",
            "a line end after a GET": get() + b"\r\n",
            "a byte after the body": body + b"x",
            "a line end after the body": body + b"\r\n",
            "two GETs": get() * 2,
            "two orders": body * 2,
            "an order after a GET": get() + body,
            "a body without a length": head("POST /api/order HTTP/1.1", HOST, JSON) + ORDER,
            "early data after a handshake": get(*WS, target="/ws") + b"\x81\x80abcd",
        }.items()
    ]


def _stream() -> list[Case]:
    def ws(target: str = "/ws", *fields: str) -> bytes:
        return get(*(fields or WS), target=target)

    without = {line.partition(":")[0]: tuple(other for other in WS if other != line) for line in WS}
    return [
        Case("ws: a handshake", ws(), path="/ws"),
        Case("ws: with a token", ws("/ws?token=k1"), path="/ws", token="k1"),
        Case("ws: with a JWT", ws("/ws?token=eyJ0.eyJz-_.c2ln="), path="/ws", token="eyJ0.eyJz-_.c2ln="),
        Case("ws: words in odd case", ws("/ws", "Upgrade: WebSocket", "Connection: keep-alive, UPGRADE", *WS[2:]),
                  path="/ws"),
        Case("ws: a POST, for a 405", head("POST /ws HTTP/1.1", HOST), method="POST", path="/ws"),
        *(Case(f"ws: without {name}", ws("/ws", *rest), Code.BAD_HEADER) for name, rest in without.items()),
        Case("ws: a plain GET", get(target="/ws"), Code.BAD_HEADER),
        Case("ws: of version 8", ws("/ws", *WS[:3], "Sec-WebSocket-Version: 8"), Code.BAD_HEADER),
        Case("ws: a short key", ws("/ws", *WS[:2], WS[3], "Sec-WebSocket-Key: abc"), Code.BAD_HEADER),
        Case("ws: two keys", ws("/ws", *WS, WS[2]), Code.BAD_HEADER),
        Case("ws: h2c", ws("/ws", "Upgrade: h2c", *WS[1:]), Code.BAD_HEADER),
        Case("ws: two credentials", ws("/ws?token=k1", *WS, KEY), Code.BAD_HEADER),
        *(
            Case(f"ws: {query}", ws(f"/ws?{query}"), Code.BAD_TARGET)
            for query in ("", "token", "token=", "token=a&token=b", "token=a&x=b", "x=a", "token=a%20b", "Token=a",
                          "token=a;b", "token=a#b", "token=a'--", "access_token=a", "token=a?b")
        ),
        Case("ws: with a slash", ws("/ws/?token=a"), Code.BAD_TARGET),
        Case("ws: below another path", ws("/api/ws?token=a"), Code.BAD_TARGET),
    ]  # fmt: skip


def _heads() -> list[Case]:
    return [
        Case("head: what the walk sees", get(KEY, "User-Agent: bot/1", "Cookie: a=b", "X-Forwarded-Uri: /health"),
                  head={"authorization": "Bearer k1", "user-agent": "bot/1"}),
        Case("head: names in any case", get("aUTHORIZATION:Bearer k1"), head={"authorization": "Bearer k1"}),
        Case("head: blanks around a value", get("X-Request-Id: \t 7 \t"), head={"x-request-id": "7"}),
        Case("head: a health checker is nobody", get("User-Agent: GoogleHC/1.0"),
                  head={"user-agent": "GoogleHC/1.0"}),
        Case("head: a trace", get(f"traceparent: {TRACE}"), head={"traceparent": TRACE}),
        Case("head: a malformed trace is ignored", get("traceparent: 00-zz"), head={}),
        Case("head: an intent and an origin", get("Guard-Intent: hedge", "Origin: http://localhost:3000"),
                  head={"guard-intent": "hedge", "origin": "http://localhost:3000"}),
        Case("head: an empty credential stays one", get("Authorization:"), head={"authorization": ""}),
        Case("head: the longest Idempotency-Key", get("Idempotency-Key: " + "k" * 255),
                  head={"idempotency-key": "k" * 255}),
        Case("head: others may repeat", get("Accept: a", "Accept: b", "X-Forwarded-For: 1, 2"), head={}),
        Case("head: Upgrade elsewhere is ignored", get(*WS), head={}),
        Case("head: h2c of Java's client is ignored",
             get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB"), head={}),
        Case("head: TE is not Transfer-Encoding", get("TE: trailers", "Connection: TE"), head={}),
        Case("head: an override of the method is nothing", get("X-HTTP-Method-Override: POST"), head={}),
        Case("head: close", get("Connection: close"), head={}),
        Case("head: every word of Connection",
             get("Connection: close, Keep-Alive,, Upgrade, HTTP2-Settings, TE", "Upgrade: h2c"), head={}),
        Case("head: two Connection lines", get("Connection: keep-alive", "Connection: close"), head={}),
    ]  # fmt: skip


ODD_ONES: Final[tuple[Case, ...]] = (
    *_targets(),
    *_request_lines(),
    *_line_ends(),
    *_fields(),
    *_hosts(),
    *_bodies(),
    *_media(),
    *_sizes(),
    *_together(),
    *_stream(),
    *_heads(),
)

"""What broke others, tried on every place that counts here: the second half of the corpus, and the whole of it.

Advisories against Envoy, Traefik, HAProxy, oauth2-proxy, Oathkeeper, LiteLLM and aiohttp are classes of bytes; each
class is spelled out over the routes, the fields and the characters that it may hide in.
"""

from typing import Final

from guard.codes import Code
from tests.support.edge_corpus import HOST, JSON, KEY, ODD_ONES, ORDER, WS, Case, get, head, post

ROUTES: Final = ("/api/order", "/api/accounts", "/api/admin/reload", "/guard/v1/me", "/ws")
PUNCTUATION: Final = "!\"$&'()*+,:<=>@[]^`{|}~"
CONTROLS: Final = tuple(chr(code) for code in (*range(1, 9), 0x0B, 0x0C, *range(0x0E, 0x20)))


def _encodings() -> list[Case]:
    """CVE-2025-66490 and its kin: an escape that one hop decodes and another does not, at each route."""
    escapes = ("%2f", "%5c", "%00", "%3b", "%25", "%3f", "%23", "%2e", "%20", "%0d%0a", "%252f", "%u002f", "%C0%AF")
    return [
        Case(f"escape: {route}{escape}", get(target=f"{route}{escape}x"), Code.BAD_TARGET)
        for route in ROUTES
        for escape in escapes
    ]


def _traversals() -> list[Case]:
    """`TestRulePathTraversal` and others: an open path first, the closed one behind it."""
    hops = ("..", ".", ".%2e", "%2e%2e", "..;", "..%2f", "..%5c", "..\\", "%c0%ae%c0%ae", "..%00", "....", "..%252f")
    return [
        Case(f"traversal: {hop} to {route}", get(target=f"/api/ping/{hop}{route}"), Code.BAD_TARGET)
        for hop in hops
        for route in ("/order", "/admin/shutdown")
    ]


def _absolute() -> list[Case]:
    """RFC 9112 §3.2.2 says to accept these; then path and Host come from two places."""
    targets = (
        "http://127.0.0.1:22500/api/ping",
        "https://127.0.0.1:22500/api/order",
        "HTTP://LOCALHOST/api/ping",
        "http:/api/ping",
        "http:///api/ping",
        "http:api/ping",
        "ftp://h/api/ping",
        "ws://h/ws",
        "javascript:x",
        "/http://evil/api/ping",
        "//127.0.0.1/livez",
        ":80/api/ping",
        "user:secret@h/api/ping",
        "@evil/api/ping",
        "?",
        "#",
        ".",
        "/.",
        "/api/ping/.",
        "/api/...",
        "/api/order/../../admin/policy/reload",
    )
    return [Case(f"form: {target}", get(target=target), Code.BAD_TARGET) for target in targets]


def _characters() -> list[Case]:
    """Each character that has no business in a target, a field's name or a value, in each of them."""
    odd = (*PUNCTUATION, ".", ";", "\\", "#", "%", "?")
    return [
        *(Case(f"target holds {c!r}", get(target=f"/api/ping{c}"), Code.BAD_TARGET) for c in odd),
        *(Case(f"target holds {c!r}", get(target=f"/api/p{c}ng"), Code.BAD_TARGET) for c in CONTROLS),
        *(Case(f"value holds {c!r}", get(f"X-A: a{c}b"), Code.BAD_HEADER) for c in CONTROLS),
        *(Case(f"key holds {c!r}", get(f"Authorization: Bearer k{c}1"), Code.BAD_HEADER) for c in CONTROLS[:8]),
        *(Case(f"name holds {c!r}", get(f"X{c}A: b"), Code.BAD_HEADER) for c in PUNCTUATION.replace(":", "")),
        *(Case(f"name holds {c!r}", get(f"X{c}A: b"), Code.BAD_HEADER) for c in "/?.;%\x80\xff"),
        *(Case(f"value holds {c!r}", get(f"X-A: {c}"), Code.BAD_HEADER) for c in "\x80\x85\xa0\xad\xff"),
        Case("value holds printable ASCII", get(f"X-A: {PUNCTUATION}"), head={}),
        Case("name holds a colon: it ends there", get("X:A: b"), head={}),
    ]  # fmt: skip


def _versions() -> list[Case]:
    words = ("HTTP/11", "HTTP/1.", "HTTP/.1", "HTTP/1.1a", "HTTP/+1.1", "HTTPS/1.1", "HTTP/1,1", "HTTP/3",
             "HTTP/1.1\x00", "HTTP/-1.1", "HTTP/1.1.1", "HTTP/ 1.1", "HTTP", "1.1",
             "HTCPCP/1.0", "SIP/2.0", "HTTP\\1.1")  # fmt: skip
    return [
        *(Case(f"version: {w!r}", head(f"GET /api/ping {w}", HOST), Code.HTTP_VERSION) for w in words),
        Case("version: twice", head("GET /api/ping HTTP/1.1 HTTP/1.1", HOST), Code.BAD_TARGET),
    ]


def _names() -> list[Case]:
    """CVE-2025-64484 and GHSA-7x63: names that another hop reads as an identity. Refused, or not looked at."""
    refused = ("X_Forwarded_For", "X_Auth_Request_User", "Content_Type", "Transfer_Encoding", "Authorization_",
               "_Authorization", "Idempotency_Key", "HTTP_HOST", "X.Forwarded.For", "X Forwarded For")  # fmt: skip
    ignored = (
        "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Uri", "X-Forwarded-Prefix",
        "X-Forwarded-Method", "X-Forwarded-User", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Via",
        "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method", "X-Method-Override", "X-Auth-Request-User", "Remote-User",
        "X-Remote-User", "Proxy-Authorization", "Proxy-Connection", "Cookie", "Keep-Alive", "Trailer", "TE", "Range",
        "If-Match", "Accept-Encoding", "Sec-WebSocket-Key", "X-Guard-Key", "X-Api-Key", "Content-Location",
        "Content-Disposition", "Content-MD5", "Digest", "Max-Forwards", "Referer", "Set-Cookie", "Host-Override",
    )  # fmt: skip
    return [
        *(Case(f"name: {name}", get(f"{name}: admin"), Code.BAD_HEADER) for name in refused),
        *(Case(f"ignored: {name}", get(f"{name}: admin"), head={}) for name in ignored),
    ]


def _desync() -> list[Case]:
    """Every spelling of Transfer-Encoding that some pair of parsers reads apart, on an order with a length."""
    lines = (
        "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: cow",
        'Transfer-Encoding: "chunked"', "Transfer-Encoding: 'chunked'", "Transfer-Encoding:chunked",
        "Transfer-Encoding:  chunked", "Transfer-Encoding: chunked ", "Transfer-Encoding: CHUNKED",
        "Transfer-encoding: chunked", "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked",
        "Transfer-Encoding\x00: chunked", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding\n: chunked",
        "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "Transfer-Encoding:\n chunked",
        "Transfer-Encoding;: chunked", ": chunked\r\nTransfer-Encoding", "Transfer_Encoding: chunked",
        "\x85Transfer-Encoding: chunked", "Transfer-Encoding\xa0: chunked", "Transfer-Encoding:\xa0chunked",
        "Content-Length: 0", "Content-Length: 19\r\nContent-Length: 0", "content-length: 19", "Content_Length: 0",
        "Content-Length : 0", "Content-Length\t: 0", "X: y\nContent-Length: 0", "Content-Length:\x0b0",
    )  # fmt: skip
    return [Case(f"desync: {line!r}", post(line), Code.BAD_HEADER) for line in lines]


def _lengths() -> list[Case]:
    line, none = "POST /api/order HTTP/1.1", "/api/accounts HTTP/1.1"
    bad = ("19;", "19.0", "00", "00019", "-0", "0b11", "0o23", "nineteen", "19 bytes", "19,", ",19", "1 9",
           "\x0b19", "NaN", "Infinity", "1" * 400 + "x")  # fmt: skip
    return [
        *(Case(f"length: {n[:20]!r}", head(line, HOST, JSON, f"Content-Length: {n}") + ORDER, Code.BAD_HEADER)
          for n in bad),
        *(Case(f"length: {n!r} is 19", head(line, HOST, JSON, f"Content-Length:{n}") + ORDER, method="POST",
               path="/api/order", body=ORDER) for n in ("19", "   19", "\t19", "19 \t")),
        *(Case(f"length: of {n}", head(line, HOST, JSON, f"Content-Length: {n}"), Code.BODY_TOO_LARGE)
          for n in (65_537, 2**31, 2**32 + 19, 2**63, 2**64 + 19, 10**30)),
        *(Case(f"length: a body on {m}", head(f"{m} {none}", HOST, "Content-Length: 1"), Code.BAD_HEADER)
          for m in ("GET", "HEAD")),
    ]  # fmt: skip


def _media() -> list[Case]:
    bad = ("application/json; charset=utf8", "application/json;charset=ISO-8859-1", "application/json; charset=UTF-7",
           "application/json; charset=utf-32", "application/json; charset=utf-16le", "application/json; charset=",
           "application/json; charset=utf-8; charset=utf-16", "application/json charset=utf-8", "application/json;;",
           "text/json", "application/x-json", "application/json5", "application/*", "*/*", "json", "",
           "application/json; version=1", "application/ld+json", "text/html; application/json")  # fmt: skip
    codings = ("deflate", "zstd", "x-gzip", "compress", "aes128gcm", "GZIP", "none", "utf-8", "chunked", "")
    return [
        *(Case(f"media: {media!r}", post(media=f"Content-Type: {media}"), Code.MEDIA_TYPE) for media in bad),
        *(Case(f"coding: {c!r}", post(f"Content-Encoding: {c}"), Code.MEDIA_TYPE) for c in codings),
        Case("media: joined with itself", post(media=f"{JSON}, application/json"), Code.BAD_HEADER),
        Case("media: twice apart", post(JSON.replace("json", "xml")), Code.BAD_HEADER),
        Case("coding: of a GET", get("Content-Encoding: gzip"), Code.MEDIA_TYPE),
    ]


def _single_values() -> list[Case]:
    """CVE-2026-26308: what is repeated or joined is read first, last or joined, by whoever comes next."""
    joined = ("Authorization: Bearer k1,", "Authorization: ,Bearer k1", "Authorization: Basic a, Bearer k1",
              "Idempotency-Key: a,", "Idempotency-Key: ,", 'Idempotency-Key: "a", "b"', "Host: a, b",
              "Expect: 100-continue,")  # fmt: skip
    keys = ("a b", "", "a\tb", "a" * 256, "a" * 5000, "\xe9", "a,b")
    connections = ("Idempotency-Key", "Content-Length", "Content-Type", "Transfer-Encoding", "close, host", "x-api-key",
                   "keep-alive, cookie", "upgrade, authorization", "*", "close;q=1", "clo se")  # fmt: skip
    expectations = ("", "100", "continue", "100-continue;x=y", "100-continue 100-continue", "101-switching", "103")
    hosts = (
        "127.0.0.1:",
        "127.0.0.1:0:0",
        "a\tb",
        "http://a",
        "a?b",
        "a;b",
        "*",
        "[::1]x",
        "[]",
        "::1",
        "\xe9",
        "a" * 300,
        '"a"',
    )
    return [
        *(Case(f"joined: {line!r}", get(line), Code.BAD_HEADER) for line in joined),
        *(Case(f"key of an order: {k[:9]!r} of {len(k)}", post(f"Idempotency-Key: {k}"), Code.BAD_HEADER)
          for k in keys),
        *(Case(f"hop-by-hop: {c}", get(KEY, f"Connection: {c}"), Code.BAD_HEADER) for c in connections),
        *(Case(f"expect: {e!r}", post(f"Expect: {e}"), Code.BAD_HEADER) for e in expectations),
        *(Case(f"host: {h[:20]!r}", head("GET /api/ping HTTP/1.1", f"Host: {h}"), Code.BAD_HEADER) for h in hosts),
        Case("twice: Host, the second in odd case", get("hOST: evil"), Code.BAD_HEADER),
        Case("twice: two schemes", get(KEY, "authorization: Basic YTpi"), Code.BAD_HEADER),
        Case("twice: Upgrade is not looked at here", get("Upgrade: a", "Upgrade: b"), head={}),
    ]  # fmt: skip


def _streams() -> list[Case]:
    """`/ws?token=` is the one query there is, and a credential: nothing may stand beside or inside it."""
    inside = (
        "%",
        "&",
        "#",
        "?",
        ";",
        ",",
        " ",
        "'",
        '"',
        "<",
        "\\",
        "@",
        ":",
        "\x00",
        "\x7f",
        "\xe9",
        "{",
        "|",
        "^",
        "`",
    )
    paths = ("/ws/", "/WS", "/ws/x", "/api/ws")
    return [
        *(Case(f"token holds {c!r}", get(*WS, target=f"/ws?token=k{c}1"), Code.BAD_TARGET) for c in inside),
        *(Case(f"path {p}, for a 404", get(*WS, target=p), path=p, head={}) for p in paths),
        *(Case(f"stream: {m}, for a 405", head(f"{m} /ws HTTP/1.1", HOST, *WS), method=m, path="/ws")
          for m in ("PUT", "DELETE", "OPTIONS")),
        Case("stream: token and body", head("POST /ws?token=k1 HTTP/1.1", HOST, JSON, "Content-Length: 2") + b"{}",
             method="POST", path="/ws", token="k1", body=b"{}"),
    ]  # fmt: skip


def _methods() -> list[Case]:
    methods = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "post", "POSTX")
    return [
        Case(f"method: {m} {route}, for a 405", head(f"{m} {route} HTTP/1.1", HOST), method=m, path=route)
        for m in methods
        for route in ("/api/order", "/api/cancel-all-order")
    ]


CORPUS: Final[tuple[Case, ...]] = (
    *ODD_ONES,
    *_encodings(),
    *_traversals(),
    *_absolute(),
    *_characters(),
    *_versions(),
    *_names(),
    *_desync(),
    *_lengths(),
    *_media(),
    *_single_values(),
    *_streams(),
    *_methods(),
)

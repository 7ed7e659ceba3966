"""The bytes of a line: what a version writes of a record, every later one writes too.

A record that was kept, exported or quoted must be found again by its bytes. A change of these digests is a change of
the format, and has to be told in docs/journal-format.md and the changelog.
"""

from decimal import Decimal
from hashlib import sha256
from typing import Final

import pytest
from msgspec import Raw, Struct

from guard.codes import Code
from guard.journal.record import encode
from guard.journal.seen import SeenWorld
from guard.terms import Claim, Instrument, Missing, Money, Reason, Valuation, Verdict
from tests.support.clock import START_US
from tests.support.entries import FULL
from tests.support.journal import decision, outcome, refusal

PREV: Final = "ab" * 32
ORDINARY: Final = decision(
    "01M81ACRCV0000000000000002",
    t=1795340788123456,
    effect="order_new",
    environment="simulate",
    account=123456,
    market="HK",
    symbol="HK.00700",
    order=Raw(b'{"c2s":{"header":{"trd_env":0,"acc_id":123456,"trd_market":1},"qty":300,"price":200.125}}'),
    valuation=Valuation(Money(Decimal("60037.5"), "HKD"), Decimal("200.125"), "limit"),
    claims=(
        Claim("spend", "orders_per_day/key=bot|2026-11-22@08:30 Asia/Hong_Kong", 1, cap=100, also=("o/a", "o/b")),
        Claim("rate", "new_orders/key=bot", 1, cap=10, window_ms=30_000),
    ),
    used=(1, 0),
    peer="127.0.0.1",
)
CORPUS: Final[dict[str, tuple[str, Struct | dict[str, object]]]] = {
    **{name: (name, record) for name, record in FULL.items()},
    "ordinary": ("decision", ORDINARY),
    "refused": ("decision", refusal(effect="order_new", peer="::1", retry_after_s=0.25, note="n")),
    "stranger": ("decision", decision(key=None, outcome="refuse", code="unauthenticated", endpoint="/api/…")),
    "foreign": ("decision", decision(intent='ü\u2028"\\\t余额', user_agent="x" * 100, scopes=("a", "b"), anew=True)),
    "seen": (
        "decision",
        decision(
            world=SeenWorld(
                instrument=Instrument("HK.00700", "stock", currency="HKD"),
                missing={"quote": Missing(Code.PRICE_UNAVAILABLE, "no price")},
                exits=7,
            ),
            shadow=(Reason(Code.RATE, "m", until="2026-12-01T00:00:00Z"),),
        ),
    ),
    "accepted": ("outcome", outcome("01M", status=200, ret_type=0, order_id="9", order_id_ex="FH9", duration_us=812)),
    "declined": ("outcome", outcome("01M", Verdict.REFUSED, status=200, ret_type=-1, message="no", err_code="A12")),
    "empty": ("later", {}),
    "mapping": ('odd "type"', {"text": "ü\n", "deep": {"list": [1, None, 1.5]}}),
}
DIGESTS: Final = {
    "segment": "99be7dbeeaaef3ac",
    "vkey": "4b8a872fadaf50ae",
    "snapshot": "ca41e6d09d5d75c0",
    "prune": "328d5816583fd890",
    "start": "dfb155306098a009",
    "stop": "ef8ee238f4ce3e9d",
    "decision": "9e538a8ff86fe2ca",
    "outcome": "af054a20cdd0cfe2",
    "order": "292e087413828501",
    "policy": "57b3c36390133d58",
    "keys": "f4b37adb04be4678",
    "counters": "ca02caabadf5072a",
    "state": "7d08b8df084be449",
    "recovered": "c179af5b660c1cab",
    "reconciled": "30381aed9ebc6754",
    "denied": "f6beeeea98476c7a",
    "access": "c78739fc2765325d",
    "gap": "6c8a5942221035c4",
    "clock": "d0ab640d459c4329",
    "ordinary": "1d7bc29c9a200ee5",
    "refused": "da6f175ccd5dacdb",
    "stranger": "4baaba2dbf578ed3",
    "foreign": "3782c2fcbb259317",
    "seen": "966c558ed29cdcc9",
    "accepted": "d97c60f9810dc4e7",
    "declined": "42d47a712f211fef",
    "empty": "4a5186d40abf2a8c",
    "mapping": "8f2ab4e2abeeaffa",
}


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_a_record_is_written_in_the_same_bytes_by_every_version(name: str) -> None:
    """The digest of each line is the one that it had when this was written."""
    type_, members = CORPUS[name]
    assert sha256(encode(members, seq=9, ts_us=START_US, type_=type_, prev=PREV)).hexdigest()[:16] == DIGESTS[name]


def test_an_ordinary_order_reads_as_it_did() -> None:
    """One line in full, for whoever wonders what a digest stands for."""
    assert encode(ORDINARY, seq=9, ts_us=START_US, type_="decision", prev=PREV).decode() == (
        '{"seq":9,"ts":"2026-11-22T09:46:28.123456Z","type":"decision","id":"01M81ACRCV0000000000000002","t":17953407'
        '88123456,"key":"trader","endpoint":"/api/order","outcome":"allow","code":null,"reasons":[],"policy_sha256":"'
        '5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f","config_sha256":"5f5f5f5f5f5f5f5f5f5f5f5f5'
        'f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f","effect":"order_new","environment":"simulate","account":123456,"mar'
        'ket":"HK","symbol":"HK.00700","order":{"c2s":{"header":{"trd_env":0,"acc_id":123456,"trd_market":1},"qty":30'
        '0,"price":200.125}},"valuation":{"value":{"amount":"60037.5","currency":"HKD"},"price":"200.125","source":"l'
        'imit"},"claims":[{"kind":"spend","counter":"orders_per_day/key=bot|2026-11-22@08:30 Asia/Hong_Kong","amount"'
        ':1,"cap":100,"also":["o/a","o/b"]},{"kind":"rate","counter":"new_orders/key=bot","amount":1,"cap":10,"window'
        '_ms":30000}],"used":[1,0],"peer":"127.0.0.1","prev":"abababababababababababababababababababababababababababa'
        'babababab"}'
    )

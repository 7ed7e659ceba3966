"""What looks like a secret is not repeated."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.codes import Code
from guard.terms import Reason, masked, refuse
from guard.terms.masking import _SECRET, MASK

DIGEST = hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize(
    "secret",
    [
        f"gk_{DIGEST}",
        f"fc_{DIGEST}",
        DIGEST,
        DIGEST.upper(),
        DIGEST[:32],
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJib3QifQ.c2lnbmF0dXJl",
    ],
)
def test_keys_tokens_and_digests_are_masked_wherever_they_stand(secret: str) -> None:
    """Alone, quoted, in the middle of a sentence, and in every reason's message."""
    for text in (secret, f"side '{secret}' is none", f"a{secret[0]} {secret};{secret}"):
        assert secret not in masked(text)
        assert "***" in masked(text)
        assert secret not in Reason(Code.BAD_VALUE, text).message
    assert refuse(Code.BAD_VALUE, f"no {secret}").reasons[0].message.startswith("no ***")


@given(
    st.lists(st.sampled_from([*"ag_-. \t\n;\u2003", "eyJ", "a" * 31, "f" * 32, "z" * 40, "é"]), max_size=12).map(
        "".join
    )
)
def test_a_text_of_short_words_is_told_by_their_length_alone(text: str) -> None:
    """What is not searched for secrets has none: the same comes out as of a search."""
    assert masked(text) == _SECRET.sub(MASK, text)


@pytest.mark.parametrize(
    "text",
    [
        "01K00000000000000000000000",
        "8fe4c114-5128-1c09-4a65-78e6ddbf5eed",
        "281756478875559548",
        "US.AAPL260116C200000",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "order value 30000 HKD is above 20000 HKD: 100 x 300 HKD = 30000 HKD",
    ],
)
def test_ids_and_words_keep_their_shape(text: str) -> None:
    """A ULID, a UUID with hyphens, numbers, symbols, sentences."""
    assert masked(text) == text

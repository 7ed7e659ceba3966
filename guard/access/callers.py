"""Who is asking: a bearer key or a token becomes a `Principal`, or a refusal that tells the caller nothing.

Keys are found by the SHA-256 of what was presented and compared in constant time; a key that is not known costs the
same work. A hash out of keys.json is no key. The keyring is an argument of every call, so that a revoked key ends with
the next request (B03), and no answer is remembered between calls: of a token only that its signature held, which ends
with the issuers that it held under. Nobody is let in without a credential (B22), and a presented credential that fails
never falls back to another identity (B29). Pure.
"""

import hashlib
import hmac
import re
from datetime import datetime
from typing import Final

from msgspec import structs

from guard.access.issuers import NO_ISSUERS, Issuers
from guard.access.proven import Claims, digest_of
from guard.access.records import KeyRecord, Keyring, credential_of
from guard.access.scopes import expand, narrowed
from guard.access.tokens import TOKEN_CHARS_MAX, is_token, verify
from guard.codes import Code
from guard.terms import Principal, Refusal, refuse

# RFC 6750: the scheme in any case, one token68. Possessive where two parts could share characters.
_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ++([A-Za-z0-9._~+/-]++=*+) *+", re.ASCII)
_DECOY: Final = hashlib.sha256(b"no record has this digest as its own").digest()
_CANCELLING: Final = frozenset({"trade:simulate", "trade:real", "guard:operate"})
_NO_KEY: Final = refuse(Code.UNAUTHENTICATED, "a valid key is needed: send the header Authorization: Bearer <key>")


def unauthenticated(note: str) -> Refusal:
    """The one answer to every credential that lets nobody in; why it does not is in `note`, for the record alone."""
    return Refusal(_NO_KEY.reasons, note=note)


def bearer_of(header: str | None) -> str | None:
    """The credential of an `Authorization` header. None: there is no header. "": there is one that holds no bearer.

    The two differ on public endpoints: a credential that is presented but unusable is refused everywhere.
    """
    if header is None:
        return None
    match = _BEARER.fullmatch(header)
    return match[1] if match else ""


def authenticate(
    keyring: Keyring, bearer: str | None, *, now: datetime, issuers: Issuers = NO_ISSUERS, digest: bytes | None = None
) -> Principal | Refusal:
    """The caller; or `unauthenticated`, with one message for every cause. The cause is in `note`, for the record.

    `digest`: this bearer's (`digest_of`), if the caller of this function has it already.
    """
    if not bearer:
        return unauthenticated("no credential" if bearer is None else "malformed Authorization header")
    if len(bearer) > TOKEN_CHARS_MAX:
        return unauthenticated(f"a credential longer than {TOKEN_CHARS_MAX} characters")
    if is_token(bearer):
        return _of_token(keyring, bearer, now=now, issuers=issuers)
    if digest is None:
        digest = digest_of(bearer)
    record = keyring.by_digest.get(digest)
    is_same = hmac.compare_digest(digest, _DECOY if record is None else record.digest)
    if record is None or not is_same:
        return unauthenticated("unknown key")
    return keyring.unending.get(record.id) or _ended(record, now) or keyring.principals[record.id]


def still_valid(keyring: Keyring, principal: Principal, *, now: datetime, issuers: Issuers = NO_ISSUERS) -> bool:
    """The same record is still in the keyring with the same rights, and neither it nor the credential has ended."""
    record = keyring.by_grant.get(principal.grant)
    return record is not None and _stands(record, principal, now=now, issuers=issuers)


def renewed(
    keyring: Keyring, principal: Principal, *, now: datetime, issuers: Issuers = NO_ISSUERS
) -> Principal | None:
    """The caller with the rights of its record as it is now, for a cancel, which asks who it is and not for limits.

    None: the record is gone, has another secret or owner or has ended, or the key may cancel less than it might before.
    """
    record = keyring.by_id.get(principal.id)
    if record is None or credential_of(record) != principal.credential:
        return None
    fresh = keyring.principals[record.id]
    if not _may_as_much(fresh, principal) or not _stands(record, principal, now=now, issuers=issuers):
        return None
    if principal.jti is None:
        return fresh
    ends = [until for until in (principal.until, fresh.until) if until is not None]
    scopes = principal.scopes & fresh.scopes
    return structs.replace(fresh, scopes=scopes, until=min(ends), jti=principal.jti, signer=principal.signer)


def _may_as_much(fresh: Principal, principal: Principal) -> bool:
    """What a cancel, or an operator's word for many, asks of a key is still there."""
    if not expand(principal.scopes) & _CANCELLING <= expand(fresh.scopes) or principal.owner != fresh.owner:
        return False
    bound = ((fresh.acc_ids, principal.acc_ids), (fresh.card_nums, principal.card_nums))
    return all(new is None or (old is not None and old <= new) for new, old in bound)


def _stands(record: KeyRecord, principal: Principal, *, now: datetime, issuers: Issuers) -> bool:
    """Neither the record nor the credential has ended, and who signed the credential is still believed."""
    if _ended(record, now) is not None:
        return False
    if principal.jti is not None and principal.until is not None and now >= principal.until:
        return False
    return principal.signer is None or principal.signer in issuers.signers


def _of_token(keyring: Keyring, token: str, *, now: datetime, issuers: Issuers) -> Principal | Refusal:
    claims = verify(token, issuers, now=now)
    if isinstance(claims, str):
        return unauthenticated(claims)
    record = keyring.by_id.get(claims.sub)
    if record is None:
        return unauthenticated("token: sub is no key id")
    return _ended(record, now) or _lent(keyring.principals[record.id], claims)


def _lent(principal: Principal, claims: Claims) -> Principal:
    """The key's principal as a token carries it: no more scopes, and no longer."""
    until = claims.until if principal.until is None else min(claims.until, principal.until)
    scopes = principal.scopes if claims.scope is None else narrowed(principal.scopes, claims.scope)
    return structs.replace(principal, scopes=scopes, until=until, jti=claims.jti, signer=claims.signer)


def _ended(record: KeyRecord, now: datetime) -> Refusal | None:
    if record.is_disabled:
        return unauthenticated(f"key {record.id}: it names allowed_machines, which the guard cannot verify: disabled")
    if record.is_expired(now):
        return unauthenticated(f"key {record.id}: expired")
    return None

"""Room 2, access: who is asking, and may they?

In: keys.json and JWKS texts (at load), then for each call the bearer, the endpoint, the request's own `now` and the
daemon's account list. Out: a `Principal` or a `Refusal`, and reasons for scope, environment and account.
It must never: let anybody in without a credential, hold a plaintext key, say why a credential failed, reveal which
accounts exist, or remember an answer; that a token's signature held is none (`guard.access.proven`). All of it is pure
but `guard.access.keyfile`, which reads and writes keys.json.

At load: `keyfile` and `parse` read keys.json by `fields` into `records`, `issuers` reads JWKS; `edits` changes
keys.json. For each call: `callers` finds who is asking, by key or token (`tokens`, `proven`; `tickets` for a
handshake), `scopes` and `accounts` say what he may, and `cutting` takes out of an answer what he may not see.
"""

from guard.access.accounts import (
    account_reasons,
    cut_account_list,
    push_acc_ids,
    resolve_acc_id,
    resolve_env,
    visible_accounts,
)
from guard.access.callers import authenticate, bearer_of, renewed, still_valid, unauthenticated
from guard.access.cutting import Cut, cut_lines, cut_members, cut_rows
from guard.access.issuers import Issuer, Issuers, parse_issuer, signing_keys_moved
from guard.access.parse import parse_keys
from guard.access.proven import digest_of
from guard.access.records import KeyRecord, Keyring
from guard.access.scopes import cancel_env, environment_reasons, operator_reasons, scope_reasons
from guard.access.tickets import Tickets, Wait

__all__ = [
    "Cut",
    "Issuer",
    "Issuers",
    "KeyRecord",
    "Keyring",
    "Tickets",
    "Wait",
    "account_reasons",
    "authenticate",
    "bearer_of",
    "cancel_env",
    "cut_account_list",
    "cut_lines",
    "cut_members",
    "cut_rows",
    "digest_of",
    "environment_reasons",
    "operator_reasons",
    "parse_issuer",
    "parse_keys",
    "push_acc_ids",
    "renewed",
    "resolve_acc_id",
    "resolve_env",
    "scope_reasons",
    "signing_keys_moved",
    "still_valid",
    "unauthenticated",
    "visible_accounts",
]

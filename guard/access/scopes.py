"""Scopes: which words exist, which an endpoint asks for, and how trade scopes follow the environment.

Two refusals are told apart: `scope`, the key lacks it altogether, and `environment`, the key has it for the other
environment. On top of either profile a reconfirmation needs a trade scope and an unlock takes `trade:unlock` or
`trade:real` (the daemon's own history: B23, B30). Pure.
"""

from functools import lru_cache
from typing import Final, Literal

from guard.codes import Code
from guard.terms import TRADE_EFFECTS, Effect, Endpoint, Env, Principal, Reason

Profile = Literal["documented", "runtime"]

SCOPES: Final = (
    "qot:read",
    "acc:read",
    "trade:simulate",
    "trade:real",
    "trade:unlock",
    "admin",
    "metrics:read",
    "guard:operate",
    "guard:policy",
    "audit:read",
)
IMPLIED: Final = {"admin": frozenset({"guard:operate", "guard:policy", "audit:read"})}
PERSONAL: Final = IMPLIED["admin"]

LACKING_MAX: Final = 4096  # pairs of an endpoint and scopes whose answer is kept

_TRADE: Final = {Env.REAL: "trade:real", Env.SIMULATE: "trade:simulate"}
_TRADE_SCOPES: Final = frozenset(_TRADE.values())
_UNLOCK: Final = Effect.UNLOCK
_UNLOCKING: Final = ("trade:unlock", "trade:real")


def expand(scopes: frozenset[str]) -> frozenset[str]:
    """The scopes with those that they imply: `admin` brings the guard's three."""
    return scopes.union(*(IMPLIED.get(scope, frozenset()) for scope in scopes))


def narrowed(scopes: frozenset[str], claim: str) -> frozenset[str]:
    """What a token's space-separated `scope` claim leaves of its key's scopes; it never adds one."""
    return expand(scopes) & expand(frozenset(claim.split(" ")))


def scope_reasons(endpoint: Endpoint, principal: Principal, *, profile: Profile) -> tuple[Reason, ...]:
    """Why the key may not call this endpoint at all; a public endpoint asks for nothing."""
    return _lacking(endpoint, principal.scopes, profile)


@lru_cache(maxsize=LACKING_MAX)
def _lacking(endpoint: Endpoint, scopes: frozenset[str], profile: Profile) -> tuple[Reason, ...]:
    groups = _wanted(endpoint, profile)
    return tuple([_lacks(endpoint, wanted, profile) for wanted in groups if scopes.isdisjoint(wanted)])


def environment_reasons(endpoint: Endpoint, principal: Principal, env: Env | None) -> tuple[Reason, ...]:
    """Why a key with a trade scope may not trade in this environment.

    `env` None is unknown: it counts as real for new orders and changes, and for a cancel as the one the key may trade.
    An unlock always counts as real. A key without any trade scope is `scope_reasons`' business.
    """
    scopes, effect = principal.scopes, endpoint.effect
    if effect is _UNLOCK:
        if _has(principal, _UNLOCKING) or scopes.isdisjoint(_TRADE_SCOPES):
            return ()
        return (_elsewhere("unlocking", _UNLOCKING),)
    if effect not in TRADE_EFFECTS or (env is None and effect is Effect.ORDER_CANCEL):
        return ()
    wanted = _TRADE[Env.REAL if env is None else env]
    if wanted in scopes or scopes.isdisjoint(_TRADE_SCOPES):
        return ()
    where = "an environment that is not known counts as real, which" if env is None else f"the {env.word} environment"
    return (_elsewhere(where, (wanted,)),)


def operator_reasons(principal: Principal, scope: str) -> tuple[Reason, ...]:
    """Why the key may not use one of the guard's own scopes; the three personal ones also need an owner, a person."""
    if scope not in expand(principal.scopes):
        return (Reason(Code.SCOPE, f"this needs a key with {scope}", rule="scopes", limit=scope),)
    if scope in PERSONAL and principal.owner is None:
        return (Reason(Code.SCOPE, f"{scope} is used by persons: the key needs an owner", rule="owner", limit=scope),)
    return ()


def cancel_env(principal: Principal) -> Env | None:
    """What an unknown environment counts as for a cancel: the one the key may trade; with both scopes, real."""
    return next((env for env, scope in _TRADE.items() if scope in principal.scopes), None)


def _has(principal: Principal, wanted: tuple[str, ...]) -> bool:
    return not principal.scopes.isdisjoint(wanted)


def _wanted(endpoint: Endpoint, profile: Profile) -> list[tuple[str, ...]]:
    """Groups of scopes; of each group any one is enough, and every group must be met."""
    column = endpoint.documented if profile == "documented" else endpoint.runtime
    if endpoint.effect is Effect.UNLOCK:
        # A key that trades simulated accounts only is told `environment`, not that it lacks the scope.
        return [(*_UNLOCKING, "trade:simulate")]
    groups = [column] if column else []
    if endpoint.is_trade and _TRADE_SCOPES.isdisjoint(column):
        groups.append(tuple(_TRADE.values()))
    return groups


def _lacks(endpoint: Endpoint, wanted: tuple[str, ...], profile: Profile) -> Reason:
    asked = " or ".join(_UNLOCKING if endpoint.effect is Effect.UNLOCK else wanted)
    message = f"{endpoint.path} needs a key with {asked}"
    if endpoint.documented != endpoint.runtime:
        message += f" (setting scopes.profile = {profile!r}; documented and runtime scopes differ here)"
    return Reason(Code.SCOPE, message, rule="scopes", limit=asked)


def _elsewhere(what: str, wanted: tuple[str, ...]) -> Reason:
    asked = " or ".join(wanted)
    return Reason(Code.ENVIRONMENT, f"{what} needs {asked}; this key trades elsewhere", rule="scopes", limit=asked)

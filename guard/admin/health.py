"""What the guard says of itself: ready or not, degraded and why, status."""

from datetime import datetime
from typing import Final

from guard import __version__
from guard.limits import BREAKER, STRICTNESS, TradingState, trading_for, unknowns
from guard.upstream.circuit import Circuit
from guard.walk.desk import Desk

KEYS_TOLD: Final = 5


def degraded(desk: Desk) -> tuple[str, ...]:
    """What is wrong in words, while the guard goes on; being un-ready would cut off cancels."""
    doubts, hangs_s = len(unknowns(desk.state)), desk.journal.hangs_s
    stopped = sorted(key for rule in desk.state.trading.values() if rule.by == BREAKER for key in rule.keys)
    rows = (
        (desk.journal.failed is not None, f"journal: {desk.journal.failed}; new orders are refused until a restart"),
        (
            hangs_s > 0,
            f"journal: its disk has not answered for {hangs_s:.0f} s; new orders are refused until it does",
        ),
        (desk.journal.space == "low", "journal: its disk is filling up; make room before new orders are refused"),
        (desk.journal.space == "stop", "journal: its disk is almost full; new orders are refused until there is room"),
        (
            desk.circuits.is_answering is False and not desk.circuits.opened(),
            "daemon: did not answer the last time it was asked",
        ),
        (desk.config.policies is None, "policies: none could be loaded; new orders are refused"),
        (desk.is_halted, "a HALT file lies in the state directory: reads and cancels only, until it is removed"),
        (
            bool(stopped),
            f"breaker: {', '.join(stopped)} stopped by itself; reads and cancels only until a person sets it active",
        ),
        (
            doubts > 0,
            f"{doubts} {'trade' if doubts == 1 else 'trades'} with unknown outcome: named in /status, see guard settle",
        ),
    )
    left_alone = (_left_alone(desk, name, circuit) for name, circuit in desk.circuits.opened())
    own = (sentence for is_so, sentence in rows if is_so)
    return (*own, *left_alone, *(word for told in desk.concerns for word in told()))


def _left_alone(desk: Desk, name: str, circuit: Circuit) -> str:
    """An open circuit in words."""
    wait_us = circuit.wait_us(desk.clock.mono_us())
    then = "the next request is a probe" if wait_us is None else f"the next probe is in {-(-wait_us // 1_000_000)} s"
    keys = circuit.keys
    whose = f" of {', '.join(keys[:KEYS_TOLD])}{' and others' if len(keys) > KEYS_TOLD else ''}" if keys else ""
    return f"daemon: keeps failing ({circuit.why}); {name}{whose} are refused, cancels pass, {then}"


def status(desk: Desk) -> dict[str, object]:
    """The whole picture for `/status`, without secrets."""
    config = desk.config
    ends = config.policies.ends if config.policies else {}
    wall = desk.clock.wall()
    over = {name: end for name, end in ends.items() if datetime.fromisoformat(end) <= wall}
    return {
        "version": __version__,
        "listen": desk.listening or {"data": config.settings.listen.data, "ops": config.settings.listen.ops},
        "draining": desk.is_draining,
        "degraded": degraded(desk),
        "weakened": desk.weakened,
        "trading": trading(desk),
        "policies": {
            "sha256": config.policy_sha256 or None,
            "ids": [doc.id for doc in config.policies.docs] if config.policies else [],
            "shadows": [doc.id for doc in config.policies.shadow_docs] if config.policies else [],
            "expiring": {name: end for name, end in ends.items() if name not in over},
            "expired": over,  # in `ids` and the hash for as long as its file is there, and binding nobody
            "warnings": config.policies.warnings if config.policies else (),
        },
        "config_sha256": config.config_sha256,
        "keys": len(config.keyring.records),
        "journal": {
            "failed": desk.journal.failed,
            "seq": desk.journal.last_seq,
            "queue": desk.journal.queue_records,
            "space": desk.journal.space,
        },
        "daemon": {
            "url": config.settings.daemon.url,
            "up": desk.circuits.is_answering,
            "left_alone": [name for name, _ in desk.circuits.opened()],
        },
        "unknown": [step.id for step in unknowns(desk.state)],
        "live_orders": len(desk.state.holders),
        "tasks": desk.supervisor.in_flight,
    }


def trading(desk: Desk) -> dict[str, object]:
    """Whether orders may pass: the state that binds everyone, and all rules, also those for some."""
    rules = [
        {"state": r.state, "keys": r.keys, "accounts": r.accounts, "markets": r.markets, "reason": r.reason, "by": r.by}
        for r in desk.state.trading.values()
    ]
    enabled = desk.config.settings.trading.enabled
    return {"state": for_everyone(desk), "enabled": enabled, "halt_file": desk.is_halted, "rules": rules}


def for_everyone(desk: Desk) -> TradingState:
    """The trading state that binds everyone; the HALT file is at least `cancel_only`."""
    present = trading_for(desk.state, key="", account=None, market=None)
    return max(present, "cancel_only", key=STRICTNESS.__getitem__) if desk.is_halted else present

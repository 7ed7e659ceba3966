"""Everything that stops orders and must not stop a cancel."""

from collections.abc import Callable
from typing import Any, Final

from guard.admin.change import Who
from tests.support.disk import NO_SPACE, FaultyDisk
from tests.support.stage import Stage, code_of

BY: Final = Who(by="desk")
SHUT: Final = """
[instruments]
markets = []
[hours]
[orders]
max_value = "0 HKD"
per_day = 0
[budgets]
daily_value = "0 HKD"
[rates]
new_orders = "0/30s"
changes = "0/30s"
"""


async def _locked(scene: Stage) -> None:
    await scene.set_state("locked")


async def _cancel_only(scene: Stage) -> None:
    await scene.set_state("cancel_only", keys=("bot",))


async def _reduce_only(scene: Stage) -> None:
    await scene.set_state("reduce_only", markets=("HK",))


async def _halt(scene: Stage) -> None:
    (scene.guard.directory / "HALT").touch()


async def _draining(scene: Stage) -> None:
    scene.guard.desk.is_draining = True


async def _exhausted(scene: Stage) -> None:
    """Every window, count and budget is used up, and the hours are over."""
    scene.write_policy(SHUT)
    assert (await scene.guard.changes.policies.reload(BY)).result == "applied"


async def _no_policies(scene: Stage) -> None:
    scene.lose_policies()


async def broken(scene: Stage) -> None:
    """The disk takes nothing any more, and an order has met it."""
    disk = scene.guard._disk
    assert isinstance(disk, FaultyDisk)
    disk.fails["write"] = NO_SPACE
    assert code_of(await scene.place(remark="breaks")) == (503, "journal_unavailable")


STATES: Final[dict[str, tuple[Callable[[Stage], Any], int, str]]] = {
    "locked": (_locked, 423, "halted"),
    "cancel_only": (_cancel_only, 423, "halted"),
    "reduce_only": (_reduce_only, 403, "reduce_only"),
    "HALT": (_halt, 423, "halted"),
    "draining": (_draining, 503, "draining"),
    "no limit has room": (_exhausted, 403, "market"),
    "no policies": (_no_policies, 503, "policy_unavailable"),
    "the journal is broken": (broken, 503, "journal_unavailable"),
}

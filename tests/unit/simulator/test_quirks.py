"""Manners that can be turned."""

from guard.simulator import Quirks, Simulator
from tests.support.clock import ManualClock
from tests.support.daemon import ask, said


def test_every_quirk_is_explained() -> None:
    """Each member stands in the docstring."""
    assert all(f"{name}:" in (Quirks.__doc__ or "") for name in Quirks.__struct_fields__)


async def test_the_measured_defect_can_be_had() -> None:
    """The documented shape refused, the protocol's accepted."""
    simulator = Simulator(clock=ManualClock())
    simulator.quirks.symbol_shape_refused = True

    assert (await ask(simulator, "/api/quote", {"symbol": "HK.00700"})).status == 400  # type: ignore[union-attr]
    assert (await said(simulator, "/api/quote", {"security_list": ["HK.00700"]}))["ret_type"] == 0


async def test_error_numbers_can_be_numbers_everywhere() -> None:
    """Market data writes text unless told otherwise."""
    simulator = Simulator(clock=ManualClock())
    simulator.quirks.err_code_as_text = False

    assert (await said(simulator, "/api/kline", {"symbol": "HK.99999"}))["err_code"] == 3001

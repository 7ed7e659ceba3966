"""Short ways to write the requests of the matrix: the order that passes, and what is changed of it."""

from typing import Any, Final

ORDER: Final = "/api/order"
MODIFY: Final = "/api/modify-order"
CANCEL_ALL: Final = "/api/cancel-all-order"
UNLOCK: Final = "/api/unlock-trade"
RECONFIRM: Final = "/api/reconfirm-order"
ORDERS: Final = "/api/orders"
WRONG: Final = "0" * 32  # no password's MD5
RIGHT: Final = "e10adc3949ba59abbe56e057f20f883e"  # the simulated daemon's


def account(**members: Any) -> dict[str, Any]:
    """A flat body that names the simulated account and nothing else; members set to None are left out."""
    return lean({"market": "HK", "acc_id": 123456, "env": "simulate"} | members)


def order(**members: Any) -> dict[str, Any]:
    """Buy 100 Tencent at 200, far below the market: 20000 HKD, and every policy of the drill lets it through."""
    plain = {"side": "BUY", "code": "00700", "qty": 100, "price": 200}
    return lean(account() | plain | members)


def market_order(**members: Any) -> dict[str, Any]:
    """The same without a price of its own; with the market at 300 it is worth 30000 HKD and a buffer."""
    return order(**{"order_type": "MARKET", "price": None} | members)


def change(**members: Any) -> dict[str, Any]:
    """Change the case's first order to 100 at 200."""
    return lean(account() | {"order_id_ex": "<1>", "op": "NORMAL", "qty": 100, "price": 200} | members)


def cancel(**members: Any) -> dict[str, Any]:
    """Cancel the case's first order."""
    return change(**{"op": "CANCEL", "qty": None, "price": None} | members)


def proto(**members: Any) -> dict[str, Any]:
    """The first order in the daemon's own shape."""
    header = {"trd_env": 0, "acc_id": 123456, "trd_market": 1}
    plain = {"trd_side": 1, "order_type": 1, "code": "00700", "qty": 100, "price": 200, "sec_market": 1}
    return {"c2s": {"header": header} | plain | members}


def lean(members: dict[str, Any]) -> dict[str, Any]:
    """Without what is None."""
    return {name: value for name, value in members.items() if value is not None}

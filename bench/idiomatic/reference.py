"""What the world is like: the daemon's accounts and instruments, kept for a while; a price for orders without one."""

import json
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final

import aiohttp
from orders import Order
from refusals import refused

Ask = Callable[[str, bytes], Awaitable[tuple[int, bytes]]]
KEPT_S: Final = 60.0
PRICE_KEPT_S: Final = 1.0
MARKET_BUFFER: Final = Decimal("1.05")
PLAIN_STOCK: Final = 3


class Reference:
    """Answers of the daemon with their age."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, bytes], tuple[float, Any]] = {}

    async def _ask(self, ask: Ask, path: str, body: dict[str, Any], *, kept_s: float) -> Any:
        raw = json.dumps(body).encode()
        at, found = self._kept.get((path, raw), (0.0, None))
        if found is not None and time.monotonic() - at < kept_s:
            return found
        try:
            _, answer = await ask(path, raw)
            found = json.loads(answer, parse_float=Decimal)["s2c"]
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
            found = None
        if not found:
            raise refused("reference_unavailable", f"the daemon says nothing at {path}")
        self._kept[path, raw] = time.monotonic(), found
        return found

    async def check_account(self, ask: Ask, order: Order) -> None:
        """The pair of environment and account must be listed. Raises `Refused`."""
        said = await self._ask(ask, "/api/accounts", {}, kept_s=KEPT_S)
        environment = 1 if order.env == "real" else 0
        if not any((each["trd_env"], each["acc_id"]) == (environment, order.acc_id) for each in said["acc_list"]):
            raise refused("account", f"no account {order.acc_id} in {order.env}")

    async def value(self, ask: Ask, order: Order) -> Decimal:
        """What the order is worth: stocks only, each counts as one. Raises `Refused`."""
        said = await self._ask(ask, "/api/static-info", {"symbols": [order.symbol]}, kept_s=KEPT_S)
        if said["static_info_list"][0]["basic"]["sec_type"] != PLAIN_STOCK:
            raise refused("unsupported_instrument", f"{order.symbol} is no stock")
        if order.price is not None:
            return order.qty * order.price
        quote = await self._ask(ask, "/api/quote", {"symbol": order.symbol}, kept_s=PRICE_KEPT_S)
        price: Decimal = quote["basic_qot_list"][0]["cur_price"]
        return order.qty * price * MARKET_BUFFER

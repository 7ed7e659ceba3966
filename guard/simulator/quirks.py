"""The daemon's manners that differ between versions or accounts, each of which a test can turn on or off."""

from decimal import Decimal

from msgspec import Struct


class Quirks(Struct):
    """Steers how the simulated daemon behaves; every member may be set at any time.

    fills_blanks: a read that names no security or no account is answered for the first one (examples with `{}` run).
    env_may_lack: a change or cancel without `trd_env` takes that of the order named; False: 400, as from 1.4.102.
    odd_lots_refused: quantities must be multiples of the board lot.
    power_checked: a buy must be covered by buying power.
    fills_at_once: a marketable order fills when it is taken; False: at the next tick.
    symbol_shape_refused: `/api/quote` and the candles refuse `{"symbol": …}` with 400, as measured on 1.5.0.
    us_simulate_stubs: simulated US orders answer a stub id and never reach a book, as measured on 1.5.0.
    is_idempotent: `Idempotency-Key`, else `packet_id`, replays the answer of a write for 90 s.
    names_push_market: trade pushes carry `trd_market` (W13: the daemon does not always).
    err_code_as_text: market-data endpoints write `err_code` as text.
    tells_subscribers: `/api/push-subscriber-info` lists the accounts that are subscribed (B17, until 1.4.103).
    confirms_above: an order worth more (quantity times price) waits for `reconfirm-order`; None: none does.
    """

    fills_blanks: bool = True
    env_may_lack: bool = True
    odd_lots_refused: bool = True
    power_checked: bool = True
    fills_at_once: bool = True
    symbol_shape_refused: bool = False
    us_simulate_stubs: bool = False
    is_idempotent: bool = True
    names_push_market: bool = True
    err_code_as_text: bool = True
    tells_subscribers: bool = False
    confirms_above: Decimal | None = None

"""Which handler answers which endpoint: one row for each of the 68, `/ws` excepted, which `app` serves."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from guard.simulator import (
    account_reads,
    candles,
    catalogues,
    changes,
    order_reads,
    quotes,
    snapshots,
    system,
    trading,
    watching,
)
from guard.simulator.reading import Body
from guard.simulator.world import World

Handler = Callable[[World, Body], dict[str, Any]]

HANDLERS: Final = MappingProxyType[str, Handler](
    {
        "/api/delay-statistics": system.delay_statistics,
        "/api/global-state": system.global_state,
        "/api/ping": system.global_state,
        "/api/push-subscriber-info": system.push_subscriber_info,
        "/api/user-info": system.user_info,
        "/api/query-subscription": system.sub_info,
        "/api/sub-info": system.sub_info,
        "/api/subscribe": system.subscribe,
        "/api/unsubscribe": system.unsubscribe,
        "/api/broker": quotes.broker,
        "/api/capital-distribution": quotes.capital_distribution,
        "/api/capital-flow": quotes.capital_flow,
        "/api/history-kl-quota": system.history_kl_quota,
        "/api/history-kline": candles.history_kline,
        "/api/kline": candles.kline,
        "/api/market-state": quotes.market_state,
        "/api/orderbook": quotes.orderbook,
        "/api/quote": quotes.quote,
        "/api/rt": candles.rt,
        "/api/snapshot": snapshots.snapshot,
        "/api/static-info": quotes.static_info,
        "/api/ticker": candles.ticker,
        "/api/code-change": catalogues.code_change,
        "/api/ipo-list": catalogues.ipo_list,
        "/api/list-plates": catalogues.plate_set,
        "/api/plate-set": catalogues.plate_set,
        "/api/plate-security": catalogues.plate_security,
        "/api/stock-filter": catalogues.stock_filter,
        "/api/suspend": catalogues.suspend,
        "/api/trading-days": catalogues.trading_days,
        "/api/future-info": catalogues.future_info,
        "/api/get-reference": catalogues.reference,
        "/api/reference": catalogues.reference,
        "/api/holding-change": catalogues.holding_change,
        "/api/modify-user-security": watching.modify_user_security,
        "/api/option-chain": catalogues.option_chain,
        "/api/option-expiration-date": catalogues.option_expiration_date,
        "/api/owner-plate": catalogues.owner_plate,
        "/api/rehab": catalogues.rehab,
        "/api/user-security": watching.user_security,
        "/api/warrant": catalogues.warrant,
        "/api/price-reminder": watching.price_reminder,
        "/api/set-price-reminder": watching.set_price_reminder,
        "/api/acc-cash-flow": order_reads.flow_summary,
        "/api/accounts": account_reads.accounts,
        "/api/flow-summary": order_reads.flow_summary,
        "/api/funds": account_reads.funds,
        "/api/history-order-fills": order_reads.history_order_fills,
        "/api/history-orders": order_reads.history_orders,
        "/api/list-accounts": account_reads.accounts,
        "/api/margin-ratio": account_reads.margin_ratio,
        "/api/max-trd-qtys": account_reads.max_trd_qtys,
        "/api/order-fee": order_reads.order_fee,
        "/api/order-fills": order_reads.order_fills,
        "/api/orders": order_reads.orders,
        "/api/positions": account_reads.positions,
        "/api/reconfirm-order": changes.reconfirm,
        "/api/cancel-all-order": changes.cancel_all,
        "/api/modify-order": changes.modify,
        "/api/order": trading.place,
        "/api/sub-acc-push": system.sub_acc_push,
        "/api/unsub-acc-push": system.unsub_acc_push,
        "/api/unlock-trade": changes.unlock,
    }
)
ADMIN: Final = MappingProxyType[str, Callable[[World], dict[str, Any]]](
    {
        "/api/admin/reload": system.reload,
        "/api/admin/shutdown": system.shutdown,
        "/api/admin/status": system.status,
    }
)

"""What an account shows: the list of accounts, funds, positions, margins and what it could trade.

Positions are those of the account and market that the header names; money is in the currency asked for.
"""

from decimal import Decimal
from typing import Any, Final

from guard.simulator.accounts import FUTURE_MARKETS, Holding, cost_of
from guard.simulator.contracts import find, traded
from guard.simulator.figures import tidy
from guard.simulator.header import Named, of_read
from guard.simulator.instruments import CURRENCIES, MARKETS, PREFIX_OF_QOT, Instrument, Kind
from guard.simulator.reading import Body, number
from guard.simulator.refusals import BadBody
from guard.simulator.world import World
from guard.terms import Env

_RATE: Final = {"HKD": "1", "USD": "7.8", "CNH": "1.08", "JPY": "0.052", "SGD": "5.8", "AUD": "5.1", "CAD": "5.6"}
_RATE_MYR: Final = "1.75"


def accounts(world: World, _: Body) -> dict[str, Any]:
    """Trd_GetAccList."""
    return {
        "acc_list": [
            {
                "trd_env": int(row.account.env),
                "acc_id": row.account.acc_id,
                "trd_market_auth_list": list(row.markets),
                "acc_type": 2,
                "card_num": row.card_num or None,
                "uni_card_num": row.uni_card_num or None,
                "security_firm": 1 if row.account.env is Env.REAL else None,
                "sim_acc_type": 4 if row.account.env is Env.SIMULATE else None,
                "acc_status": 0,
                "acc_role": 1,
            }
            for row in world.ledger.rows
        ]
    }


def _in_hkd(amount: Decimal, currency: str) -> Decimal:
    return amount * Decimal(_RATE.get(currency, _RATE_MYR))


def _worth(world: World, holding: Holding) -> Decimal:
    price = world.tape.price(holding.instrument)
    if holding.instrument.kind is Kind.FUTURE:
        return (price - holding.cost) * holding.qty * holding.instrument.multiplier
    return price * holding.qty * holding.instrument.multiplier


def funds(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_GetFunds, in the currency asked for (HKD unless it says otherwise)."""
    named = of_read(world, c2s)
    wanted = next((word for word, place in CURRENCIES.items() if place == c2s.get("currency")), "HKD")
    unit = _in_hkd(Decimal(1), wanted)

    def shown(amount: Decimal) -> Decimal:
        return tidy(round(amount / unit, 2))

    account, ledger = named.account, world.ledger
    cash = {word: ledger.balance(account, word) for word in CURRENCIES}
    frozen = {word: world.book.frozen(account, word) for word in CURRENCIES}
    held = ledger.held_by(account)
    market_value = sum((_in_hkd(_worth(world, h), h.instrument.currency) for h in held), Decimal(0))
    cash_total = sum((_in_hkd(amount, word) for word, amount in cash.items()), Decimal(0))
    frozen_total = sum((_in_hkd(amount, word) for word, amount in frozen.items()), Decimal(0))
    margin = sum((_in_hkd(_margin(world, h), h.instrument.currency) for h in held), Decimal(0))
    return {
        "header": named.message(),
        "funds": {
            "power": shown(cash_total - frozen_total),
            "total_assets": shown(cash_total + market_value),
            "cash": shown(cash_total),
            "market_val": shown(market_value),
            "frozen_cash": shown(frozen_total),
            "debt_cash": Decimal(0),
            "avl_withdrawal_cash": shown(cash_total - frozen_total),
            "currency": CURRENCIES[wanted],
            "available_funds": shown(cash_total - frozen_total - margin),
            "initial_margin": shown(margin),
            "maintenance_margin": shown(margin),
            "risk_status": 1,
            "cash_info_list": [
                {"currency": CURRENCIES[word], "cash": amount, "available_balance": amount - frozen[word]}
                for word, amount in cash.items()
            ],
        },
    }


def _margin(world: World, holding: Holding) -> Decimal:
    price = world.tape.price(holding.instrument)
    is_future = holding.instrument.kind is Kind.FUTURE
    return cost_of(holding.instrument, abs(holding.qty), price) if is_future else Decimal(0)


def _is_of_market(instrument: Instrument, trd_market: int) -> bool:
    if trd_market in FUTURE_MARKETS or instrument.kind is Kind.FUTURE:
        return trd_market in FUTURE_MARKETS and instrument.kind is Kind.FUTURE
    home = MARKETS[instrument.prefix].trd
    return trd_market in ({3, 4} if home == MARKETS["SH"].trd else {home})


def positions(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_GetPositionList: what is held in the header's market, short positions with side 1."""
    named = of_read(world, c2s)
    codes = set((c2s.get("filter_conditions") or {}).get("code_list") or [])
    held = [
        holding
        for holding in world.ledger.held_by(named.account)
        if holding.qty and _is_of_market(holding.instrument, named.trd_market) and has_code(holding.instrument, codes)
    ]
    return {"header": named.message(), "position_list": [_position(world, holding, named) for holding in held]}


def has_code(instrument: Instrument, codes: set[str]) -> bool:
    """The instrument is among the codes asked for; none asked for: every one is."""
    return not codes or instrument.code in codes or instrument.symbol in codes


def _position(world: World, holding: Holding, named: Named) -> dict[str, Any]:
    instrument, price = holding.instrument, world.tape.price(holding.instrument)
    gain = (price - holding.cost) * holding.qty * instrument.multiplier
    working = [order for order in world.book.working() if order.account == named.account]
    selling = sum((o.left for o in working if o.instrument == instrument and o.sign < 0), Decimal(0))
    return {
        "position_id": 2**53 + sum(instrument.symbol.encode()),
        "position_side": 0 if holding.qty > 0 else 1,
        "code": instrument.code,
        "name": instrument.name,
        "qty": holding.qty,
        "can_sell_qty": max(holding.qty - selling, Decimal(0)),
        "price": price,
        "cost_price": tidy(round(holding.cost, 9)),
        "val": _worth(world, holding),
        "pl_val": tidy(round(gain, 9)),
        "pl_ratio": tidy(round((price / holding.cost - 1) * 100, 4)) if holding.cost else Decimal(0),
        "sec_market": MARKETS[instrument.prefix].sec,
        "td_buy_val": holding.bought_value,
        "td_buy_qty": holding.bought_qty,
        "td_sell_val": holding.sold_value,
        "td_sell_qty": holding.sold_qty,
        "unrealized_pl": tidy(round(gain, 9)),
        "realized_pl": tidy(round(holding.realized, 9)),
        "currency": CURRENCIES[instrument.currency],
        "trd_market": named.trd_market,
        "average_cost_price": tidy(round(holding.cost, 9)),
    }


def margin_ratio(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_GetMarginRatio."""
    named = of_read(world, c2s)
    rows = [
        {
            "security": security,
            "is_long_permit": True,
            "is_short_permit": False,
            "im_long_ratio": 50,
            "mm_long_ratio": 40,
        }
        for security in c2s.get("security_list") or []
        if find(f"{PREFIX_OF_QOT.get(security['market'])}.{security['code']}")
    ]
    return {"header": named.message(), "margin_ratio_info_list": rows}


def max_trd_qtys(world: World, c2s: Body) -> dict[str, Any]:
    """Trd_GetMaxTrdQtys: what cash buys in whole lots, and what is held."""
    named = of_read(world, c2s)
    code = c2s.get("code")
    if code is None and world.quirks.fills_blanks:
        code = "HK.00700"
    instrument = traded(str(code), sec_market=c2s.get("sec_market"), trd_market=named.trd_market)
    if instrument is None:
        raise BadBody("code: a known security is expected")
    price = number(c2s, "price") or world.tape.price(instrument)
    free = world.ledger.balance(named.account, instrument.currency)
    free -= world.book.frozen(named.account, instrument.currency)
    lot = max(instrument.lot, 1)
    lots = int(free / cost_of(instrument, Decimal(lot), price)) if price > 0 else 0
    holding = world.ledger.holding(named.account, instrument)
    return {
        "header": named.message(),
        "max_trd_qtys": {
            "max_cash_buy": lots * lot,
            "max_cash_and_margin_buy": lots * lot,
            "max_position_sell": max(holding.qty, Decimal(0)),
            "max_sell_short": 0,
            "max_buy_back": max(-holding.qty, Decimal(0)),
        },
    }

"""What can be quoted and traded: one table of listed instruments, and the numbers of every market.

Facts of the simulated world, read once at import. Options and futures are not listed one by one: `contracts` reads
them from their codes. Prices are `Decimal` in the instrument's own currency; `base` is where a price starts and what it
stays near.
"""

from datetime import date
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple

from msgspec import Struct


class Kind(IntEnum):
    """Qot_Common.SecurityType."""

    EQUITY = 3
    TRUST = 4
    WARRANT = 5
    INDEX = 6
    OPTION = 8
    FUTURE = 10


class MarketNumbers(NamedTuple):
    """How one prefix is numbered: QotMarket, TrdSecMarket, TrdMarket; and the IANA zone of its exchange."""

    qot: int
    sec: int
    trd: int
    zone: str


MARKETS: Final = {
    "HK": MarketNumbers(1, 1, 1, "Asia/Hong_Kong"),
    "US": MarketNumbers(11, 2, 2, "America/New_York"),
    "SH": MarketNumbers(21, 31, 3, "Asia/Shanghai"),
    "SZ": MarketNumbers(22, 32, 3, "Asia/Shanghai"),
    "SG": MarketNumbers(31, 41, 6, "Asia/Singapore"),
    "JP": MarketNumbers(41, 51, 15, "Asia/Tokyo"),
    "AU": MarketNumbers(51, 61, 8, "Australia/Sydney"),
    "MY": MarketNumbers(61, 71, 111, "Asia/Kuala_Lumpur"),
    "CA": MarketNumbers(71, 81, 112, "America/Toronto"),
}
PREFIX_OF_QOT: Final = {numbers.qot: prefix for prefix, numbers in MARKETS.items()} | {2: "HK"}
PREFIX_OF_SEC: Final = {numbers.sec: prefix for prefix, numbers in MARKETS.items()}
PREFIX_OF_TRD: Final = {1: "HK", 2: "US", 3: "SH", 4: "SH", 6: "SG", 8: "AU", 15: "JP", 111: "MY", 112: "CA"} | {
    10: "HK",
    11: "US",
    12: "SG",
    13: "JP",
    113: "HK",
    123: "US",
}
CURRENCIES: Final = {"HKD": 1, "USD": 2, "CNH": 3, "JPY": 4, "SGD": 5, "AUD": 6, "CAD": 7, "MYR": 8}


class Instrument(Struct, frozen=True):
    """One instrument. `lot` is the board lot, `spread` the price step, `multiplier` what one unit of price is worth.

    Options and warrants have an `owner` (symbol); options a `strike`, an `expiry` and a `right` (1 call, 2 put).
    """

    symbol: str
    name: str
    lot: int
    spread: Decimal
    base: Decimal
    currency: str
    kind: Kind
    exchange: int
    multiplier: Decimal = Decimal(1)
    owner: str | None = None
    strike: Decimal | None = None
    expiry: date | None = None
    right: int = 0

    @property
    def prefix(self) -> str:
        """The market prefix of the symbol."""
        return self.symbol.partition(".")[0]

    @property
    def code(self) -> str:
        """The symbol without its prefix, as messages carry it."""
        return self.symbol.partition(".")[2]

    @property
    def security(self) -> dict[str, object]:
        """Qot_Common.Security."""
        return {"market": MARKETS[self.prefix].qot, "code": self.code}


# symbol, name, board lot, price step, base price, currency, kind, exchange (Qot_Common.ExchType)
_TABLE: Final = """
HK.00001   CKH_HOLDINGS        500  0.05   45      HKD  EQUITY   1
HK.00005   HSBC_HOLDINGS       400  0.05   90      HKD  EQUITY   1
HK.00388   HKEX                100  0.2    400     HKD  EQUITY   1
HK.00700   TENCENT             100  0.2    300     HKD  EQUITY   1
HK.00883   CNOOC               1000 0.01   18      HKD  EQUITY   1
HK.00939   CCB                 1000 0.01   7       HKD  EQUITY   1
HK.00941   CHINA_MOBILE        500  0.05   80      HKD  EQUITY   1
HK.01299   AIA                 200  0.05   65      HKD  EQUITY   1
HK.01810   XIAOMI              200  0.02   40      HKD  EQUITY   1
HK.02318   PING_AN             500  0.05   50      HKD  EQUITY   1
HK.02800   TRACKER_FUND        500  0.02   25      HKD  TRUST    1
HK.03690   MEITUAN             100  0.1    120     HKD  EQUITY   1
HK.09988   ALIBABA             100  0.1    110     HKD  EQUITY   1
HK.09999   NETEASE             100  0.1    160     HKD  EQUITY   1
HK.80700   TENCENT_R           100  0.2    276     CNH  EQUITY   1
HK.14730   TENCENT_CALL_2612   5000 0.001  0.25    HKD  WARRANT  1
HK.800000  HANG_SENG_INDEX     0    0.01   25000   HKD  INDEX    3
US.AAPL    APPLE               1    0.01   200     USD  EQUITY   5
US.AMZN    AMAZON              1    0.01   220     USD  EQUITY   5
US.BABA    ALIBABA_ADR         1    0.01   110     USD  EQUITY   4
US.BRK.B   BERKSHIRE_B         1    0.01   480     USD  EQUITY   4
US.F       FORD                1    0.01   11      USD  EQUITY   4
US.GME     GAMESTOP            1    0.01   25      USD  EQUITY   4
US.GOOG    ALPHABET            1    0.01   180     USD  EQUITY   5
US.META    META                1    0.01   600     USD  EQUITY   5
US.MSFT    MICROSOFT           1    0.01   430     USD  EQUITY   5
US.NVDA    NVIDIA              1    0.01   140     USD  EQUITY   5
US.QQQ     NASDAQ_100_ETF      1    0.01   500     USD  TRUST    5
US.SPY     S&P_500_ETF         1    0.01   580     USD  TRUST    7
US.TSLA    TESLA               1    0.01   250     USD  EQUITY   5
SG.C6L     SINGAPORE_AIRLINES  100  0.01   7       SGD  EQUITY   17
SG.D05     DBS                 100  0.01   44      SGD  EQUITY   17
SG.O39     OCBC                100  0.01   16      SGD  EQUITY   17
SG.Z74     SINGTEL             100  0.01   3.2     SGD  EQUITY   17
JP.6758    SONY                100  1      3000    JPY  EQUITY   18
JP.7203    TOYOTA              100  0.5    2500    JPY  EQUITY   18
JP.9984    SOFTBANK            100  1      9000    JPY  EQUITY   18
SH.600519  KWEICHOW_MOUTAI     100  0.01   1500    CNH  EQUITY   14
SH.601318  PING_AN_A           100  0.01   52      CNH  EQUITY   14
SZ.000001  PING_AN_BANK        100  0.01   11      CNH  EQUITY   15
SZ.300750  CATL                100  0.01   260     CNH  EQUITY   15
AU.BHP     BHP                 1    0.01   42      AUD  EQUITY   0
MY.1155    MAYBANK             100  0.01   10      MYR  EQUITY   0
CA.RY      ROYAL_BANK          1    0.01   170     CAD  EQUITY   0
"""
_OWNERS: Final = {"HK.14730": ("HK.00700", Decimal(300), date(2026, 12, 18), 1)}


def _row(line: str) -> Instrument:
    symbol, name, lot, spread, base, currency, kind, exchange = line.split()
    owner, strike, expiry, right = _OWNERS.get(symbol, (None, None, None, 0))
    return Instrument(
        symbol=symbol,
        name=name.replace("_", " "),
        lot=int(lot),
        spread=Decimal(spread),
        base=Decimal(base),
        currency=currency,
        kind=Kind[kind],
        exchange=int(exchange),
        owner=owner,
        strike=strike,
        expiry=expiry,
        right=right,
    )


LISTED: Final = {row.symbol: row for row in map(_row, _TABLE.strip().splitlines())}

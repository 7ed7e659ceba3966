"""The 68 endpoints of the daemon, one row each. Facts only; everything else about endpoints is derived from here.

Columns: method, path, proto id, documented scope, scope the daemon really asks, effect, record mode, broker bucket
(requests/window, and whom the broker counts by), where the endpoint carries accounts. A dash: none. Lines that begin
with "=" open a group. Scopes: PUBLIC no key, QOT qot:read, ACC acc:read, TRADE trade:real or trade:simulate, UNLOCK
trade:unlock, ADMIN admin.
"""

from typing import Final

TABLE: Final = """
= System / Status
GET   /api/delay-statistics        1006  PUBLIC  QOT     read          market    -               none
POST  /api/delay-statistics        1006  PUBLIC  QOT     read          market    -               none
GET   /api/global-state            1002  PUBLIC  QOT     read          market    -               none
GET   /api/ping                    1002  PUBLIC  QOT     read          market    -               none
GET   /api/push-subscriber-info    -     PUBLIC  QOT     read          market    -               none
GET   /api/user-info               1005  PUBLIC  QOT     read          market    -               none
= Quote Subscriptions
POST  /api/query-subscription      3003  QOT     QOT     read          market    -               none
GET   /api/sub-info                3003  QOT     QOT     read          market    -               none
POST  /api/subscribe               3001  QOT     QOT     subscribe     appended  -               none
POST  /api/unsubscribe             3001  QOT     QOT     subscribe     appended  -               none
GET   /ws                          -     PUBLIC  QOT     stream        appended  -               none
= Quote Queries
POST  /api/broker                  3014  QOT     QOT     read          market    -               none
POST  /api/capital-distribution    3212  QOT     QOT     read          market    30/30s:user     none
POST  /api/capital-flow            3211  QOT     QOT     read          market    30/30s:user     none
POST  /api/history-kl-quota        3104  QOT     QOT     read          market    -               header
POST  /api/history-kline           3103  QOT     QOT     read          market    60/30s:user     none
POST  /api/kline                   3006  QOT     QOT     read          market    -               none
POST  /api/market-state            3223  QOT     QOT     read          market    10/30s:user     none
POST  /api/orderbook               3012  TRADE   QOT     read          market    -               none
POST  /api/quote                   3004  QOT     QOT     read          market    -               none
POST  /api/rt                      3008  QOT     QOT     read          market    -               none
POST  /api/snapshot                3203  QOT     QOT     read          market    60/30s:user     none
POST  /api/static-info             3202  QOT     QOT     read          market    -               none
POST  /api/ticker                  3010  QOT     QOT     read          market    -               none
= Plates / Filter / Metadata
POST  /api/code-change             3216  QOT     QOT     read          market    -               none
POST  /api/ipo-list                3217  QOT     QOT     read          market    10/30s:user     none
POST  /api/list-plates             3204  QOT     QOT     read          market    10/30s:user     none
POST  /api/plate-security          3205  QOT     QOT     read          market    10/30s:user     none
POST  /api/plate-set               3204  QOT     QOT     read          market    10/30s:user     none
POST  /api/stock-filter            3215  QOT     QOT     read          market    10/30s:user     none
POST  /api/suspend                 3201  QOT     QOT     read          market    -               none
POST  /api/trading-days            3219  QOT     QOT     read          market    30/30s:user     none
= Reference / Derivatives
POST  /api/future-info             3218  QOT     QOT     read          market    30/30s:user     none
POST  /api/get-reference           3206  QOT     QOT     read          market    10/30s:user     none
POST  /api/holding-change          3208  QOT     QOT     read          market    10/30s:user     none
POST  /api/modify-user-security    3214  QOT     QOT     user_write    appended  10/30s:user     none
POST  /api/option-chain            3209  QOT     QOT     read          market    10/30s:user     none
POST  /api/option-expiration-date  3224  QOT     QOT     read          market    -               none
POST  /api/owner-plate             3207  QOT     QOT     read          market    10/30s:user     none
POST  /api/reference               3206  QOT     QOT     read          market    10/30s:user     none
POST  /api/rehab                   3105  QOT     QOT     read          market    60/30s:user     none
POST  /api/user-security           3213  QOT     QOT     read          market    10/30s:user     none
POST  /api/warrant                 3210  QOT     QOT     read          market    60/30s:user     none
= Price Reminders
POST  /api/price-reminder          3221  QOT     QOT     read          market    10/30s:user     none
POST  /api/set-price-reminder      3220  QOT     QOT     user_write    appended  60/30s:user     none
= Trading Accounts (Read)
POST  /api/acc-cash-flow           2226  ACC     ACC     read          account   20/30s:account  header
GET   /api/accounts                2001  ACC     ACC     read          account   -               answer
POST  /api/flow-summary            2226  ACC     ACC     read          account   20/30s:account  header
POST  /api/funds                   2101  ACC     ACC     read          account   -               header
POST  /api/history-order-fills     2222  ACC     ACC     read          account   10/30s:account  header
POST  /api/history-orders          2221  ACC     ACC     read          account   10/30s:account  header
GET   /api/list-accounts           2001  ACC     ACC     read          account   -               answer
POST  /api/margin-ratio            2223  ACC     ACC     read          account   -               header
POST  /api/max-trd-qtys            2111  ACC     ACC     read          account   10/30s:account  header
POST  /api/order-fee               2225  TRADE   ACC     read          account   10/30s:account  header
POST  /api/order-fills             2211  TRADE   ACC     read          account   -               header
POST  /api/orders                  2201  TRADE   ACC     read          account   -               header
POST  /api/positions               2102  ACC     ACC     read          account   -               header
POST  /api/reconfirm-order         2237  ACC     TRADE   order_change  durable   -               header
= Trading Write
POST  /api/cancel-all-order        2205  TRADE   TRADE   order_cancel  appended  20/30s:account  header
POST  /api/modify-order            2205  TRADE   TRADE   order_change  durable   20/30s:account  header
POST  /api/order                   2202  TRADE   TRADE   order_new     durable   15/30s:account  header
POST  /api/sub-acc-push            2008  TRADE   ACC     subscribe     appended  -               list
POST  /api/unlock-trade            2005  TRADE   UNLOCK  unlock        appended  10/30s:user     list
POST  /api/unsub-acc-push          2008  TRADE   ACC     subscribe     appended  -               list
= Admin
POST  /api/admin/reload            -     ADMIN   ADMIN   admin         appended  -               none
POST  /api/admin/shutdown          -     ADMIN   ADMIN   admin         appended  -               none
GET   /api/admin/status            -     ADMIN   ADMIN   admin         appended  -               none
"""

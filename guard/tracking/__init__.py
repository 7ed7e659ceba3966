"""What becomes of orders after they were answered: fills, ends, and steps whose outcome nobody knew.

In: the daemon's order lists, an operator's word. Out: `order` and `reconciled` records with absolute targets, and the
same folded into the ledger, live and at a start by one function. It must never send a trade, release without evidence,
or keep anything that a record does not show.

`reconciler` decides when to ask, `lists` asks, `places` says where an order is listed, and `listsnapshot` holds one
answer with what there was when it was asked for. From an answer learn: `doubts` (steps in doubt), `tracks` (live
orders), `late` (orders that had ended) and `outside` (orders placed elsewhere). `byhand` is an operator's word.
`scribe` writes what was learned, and `apply` folds it into the ledger. Many orders are gone through in `slices`.
"""

from guard.tracking.apply import learned, reconciled
from guard.tracking.byhand import SettleBody, Settled, settle_by_hand
from guard.tracking.reconciler import Reconciler

__all__ = ["Reconciler", "SettleBody", "Settled", "learned", "reconciled", "settle_by_hand"]

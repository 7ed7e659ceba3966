"""What a start makes of a record that is wrong, and of decisions whose outcome is in no record."""

from pathlib import Path

import pytest

from guard.errors import JournalFault
from guard.limits import Opening, find_slot, reserve
from guard.recovery.beginning import doubt
from guard.recovery.readback import Recovered, recover
from guard.terms import Account, Env, Verdict
from tests.support.journal import decision, file_of, open_journal, overwrite
from tests.support.ledger import new_order, slot, sums

HERE = Account(Env.REAL, 1)


def test_what_may_have_left_is_unknown_and_what_sends_nothing_was_not_sent() -> None:
    """An order and a cancel may be at the daemon; a cancel of all that goes order by order is itself never sent."""
    found = Recovered()
    reserve(found.state, new_order("o", sums("count", "n", 1)), t_us=0)
    reserve(found.state, Opening(step="c", claims=(), of="o", account=HERE, order=b"{}"), t_us=0)
    reserve(found.state, Opening(step="all", claims=(slot("key", "digest"),), account=HERE), t_us=0)

    told = {record.decision: record.verdict for record in doubt(found, t_us=1)}

    assert told == {"o": Verdict.UNKNOWN, "c": Verdict.UNKNOWN, "all": Verdict.NOT_SENT}
    assert set(found.state.steps) == {"o", "c"}
    assert find_slot(found.state, "key", t_us=1) is None, "the same key may ask again"


MISFIT = decision("misfit", effect="order_change", of="nobody", environment="real", account=1)


@pytest.mark.parametrize(
    ("broken", "fault"), [("before", "record 2: its line is not a whole record"), ("behind", "record 3: step misfit")]
)
def test_a_record_that_does_not_fit_is_told_where_the_chain_breaks_behind_it(
    tmp_path: Path, broken: str, fault: str
) -> None:
    """Whichever comes first is what a person must look at."""
    journal = open_journal(tmp_path)
    for record in (decision("before"), MISFIT, decision("behind")):
        journal.append("decision", record)
    journal.shut()
    where = f'"id":"{broken}"'.encode()
    overwrite(file_of(tmp_path), where, where.replace(b":", b" "))

    with pytest.raises(JournalFault, match=fault):
        recover(tmp_path)

"""Reserve before sending, settle by evidence: the two calls that move counters, and the light `post` for reads.

`reserve` raises what an order holds to the targets that its step claims, and never lowers it: room is taken before a
byte leaves, and given back only once the daemon has confirmed. `settle` does this to each kind of claim:

| kind           | accepted | refused              | not sent | unknown          |
|----------------|----------|----------------------|----------|------------------|
| spend          | target   | before               | before   | held             |
| working, count | target   | before               | before   | held             |
| rate           | stays    | stays                | removed  | stays            |
| once           | stays    | removed              | removed  | stays            |
| slot           | stays    | stays, answer stored | freed    | stays while open |

Both calls may be repeated with the same step id, `reserve` until the step is settled and `settle` always. Nothing is
decided here, that is done by `look`; a claim that is reserved without room (a shadow's, a cancel's) is simply counted.
"""

from typing import Final

from msgspec.structs import replace

from guard.limits import windows
from guard.limits.bodies import short
from guard.limits.claims import parted
from guard.limits.ended import keep_ended
from guard.limits.holder import NONE_FILLED, NOTHING, About, Amounts, Course, Holder
from guard.limits.order_ids import forget_order, note_order_ids
from guard.limits.rates import RateClaims, rates_of
from guard.limits.shared import same_about, same_cells, same_whole
from guard.limits.slots import settle_slot, take_slot
from guard.limits.state import LOG_KINDS, SUM_KINDS, Opening, State, Step, advance, touch
from guard.limits.sums import give_back, never_rose, part, put, rebase, take
from guard.limits.sweep import remember, sweep
from guard.terms import Claim, Outcome, Verdict

_ACCEPTED: Final = Verdict.ACCEPTED  # looking up an enum member is slow, and this is asked of every trade
_UNKNOWN: Final = Verdict.UNKNOWN


def reserve(state: State, opening: Opening, *, t_us: int) -> None:
    """Takes what the step claims: sums rise, rates are stamped, slots taken. A known step changes nothing."""
    now_us = advance(state, t_us=t_us)
    step_id, holder_id, claims = opening.step, opening.holder, opening.claims
    is_new = holder_id == step_id
    if step_id in state.steps or (is_new and step_id in state.holders):
        return
    cells, amounts, kinds, others = parted(claims)
    if state.turns and state.turns[0] <= now_us:
        sweep(state, t_us=now_us, claims=len(claims))
    if is_new:
        if opening.is_raw:  # the cells are one object all the same, so that their texts leave the caches early
            whole = Amounts(same_cells(cells), kinds, (amounts, opening.worth))
        else:
            whole = same_whole(cells, amounts, kinds, worth=opening.worth)
        _open(state, opening, whole)
        step = Step(step_id, step_id, opening.of, claims, (0,) * len(claims), now_us)
    else:
        step = Step(step_id, holder_id, opening.of, claims, _raise(state, opening, cells), now_us)
        step.order, step.worth, step.account = opening.order, opening.worth, opening.account
    state.steps[step_id] = step  # from here on it can be settled, whatever breaks
    if state.touched is not None:
        touch(state, holder_id, [claim.counter for claim in claims])
    for claim in others:
        if claim.kind == "slot":
            take_slot(state, claim, step=step_id, t_us=now_us)
        else:
            _stamp(state, claim.counter, now_us, window_us=claim.window_ms * 1000, is_rate=claim.kind == "rate")


def post(state: State, claims: tuple[Claim, ...], *, t_us: int) -> None:
    """Stamps rates that nobody will give back (reads, a breaker's refusals). No step, no holder."""
    now_us = advance(state, t_us=t_us)
    if not claims:
        return
    rates = claims if isinstance(claims, RateClaims) else rates_of(claims)
    if state.turns and state.turns[0] <= now_us:
        sweep(state, t_us=now_us, claims=len(rates))
    if state.touched is not None:
        touch(state, None, [cell for cell, _ in rates.cells])
    for cell, window_us in rates.cells:
        _stamp(state, cell, now_us, window_us=window_us)


def settle(state: State, step_id: str, outcome: Outcome, *, t_us: int) -> None:
    """Settles a step. `unknown` keeps everything held until it is settled again; a settled step stays as it is."""
    advance(state, t_us=t_us)
    step = state.steps.get(step_id)
    if step is None:
        return
    if state.touched is not None:
        touch(state, step.holder, [claim.counter for claim in step.claims])
    verdict = outcome.verdict
    if verdict is not _UNKNOWN:
        del state.steps[step_id]
        if verdict is not _ACCEPTED:
            _unstamp(state, step, verdict)
    if state.slots:
        for claim in step.claims:
            if claim.kind == "slot":
                settle_slot(state, claim, step=step, outcome=outcome)
    holder = None if step.holder is None else state.holders.get(step.holder)
    if verdict is _UNKNOWN:
        _doubt(step, holder, t_us=state.at_us)
    elif holder is not None:
        _settle_holder(state, holder, step=step, outcome=outcome)


def _raise(state: State, opening: Opening, on_sums: tuple[str, ...]) -> tuple[int, ...]:
    """Raises what a live order holds to what is claimed; what it held before, one number for each claim."""
    if opening.holder is None:
        if on_sums:
            raise AssertionError(f"step {opening.step} claims {on_sums[0]} for no order")
        return (0,) * len(opening.claims)
    holder = state.holders.get(opening.holder)
    if holder is None:
        raise AssertionError(f"step {opening.step} changes {opening.holder}, which is not a live order")
    if holder.step is not None:
        raise AssertionError(f"step {opening.step} changes {holder.id} while {holder.step} is not settled")
    holder.opens(opening.step)
    before = tuple(part(holder, claim.counter) if claim.kind in SUM_KINDS else 0 for claim in opening.claims)
    for claim, held in zip(opening.claims, before, strict=True):
        if claim.kind in SUM_KINDS and claim.held > held:
            put(state, holder, claim.counter, amount=claim.held, kind=claim.kind)
    return before


def _open(state: State, opening: Opening, whole: Amounts) -> None:
    """Opens a new live order with status `sent`, which takes all that it claims."""
    if opening.account is None:
        raise AssertionError(f"step {opening.step} opens an order without an account")
    form, own = (b"", opening.order) if opening.is_raw else short(opening.order)
    about = same_about(About(opening.key, opening.account, opening.market, opening.symbol, form))
    take(state, whole)
    name = opening.step
    state.holders[name] = Holder(name, about, own, Course(whole, whole, NONE_FILLED, "sent", name))


def put_body(holder: Holder, order: bytes) -> None:
    """The order's canonical body from now on."""
    form, holder.own = short(order)
    holder.about = same_about(replace(holder.about, form=form))


def _stamp(state: State, cell: str, now_us: int, *, window_us: int, is_rate: bool = True) -> None:
    log = state.logs.get(cell)
    if log is not None:
        windows.add(log, t_us=now_us, window_us=window_us)
        return
    state.logs[cell] = windows.new_log(t_us=now_us, window_us=window_us, is_rate=is_rate)
    remember(state, now_us + window_us, cell)


def _unstamp(state: State, step: Step, verdict: Verdict) -> None:
    """Gives stamps back: all if nothing was sent, after a refusal only the duplicate check's, since a byte has left."""
    given_back = LOG_KINDS if verdict is Verdict.NOT_SENT else {"once"}
    for cell in {claim.counter for claim in step.claims if claim.kind in given_back}:
        windows.remove(state.logs.get(cell), stamp_us=step.t_us)


def _doubt(step: Step, holder: Holder | None, *, t_us: int) -> None:
    step.unknown_us = t_us if step.status == "sent" else step.unknown_us
    step.status = "unknown"
    if holder is not None and holder.status != "done":
        holder.status = "unknown"


def _give_up_holder(state: State, holder: Holder, *, step: Step, was_nothing: bool) -> None:
    if was_nothing and step.status == "sent" and not step.told:
        never_rose(state, holder.holds)
    give_back(state, holder, keep_spend=False)
    if step.holder == step.id and step.status == "unknown" and holder.status != "done":
        keep_ended(state, holder, NOTHING)  # given up after a doubt; it may turn up all the same
    forget_order(state, holder)


def _settle_holder(state: State, holder: Holder, *, step: Step, outcome: Outcome) -> None:
    is_new, is_accepted = step.holder == step.id, outcome.verdict is _ACCEPTED
    if is_accepted:
        note_order_ids(state, holder, order_id=outcome.order_id, order_id_ex=outcome.order_id_ex)
    if holder.status == "done" or (is_new and not is_accepted):
        _give_up_holder(state, holder, step=step, was_nothing=is_new and not is_accepted)
        return
    holder.works()
    if is_accepted and not is_new:
        if step.order:
            put_body(holder, step.order)
        rebase(holder, step.claims, worth=step.worth)
    if is_new and not step.told:
        return  # it took its targets when it was sent
    for claim, before in zip(step.claims, step.before, strict=True):
        if claim.kind not in SUM_KINDS:
            continue
        amount = claim.held if is_accepted else before
        if is_accepted and claim.counter in step.told:
            # A fill was learned while the step was open: which of the two is newer is not known, so the larger stays.
            amount = max(amount, before)
        put(state, holder, claim.counter, amount=amount, kind=claim.kind)

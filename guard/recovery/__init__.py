"""The record across a restart: read back, completed by what a start writes, and kept short by snapshots.

In: the state directory. Out: the open journal, the ledger and the desk that its records lead to, and the first records
of the new run. It must never guess a counter, take state from outside the record, or delete what a start still needs.

`groundwork` is what a start calls; `readback` folds the record, `beginning` makes the first records. `snapshots` says
what a snapshot holds (and is the program that makes one), `keeper` takes them and prunes, beside the running guard.
"""

"""The steps of the walk, which `guard.pipeline` joins.

In: a `Visit`, which is one request, and the `Desk`, the one mutable world. Out: a `Reply`, its records and its counts.
No rule, no counter and no byte of HTTP lives here.

- shared: `desk` (the world), `visit` (a request and its situation), `hooks` (every place that may refuse), `together`,
  `throttle`
- what the world is like: `gather`, `prepare`, `naming` (which order is meant), `orderlists` (the daemon's order lists)
- what stands against a request: `door` (rights, state), `ownership`, `judging` (rules and ledger), `changing`,
  `broker`, `largest`, `shadow`, `obstacle`; `deciding` is the one step in which all of it is asked and room is taken
- a trade from there on: `trading` (without a task) and `carrier` take it through `outgoing` (what is sent), `sending`
  (the last look), `spacing` and `closing` (settled and recorded, with `breaker`)
- many cancels: `cancelscope`, `targets`, `cancelling`, `cancelall`
- other roads: `passthrough` (no trade) with `reading` (without a task), `subscribing` with `subscriptions` and
  `countedlock`, `unlocking` with `cooldown`, `questions` with `recall` and `dryrun`
- telling: `recorder`, `decisionrecord`, `floods` with `tally`, `recent`, `replies`, `repeats` (Idempotency-Keys),
  `answerview` (what a caller may see of an answer), `origins` (CORS)
"""

"""The parts of the walk that `guard.pipeline` joins: what is known of a request, what stands against it, what is told.

In: a `Visit` on the `Desk`, the one mutable world. Out: a `Reply`, and the records and counts of it. `desk` holds,
`gather` asks, `door` and `judging` object, `recorder` writes down, `replies` tells; `passing` is the road of everything
that is no trade, `questions` of what the guard itself is asked. No rule, no counter and no byte of HTTP is in here.
"""

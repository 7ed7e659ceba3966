"""Results of a benchmark with figures that one can do by head, and a reader of its tables."""

from typing import Any, Final

CPU_US: Final = {
    "direct": 10.0,
    "nginx": 30.0,
    "bare": 25.0,
    "floor": 50.0,
    "nginx-lua": 100.0,
    "guard": 200.0,
    "aiohttp": 800.0,
}


def results(bench: Any, *, with_scale: bool = True, readings: list[int] | None = None) -> Any:
    """Two rounds of every scenario without Envoy and the optional gateways, with figures that one can do by head."""
    field, measure, memory = bench("field"), bench("measure"), bench("memory")
    windows = [
        field.Window(
            ask=scenario.name,
            connections=scenario.connections,
            rate=scenario.rate,
            turn=turn,
            name=name,
            answers=100,
            rps=1000.0,
            cpu_us=CPU_US[name.removesuffix("-unsynced")] * (1 + turn),
            daemon_cpu_us=10.0,
            p50_us=100.0,
            p99_us=200.0,
            longest_us=300.0,
        )
        for scenario in field.SCENARIOS
        for name in scenario.who
        for turn in range(2)
        if name.removesuffix("-unsynced") in CPU_US
    ]
    return measure.Results(
        plan=field.Plan(rounds=2),
        machine={name: name for name in ("cpu", "memory", "kernel", "disk", "python", "libraries", "guard")},
        began="now",
        load_average=[0.0, 0.0, 0.0],
        stolen_percent=0.0,
        repeated=0,
        sync_us=[100.0, 200.0],
        windows=windows,
        memory=memory.Memory(
            at_start=60_000_000,
            requests=200_000,
            more=300_000,
            readings=readings or [70_000_000, 71_000_000, 72_000_000, 73_000_000],
            orders=1000,
            after_orders=80_000_000,
            after_all_orders=81_200_000,
            record_bytes=2000,
        ),
        verified=["ok: all of it"],
        recorded={"guard": {"allowed": 5, "accepted": 5, "refused": 1}},
        skipped={"haproxy": "haproxy is not installed"},
        scale=scale(bench) if with_scale else None,
        frames=[
            bench("fanout").Frames(name, 0, 100, 32, cost, 1.0) for name, cost in (("guard", 1.0), ("aiohttp", 8.0))
        ],
    )


def scale(bench: Any) -> Any:
    """Guards that all cost the same, and four starts."""
    module, start = bench("scale"), bench("starts").Start
    starts = [start(0, 1.0, 1.5, 58_000_000), start(100_000, 2.0, 2.5, 60_000_000)]
    starts += [start(100_005, 1.1, 1.6, 1, how="after a snapshot"), start(100_004, 9.0, 9.5, 1, how="with others")]
    names = list(module.FOLDERS)
    return module.Scale(100_000, 1_000_000, {name: [100.0, 100.0] for name in names}, starts)


def cells(text: str, begins: str) -> list[str]:
    """The cells of the row that begins so."""
    [row] = [line for line in text.splitlines() if line.startswith(f"| {begins}")]
    return [cell.strip() for cell in row.strip("|").split("|")]

"""Guards of several sizes are compared with the smallest one, of ten keys, by the same callers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]


class Asked:
    """A field whose guard answers so often in each window, for a millisecond of CPU."""

    def __init__(self, name: str, answers: list[int]) -> None:
        self.sent, self.left = {name: {"order": 3}}, iter(answers)
        self.jobs: list[Any] = []

    def perform(self, server: Any, job: Any) -> Any:
        """One window."""
        self.jobs.append(job)
        answers = next(self.left)
        self.sent[server.name]["order"] += answers
        return SimpleNamespace(answers=answers, cpu_us={server.pid: 1000.0})


def test_a_window_without_an_answer_is_no_free_one(bench: Any) -> None:
    """It was told as an order that costs nothing; now it is measured again, and at last there are no figures."""
    scale, server = bench("scale"), SimpleNamespace(name="smallest", pid=7)
    asked = Asked("smallest", [0, 0, 10])

    assert scale.cpu_us(asked, server) == 100.0
    assert len(asked.jobs) == 3
    with pytest.raises(bench("machine").Unfit, match="smallest answered nothing"):
        scale.cpu_us(Asked("smallest", [0] * scale.TRIES), server)


def test_ten_keys_ask_in_every_guard_but_the_one_in_which_all_do(bench: Any) -> None:
    """There every order comes with the next key, where the last window ended."""
    scale, asks = bench("scale"), bench("asks")
    for name in scale.FOLDERS:
        asked = Asked(name, [4, 5])
        for _ in range(2):
            scale.cpu_us(asked, SimpleNamespace(name=name, pid=7))
        keys = 10_000 if name == scale.ALL else 10
        assert asked.jobs[0].bearers == [asks.plaintext(number) for number in range(keys)]
        assert [job.shown for job in asked.jobs] == [3, 7]
    assert {size.keys for size in scale.SIZES.values()} == {10, 10_000}
    assert scale.SIZES["smallest"] == (10, 1)


def test_each_guard_has_as_many_keys_and_policies_as_its_size_says(bench: Any, tmp_path: Path) -> None:
    """The keys that ask are among them."""
    contestants, asks = bench("contestants"), bench("asks")
    size = contestants.Size(keys=120, policies=3)
    config = contestants.lay_out(tmp_path / "guard", data=1, daemon=2, size=size)

    keys = bench("msgspec").json.decode((config.parent / "keys.json").read_bytes())["keys"]
    assert len({key["id"] for key in keys}) == len({key["hash"] for key in keys}) == 120
    assert [key["hash"] for key in keys][:10] == [f"sha256:{asks.digest(number)}" for number in range(10)]
    assert len(list((config.parent / "policies").iterdir())) == 3

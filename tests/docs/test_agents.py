"""docs/agents.md: its program does what it says, against a whole guard."""

import asyncio
import re
from pathlib import Path
from typing import Any, Final

from tests.support.guards import key, lay_out, order, record, running

PAGE: Final = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()
DESK: Final = '[policy]\nid = "desk"\n[orders]\nmax_value = "30000 HKD"\n'


async def test_the_example_places_what_fits(tmp_path: Path) -> None:
    """An order that is too large is placed smaller, in the quantity that the refusal names."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "agent.key").write_text(key("bot"))
    async with running(lay_out(tmp_path, record("bot"), policies={"desk.toml": DESK})) as guard:
        text = block.replace("127.0.0.1:22500", f"127.0.0.1:{guard.ports[0]}")
        scope: dict[str, Any] = {}
        exec(text.replace("agent.key", str(tmp_path / "agent.key")), scope)  # noqa: S102 - the page's own program
        told = await asyncio.to_thread(scope["place"], order(qty=200, price=200), "first")

    assert told["ret_type"] == 0
    assert scope["KEY"] == key("bot")

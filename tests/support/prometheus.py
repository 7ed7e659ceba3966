"""A real Prometheus for tests: on an ephemeral port, scraping one guard every second, with the shipped rules."""

import asyncio
import contextlib
import json
import re
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import yaml

from deploy.grafana.panels import Query
from tests.support.processes import external, free_port

RULES: Final = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
WAIT_S: Final = 60.0
_PAUSE_S: Final = 0.05
VARIABLES: Final = {"$instance": ".*", "$key": ".*", "$__rate_interval": "4s", "offset 2m": "offset 4s"}
"""What stands for the dashboard's variables; marks look back seconds where life has minutes."""

Points = list[tuple[float, float]]


class Series(NamedTuple):
    """One line of a chart: its name in the legend, its labels, its points as (seconds since 1970, value)."""

    name: str
    labels: dict[str, str]
    points: Points


class Prometheus:
    """One that runs."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def get(self, path: str, **fields: str) -> Any:
        """The data of an answer, which must be a success."""
        async with self._session.get(f"{self._url}/api/v1/{path}", params=fields) as answer:
            told = await answer.json()
        assert told["status"] == "success", told
        return told["data"]

    async def has(self, expression: str) -> bool:
        """The expression has a result now."""
        return bool((await self.get("query", query=expression))["result"])

    async def series(self, query: Query, *, start_s: float, end_s: float, step_s: int) -> list[Series]:
        """What a chart of the dashboard draws."""
        expression = query.expr
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        span = {"start": str(start_s), "end": str(end_s), "step": str(step_s)}
        found = (await self.get("query_range", query=expression, **span))["result"]
        return [_series(query, one) for one in found]


def _series(query: Query, found: dict[str, Any]) -> Series:
    labels = dict(found["metric"])
    name = re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), query.legend)
    return Series(name.strip(), labels, [(float(at), float(value)) for at, value in found["values"]])


def _configure(folder: Path, target: str) -> Path:
    config = folder / "prometheus.yaml"
    text = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES / "*.yaml")],
        "scrape_configs": [{"job_name": "guard", "static_configs": [{"targets": [target]}]}],
    }
    config.write_text(json.dumps(text))  # JSON is YAML
    assert yaml.safe_load(config.read_text()) == text
    return config


@contextlib.asynccontextmanager
async def scraping(target: str, *, folder: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes `target` meanwhile, once it has."""
    program, port = external("prometheus"), free_port()
    log = folder / "prometheus.log"
    with log.open("wb") as told:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={_configure(folder, target)}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            stdout=DEVNULL,
            stderr=told,
        )
    try:
        async with aiohttp.ClientSession() as session:
            prometheus = Prometheus(f"http://127.0.0.1:{port}", session)
            await _scraped(prometheus, process, log)
            yield prometheus
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _scraped(prometheus: Prometheus, process: Process, log: Path) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            assert process.returncode is None, await asyncio.to_thread(log.read_text)
            with contextlib.suppress(aiohttp.ClientError):
                if await prometheus.has('up{job="guard"} == 1'):
                    return
            await asyncio.sleep(_PAUSE_S)

"""Writes the rules of deploy/prometheus as a PrometheusRule, for clusters with the Prometheus operator.

python -m deploy.kubernetes.rules deploy/kubernetes/components/monitoring/prometheusrule.yaml
"""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

RULES: Final = Path(__file__).parents[1] / "prometheus" / "rules"


def text() -> str:
    """The manifest: all groups of all files, in the order of their names, recorded series before alerts."""
    files = sorted(RULES.glob("*.yaml"), key=lambda path: path.name != "recording.yaml")
    groups: list[Any] = [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]
    for rule in (rule for group in groups for rule in group["rules"]):
        rule["expr"] = " ".join(rule["expr"].split())
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "opend-guard", "labels": {"app.kubernetes.io/name": "opend-guard"}},
        "spec": {"groups": groups},
    }
    head = "# Made from deploy/prometheus/rules by `make docs`; what the expressions mean is said there.\n"
    return head + str(yaml.safe_dump(manifest, sort_keys=False, width=120))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text())

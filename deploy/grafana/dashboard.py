"""Writes the dashboard that Grafana loads: the tables of `panels` in the words of Grafana's own SDK.

python -m deploy.grafana.dashboard deploy/grafana/guard.json
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.panels import CHARTS, FIGURES, MARKS, Chart, Figure, Mark, Query

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${source}")
UID: Final = "opend-guard"
COLUMNS: Final = 24
FIGURE: Final = (3, 3)
CHART: Final = (7, 6)
"""Height and width in units of the grid."""

_ONE_KEY: Final = f"/d/{UID}?var-key=${{__field.labels.key}}&${{instance:queryparam}}&${{__url_time_range}}"


class _Annotation(model.AnnotationQuery):
    """Prometheus has words of its own for annotations, which the SDK does not know."""

    def __init__(self, mark: Mark) -> None:
        super().__init__(name=mark.name, datasource=SOURCE, enable=True, icon_color=mark.colour, expr=mark.query.expr)
        self._title = mark.query.legend

    def to_json(self) -> dict[str, object]:
        """What Grafana reads, with the title of each mark."""
        return super().to_json() | {"titleFormat": self._title, "step": "15s"}


class _Made(Builder[model.AnnotationQuery]):
    """What is built already."""

    def __init__(self, built: model.AnnotationQuery) -> None:
        self._built = built

    def build(self) -> model.AnnotationQuery:
        """The thing itself."""
        return self._built


def _target(query: Query, number: int) -> prometheus.Dataquery:
    found = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + number))
    return found.datasource(SOURCE)


def _place(number: int, size: tuple[int, int], *, below: int) -> model.GridPos:
    height, width = size
    line, column = divmod(number, COLUMNS // width)
    return model.GridPos(h=height, w=width, x=column * width, y=below + line * height)


def _thresholds(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    bounds = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(bounds)


def figure_panel(figure: Figure, number: int) -> stat.Panel:
    """One number of the top line."""
    words = {str(value): model.ValueMappingResult(text, colour, index=value) for value, text, colour in figure.words}
    mappings: list[model.ValueMapping] = [model.ValueMap(options=words)] if words else []
    return (
        stat.Panel()
        .id(number + 1)
        .title(figure.title)
        .description(figure.says)
        .datasource(SOURCE)
        .grid_pos(_place(number, FIGURE, below=0))
        .with_target(_target(figure.query, 0).instant())
        .unit(figure.unit)
        .mappings(mappings)
        .thresholds(_thresholds(figure.steps))
        .color_mode(options.BigValueColorMode.BACKGROUND)
        .graph_mode(options.BigValueGraphMode.NONE)
        .text_mode(options.BigValueTextMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("none")
    )


def chart_panel(chart: Chart, number: int) -> timeseries.Panel:
    """One chart; series with a key lead to that key alone."""
    panel = (
        timeseries.Panel()
        .id(len(FIGURES) + number + 1)
        .title(chart.title)
        .description(chart.says)
        .datasource(SOURCE)
        .grid_pos(_place(number, CHART, below=FIGURE[0]))
        .targets([_target(query, place) for place, query in enumerate(chart.queries)])
        .unit(chart.unit)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if chart.is_stacked else 0)
        .show_points(options.VisibilityMode.NEVER)
        .stacking(common.StackingConfig().mode(_stacking(chart)))
        .legend(_legend())
        .tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
    )
    if "{{key}}" in chart.queries[0].legend:
        panel = panel.data_links([dashboard.DashboardLink("Only ${__field.labels.key}").url(_ONE_KEY)])
    if chart.limit is not None:
        panel = panel.thresholds(_thresholds(((None, "transparent"), (0.8, "orange"), (chart.limit, "red"))))
        panel = panel.thresholds_style(_dashed()).axis_soft_max(chart.limit)
    if chart.aside:
        right = [
            model.DynamicConfigValue("custom.axisPlacement", options.AxisPlacement.RIGHT),
            model.DynamicConfigValue("unit", "short"),
        ]
        panel = panel.override_by_regexp(chart.aside, right)
    return panel


def _stacking(chart: Chart) -> options.StackingMode:
    return options.StackingMode.NORMAL if chart.is_stacked else options.StackingMode.NONE


def _legend() -> common.VizLegendOptions:
    placed = common.VizLegendOptions().placement(options.LegendPlacement.BOTTOM).show_legend(show_legend=True)
    return placed.display_mode(options.LegendDisplayMode.LIST)


def _dashed() -> common.GraphThresholdsStyleConfig:
    return common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED)


def _variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(everything)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
    )


def build() -> model.Dashboard:
    """The whole dashboard."""
    whole = (
        dashboard.Dashboard("opend-guard")
        .uid(UID)
        .description("What the guard decides, what room is left, what it costs, and whether its record is sound.")
        .tags(["opend-guard", "trading"])
        .refresh("15s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(_variable("instance", "Guard", 'label_values(guard_build_info{job="guard"}, instance)'))
        .with_variable(
            _variable("key", "Key", 'label_values(guard_requests_by_key_total{job="guard",instance=~"$instance"}, key)')
        )
    )
    for mark in MARKS:
        whole = whole.annotation(_Made(_Annotation(mark)))
    for number, figure in enumerate(FIGURES):
        whole = whole.with_panel(figure_panel(figure, number))
    for number, chart in enumerate(CHARTS):
        whole = whole.with_panel(chart_panel(chart, number))
    return whole.build()


def text() -> str:
    """The dashboard as Grafana reads it."""
    return json.dumps(build(), cls=JSONEncoder, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text())

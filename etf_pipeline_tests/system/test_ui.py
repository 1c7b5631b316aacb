"""The Dagster UI in a browser: the graph by stage from left to right, a session materialised by hand.

``UPDATE_ASSET_GRAPH=1 pytest etf_pipeline_tests/system/test_ui.py`` also takes the README's picture anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
from PIL import Image

from etf_pipeline.definitions import defs
from etf_pipeline_tests.conftest import ROOT
from etf_pipeline_tests.system.browser import Page, chromium_path, open_page
from etf_pipeline_tests.system.ui_server import Installation, Ui, install, running_ui

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(chromium_path() is None, reason="no Chromium here: apt-get install chromium"),
    # One warehouse, one UI: with --dist loadgroup they are set up once.
    pytest.mark.xdist_group("ui"),
]

SESSION = "2026-02-20"
STAGES = ("ingest", "market", "risk", "signals", "scoring", "validation", "attribution", "production")
ASSETS = {key.path[-1] for key in defs.resolve_asset_graph().get_all_asset_keys()}
# Dagster draws only what lies in the window, and fits the graph to the window's width.
WINDOW = {"width": 3000, "height": 17500}
# These two are many boxes one above the other: the README's picture shows them closed.
HALVES = (STAGES[:5], STAGES[5:])
"""Stages opened together: all at once the page takes minutes to lay out."""
OPEN_IN_PICTURE = ("scoring", "attribution", "production")
# Groups and assets by name (a box's text goes on with counts and states; a long name has its middle left out).
BOXES = """
[...document.querySelectorAll('svg foreignObject')].map(e => {
  const box = e.getBoundingClientRect(), name = (e.textContent.match(/^[a-z_…]+/) || [''])[0];
  return {name, x: box.x, y: box.y, width: box.width, height: box.height};
}).filter(box => box.name)
"""
MATERIALISED = """
[...document.querySelectorAll('svg foreignObject *')]
  .filter(e => getComputedStyle(e).borderTopColor === 'rgb(46, 204, 129)').length
"""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A built warehouse of a small simulated market."""
    home = tmp_path_factory.mktemp("ui") / "checkout"
    chosen = install(
        home, source="simulated", simulated_funds=24, start="2021-01-04", end="2026-02-27", seed=7,
        backtest__top=5, backtest__keep=8, backtest__random_portfolios=20, backtest__weight_steps=0,
    )  # fmt: skip
    chosen.etf("build", "--quiet")
    return chosen


@pytest.fixture(scope="module")
def ui(installation: Installation) -> Iterator[Ui]:
    with running_ui(installation) as running:
        yield running


@pytest.fixture(scope="module")
def page(ui: Ui, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_page(tmp_path_factory.mktemp("chromium"), **WINDOW) as opened:
        yield opened


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


def published(installation: Installation) -> list[tuple[date, int]]:
    with duckdb.connect(str(installation.warehouse / "etf.duckdb"), read_only=True) as connection:
        return connection.execute(
            "SELECT session, count(*) FROM production.published_ranking GROUP BY session ORDER BY session"
        ).fetchall()


def open_graph(page: Page, ui: Ui, opened: tuple[str, ...], number: int) -> dict[str, dict[str, float]]:
    """The lineage page with some groups open: where each box is, by its whole name, once all are at rest."""
    groups = quote(",".join(f"global@global:{stage}" for stage in opened))
    page.goto(f"{ui.address}/asset-groups?expanded={groups}")
    page.wait_for(f"{BOXES}.length >= {number}", timeout=120)
    before = None
    for _ in range(40):
        boxes = list(page.evaluate(BOXES))
        if boxes == before:
            return {whole_name(str(box.pop("name"))): box for box in boxes}
        before = boxes
        time.sleep(0.5)
    raise AssertionError("the graph does not come to rest")


def whole_name(shown: str) -> str:
    """The group or asset a box shows, whose name may have its middle left out."""
    start, _, end = shown.partition("…")
    names = [name for name in {*ASSETS, *STAGES} if name.startswith(start) and name.endswith(end)]
    return shown if "…" not in shown else names[0] if len(names) == 1 else f"{shown}: {names}"


def test_groups_are_drawn_from_left_to_right_by_stage(page: Page, ui: Ui) -> None:
    page.goto(f"{ui.address}/asset-groups")
    page.wait_for(f"{BOXES}.length >= {len(STAGES)}")
    left = {box["name"]: box["x"] for box in page.evaluate(BOXES)}
    assert set(STAGES) <= set(left)
    assert left["ingest"] < left["market"] < left["risk"] < left["scoring"] < left["production"]
    assert left["market"] < left["signals"] < left["scoring"]
    assert left["risk"] < left["validation"]
    assert left["scoring"] < left["attribution"]


@pytest.mark.parametrize("opened", HALVES, ids=lambda stages: f"{stages[0]} to {stages[-1]}")
def test_every_edge_of_the_open_graph_runs_to_the_right(page: Page, ui: Ui, opened: tuple[str, ...]) -> None:
    nodes = ui.ask("{ assetNodes { groupName assetKey { path } dependencyKeys { path } } }")["assetNodes"]
    stage = {node["assetKey"]["path"][-1]: node["groupName"] for node in nodes}
    assert set(stage) == ASSETS
    seen = {name for name, group in stage.items() if group in opened}
    boxes = open_graph(page, ui, opened, len(seen) + len(STAGES))
    assert seen | set(STAGES) <= set(boxes)

    def left(asset: str) -> float:
        """Of its own box, or of its stage's where that is closed."""
        return boxes[asset if asset in seen else stage[asset]]["x"]

    wrong = [
        f"{source['path']} -> {node['assetKey']['path']}"
        for node in nodes
        for source in node["dependencyKeys"]
        if {source["path"][-1], node["assetKey"]["path"][-1]} & seen
        and left(source["path"][-1]) >= left(node["assetKey"]["path"][-1])
    ]
    assert not wrong
    # Stages begin one after the other. Dagster draws what little reads beside its reader (the reference series, far inside
    # market), and what nothing reads in a column of its own (leaves of risk and of scoring), so boxes may overlap there.
    starts = [boxes[name]["x"] for name in ("ingest", "market", "risk", "signals", "scoring", "production")]
    assert starts == sorted(set(starts))
    assert boxes["market"]["x"] + boxes["market"]["width"] <= boxes["scoring"]["x"]


def test_daily_is_materialised_for_a_session_by_hand(
    page: Page, ui: Ui, installation: Installation, pictures: Path
) -> None:
    assert published(installation) == []
    page.goto(f"{ui.address}/jobs")
    page.click("daily", "a")
    page.click("Materialize all…", "button")
    field = "input[placeholder*='2026-01-05']"
    page.click_until("Show all partitions", f"!!document.querySelector({field!r})")
    page.replace_text(field, SESSION)
    page.press("Enter", 13)
    page.wait_for_text("1 partition")
    page.screenshot(pictures / "launch.png")
    page.click("Launch 1 run", "button")

    deadline = time.monotonic() + 900
    runs = []
    while time.monotonic() < deadline:
        runs = ui.runs("daily")
        if runs and runs[0]["status"] in {"SUCCESS", "FAILURE", "CANCELED"}:
            break
        time.sleep(1)
    assert [run["status"] for run in runs] == ["SUCCESS"], [ui.failures(run["runId"]) for run in runs]
    assert {"key": "dagster/partition", "value": SESSION} in runs[0]["tags"]

    # Opens at once: the UI and its servers never hold the file.
    rows = published(installation)
    assert [session.isoformat() for session, _ in rows] == [SESSION]
    assert rows[0][1] >= 20

    page.goto(f"{ui.address}/runs/{runs[0]['runId']}")
    page.wait_for_text("Success")
    page.wait_for_text("RUN_SUCCESS")
    page.screenshot(pictures / "run.png")


def test_asset_page_shows_columns_metadata_plots_and_checks(page: Page, ui: Ui, pictures: Path) -> None:
    page.goto(f"{ui.address}/assets/scoring/composite_ranking")
    for text in ("weighted mean of the components [0-100]", "unique (ticker, session)", "top_10", "DuckDB"):
        page.wait_for_text(text)
    page.screenshot(pictures / "composite_ranking.png")
    page.click("[Show Markdown]", "*")
    width = page.wait_for(
        "(i => i && i.naturalWidth)(document.querySelector('img[src^=\"data:image/png\"]'))"
    )
    assert width > 300
    page.screenshot(pictures / "plot.png")

    page.goto(f"{ui.address}/assets/scoring/composite_ranking?view=checks")
    for check in ("contract", "ranks_are_complete", "scores_add_up", "only_members_are_ranked"):
        page.wait_for_text(check)
    page.wait_for_text("This is a blocking asset check.")
    page.screenshot(pictures / "checks.png")

    page.goto(f"{ui.address}/assets/market/quality_events")
    page.wait_for_text("events_by_rule")
    page.screenshot(pictures / "quality_events.png")


def test_materialisation_carries_column_lineage(ui: Ui) -> None:
    query = """{ assetNodeOrError(assetKey: {path: ["scoring", "composite_ranking"]}) { ... on AssetNode {
        assetMaterializations(limit: 1) { metadataEntries { label ... on TableColumnLineageMetadataEntry {
            lineage { columnName columnDeps { assetKey { path } columnName } } } } } } } }"""
    entries = ui.ask(query)["assetNodeOrError"]["assetMaterializations"][0]["metadataEntries"]
    lineage = next(entry["lineage"] for entry in entries if entry["label"] == "dagster/column_lineage")
    final = next(column["columnDeps"] for column in lineage if column["columnName"] == "final_score")
    assert {"assetKey": {"path": ["scoring", "component_scores"]}, "columnName": "risk_score"} in final


def test_every_asset_is_drawn_as_up_to_date(page: Page, ui: Ui) -> None:
    groups = ui.ask("{ assetNodes { groupName } }")["assetNodes"]
    number = sum(node["groupName"] in HALVES[0] for node in groups)
    open_graph(page, ui, HALVES[0], number + len(STAGES))
    # All but raw_prices, which is partitioned.
    assert page.wait_for(f"{MATERIALISED} === {number - 1}", timeout=120)


def test_every_asset_has_been_materialised(ui: Ui) -> None:
    nodes = ui.ask("{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { timestamp } } }")[
        "assetNodes"
    ]
    without = {node["assetKey"]["path"][-1] for node in nodes if not node["assetMaterializations"]}
    assert without <= {"raw_prices", "published_ranking"}


def test_picture_of_the_graph(page: Page, ui: Ui, pictures: Path) -> None:
    opened = OPEN_IN_PICTURE
    groups = ui.ask("{ assetNodes { groupName } }")["assetNodes"]
    boxes = open_graph(page, ui, opened, sum(node["groupName"] in opened for node in groups) + len(STAGES))
    assert set(STAGES) <= set(boxes)
    assert "garch_fits" not in boxes
    page.wait_for(f"{MATERIALISED} > 20", timeout=120)
    picture = page.screenshot(pictures / "asset_graph.png", around=boxes.values())
    with Image.open(picture) as image:
        assert min(image.size) > 800
    if os.environ.get("UPDATE_ASSET_GRAPH"):
        with Image.open(picture) as image:
            image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
                ROOT / "docs" / "asset_graph.png", optimize=True
            )


def test_nothing_but_this_machine_is_asked(page: Page) -> None:
    assert page.requested == {"127.0.0.1"}
    assert not page.errors


def test_nothing_is_written_beside_the_warehouse(installation: Installation) -> None:
    assert {entry.name for entry in installation.home.iterdir()} == {
        "dagster.yaml",
        "workspace.yaml",
        "warehouse",
    }

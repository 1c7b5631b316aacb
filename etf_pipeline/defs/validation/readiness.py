"""May it be traded on? One table of gates, each with its evidence."""

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import exchange_sessions
from etf_pipeline.core.validation.readiness import judge_gate
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset
from etf_pipeline.plots import markdown_table
from etf_pipeline.storage.hashing import code_version
from etf_pipeline.storage.readiness_gates import GATES


@table_asset(
    "validation.readiness",
    reads={"sessions": "market.sessions"},
    after=[
        "market.bars", "scoring.composite_ranking", "validation.backtest_summary", "validation.significance",
        "validation.overfitting", "validation.random_portfolios", "validation.survivorship", "validation.value_at_risk",
    ],
)  # fmt: skip
def readiness(sessions: pd.DataFrame, pipeline: PipelineResource) -> dg.Output[pd.DataFrame]:
    """Ask every gate of what the warehouse holds now."""
    newest = sessions["session"].max()
    behind = exchange_sessions(
        pipeline.settings.market,
        newest.to_datetime64().astype("datetime64[D]"),
        np.datetime64(pipeline.last_final_session(), "D"),
    )
    rows = []
    with pipeline.warehouse.read() as connection:
        connection.execute(
            "CREATE TEMP TABLE asked AS SELECT ? AS sessions_behind, ? AS code_version, ? AS settings_hash, "
            "? AS benchmark",
            [
                max(0, len(behind) - 1),
                code_version(),
                pipeline.settings.settings_hash(),
                pipeline.settings.benchmark_ticker,
            ],
        )
        for gate in GATES:
            answer = connection.execute(gate.query).fetchone() or (None,)
            value = None if answer[0] is None else float(answer[0])
            held = gate.threshold if gate.threshold is not None else (answer[1] if len(answer) > 1 else None)
            found = judge_gate(gate, value, held)
            rows.append(
                {
                    "session": newest, "gate": gate.name, "question": gate.question, "requirement": found.requirement,
                    "threshold": held, "value": value, "verdict": found.verdict, "explanation": found.explanation,
                    "evidence": gate.evidence,
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows)
    refused = frame[frame["verdict"] != "pass"]
    return dg.Output(
        frame,
        metadata={
            "gates": len(frame),
            "passed": int((frame["verdict"] == "pass").sum()),
            "refused": dg.MetadataValue.md(markdown_table(refused[["gate", "verdict", "explanation"]])),
        },
    )

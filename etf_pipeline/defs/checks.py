"""Asset checks: every rule of ``storage.checks``, one step a table; an error blocks what lies downstream."""

from collections.abc import Iterator
from itertools import groupby

import dagster as dg

from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.storage.checks import RULES, Rule, offenders


def _checks_of(table: str, rules: tuple[Rule, ...]) -> dg.AssetChecksDefinition:
    asset = dg.AssetKey(table.split("."))

    @dg.multi_asset_check(
        name=f"{table.replace('.', '__')}__checks",
        specs=[
            dg.AssetCheckSpec(
                rule.name, asset=asset, description=rule.description, blocking=rule.severity == "error"
            )
            for rule in rules
        ],
        pool="warehouse",
    )
    def check(pipeline: PipelineResource) -> Iterator[dg.AssetCheckResult]:
        for rule, (count, rows) in zip(rules, offenders(pipeline.warehouse, rules), strict=True):
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=rule.name,
                passed=count == 0,
                severity=dg.AssetCheckSeverity.ERROR
                if rule.severity == "error"
                else dg.AssetCheckSeverity.WARN,
                description=f"{count} rows; first: {rows}" if count else rule.description,
                metadata={
                    "offending_rows": count,
                    "query": dg.MetadataValue.md(f"```sql\n{rule.offenders}\n```"),
                },
            )

    return check


checks = [
    _checks_of(table, tuple(rules))
    for table, rules in groupby(sorted(RULES, key=lambda rule: rule.table), key=lambda rule: rule.table)
]

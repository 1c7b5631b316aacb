"""Asset checks: every rule of ``storage.checks``; an error blocks what lies downstream."""

import dagster as dg

from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.storage.checks import RULES, Rule, offenders


def _check(rule: Rule) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=rule.table.split("."),
        name=rule.name,
        description=rule.description,
        blocking=rule.severity == "error",
        pool="warehouse",
    )
    def check(pipeline: PipelineResource) -> dg.AssetCheckResult:
        count, rows = offenders(pipeline.warehouse, rule)
        return dg.AssetCheckResult(
            passed=count == 0,
            severity=dg.AssetCheckSeverity.ERROR if rule.severity == "error" else dg.AssetCheckSeverity.WARN,
            description=f"{count} rows; first: {rows}" if count else rule.description,
            metadata={
                "offending_rows": count,
                "query": dg.MetadataValue.md(f"```sql\n{rule.offenders}\n```"),
            },
        )

    return check


checks = [_check(rule) for rule in RULES]

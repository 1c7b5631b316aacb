"""The rules of the shipped settings file."""

from __future__ import annotations

from etf_pipeline.defs.resources import scoring_rules
from etf_pipeline.scoring_settings import read_scoring

RULES = scoring_rules(read_scoring(None))

"""The asset graph: one folder a stage, each named as its group in the Dagster UI."""

import warnings

import dagster as dg

# Options this project relies on are still marked beta; the notices are for us, not for whoever opens the UI.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

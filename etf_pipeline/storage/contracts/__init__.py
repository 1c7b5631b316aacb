"""Every table's contract, by name."""

from __future__ import annotations

from etf_pipeline.storage.contracts.attribution import ATTRIBUTION_CONTRACTS
from etf_pipeline.storage.contracts.base import Column, Contract, ContractError
from etf_pipeline.storage.contracts.factors import FACTOR_CONTRACTS
from etf_pipeline.storage.contracts.meta import META_CONTRACTS
from etf_pipeline.storage.contracts.raw import RAW_CONTRACTS
from etf_pipeline.storage.contracts.research import RESEARCH_CONTRACTS

CONTRACTS: dict[str, Contract] = {
    contract.table: contract
    for contract in (
        *RAW_CONTRACTS,
        *FACTOR_CONTRACTS,
        *RESEARCH_CONTRACTS,
        *ATTRIBUTION_CONTRACTS,
        *META_CONTRACTS,
    )
}

__all__ = ["CONTRACTS", "Column", "Contract", "ContractError"]

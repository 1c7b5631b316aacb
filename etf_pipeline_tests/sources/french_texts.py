"""Short files in the form of Ken French's originals."""

from __future__ import annotations

import io
import zipfile

US_DAILY = """This file was created by CMPT_ME_BEME_RETS_DAILY using the 202110 CRSP database.
The Tbill return is the simple daily rate that, over the number of trading days
in the month, compounds to 1-month TBill rate from Ibbotson and Associates Inc.

,Mkt-RF,SMB,HML,RF
20211027,   -0.67,   -1.35,   -0.26,   0.000
20211028,    1.14,    0.87,   -0.47,   0.000
20211029,    0.22,    0.19,   -0.82,   0.009

Copyright 2021 Kenneth R. French
"""
DEVELOPED_DAILY = """This file was created using the 202208 Bloomberg database.

Missing data are indicated by -99.99.



,Mkt-RF,SMB,HML,RMW,CMA,RF
20220830   ,-0.79    ,0.24   ,-0.38   ,-0.15    ,0.05    ,0.01
20220831   ,-0.68    ,0.52   ,-99.99   ,-0.38    ,0.03    ,0.01
""".replace("\n", "\r\n")
US_MONTHLY_MOMENTUM = """This file was created by using the 202511 CRSP database.  It contains one factor, of momentum.

Missing data are indicated by -99.99 or -999.

,Mom
202509,   3.44
202510,   -999
202511,  -1.80

Annual Factors:
,Mom
  2024,  22.60
  2025,   1.70


Copyright 2025 Eugene F. Fama and Kenneth R. French
"""


def zipped(text: str, member: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, text)
    return buffer.getvalue()


def table_text(name: str) -> str:
    """Two rows of whichever table a file of this name holds."""
    columns = ["Mkt-RF", "SMB", "HML", "RF"]
    if "5_Factors" in name:
        columns = ["Mkt-RF", "SMB", "HML", "RMW", "CMA", "RF"]
    if "mom" in name.lower():
        columns = ["WML"]
    days = ("20211130", "20211201") if "daily" in name.lower() else ("202111", "202112")
    rows = [",".join([day, *["0.10"] * len(columns)]) for day in days]
    return "\n".join(
        ["This file was created using the 202112 CRSP database.", "", "," + ",".join(columns), *rows, ""]
    )

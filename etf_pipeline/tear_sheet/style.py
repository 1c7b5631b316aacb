"""How the page looks: on a phone, on a wide screen, on paper, by day and by night."""

from __future__ import annotations

# The first six colours are told apart by those who do not see red and green as different, too.
_SERIES = ("#2b6cb0", "#dd6b20", "#718096", "#0f8f6e", "#b83280", "#805ad5")
_SERIES_AT_NIGHT = ("#63b3ed", "#f6ad55", "#a0aec0", "#4fd1a5", "#f687b3", "#b794f4")
_AREAS = ("#2b6cb0", "#dd6b20", "#2a9d8f", "#b83280", "#805ad5", "#d69e2e", "#63b3ed", "#9c4221", "#68d391",
          "#f687b3", "#4a5568", "#a0aec0")  # fmt: skip


def _variables(colours: tuple[str, ...]) -> str:
    return ":root { " + "; ".join(f"--c{n}: {c}" for n, c in enumerate(colours)) + "; }\n"


STYLE = (
    _variables(_SERIES)
    + "@media (prefers-color-scheme: dark) { "
    + _variables(_SERIES_AT_NIGHT)
    + "}\n"
    + "@media print { "
    + _variables(_SERIES)
    + "}"
    + """
:root { --ink: #1a202c; --soft: #4a5568; --paper: #ffffff; --panel: #f7fafc; --rule: #d9e0e8; --no: #9c4221;
  --yes: #276749; --open: #4a5568; --warn: #975a16; --warn-paper: #fefcbf; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #a9b4c3; --paper: #12161c; --panel: #1b222b;
  --rule: #36404d; --no: #f6ad6b; --yes: #7fd3a3; --open: #a9b4c3; --warn: #faf089; --warn-paper: #44370b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  -webkit-text-size-adjust: 100%; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.15rem; margin: 0 0 0.5rem; padding-top: 1.6rem; }
p { margin: 0.4rem 0; max-width: 46rem; }
.simulated { background: var(--warn-paper); color: var(--warn); font-weight: 700; padding: 0.5rem 0.8rem;
  border-radius: 4px; max-width: none; }
.verdict { border-left: 6px solid var(--open); background: var(--panel); padding: 0.6rem 1rem; margin: 1rem 0; }
.verdict.no { border-color: var(--no); } .verdict.yes { border-color: var(--yes); }
.verdict .headline { font-size: 1.2rem; line-height: 1.4; font-weight: 650; }
.verdict ul { margin: 0.5rem 0; padding-left: 1.2rem; } .verdict li { margin: 0.3rem 0; max-width: 46rem; }
td.no { color: var(--no); font-weight: 700; } td.yes { color: var(--yes); font-weight: 700; }
td.open { color: var(--open); font-weight: 700; }
.note, .none, .caption, dd { color: var(--soft); font-size: 0.875rem; }
.none { font-style: italic; }
figure { margin: 0.8rem 0 1.4rem; break-inside: avoid; }
figcaption { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; font-size: 0.8125rem; margin: 0.2rem 0 0.5rem; max-width: none; }
.key i { display: inline-block; width: 0.9rem; height: 0.7rem; margin-right: 0.35rem; }
.key i[class^="l"] { height: 3px; vertical-align: middle; }
.plot { height: 16rem; padding: 0.4rem 0.9rem 1.6rem 3.4rem; }
.plot svg { overflow: visible; display: block; }
.plot path { fill: none; stroke-width: 1.6; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.plot path.thin { stroke-width: 1; stroke-dasharray: 4 3; }
.plot path.grid { stroke: var(--rule); stroke-width: 1; } .plot path.level { stroke: var(--soft); stroke-width: 1; }
.plot text { fill: var(--soft); font-size: 12px; }
.plot text.mark { font-size: 2.2rem; font-weight: 700; letter-spacing: 0.2em; opacity: 0.16; }
.plot polygon.faint { opacity: 0.5; }
.scroll { overflow-x: auto; margin: 0.5rem 0; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
.caption { margin: 0.8rem 0 0; }
th, td { padding: 0.22rem 0.55rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { font-weight: 600; vertical-align: bottom; } .n { text-align: right; } td.n, td.nb { white-space: nowrap; }
td.wide { min-width: 16rem; } td.default { outline: 2px solid var(--ink); outline-offset: -2px; }
td.total { font-weight: 650; border-left: 2px solid var(--rule); }
.dense th, .dense td { padding: 0.2rem 0.3rem; font-size: 0.78rem; }
code { font-size: 0.8rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: minmax(9rem, 14rem) 1fr; gap: 0.3rem 1rem; font-size: 0.875rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) { body { font-size: 15px; } main { padding: 0.7rem; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 0.6rem; } .plot { height: 12.5rem; padding-left: 3.1rem; }
  th, td { padding: 0.2rem 0.35rem; } table { font-size: 0.8rem; } }
@media print { :root { --ink: #000; --soft: #333; --paper: #fff; --panel: #f4f4f4; --rule: #bbb; --no: #9c4221;
  --yes: #276749;
  --warn: #000; --warn-paper: #fff; } main { max-width: none; padding: 0; } body { font-size: 10.5pt; }
  .simulated { border: 1px solid; } .scroll { overflow: visible; } h2 { break-after: avoid; } tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
    + "".join(
        f".plot path.s{n} {{ stroke: var(--c{n}); }} .plot .f{n} {{ fill: var(--c{n}); fill-opacity: 0.25; }} "
        f".l{n}, .k{n} {{ background: var(--c{n}); }} .k{n} {{ opacity: 0.4; }}\n"
        for n in range(len(_SERIES))
    )
    + "".join(
        f".plot .a{n} {{ fill: {c}; fill-opacity: 0.8; }} .ka{n} {{ background: {c}; }}\n"
        for n, c in enumerate(_AREAS)
    )
)

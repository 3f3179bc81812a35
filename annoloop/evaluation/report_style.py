"""How a report looks: on a screen light or dark, on a phone, on paper; no script, nothing loaded."""

from __future__ import annotations

import html

STYLE = """
:root{--ground:#fff;--ink:#1b1f24;--quiet:#57606a;--rule:#d5dae0;--shade:#f4f6f8;--good:#1a7f42;
--warn:#8a5300;--warnground:#fff6e0;--model:#1f66c4;--llm:#d2571f;--rules:#2a9d63;--forecast:#7a6ff0}
@media (prefers-color-scheme:dark){:root{--ground:#14171b;--ink:#e8eaed;--quiet:#a3acb6;--rule:#3a4149;
--shade:#1e2329;--good:#5fd08a;--warn:#f2c46d;--warnground:#33280f;--model:#6ea8f2;--llm:#f08a57;
--rules:#55c48c;--forecast:#a49bff}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);line-height:1.5;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:860px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.2rem;margin:2rem 0 .5rem}
p{margin:.5rem 0;overflow-wrap:anywhere}.quiet,figcaption,caption,dt{color:var(--quiet)}
.verdict{border:1px solid var(--rule);border-left:6px solid var(--quiet);border-radius:6px;
padding:4px 18px 14px;margin:16px 0}.verdict h2{font-size:1.5rem;margin:.6rem 0}
.verdict.good{border-left-color:var(--good)}
.verdict.good h2{color:var(--good)}
.verdict dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(128px,1fr));gap:12px;margin:14px 0 0}
.verdict dt{font-size:.85rem}.verdict dd{margin:0;font-size:1.25rem;font-weight:600}
nav{display:flex;flex-wrap:wrap;gap:6px 16px}nav a{color:var(--model)}
.warning{background:var(--warnground);color:var(--warn);border-radius:6px;padding:8px 12px}
.wide{overflow-x:auto;margin:12px 0;container-type:inline-size}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;padding:4px 0}
caption span{display:block;position:sticky;left:0;width:max-content;max-width:100cqi}
th,td{text-align:left;padding:5px 12px 5px 0;vertical-align:top;
border-bottom:1px solid var(--rule)}thead th{color:var(--quiet);font-weight:600}tbody th{font-weight:500}
.words1 td,.words1 th+th,.words2 td+td,.words2 th+th+th{text-align:right;padding:5px 0 5px 12px;
font-variant-numeric:tabular-nums;white-space:nowrap}
figure{margin:12px 0;break-inside:avoid}figcaption{font-size:.88rem;
margin-top:6px}
.bars{display:grid;grid-template-columns:minmax(90px,max-content) minmax(80px,1fr) max-content;gap:8px 12px;
align-items:center;font-size:.92rem}.bars .name{overflow-wrap:anywhere;max-width:220px}
.value{font-variant-numeric:tabular-nums}
.track{position:relative;height:18px;background:var(--shade);border-radius:3px}
.track .bar{position:absolute;inset:0 auto 0 0;border-radius:3px;opacity:.75}
.interval{position:absolute;top:8px;height:2px;background:var(--ink)}
i.bar{background:currentColor}.bar.model,.dot.model{color:var(--model);fill:var(--model)}
.bar.llm{color:var(--llm)}.bar.rules{color:var(--rules)}.bar.forecast{color:var(--forecast)}
svg{display:block;width:100%;max-width:520px;height:auto}svg text{fill:var(--quiet);font-size:11.5px}
.grid{stroke:var(--rule);stroke-width:1}.line{fill:none;stroke-width:2}.line.model{stroke:var(--model)}
.line.llm{stroke:var(--llm)}.line.rules{stroke:var(--rules)}.line.forecast{stroke:var(--forecast)}
.dashed{stroke-dasharray:6 4}.band.forecast{fill:var(--forecast);opacity:.18}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;padding:0;margin:4px 0;font-size:.88rem}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px}
.facts{display:grid;grid-template-columns:minmax(110px,max-content) 1fr;gap:3px 16px;margin:8px 0;
font-size:.92rem}
.facts dd{margin:0;overflow-wrap:anywhere;unicode-bidi:plaintext}
blockquote{margin:12px 0;padding:8px 14px;background:var(--shade);border-radius:6px;break-inside:avoid}
blockquote p{white-space:pre-wrap}mark{background:none;color:inherit}
mark.gold{border-bottom:3px solid var(--rules)}
mark.said{background:color-mix(in srgb,var(--llm) 28%,transparent)}
@media (max-width:520px){main{padding:16px 12px 48px}.facts{grid-template-columns:1fr;gap:0}
.facts dd{margin-bottom:6px}.bars{grid-template-columns:1fr max-content}.bars .name{grid-column:1/-1;
max-width:none;margin-bottom:-6px}}
@media print{:root{--ground:#fff;--ink:#000;--quiet:#444;--rule:#bbb;--shade:#f1f1f1;--good:#14602f;
--warn:#6b4000;--warnground:#fff6e0;--model:#1f66c4;--llm:#b8430f;--rules:#1d7d4c;--forecast:#5b50d0}
nav{display:none}main{max-width:none;padding:0}body{font-size:10.5pt}h2{break-after:avoid}
tr{break-inside:avoid}.wide{overflow:visible}table{font-size:8.5pt}
.words1 td,.words1 th+th,.words2 td+td,.words2 th+th+th{padding:4px 0 4px 8px;white-space:normal}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
@page{margin:16mm 14mm}}
"""


def document(title: str, main: str, *, style: str = "") -> str:
    """One HTML document; `main` and `style` are markup, `title` is text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f'<meta name="color-scheme" content="light dark"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}{style}</style></head><body><main>{main}</main></body></html>\n"
    )

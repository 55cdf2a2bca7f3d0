"""The style sheet of the page: one column, light and dark, phone and paper."""

CSS = """
:root { color-scheme: light dark;
  --ground: #ffffff; --ink: #1b1b1b; --soft: #5a5a5a; --line: #cfcfcf; --shade: #f3f4f6; --link: #0b5a96;
  --alert: #fff3d6; --alert-line: #b26a00; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #16181b; --ink: #e9e9e9; --soft: #b0b4ba; --line: #44484e; --shade: #212429; --link: #86c5f4;
  --alert: #3a2d10; --alert-line: #e69f00; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; padding-top: .6rem; border-top: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p { max-width: 48rem; margin: .6rem 0; }
header p, figcaption { color: var(--soft); }
a { color: var(--link); }
nav ol { columns: 17rem; column-gap: 2.5rem; padding-left: 1.6rem; margin: .6rem 0; }
nav li { break-inside: avoid; }
figure { margin: 1rem 0; min-width: 0; }
figcaption { font-size: .9rem; max-width: 60rem; margin: .3rem 0; }
.gallery { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
.gallery figure { margin: .5rem 0; }
img { display: block; width: 100%; max-width: 30rem; height: auto; background: #ffffff; border-radius: .3rem;
  border: 1px solid var(--line); }
.scroll { overflow-x: auto; max-width: 100%; scroll-timeline: --sideways inline; }
.scroll::before { content: "Scroll sideways for more columns \\2192"; display: block; position: sticky; left: 0;
  width: max-content; max-width: 100%; overflow: hidden; max-height: 0; font-size: .82rem; color: var(--link); }
@supports (animation-timeline: scroll()) {
  .scroll::before { animation: hint linear both; animation-timeline: --sideways; } /* none without overflow */
  @keyframes hint { from, to { max-height: 1.6rem; } } }
@supports not (animation-timeline: scroll()) { @media (max-width: 48rem) {
  .scroll:not(:has(.facts))::before { max-height: 1.6rem; } } }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  overflow-wrap: break-word; min-width: 5.5rem; max-width: 22rem; }
td.n { white-space: nowrap; }
thead th { border-bottom: 2px solid var(--soft); background: var(--shade); }
tbody th { font-weight: 600; }
tbody tr > * { background: var(--ground); }
tbody tr:nth-child(even) > * { background: var(--shade); }
.facts td { max-width: 48rem; min-width: 0; overflow-wrap: anywhere; }
.facts th { max-width: 20rem; }
@media screen and (max-width: 48rem) {
  table { font-size: .82rem; }
  th, td { padding: .25rem .4rem; min-width: 4.5rem; }
  td:not(.n) { min-width: 11rem; }
  tr > :first-child { position: sticky; left: 0; min-width: 8rem; max-width: 11rem; hyphens: auto;
    box-shadow: 1px 0 var(--line); }
  .facts td { min-width: 0; white-space: normal; }
  .facts tr > :first-child { min-width: 4.5rem; max-width: 14rem; box-shadow: none; position: static; }
}
.alert { background: var(--alert); border-left: .3rem solid var(--alert-line); padding: .5rem .8rem; }
pre { background: var(--shade); padding: .6rem; overflow-x: auto; overflow-wrap: normal; font-size: .85rem; }
details { margin: .8rem 0; border: 1px solid var(--line); border-radius: .3rem; padding: .2rem .7rem; }
summary { cursor: pointer; font-weight: 600; padding: .2rem 0; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media print {
  :root { --ground: #fff; --ink: #000; --soft: #333; --line: #999; --shade: #f3f3f3; --link: #000;
    --alert: #fff; --alert-line: #000; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  nav { display: none; }
  .gallery figure, tr, img { break-inside: avoid; }
  h2, h3, figcaption { break-after: avoid; }
  .scroll, pre { overflow: visible; }
  .scroll::before { content: none; }
  pre { white-space: pre-wrap; }
  table { font-size: 7.5pt; }
  th, td { padding: .15rem .3rem; min-width: 0; }
  .gallery { grid-template-columns: 1fr 1fr; }
  details::details-content { content-visibility: visible; block-size: auto; height: auto; }
}
"""

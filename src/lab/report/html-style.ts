/** How the report looks: on paper and screen, light and dark, down to the width of a phone. */
import { colourStyle, pictureStyle } from "./svg.ts";

export const pageStyle: string = `${colourStyle}${pictureStyle}
*{box-sizing:border-box}
html{color-scheme:light dark}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
main{max-width:1000px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 0 4px}
h2{font-size:20px;margin:0}
a{color:var(--control)}
small,.title,.more,figcaption,.overview th span{color:var(--muted)}
small{font-size:13px}
.summary{font-size:17px;margin:0 0 24px}
.mark{font-weight:700}
.mark.good{color:var(--call)}
.mark.bad{color:var(--lost)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:8px 12px 8px 0;border-bottom:1px solid var(--line)}
thead th{color:var(--muted);font-weight:500;font-size:13px;padding-bottom:4px}
.overview th[scope=row]{font-weight:600;width:36%}
.overview th span{display:block;font-weight:400;font-size:13.5px}
.overview th[scope=row],.overview td:last-child,.flows td:nth-child(2),.flows td:last-child{overflow-wrap:anywhere}
.overview .seen{white-space:nowrap}
section{margin-top:52px;padding-top:20px;border-top:2px solid var(--line)}
.title{margin:2px 0 16px}
.result{display:grid;grid-template-columns:minmax(0,480px) minmax(0,1fr);gap:20px 28px;align-items:start}
.result:has(.wide){grid-template-columns:minmax(0,1fr)}
figure{margin:0;max-width:var(--width,480px)}
figure svg{display:block;width:100%;height:auto}
.wide svg{min-width:560px}
figcaption,.more{font-size:13px;margin:6px 0 0}
.verdict{font-size:17px;margin:0}
.verdict+p{margin:4px 0 16px}
.figures{width:auto;font-variant-numeric:tabular-nums}
.figures th[scope=row]{font-weight:400;color:var(--muted)}
.figures td,.figures th{padding:4px 18px 4px 0}
.paths{margin:16px 0 0;padding:0 0 0 18px;color:var(--muted);font-size:14px}
.paths li{margin:6px 0}
.scroll{overflow-x:auto}
details{margin-top:14px}
summary{cursor:pointer;font-weight:600}
details[open]>summary{margin-bottom:8px}
pre{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--inside);border:1px solid var(--line);border-radius:8px;padding:14px 16px;margin:0;white-space:pre-wrap}
.flows{font-size:14px}
.flows td:nth-child(2){width:44%}
.flows .call{color:var(--call)}.flows .control{color:var(--control)}.flows .probe{color:var(--probe)}.flows .signaling{color:var(--signaling)}.flows .uninvited{color:var(--uninvited)}
.lost{color:var(--lost)}
@media(max-width:760px){
main{padding:20px 14px 40px}
.result{grid-template-columns:minmax(0,1fr)}
.overview,.flows,.overview tbody,.flows tbody,.overview tr,.flows tr,.overview th[scope=row],.overview td,.flows td{display:block;width:auto!important}
.overview thead,.flows thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.overview tr,.flows tr{border-bottom:1px solid var(--line);padding:10px 0}
.overview th,.overview td,.flows td{border:0;padding:1px 0}
.overview td,.flows td{display:grid!important;grid-template-columns:84px minmax(0,1fr)}
.overview td::before,.flows td::before{content:attr(data-name);color:var(--muted);font-size:13px;grid-row:1/span 9}
.overview td>*,.flows td>*{grid-column:2}
.flows td:empty{display:none!important}
}
@media print{section{break-inside:avoid}}
`;

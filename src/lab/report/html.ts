/** Results as one HTML file that needs nothing else: no other file, no script. */
import type { Result } from "../scenario.ts";
import { drawText, tableText } from "./text.ts";

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export function reportHtml(results: readonly Result[]): string {
  const pictures = results.map((result) => {
    const screen = result.screen === undefined ? "" : `<pre>${escapeHtml(result.screen)}</pre>`;
    return `<h2>${escapeHtml(result.scenario.name)}</h2><pre>${escapeHtml(drawText(result).join("\n"))}</pre>${screen}`;
  });
  return `<!doctype html><meta charset="utf-8"><title>Postern lab</title><pre>${escapeHtml(tableText(results).join("\n"))}</pre>${pictures.join("")}`;
}

/** The word that was probably meant. */

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The nearest of `words` that is at most `within` edits away; undefined when none is. */
export function nearest(word: string, words: readonly string[], within: number): string | undefined {
  const ranked = words.map((one) => ({ one, edits: distance(word, one) })).sort((a, b) => a.edits - b.edits);
  return ranked[0] !== undefined && ranked[0].edits <= within ? ranked[0].one : undefined;
}

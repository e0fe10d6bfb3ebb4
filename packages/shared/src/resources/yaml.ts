import { type Document, isScalar, LineCounter, parseAllDocuments, visit } from 'yaml';

/** A document as plain values, or what is wrong with it. */
export type YamlDocument = { readonly value: unknown } | { readonly problem: string };

/**
 * Reads YAML or JSON documents in time that grows with the text alone.
 *
 * Two services of the parser are done here instead, because theirs grow with the square: it compares each key of a map
 * with each other (1 minute for 50,000 keys), and it draws a picture of the line for each error of a document.
 */
export function readYaml(text: string): YamlDocument[] {
  const lines = new LineCounter();
  return parseAllDocuments(text, { uniqueKeys: false, strict: true, prettyErrors: false, lineCounter: lines }).map((document: Document.Parsed): YamlDocument => {
    const [error] = document.errors;
    const place = (offset: number) => {
      const { line, col } = lines.linePos(offset);
      return `at line ${line}, column ${col}`;
    };
    if (error) return { problem: `not valid YAML: ${error.message} ${place(error.pos[0])}` };
    try {
      const key = badKey(document);
      return key === null ? expand(document) : { problem: `not valid YAML: ${key.problem} ${place(key.offset)}` };
    } catch (thrown) {
      // Both walk by recursion, which ends where the stack does.
      if (!(thrown instanceof RangeError)) throw thrown;
      return { problem: 'it is nested too deeply' };
    }
  });
}

/**
 * The first key that is repeated or no scalar. Keys are compared as the text that they become: `8080` and `"8080"` are
 * one field, and the later would silently win.
 */
function badKey(document: Document.Parsed): { readonly problem: string; readonly offset: number } | null {
  let found: { problem: string; offset: number } | null = null;
  visit(document, {
    Map(_, map) {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        const offset = isScalar(key) ? (key.range?.[0] ?? 0) : (map.range?.[0] ?? 0);
        if (!isScalar(key)) found = { problem: 'a key must be plain text', offset };
        else if (seen.has(String(key.value))) found = { problem: `the key ${JSON.stringify(key.value)} is given twice`, offset };
        else seen.add(String(key.value));
        if (found !== null) return visit.BREAK;
      }
      return undefined;
    },
  });
  return found;
}

/** Fails when aliases expand to more than is sane ("billion laughs"). */
function expand(document: Document.Parsed): YamlDocument {
  try {
    return { value: document.toJS({ maxAliasCount: 50 }) as unknown };
  } catch (error) {
    return { problem: `its aliases expand too far: ${error instanceof Error ? error.message : 'unknown'}` };
  }
}

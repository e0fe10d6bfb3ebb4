import type { CaseResult } from '@sallyport/shared/analysis';

/** One case with its file; the shape that scripts rely on in JSON too. */
export interface TestRow extends CaseResult {
  readonly file: string;
}

/** A JUnit XML report, one suite a test of a file: what CI systems read. */
export function junit(rows: readonly TestRow[]): string {
  const suites = [...Map.groupBy(rows, (row) => `${row.file} ${row.test}`).entries()];
  const failed = rows.filter((row) => !row.pass).length;
  const body = suites.map(([name, cases]) => suite(name, cases)).join('');
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites tests="${rows.length}" failures="${failed}">\n${body}</testsuites>\n`;
}

function suite(name: string, rows: readonly TestRow[]): string {
  const cases = rows.map((row) => {
    const open = `    <testcase classname="${attribute(row.test)}" name="${attribute(row.case)}" file="${attribute(row.file)}"`;
    if (row.pass) return `${open}/>\n`;
    const message = `expected ${JSON.stringify(row.expected)}, got ${JSON.stringify(row.actual)}`;
    return `${open}>\n      <failure message="${attribute(message)}">${attribute(row.reason)}</failure>\n    </testcase>\n`;
  });
  return `  <testsuite name="${attribute(name)}" tests="${rows.length}" failures="${rows.filter((row) => !row.pass).length}">\n${cases.join('')}  </testsuite>\n`;
}

/** Text for XML 1.0, which has no control characters even as references. */
function attribute(text: string): string {
  return text.replace(/[\p{Cc}\uFFFE\uFFFF]/gu, '?').replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

import { MAX_TEST_BYTES, runPolicyTests } from '@sallyport/shared/analysis';
import { formatProblem, InvalidResourceError } from '@sallyport/shared/resources';
import { type Command, Option } from 'commander';
import { described } from '../command.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { filesOf, nameOf, readText } from '../files.ts';
import { junit, type TestRow } from '../junit.ts';
import { note, show, tone } from '../output.ts';

const FORMATS = ['table', 'json', 'junit', 'yaml'] as const;

const EXAMPLE = `sallyport test policies/
sallyport test payments.test.yaml -o junit > report.xml

payments.test.yaml:
  apiVersion: sallyport.dev/v1alpha1
  kind: PolicyTest
  metadata: {name: payments}
  spec:
    mesh: {trustDomain: cluster.local}
    resources:
    - apiVersion: sallyport.dev/v1alpha1
      kind: AuthorizationPolicy
      metadata: {name: callers, namespace: payments}
      spec: {rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/checkout]}}]}]}
    cases:
    - name: checkout may charge
      request:
        source: {principal: "spiffe://cluster.local/ns/shop/sa/checkout"}
        destination: {namespace: payments, labels: {app: payments}, port: 8080}
        http: {method: POST, path: /charge}
      expect: {decision: ALLOW}`;

/** `sallyport test` */
export function testCommand(): Command {
  return described('test', 'run PolicyTest files offline, through the evaluator that the proxies use', EXAMPLE)
    .argument('<file...>', 'files, directories (their .yaml, .yml and .json files) or - for standard input')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(FORMATS).default('table'))
    .addHelpText('after', '\nExit codes: 0 every case holds, 1 a case fails, 2 a file cannot be used.')
    .action(async (files: string[], options: { output: (typeof FORMATS)[number] }) => {
      const rows: TestRow[] = [];
      const problems: string[] = [];
      for (const file of files.flatMap((file) => filesOf(file, MAX_TEST_BYTES))) await runFile(file, rows, problems);
      print(options.output, rows);
      for (const problem of problems.slice(0, 50)) note(problem);
      if (problems.length > 50) note(`and ${problems.length - 50} more problems`);
      if (problems.length > 0) throw new CliFailure(EXIT.usage, `${problems.length} problem${problems.length === 1 ? '' : 's'} in the files`, 'correct the named fields');
      if (rows.some((row) => !row.pass)) process.exitCode = EXIT.refused;
    });
}

async function runFile(file: string, rows: TestRow[], problems: string[]): Promise<void> {
  const name = nameOf(file);
  try {
    const result = runPolicyTests(await readText(file));
    rows.push(...result.cases.map((each) => ({ file: name, ...each })));
    problems.push(...result.problems.map((problem) => `${name}: ${formatProblem(problem)}`));
  } catch (error) {
    if (!(error instanceof InvalidResourceError)) throw error;
    problems.push(...error.problems.map((problem) => `${name}: ${formatProblem(problem)}`));
  }
}

function print(format: (typeof FORMATS)[number], rows: readonly TestRow[]): void {
  if (format === 'junit') return void process.stdout.write(junit(rows));
  if (format !== 'table') return show(format, rows, [], []);
  const failed = rows.filter((row) => !row.pass);
  if (failed.length > 0) {
    show('table', null, ['RESULT', 'TEST', 'CASE', 'EXPECTED', 'ACTUAL', 'REASON'], failed.map((row) => [tone('FAIL', 'bad'), row.test, row.case, brief(row.expected), brief(actualOf(row)), row.reason]));
  }
  process.stdout.write(`${rows.length - failed.length} passed, ${failed.length} failed\n`);
}

/** Of what was found only what was asked for. */
function actualOf({ expected, actual }: TestRow): Record<string, unknown> {
  return Object.fromEntries(Object.entries(actual).filter(([key]) => key in expected));
}

function brief(values: object): string {
  return Object.values(values).map(String).join(' ');
}

import { InvalidSpiffeIdError, parseSpiffeId } from '@sallyport/shared/mesh';
import { Command } from 'commander';
import { described, outputOption } from '../command.ts';
import { EXIT } from '../failure.ts';
import { type Format, show, tone } from '../output.ts';

/** One row of the output; the shape that scripts rely on. */
interface IdRow {
  readonly id: string;
  readonly valid: boolean;
  readonly trustDomain: string | null;
  readonly path: string | null;
  readonly namespace: string | null;
  readonly serviceAccount: string | null;
  /** Which rule of the standard the text breaks; null when it is valid. */
  readonly problem: string | null;
}

/** `sallyport spiffe-id` */
export function spiffeIdCommand(): Command {
  const validate = described('validate', 'check texts against the SPIFFE-ID standard', 'sallyport spiffe-id validate spiffe://cluster.local/ns/shop/sa/checkout')
    .argument('<id...>')
    .addOption(outputOption())
    .addHelpText('after', '\nExit codes: 0 all are valid, 1 one is not.')
    .action((ids: string[], { output }: { output: Format }) => {
      const rows = ids.map(rowOf);
      show(output, rows, ['ID', 'VALID', 'TRUST DOMAIN', 'PATH', 'PROBLEM'], rows.map((row) => [row.id, row.valid ? tone('yes', 'good') : tone('no', 'bad'), row.trustDomain, row.path, row.problem]));
      if (rows.some((row) => !row.valid)) process.exitCode = EXIT.refused;
    });
  return new Command('spiffe-id').description('work with SPIFFE IDs').addCommand(validate);
}

function rowOf(id: string): IdRow {
  try {
    const { trustDomain, path, namespace, serviceAccount } = parseSpiffeId(id);
    return { id, valid: true, trustDomain, path, namespace, serviceAccount, problem: null };
  } catch (error) {
    if (!(error instanceof InvalidSpiffeIdError)) throw error;
    return { id, valid: false, trustDomain: null, path: null, namespace: null, serviceAccount: null, problem: error.message };
  }
}

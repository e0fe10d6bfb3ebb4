import { Command, CommanderError } from 'commander';
import { caCommand } from './commands/ca.ts';
import { demoCommand } from './commands/demo.ts';
import { evidenceCommand } from './commands/evidence.ts';
import { graphCommand } from './commands/graph.ts';
import { auditCommand, certsCommand, deniesCommand, namespacesCommand, proxiesCommand, shadowsCommand, signalsCommand } from './commands/inventory.ts';
import { policyCommand } from './commands/policy.ts';
import { applyCommand, deleteCommand, getCommand } from './commands/resources.ts';
import { spiffeIdCommand } from './commands/spiffe-id.ts';
import { svidCommand } from './commands/svid.ts';
import { strictCommand } from './commands/strict.ts';
import { testCommand } from './commands/test.ts';
import { workloadCommand } from './commands/workload.ts';
import { CliFailure, EXIT } from './failure.ts';
import { note, printable } from './output.ts';

const EXIT_HELP = `
Exit codes: 0 ok, 1 refused or a check failed, 2 usage or bad input, 3 cannot reach or sign in.
Example:
  sallyport demo --detach && sallyport graph`;

function program(): Command {
  const sallyport = new Command('sallyport')
    .description('See, author and prove the security posture of a service mesh.')
    .addHelpText('after', EXIT_HELP);
  const commands = [
    demoCommand(), applyCommand(), getCommand(), deleteCommand(), graphCommand(), namespacesCommand(), strictCommand(),
    certsCommand(), caCommand(), signalsCommand(), deniesCommand(), shadowsCommand(), proxiesCommand(), auditCommand(), evidenceCommand(), workloadCommand(), testCommand(), policyCommand(), spiffeIdCommand(), svidCommand(),
  ];
  for (const command of commands) sallyport.addCommand(command);
  throwInsteadOfExit(sallyport);
  return sallyport;
}

function throwInsteadOfExit(command: Command): void {
  command.exitOverride().showHelpAfterError('(add --help for the options and an example)');
  for (const child of command.commands) throwInsteadOfExit(child);
}

/** @returns the exit code */
async function main(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    // Commander has already said what is wrong; --help ends here too, with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(error instanceof CliFailure)) throw error;
    note(`sallyport: ${error.message.split('\n').map(printable).join('\n')}`);
    if (error.remedy !== null) note(`Remedy: ${printable(error.remedy)}`);
    return error.exitCode;
  }
}

// `sallyport get … | head` closes the pipe early: not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});
process.exitCode = await main(process.argv.slice(2));

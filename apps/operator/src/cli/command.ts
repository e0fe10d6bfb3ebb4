import { Command, Option } from 'commander';
import { ApiClient } from './client.ts';
import { CliFailure, EXIT } from './failure.ts';
import { type Format, FORMATS } from './output.ts';
import { settingsFrom } from './settings.ts';

interface CommonOptions {
  readonly output: Format;
  readonly server?: string;
}

/** A command that talks to the API: `--server`, `-o` and an example in its help. */
export function apiCommand(name: string, description: string, example: string): Command {
  return described(name, description, example)
    .option('--server <url>', 'address of the API (default: SALLYPORT_SERVER, else the demo of this clone)')
    .addOption(outputOption());
}

/** `-o json|yaml|table` */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(FORMATS).default('table');
}

/** A command with an example in its help. */
export function described(name: string, description: string, example: string): Command {
  return new Command(name).description(description).addHelpText('after', `\nExample:\n  ${example.replaceAll('\n', '\n  ')}`);
}

/** The client for a command's options. */
export function clientOf(options: CommonOptions): ApiClient {
  return new ApiClient(settingsFrom(process.env, options.server));
}

/** `?a=1&b=2` of what is set; '' when nothing is. */
export function query(parameters: Readonly<Record<string, string | undefined>>): string {
  const set = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) if (value !== undefined) set.set(key, value);
  return set.size === 0 ? '' : `?${set.toString()}`;
}

/** One part of a path, escaped. @throws CliFailure for a name that no object has, such as `..`, which would change the path */
export function segment(what: string, text: string): string {
  if (!/^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$/.test(text) || text.length > 63) {
    throw new CliFailure(EXIT.usage, `${what} "${text.slice(0, 63)}" is not a name`, 'names are lower-case letters, digits and dashes');
  }
  return encodeURIComponent(text);
}

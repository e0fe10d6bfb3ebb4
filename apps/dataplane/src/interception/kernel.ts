import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { IPTABLES_CHAINS, type IptablesRule, iptablesJumps, iptablesRules, iptablesText, NFT_PRIORITY, NFT_TABLE, nftChains, nftMarks, nftRemoval, nftText, type Redirect } from './rules.ts';

const COMMAND_MS = 30_000;

/** The kernel's rules in the network namespace of this process, by one of the programs that write them. */
export interface Kernel {
  /** Puts the rules in place, whatever was there before. @throws Error with what the program said */
  apply(redirect: Redirect): void;
  /** What is not as it must be; null when all is. @throws Error when that cannot be told */
  missing(redirect: Redirect): string | null;
  /** Removes all of ours, also when there is nothing. @throws Error with what the program said */
  remove(): void;
}

export type KernelName = 'nft' | 'iptables';

/** The one that is asked for; else nft where it is, and iptables where it is not. @throws Error when neither is there */
export function openKernel(name: KernelName | null): Kernel {
  if (name === 'nft' || (name === null && isThere('nft'))) return new Nft();
  if (name === 'iptables' || isThere('iptables')) return new Iptables(ipv6InUse() ? ['iptables', 'ip6tables'] : ['iptables']);
  throw new Error('neither nft nor iptables is here; install nftables');
}

function isThere(command: string): boolean {
  return spawnSync(command, ['--version'], { timeout: COMMAND_MS }).status === 0;
}

/** Where the kernel has no IPv6 nothing can go past by it. */
function ipv6InUse(): boolean {
  return existsSync('/proc/net/if_inet6');
}

function run(command: string, args: readonly string[], input = ''): { readonly ok: boolean; readonly stdout: string; readonly said: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, { input, encoding: 'utf8', timeout: COMMAND_MS });
  if (error) throw new Error(`${command} cannot be run: ${error.message}`);
  return { ok: status === 0, stdout, said: `${command} ${args.join(' ')}: ${stderr.trim().slice(0, 1000)}` };
}

function demand(command: string, args: readonly string[], input = ''): string {
  const { ok, stdout, said } = run(command, args, input);
  if (!ok) throw new Error(`${said}\nRemedy: run as root, with CAP_NET_ADMIN, in the network namespace of the workload`);
  return stdout;
}

const listed = z.object({
  nftables: z.array(z.object({
    chain: z.object({ name: z.string(), type: z.string().optional(), hook: z.string().optional(), prio: z.number().optional(), policy: z.string().optional() }).optional(),
    rule: z.object({ chain: z.string(), comment: z.string().optional() }).optional(),
  })),
});

class Nft implements Kernel {
  apply(redirect: Redirect): void {
    demand('nft', ['-f', '-'], nftText(redirect));
  }

  missing(redirect: Redirect): string | null {
    const { ok, stdout, said } = run('nft', ['-j', 'list', 'table', 'inet', NFT_TABLE]);
    if (!ok) {
      if (/No such file or directory/.test(said)) return `there is no table inet ${NFT_TABLE}`;
      throw new Error(said);
    }
    const { nftables } = listed.parse(JSON.parse(stdout));
    const present = nftables.flatMap(({ chain }) => chain ?? []);
    const rules = nftables.flatMap(({ rule }) => rule ?? []);
    const wanted = nftChains(redirect);
    const marks = nftMarks(wanted);
    for (const { name, hook } of wanted) {
      const chain = present.find((candidate) => candidate.name === name);
      const hooked = hook === null ? chain?.hook === undefined : chain?.type === 'nat' && chain.hook === hook && chain.prio === NFT_PRIORITY;
      if (!chain || !hooked) return `chain ${name} is not there, or not at its hook`;
      const found = rules.filter((rule) => rule.chain === name).map(({ comment }) => comment ?? '');
      if (found.join('\n') !== marks.get(name)?.join('\n')) return `the rules of chain ${name} are not those that were asked for`;
    }
    return null;
  }

  remove(): void {
    demand('nft', ['-f', '-'], nftRemoval());
  }
}

class Iptables implements Kernel {
  readonly #commands: readonly string[];

  constructor(commands: readonly string[]) {
    this.#commands = commands;
  }

  apply(redirect: Redirect): void {
    for (const command of this.#commands) {
      const jumps = iptablesJumps().filter((jump) => !has(command, jump));
      demand(`${command}-restore`, ['--wait', '--noflush'], iptablesText(redirect, jumps));
    }
  }

  missing(redirect: Redirect): string | null {
    const rules = iptablesRules(redirect);
    for (const command of this.#commands) {
      // In order, and nothing more: a chain lists its rules as they are asked for here, and what is there is there by -C.
      for (const chain of IPTABLES_CHAINS) {
        const count = run(command, ['--wait', '-t', 'nat', '-S', chain]).stdout.split('\n').filter((line) => line.startsWith('-A ')).length;
        if (count !== rules.filter((rule) => rule.chain === chain).length) return `${command}: the rules of chain ${chain} are not those that were asked for`;
      }
      const lacking = [...rules, ...iptablesJumps()].find((rule) => !has(command, rule));
      if (lacking) return `${command}: ${lacking.chain} has no rule ${lacking.rule}`;
    }
    return null;
  }

  remove(): void {
    for (const command of this.#commands) {
      for (const jump of iptablesJumps()) {
        while (has(command, jump)) demand(command, ['--wait', '-t', 'nat', '-D', jump.chain, ...jump.rule.split(' ')]);
      }
      const chains = IPTABLES_CHAINS.filter((chain) => run(command, ['--wait', '-t', 'nat', '-S', chain]).ok);
      for (const action of ['-F', '-X']) {
        // Ours lead to each other: the one that nothing leads to goes first.
        for (const chain of chains.toReversed()) demand(command, ['--wait', '-t', 'nat', action, chain]);
      }
    }
  }
}

function has(command: string, { chain, rule }: IptablesRule): boolean {
  return run(command, ['--wait', '-t', 'nat', '-C', chain, ...rule.split(' ')]).ok;
}

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Pod, PodNetwork } from '../../test/pods.ts';

/** Each word of the command is a process of its own, and one of iptables' is a dozen. */
const PATIENCE_MS = 180_000;
const MAIN = join(import.meta.dirname, 'main.ts');
const run = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });

describe('the command line', () => {
  it.each([
    [[], /apply\|check\|remove/],
    [['install'], /apply\|check\|remove/],
    [['apply', 'remove'], /one thing at a time/],
    [['apply'], /--proxy-uid must be a number/],
    [['check', '--proxy-uid', '0'], /may not run as root/],
    [['check', '--proxy-uid', '-1'], /proxy-uid/],
    [['apply', '--proxy-uid', '1337', '--exclude-inbound', '22;flush'], /"22;flush" is neither/],
    [['apply', '--proxy-uid', '1337', '--inbound-port', '15016'], /15016 is used twice/],
    [['remove', '--backend', 'ipfw'], /nft or iptables, not ipfw/],
    [['apply', '--uid', '1337'], /--uid/],
  ])('refuses %j with 2 before it touches anything', (args, says) => {
    const { status, stderr, stdout } = run(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(says);
  });
});

describe.skipIf(PodNetwork.isSkipped('sallyport-redirect in a real network namespace')).each(['nft', 'iptables'] as const)('the rules by %s', { timeout: PATIENCE_MS }, (backend) => {
  const network = new PodNetwork();
  let pod: Pod;
  beforeAll(() => {
    network.open();
    pod = network.add('k');
  });
  afterAll(() => network.close());

  const redirect = async (action: 'apply' | 'check' | 'remove', ...options: string[]) => (await network.redirect(pod, action, '--backend', backend, ...options)).code;
  const dump = async () => (await network.run(pod, backend === 'nft' ? 'nft' : 'iptables-save', ...(backend === 'nft' ? ['list', 'ruleset'] : ['-t', 'nat']))).stdout.replaceAll(/^#.*$|\[\d+:\d+\]/gm, '');

  it('are put in place once, however often that is asked for, and removed without a trace', async () => {
    expect(await redirect('check')).toBe(1);
    expect(await redirect('apply', '--exclude-inbound', '22,9000-9010')).toBe(0);
    const first = await dump();
    expect(first).toContain('15006');
    expect(await redirect('apply', '--exclude-inbound', '22,9000-9010')).toBe(0);
    expect(await dump()).toBe(first);
    expect(await redirect('check', '--exclude-inbound', '22,9000-9010')).toBe(0);
    expect(await redirect('check')).toBe(1);
    expect(await redirect('apply')).toBe(0);
    expect(await redirect('check')).toBe(0);
    for (const _ of ['there', 'not there']) expect(await redirect('remove')).toBe(0);
    expect(await dump()).not.toMatch(/sallyport/i);
    expect(await redirect('check')).toBe(1);
  });

  const tampered = {
    nft: [
      ['nft', 'flush', 'chain', 'inet', 'sallyport', 'inbound'],
      ['nft', 'insert', 'rule', 'inet', 'sallyport', 'outbound', 'tcp', 'dport', '443', 'return'],
      ['nft', 'delete', 'chain', 'inet', 'sallyport', 'prerouting'],
      ['nft', 'delete', 'table', 'inet', 'sallyport'],
    ],
    iptables: [
      ['iptables', '-t', 'nat', '-F', 'SALLYPORT_INBOUND'],
      ['iptables', '-t', 'nat', '-I', 'SALLYPORT_OUTBOUND', '-p', 'tcp', '--dport', '443', '-j', 'RETURN'],
      ['ip6tables', '-t', 'nat', '-F', 'PREROUTING'],
      ['ip6tables', '-t', 'nat', '-F', 'SALLYPORT_OUTPUT'],
    ],
  }[backend];
  it.each(tampered.map((command) => [command.join(' '), command] as const))('are seen to be missing after %s, and mended', async (_, [command = '', ...args]) => {
    expect(await redirect('apply')).toBe(0);
    expect(await network.run(pod, command, ...args)).toMatchObject({ code: 0 });
    expect(await redirect('check')).toBe(1);
    expect(await redirect('apply')).toBe(0);
    expect(await redirect('check')).toBe(0);
  });
});

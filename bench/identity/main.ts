import { createPrivateKey } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { cpus, loadavg } from 'node:os';
import tls from 'node:tls';
import { Credentials } from '../../apps/dataplane/src/identity/credentials.ts';
import { workloadIdentity } from '../../apps/dataplane/src/identity/peer.ts';
import { TrustBundle } from '../../apps/dataplane/src/identity/trust.ts';
import { TestCa, TRUST_DOMAIN, workloadUri } from '../../apps/dataplane/test/certificates.ts';
import { median } from '../wire/clock.ts';

/**
 * `npm run bench:identity [-- --json] [--rounds N]`
 *
 * Handshakes a second, both ends of mutual TLS 1.3 in this process, and the CPU of one: with the roots alone and nothing
 * looked at; with the bridge that binds roots to trust domains; and with our check of the leaf on top, for peers that
 * came before and for peers that are new each time. They take turns; medians of rounds. Prints, and judges nothing.
 */
const HANDSHAKES_A_TURN = 150;
const OURS = workloadUri('shop', 'web');

interface Contestant {
  readonly name: string;
  readonly ca: (trust: TrustBundle) => readonly string[];
  readonly check: boolean;
  readonly newPeers: boolean;
}

const CONTESTANTS: readonly Contestant[] = [
  { name: 'TLS alone', ca: (trust) => trust.roots, check: false, newPeers: false },
  { name: 'with the bridge', ca: (trust) => trust.anchors, check: false, newPeers: false },
  { name: 'with bridge and check, peers that came before', ca: (trust) => trust.anchors, check: true, newPeers: false },
  { name: 'with the bridge, new peers', ca: (trust) => trust.anchors, check: false, newPeers: true },
  { name: 'with bridge and check, new peers', ca: (trust) => trust.anchors, check: true, newPeers: true },
];

interface Figures {
  readonly perSecond: number;
  readonly cpuMs: number;
  /** What our check took of it, by the clock around it: medians of CPU differ by more than that on a busy machine. */
  readonly checkMs: number;
}

async function turn({ ca, check, newPeers }: Contestant, authority: TestCa, trust: TrustBundle): Promise<Figures> {
  const { key, cert } = authority.leaf(OURS);
  const credentials = new Credentials(OURS, trust);
  credentials.install({ spiffeId: OURS, serial: '1', notBefore: 0, notAfter: Date.now() + 60_000, renewAt: 0, chain: [cert], privateKey: createPrivateKey(key) });
  const options = { ...credentials.options(), ca: [...ca(trust)] };
  const checks: number[] = [];
  const server = tls.createServer({ ...options, requestCert: true, rejectUnauthorized: true });
  server.on('secureConnection', (socket) => {
    const start = performance.now();
    if (check) workloadIdentity(socket, trust);
    checks.push(performance.now() - start);
    socket.on('error', () => undefined).end('x');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const peers = Array.from({ length: newPeers ? HANDSHAKES_A_TURN : 1 }, (_, index) => tls.createSecureContext({ ...options, ...authority.leaf(workloadUri('shop', `peer-${index}`)) }));
  const [cpu, began] = [process.cpuUsage(), performance.now()];
  for (let count = 0; count < HANDSHAKES_A_TURN; count += 1) await handshake(port, peers[count % peers.length]!);
  const [wall, used] = [performance.now() - began, process.cpuUsage(cpu)];
  server.close();
  return { perSecond: (HANDSHAKES_A_TURN * 1000) / wall, cpuMs: (used.user + used.system) / 1000 / HANDSHAKES_A_TURN, checkMs: median(checks) };
}

function handshake(port: number, secureContext: tls.SecureContext): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, secureContext, servername: '', checkServerIdentity: () => undefined });
    socket.once('error', reject).once('close', () => resolve()).resume();
  });
}

async function main(args: readonly string[]): Promise<void> {
  const rounds = Number(args[args.indexOf('--rounds') + 1] ?? 5) || 5;
  const authority = new TestCa();
  const trust = new TrustBundle(TRUST_DOMAIN);
  trust.replace([authority.root]);
  for (const contestant of CONTESTANTS) await turn(contestant, authority, trust);
  const figures = CONTESTANTS.map((): Figures[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, contestant] of CONTESTANTS.entries()) figures[index]?.push(await turn(contestant, authority, trust));
  }
  const result = CONTESTANTS.map(({ name }, index) => {
    const list = figures[index] ?? [];
    return { name, perSecond: Math.round(median(list.map(({ perSecond }) => perSecond))), cpuMs: median(list.map(({ cpuMs }) => cpuMs)), checkMs: median(list.map(({ checkMs }) => checkMs)) };
  });
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version, load: loadavg()[0] ?? 0 };
  if (args.includes('--json')) return console.log(JSON.stringify({ machine, rounds, result }, null, 2));
  console.log(`${machine.cpu}, ${machine.cores} cores, node ${machine.node}, load ${machine.load.toFixed(1)}, ${rounds} rounds of ${HANDSHAKES_A_TURN}; mutual TLS 1.3, P-256`);
  for (const { name, perSecond, cpuMs, checkMs } of result) {
    const share = (checkMs / (cpuMs / 2)) * 100;
    console.log(`${String(perSecond).padStart(6)} a second, ${cpuMs.toFixed(2)} ms of CPU at both ends, check ${checkMs.toFixed(3)} ms (${share.toFixed(1)} % of one end)  ${name}`);
  }
}

await main(process.argv.slice(2));

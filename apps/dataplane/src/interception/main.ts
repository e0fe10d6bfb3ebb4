import { parseArgs } from 'node:util';
import { HBONE_PORT, INTERCEPTION_PORTS } from '@sallyport/shared/resources';
import { parsePortRanges } from '@sallyport/shared/push';
import { type KernelName, openKernel } from './kernel.ts';
import { type Redirect, rulesProblem } from './rules.ts';

const USAGE = `sallyport-redirect apply|check|remove [options]

Leads the TCP connections of this network namespace to the proxy in it, for IPv4 and IPv6.
  apply   puts the rules in place, whatever was there of ours
  check   exits with 1 and says what is missing when they are not in place
  remove  removes them

  --proxy-uid N           user of the proxy; needed for apply and check
  --inbound-port N        default ${INTERCEPTION_PORTS.inbound}
  --outbound-port N       default ${INTERCEPTION_PORTS.outbound}
  --hbone-port N          default ${HBONE_PORT}; 0 for none
  --exclude-inbound LIST  ports that peers reach directly, such as 22,9000-9010
  --exclude-outbound LIST ports that are called directly, whoever listens there; default 53 (DNS)
  --backend nft|iptables  default: nft where it is installed

Exit codes: 0 done or in place, 1 not in place, 2 usage, or it could not be done.
`;

const options = {
  'proxy-uid': { type: 'string' },
  'inbound-port': { type: 'string', default: String(INTERCEPTION_PORTS.inbound) },
  'outbound-port': { type: 'string', default: String(INTERCEPTION_PORTS.outbound) },
  'hbone-port': { type: 'string', default: String(HBONE_PORT) },
  'exclude-inbound': { type: 'string', default: '' },
  'exclude-outbound': { type: 'string', default: '53' },
  backend: { type: 'string' },
} as const;

function parse(argv: readonly string[]) {
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  const [action, ...more] = positionals;
  if (more.length > 0) throw new Error(`one thing at a time: ${positionals.join(' ')}`);
  return { action, values, backend: backendOf(values.backend) };
}

function backendOf(text: string | undefined): KernelName | null {
  if (text === undefined || text === 'nft' || text === 'iptables') return text ?? null;
  throw new Error(`--backend is nft or iptables, not ${text}`);
}

/** @throws Error naming the option that is missing or wrong */
function redirectOf(values: ReturnType<typeof parse>['values']): Redirect {
  const number = (name: 'proxy-uid' | 'inbound-port' | 'outbound-port' | 'hbone-port') => {
    const text = values[name];
    if (text === undefined || !/^\d{1,10}$/.test(text)) throw new Error(`--${name} must be a number`);
    return Number(text);
  };
  const redirect = {
    proxyUid: number('proxy-uid'),
    inboundPort: number('inbound-port'),
    outboundPort: number('outbound-port'),
    hbonePort: number('hbone-port'),
    excludeInbound: parsePortRanges(values['exclude-inbound']),
    excludeOutbound: parsePortRanges(values['exclude-outbound']),
  };
  const problem = rulesProblem(redirect);
  if (problem !== null) throw new Error(problem);
  return redirect;
}

/** @returns the exit code */
function run(argv: readonly string[]): number {
  const { action, values, backend } = parse(argv);
  if (action === 'remove') {
    openKernel(backend).remove();
    return 0;
  }
  if (action !== 'apply' && action !== 'check') throw new Error(USAGE);
  const redirect = redirectOf(values);
  const kernel = openKernel(backend);
  if (action === 'apply') kernel.apply(redirect);
  // Applying is not done before it is seen to be done.
  const missing = kernel.missing(redirect);
  if (missing === null) return 0;
  process.stderr.write(`sallyport-redirect: the rules are not in place: ${missing}\n`);
  return 1;
}

try {
  process.exitCode = run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`sallyport-redirect: ${(error as Error).message}\n`);
  process.exitCode = 2;
}

import { createHash } from 'node:crypto';
import { coversPort, isPort, type PortRange } from '@sallyport/shared/push';
import { PROBE_INBOUND, PROBE_OUTBOUND } from './ports.ts';

/** What is to be led to a proxy, and what is not. The rules are those of Istio's and Linkerd's documents (ADR 0014). */
export interface Redirect {
  /** The proxy's user, whose own connections go where they say. */
  readonly proxyUid: number;
  readonly inboundPort: number;
  readonly outboundPort: number;
  /** Port at which the proxy takes HBONE itself; 0 for none. */
  readonly hbonePort: number;
  readonly excludeInbound: readonly PortRange[];
  readonly excludeOutbound: readonly PortRange[];
}

/** A chain of the nftables table and its rules. */
export interface Chain {
  readonly name: string;
  /** Where the kernel calls it; null for a chain that others jump to. */
  readonly hook: 'prerouting' | 'output' | null;
  readonly rules: readonly string[];
}

/** Name of the table; its family is inet, so that one rule serves IPv4 and IPv6. */
export const NFT_TABLE = 'sallyport';
/** NF_IP_PRI_NAT_DST by its number: nft 1.0 takes the name for prerouting only. */
export const NFT_PRIORITY = -100;

/** The rules of both directions by chain, without their marks. UDP and with it DNS stays as it is. */
export function nftChains({ proxyUid, inboundPort, outboundPort, hbonePort, excludeInbound, excludeOutbound }: Redirect): Chain[] {
  const own = `meta skuid ${proxyUid}`;
  const hbone = hbonePort === 0 ? [] : [{ from: hbonePort, to: hbonePort }];
  return [
    { name: 'inbound', hook: null, rules: [...nftReturn(hbone), ...nftReturn(excludeInbound), `meta l4proto tcp redirect to :${inboundPort}`] },
    { name: 'outbound', hook: null, rules: [...nftReturn(excludeOutbound), `meta l4proto tcp redirect to :${outboundPort}`] },
    { name: 'prerouting', hook: 'prerouting', rules: ['meta l4proto tcp fib daddr type local jump inbound'] },
    {
      name: 'output',
      hook: 'output',
      rules: [
        `${own} oifname "lo" tcp dport ${PROBE_INBOUND} jump inbound`,
        `${own} oifname "lo" tcp dport ${PROBE_OUTBOUND} jump outbound`,
        // The proxy's own connections never come back to it.
        `${own} return`,
        // The application calls itself, by loopback or by its own address.
        'oifname "lo" return',
        'meta l4proto tcp jump outbound',
      ],
    },
  ];
}

function nftReturn(ranges: readonly PortRange[]): string[] {
  if (ranges.length === 0) return [];
  const ports = ranges.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`));
  return [`tcp dport { ${ports.join(', ')} } return`];
}

/** What each rule is marked with, by chain: by the marks it can be told that all of them are there, and no others. */
export function nftMarks(chains: readonly Chain[]): Map<string, string[]> {
  const digest = createHash('sha256').update(JSON.stringify(chains)).digest('hex').slice(0, 16);
  let place = 0;
  return new Map(chains.map(({ name, rules }) => [name, rules.map(() => `sallyport ${digest}.${place++}`)]));
}

/** Input of `nft -f -` that puts the rules in place of whatever the table held, in one transaction. */
export function nftText(redirect: Redirect): string {
  const chains = nftChains(redirect);
  const marks = nftMarks(chains);
  const texts = chains.map(({ name, hook, rules }) => {
    const head = hook === null ? '' : `    type nat hook ${hook} priority ${NFT_PRIORITY}; policy accept;\n`;
    const lines = rules.map((rule, i) => `    ${rule} comment "${marks.get(name)?.[i] ?? ''}"\n`);
    return `  chain ${name} {\n${head}${lines.join('')}  }\n`;
  });
  return `${nftRemoval()}table inet ${NFT_TABLE} {\n${texts.join('')}}\n`;
}

/** Input of `nft -f -` that removes the table, also when there is none. */
export function nftRemoval(): string {
  return `table inet ${NFT_TABLE}\ndelete table inet ${NFT_TABLE}\n`;
}

/** A rule of iptables: its chain, and the rest as words. */
export interface IptablesRule {
  readonly chain: string;
  readonly rule: string;
}

/** Chains that are ours alone. */
export const IPTABLES_CHAINS = ['SALLYPORT_INBOUND', 'SALLYPORT_OUTBOUND', 'SALLYPORT_OUTPUT'] as const;

/** The same rules for iptables and ip6tables. */
export function iptablesRules({ proxyUid, inboundPort, outboundPort, hbonePort, excludeInbound, excludeOutbound }: Redirect): IptablesRule[] {
  const [inbound, outbound, output] = IPTABLES_CHAINS;
  const own = `-m owner --uid-owner ${proxyUid}`;
  const hbone = hbonePort === 0 ? [] : [{ from: hbonePort, to: hbonePort }];
  const pass = (chain: string, ranges: readonly PortRange[]) =>
    ranges.map(({ from, to }) => ({ chain, rule: `-p tcp -m tcp --dport ${from === to ? from : `${from}:${to}`} -j RETURN` }));
  return [
    ...pass(inbound, hbone),
    ...pass(inbound, excludeInbound),
    { chain: inbound, rule: `-p tcp -j REDIRECT --to-ports ${inboundPort}` },
    ...pass(outbound, excludeOutbound),
    { chain: outbound, rule: `-p tcp -j REDIRECT --to-ports ${outboundPort}` },
    { chain: output, rule: `-o lo -p tcp ${own} -m tcp --dport ${PROBE_INBOUND} -j ${inbound}` },
    { chain: output, rule: `-o lo -p tcp ${own} -m tcp --dport ${PROBE_OUTBOUND} -j ${outbound}` },
    { chain: output, rule: `${own} -j RETURN` },
    { chain: output, rule: '-o lo -j RETURN' },
    { chain: output, rule: `-p tcp -j ${outbound}` },
  ];
}

/** What leads from the kernel's chains to ours. */
export function iptablesJumps(): IptablesRule[] {
  const [inbound, , output] = IPTABLES_CHAINS;
  return [
    { chain: 'PREROUTING', rule: `-p tcp -m addrtype --dst-type LOCAL -j ${inbound}` },
    { chain: 'OUTPUT', rule: `-p tcp -j ${output}` },
  ];
}

/** Input of `iptables-restore --noflush`: empties and fills our chains, and adds `jumps` at the front. */
export function iptablesText(redirect: Redirect, jumps: readonly IptablesRule[]): string {
  const chains = IPTABLES_CHAINS.map((name) => `:${name} - [0:0]\n`);
  const rules = iptablesRules(redirect).map(({ chain, rule }) => `-A ${chain} ${rule}\n`);
  const inserted = jumps.map(({ chain, rule }) => `-I ${chain} 1 ${rule}\n`);
  return `*nat\n${[...chains, ...rules, ...inserted].join('')}COMMIT\n`;
}

/** What keeps these rules from working; null when nothing does. */
export function rulesProblem({ proxyUid, inboundPort, outboundPort, hbonePort, excludeInbound, excludeOutbound }: Redirect): string | null {
  if (!Number.isInteger(proxyUid) || proxyUid < 0 || proxyUid > 4_294_967_294) return `${proxyUid} is no user ID`;
  if (proxyUid === 0) return 'the proxy may not run as root: everything else that root does would go past it; give it a user of its own';
  const own = [inboundPort, outboundPort, ...(hbonePort === 0 ? [] : [hbonePort]), PROBE_INBOUND, PROBE_OUTBOUND];
  const wrong = own.find((port) => !isPort(port));
  if (wrong !== undefined) return `${wrong} is no port`;
  const twice = own.find((port, i) => own.indexOf(port) !== i);
  if (twice !== undefined) return `port ${twice} is used twice (${PROBE_INBOUND} and ${PROBE_OUTBOUND} are for the proxy’s own check)`;
  if (coversPort(excludeInbound, PROBE_INBOUND)) return `port ${PROBE_INBOUND} may not be excluded: by it the proxy checks that the rules are there`;
  if (coversPort(excludeOutbound, PROBE_OUTBOUND)) return `port ${PROBE_OUTBOUND} may not be excluded: by it the proxy checks that the rules are there`;
  return null;
}

import { coversPort, parsePortRanges, POD_ANNOTATION, PROBE_PORT, PROXY_PORTS, type PortRange } from '@sallyport/shared/push';
import { RefusedPodError } from './settings.ts';

const PREFIX = 'sallyport.dev/';
const KNOWN: ReadonlySet<string> = new Set(Object.values(POD_ANNOTATION));
const DNS: PortRange = { from: 53, to: 53 };
/** A rule of nftables names them all. */
const MAX_RANGES = 64;

/** Ports that the redirect rules leave alone, in the words of `sallyport-redirect`. */
export interface ExcludedPorts {
  readonly inbound: string;
  readonly outbound: string;
}

/**
 * Reads what people say about the mesh on a pod.
 *
 * @throws RefusedPodError for what is not known: a misspelt annotation must not do nothing in silence
 */
export function readAnnotations(annotations: Readonly<Record<string, string>>): ExcludedPorts {
  const unknown = Object.keys(annotations).find((key) => key.startsWith(PREFIX) && !KNOWN.has(key));
  if (unknown !== undefined) throw new RefusedPodError(`annotation ${unknown} is not known. Known are ${POD_ANNOTATION.excludeInbound} and ${POD_ANNOTATION.excludeOutbound}`);
  return {
    inbound: excluded(annotations, POD_ANNOTATION.excludeInbound, { from: PROBE_PORT, to: PROBE_PORT }),
    outbound: excluded(annotations, POD_ANNOTATION.excludeOutbound, DNS),
  };
}

function excluded(annotations: Readonly<Record<string, string>>, key: string, always: PortRange): string {
  const given = rangesOf(annotations[key] ?? '', key);
  const own = PROXY_PORTS.find((port) => coversPort(given, port));
  if (own !== undefined) throw new RefusedPodError(`annotation ${key}: port ${own} is the proxy's own. Remedy: leave it out`);
  if (given.length > MAX_RANGES) throw new RefusedPodError(`annotation ${key}: at most ${MAX_RANGES} ports and ranges`);
  return [always, ...given].map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

function rangesOf(text: string, key: string): PortRange[] {
  try {
    return parsePortRanges(text);
  } catch (error) {
    throw new RefusedPodError(`annotation ${key}: ${(error as Error).message}`);
  }
}

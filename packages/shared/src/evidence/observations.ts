import type { EvidenceModel, Files } from './model.ts';
import { canonicalJson, decode, encode, iso, lines, sha256, sorted } from './text.ts';

/** The hash that the first line names as the one before it. */
const NO_HASH = '0'.repeat(64);

/**
 * `observations.jsonl` and `checkpoint.txt`. Each line holds `seq` and `prev`, the SHA-256 of the line before it (without
 * its line end). A chain alone does not show that its end was cut off, so the checkpoint states how long it is and the
 * hash of the last line.
 */
export function renderObservations(model: EvidenceModel): Files {
  const flows = sorted(model.observations.flows.map((flow) => ({
    kind: 'flow', ...flow, firstSeen: iso(flow.firstSeen), lastSeen: iso(flow.lastSeen),
  })));
  const denies = sorted(model.observations.denies.map((deny) => ({ kind: 'deny', ...deny, at: iso(deny.at) })));
  const chain: string[] = [];
  let prev = NO_HASH;
  for (const item of [...flows, ...denies]) {
    const line = canonicalJson({ ...item, seq: chain.length, prev });
    chain.push(line);
    prev = sha256(line);
  }
  const origin = `sallyport/${model.scope.trustDomain}/observations`;
  return new Map([
    ['observations.jsonl', lines(chain)],
    ['checkpoint.txt', lines([origin, String(chain.length), prev])],
  ]);
}

/** Checks the chain against its checkpoint. @returns what is wrong, or null */
export function brokenChain(observations: Uint8Array, checkpoint: Uint8Array): string | null {
  const [, size, root] = decode(checkpoint).split('\n');
  const text = decode(observations);
  const chain = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  let prev = NO_HASH;
  for (const [index, line] of chain.entries()) {
    if (!line.includes(`"prev":"${prev}"`) || !line.includes(`"seq":${index},`)) {
      return `line ${index + 1} does not follow the line before it`;
    }
    prev = sha256(encode(line));
  }
  if (String(chain.length) !== size) return `holds ${chain.length} lines, but checkpoint.txt says ${size ?? 'nothing'}`;
  return prev === root ? null : 'its last line is not the one that checkpoint.txt names';
}

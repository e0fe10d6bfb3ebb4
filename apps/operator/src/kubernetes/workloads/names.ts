import { createHash } from 'node:crypto';

const MAX_LABEL = 63;
const HASH_LENGTH = 8;

/**
 * Name of the Workload of a pod: the pod's own, unless that is no RFC 1123 label (names of pods may have dots and be longer;
 * static pods carry the name of their node). Then a readable part and a hash, which two pods do not share.
 */
export function workloadNameOf(pod: string): string {
  if (pod.length <= MAX_LABEL && !pod.includes('.')) return pod;
  const hash = createHash('sha256').update(pod).digest('hex').slice(0, HASH_LENGTH);
  const readable = pod.replaceAll('.', '-').slice(0, MAX_LABEL - HASH_LENGTH - 1).replace(/-+$/, '');
  return `${readable}-${hash}`;
}

/** 32 bits of FNV-1a, stirred by the last steps of MurmurHash3, because FNV's own high bits are poor on short texts. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return stir(hash);
}

/** One score from two hashes: as if made by chance, and always the same. */
export function scoreOf(a: number, b: number): number {
  return stir(a ^ Math.imul(b, 0x9e3779b1));
}

function stir(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Bytes of heap that one decision of ours allocates. */
export interface Allocation {
  readonly rules: number;
  readonly bytesPerDecision: number;
  readonly decisions: number;
}

/**
 * Measured in a process of its own, whose young generation is so large that nothing is collected while it counts:
 * what the heap grows by is then what was allocated.
 */
export function measureAllocation(rules: number): Allocation {
  const script = fileURLToPath(new URL('allocation-child.ts', import.meta.url));
  const run = spawnSync(process.execPath, ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256', script, String(rules)], { encoding: 'utf8', timeout: 120_000 });
  if (run.status !== 0) throw new Error(`the measurement of allocations failed: ${run.stderr}`);
  return JSON.parse(run.stdout) as Allocation;
}

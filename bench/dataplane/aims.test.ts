import { expect, it } from 'vitest';
import { aimsOf, type Findings } from './aims.ts';
import type { Measurement } from './measure.ts';
import { select } from './scenarios.ts';

const one = (scenario: string, target: string, cpuMicros: number, rules = 10): Measurement => ({
  scenario, target, rules, cpuMicros, rps: 1, p50Ms: 1, p99Ms: cpuMicros, cpuRounds: [cpuMicros], pss: 1,
});
const found = (...measurements: Measurement[]): Findings => ({ measurements, absences: [], memory: [] });
const verdicts = (findings: Findings, id: string) => Object.fromEntries(aimsOf(findings, [id]).map(({ aim, met }) => [aim.replace(`${id}: `, ''), met]));

it('holds a scenario against each peer on its own, and the HTTP/2 hop against the cheaper one', () => {
  const findings = found(one('D-h1-32', 'sallyport', 50), one('D-h1-32', 'nginx', 100), one('D-h1-32', 'envoy', 90), one('D-h1-32', 'envoy-h2', 60), one('D-h1-32', 'haproxy-h2', 40));
  expect(verdicts(findings, 'D-h1-32')).toEqual({
    'CPU at most 0.6 of nginx': true,
    'CPU at most 0.6 of haproxy': null,
    'CPU at most 0.5 of envoy': false,
    'CPU at most 1 of haproxy-h2 and envoy-h2': false,
    'p99 at most the best peer\'s': false,
  });
});

it('misses every aim of a scenario that we do not serve', () => {
  expect(Object.values(verdicts(found(one('D-grpc', 'nginx', 1)), 'D-grpc'))).toEqual([false, false, false]);
});

it('compares 1,000 rules with 10 of our own', () => {
  const rules = (many: number) => verdicts(found(one('S-rules', 'sallyport', 100, 10), one('S-rules', 'sallyport', many, 1000), one('S-rules', 'nginx', 1, 10)), 'S-rules');
  expect(Object.values(rules(105))).toEqual([true]);
  expect(Object.values(rules(106))).toEqual([false]);
});

it('selects one scenario by its id, several by how they begin, and says what there is', () => {
  expect(select(['D-h1-32'], false).map(({ id }) => id)).toEqual(['D-h1-32']);
  expect(select(['S-h1'], true).map(({ id }) => id)).toEqual(['S-h1-1', 'S-h1-32', 'S-h1-128', 'S-h1-32-64k']);
  expect(() => select(['D-h3'], false)).toThrow('no scenario D-h3; there are memory, S-h1-1');
});

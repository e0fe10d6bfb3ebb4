import { describe, expect, it } from 'vitest';
import { maturityView } from '../api/index.ts';
import { fullCoverage, NOW } from '../testing/index.ts';
import { assessMaturity, type MaturityInput } from './index.ts';

const workload = { name: 'web', proxy: 'node-a', live: true, serviceAccount: 'web', hasPolicy: true };
const perfect: MaturityInput = {
  namespace: 'shop',
  mode: 'STRICT',
  workloads: [workload],
  calls: { mutual: 1000, plaintext: 0, unknown: 0 },
  coverage: fullCoverage('node-a'),
  certificates: { total: 1, overdue: 0, expired: 0 },
  undeclaredEdges: 0,
  declaredEdges: 3,
  unusedGrants: 0,
  egressDeclared: true,
  jwt: true,
  federation: true,
  gitOps: true,
  evidenceVerifiedAt: NOW - 1000,
  now: NOW,
  cleanDays: 7,
  openCriticalSignals: 0,
};
function assess(changes: Partial<MaturityInput>) {
  const view = assessMaturity({ ...perfect, ...changes });
  expect(maturityView.parse(view)).toEqual(view);
  return { ...view, of: (id: string) => view.criteria.find((item) => item.id === id) };
}
const notMet = (changes: Partial<MaturityInput>) =>
  assess(changes).criteria.filter((item) => item.outcome !== 'met').map((item) => `${item.id} ${item.outcome}`);

describe('assessMaturity', () => {
  it('reaches Platform when everything is proved, with nothing left to do', () => {
    expect(assess({})).toMatchObject({ stage: 'Platform', next: null });
    expect(assess({}).criteria.every((item) => item.remedy === '' && item.failing.length === 0)).toBe(true);
  });

  it('stops at the first stage with a criterion that is unmet or indeterminate', () => {
    expect(assess({ gitOps: false })).toMatchObject({ stage: 'Default', next: 'Platform' });
    expect(assess({ jwt: null })).toMatchObject({ stage: 'Production', next: 'Default' });
    expect(assess({ mode: 'PERMISSIVE' })).toMatchObject({ stage: 'Pilot', next: 'Production' });
    expect(assess({ certificates: { total: 2, overdue: 1, expired: 0 } })).toMatchObject({ stage: null, next: 'Pilot' });
  });

  it.each<[string, Partial<MaturityInput>, string[]]>([
    ['egress', { egressDeclared: null }, ['default-egress indeterminate']],
    ['jwt', { jwt: null }, ['default-jwt indeterminate']],
    ['federation', { federation: null }, ['platform-federation indeterminate']],
    ['gitOps', { gitOps: null }, ['platform-gitops indeterminate']],
    ['grants', { unusedGrants: null }, ['platform-least-privilege indeterminate']],
    ['clean days', { cleanDays: null }, ['production-clean indeterminate']],
    ['evidence', { evidenceVerifiedAt: null }, ['platform-evidence indeterminate']],
    ['the clock', { now: undefined }, ['platform-evidence indeterminate']],
    ['certificates', { certificates: { total: 0, overdue: 0, expired: 0 } }, ['pilot-certificates indeterminate']],
    ['calls', { calls: { mutual: 0, plaintext: 0, unknown: 0 } }, ['pilot-plaintext-known indeterminate', 'production-mtls indeterminate']],
  ])('never takes what is not known of %s for met', (_, changes, expected) => {
    expect(notMet(changes)).toEqual(expected);
  });

  it('proves nothing absent below 95 % of telemetry', () => {
    const [proxy] = fullCoverage('node-a').proxies;
    expect(notMet({ coverage: { ...perfect.coverage, share: 0.94, proxies: [{ ...proxy!, share: 0.94 }] } })).toEqual([
      'pilot-plaintext-known indeterminate',
      'production-mtls indeterminate',
      'production-signals indeterminate',
      'default-telemetry unmet',
      'default-edges indeterminate',
      'platform-least-privilege indeterminate',
    ]);
  });

  it('holds plaintext that was seen against it at any coverage, and unknown calls never for it', () => {
    expect(assess({ calls: { mutual: 900, plaintext: 100, unknown: 0 }, coverage: fullCoverage() }).of('production-mtls')?.outcome).toBe('unmet');
    expect(assess({ calls: { mutual: 900, plaintext: 0, unknown: 100 } }).of('production-mtls')?.outcome).toBe('indeterminate');
    expect(assess({ calls: { mutual: 999, plaintext: 1, unknown: 0 } }).of('production-mtls')?.outcome).toBe('met');
    expect(assess({ undeclaredEdges: 1, coverage: fullCoverage() }).of('default-edges')?.outcome).toBe('unmet');
  });

  it('is not satisfied by a proxy that is silent now', () => {
    const [proxy] = fullCoverage('node-a').proxies;
    const view = assess({ coverage: { ...perfect.coverage, proxies: [{ ...proxy!, live: false }] } });
    expect(view).toMatchObject({ stage: null });
    expect(view.of('pilot-telemetry')).toMatchObject({ outcome: 'unmet', failing: ['node-a'] });
  });

  it('names what fails and what to do', () => {
    const view = assess({ workloads: [workload, { ...workload, name: 'old', proxy: null, serviceAccount: 'default', hasPolicy: false }] });
    expect(view.of('default-enrolled')).toMatchObject({
      outcome: 'unmet', finding: '1 of 2 workloads in the mesh', failing: ['shop/old'],
      remedy: 'Enrol the workloads listed: sallyport workload enroll shop/NAME', link: '/namespaces/shop?tab=workloads',
    });
    expect(view.of('production-identity')).toMatchObject({ outcome: 'unmet', failing: ['shop/old'] });
    expect(view.of('default-policy')).toMatchObject({ outcome: 'unmet', failing: ['shop/old'] });
  });

  it('gives an empty namespace no stage', () => {
    expect(assess({ workloads: [] })).toMatchObject({ stage: null });
  });
});

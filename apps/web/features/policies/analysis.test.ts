import type { DiffView, FindingView, LintView, WayView } from '@sallyport/shared/api';
import { API_VERSION } from '@sallyport/shared/resources';
import { describe, expect, it } from 'vitest';
import { classText, diffSummary } from './classes.ts';
import { lintSummary, tally, unlisted } from './lint.ts';
import { callsText, howText, radiusText } from './reach.ts';
import { workloadsOf } from './workloads.ts';

const DIFF: DiffView = { equal: false, complete: true, workloads: { compared: 3, changed: 1 }, modelled: ['method'], notes: [], more: 1, changes: [] };
const FINDING: FindingView = { code: 'no-effect', severity: 'warn', policy: 'pay/a', field: 'spec.rules[0]', message: 'm', remedy: 'r' };
const LINT: LintView = { analysed: { policies: 2, workloads: 3 }, counts: { error: 0, warn: 2, info: 1 }, findings: [FINDING, { ...FINDING, severity: 'info' }] };
const doc = (kind: string, name: string, spec: object) => ({ apiVersion: API_VERSION, kind, metadata: { name, namespace: 'pay' }, spec });

describe('a comparison', () => {
  it('claims proof only when it is complete', () => {
    expect(diffSummary({ ...DIFF, equal: true, more: 0 })).toMatchObject({ tone: 'ok', title: 'No call changes verdict', text: expect.stringContaining('Proven') });
    expect(diffSummary(DIFF)).toMatchObject({ tone: 'info', title: '1 class of calls changes verdict, on 1 workload' });
    expect(diffSummary({ ...DIFF, complete: false })).toMatchObject({ tone: 'warn', text: expect.stringContaining('not complete') });
    expect(diffSummary({ ...DIFF, complete: false, more: 0 })).toMatchObject({ tone: 'warn', title: expect.stringContaining('not everything') });
  });

  it('writes classes as people read them', () => {
    expect(classText({ field: 'method', values: ['GET'], except: true, more: 0 })).toBe('any but GET');
    expect(classText({ field: 'path', values: ['/a', '/b'], except: false, more: 3 })).toBe('/a, /b and 3 more');
  });
});

describe('findings', () => {
  it('are counted by severity, worst first', () => {
    expect(tally(LINT.findings, 'pay/a')).toEqual([{ severity: 'warn', count: 1 }, { severity: 'info', count: 1 }]);
    expect(tally(LINT.findings, 'pay/b')).toEqual([]);
    expect([lintSummary(LINT), unlisted(LINT)]).toEqual(['2 warnings, 1 remark', 1]);
    expect(lintSummary({ ...LINT, counts: { error: 0, warn: 0, info: 0 } })).toBe('none');
  });
});

describe('reach', () => {
  it('says by what and how much', () => {
    const way = { how: null, mode: 'STRICT', effect: 'ALLOW', everything: true, explanation: 'no ALLOW policy selects this workload' } as WayView;
    expect([howText(way), howText({ ...way, mode: null }), howText({ ...way, how: { policy: 'pay/a', rule: 2 } })]).toEqual(['no ALLOW policy selects this workload', 'outside the mesh: nothing is enforced', 'pay/a, rule 2']);
    expect([callsText(way), callsText({ ...way, everything: false }), callsText({ ...way, effect: 'ASK' })]).toEqual(['all', 'some', 'what the external authorizer lets in']);
    expect([radiusText(0, 4, 0), radiusText(1, 4, 1), radiusText(3, 4, 2)]).toEqual(['Reaches no workload (of 4)', 'Reaches 1 of 4 workloads in at most 1 hop', 'Reaches 3 of 4 workloads in at most 2 hops']);
  });
});

describe('workloads to choose from', () => {
  it('are sorted, and say whether they are in the mesh', () => {
    expect(workloadsOf([doc('Workload', 'b', { serviceAccount: 'b', address: '10.0.0.2', inbound: [] }), doc('Workload', 'a', { serviceAccount: 'a', address: '10.0.0.1', proxy: 'n', inbound: [] }), null])).toEqual([{ id: 'pay/a', meshed: true }, { id: 'pay/b', meshed: false }]);
  });
});

import { describe, expect, it } from 'vitest';
import { podOf } from './injection.fixture.ts';
import { hookWarnings, restoreProbes, rewriteProbes } from './probes.ts';

const ports = [{ name: 'http', containerPort: 8080 }];
const of = (container: object) => rewriteProbes(podOf({ ports, ...container }).spec.containers);

describe('probes', () => {
  it.each(['livenessProbe', 'readinessProbe', 'startupProbe'])('of all kinds go by the proxy: %s', (field) => {
    const path = `/app/web/${field}`;
    const cases = [
      [{ httpGet: { port: 'http' } }, { kind: 'http', port: 8080, path: '/', scheme: 'HTTP', headers: [], timeout: 1 }],
      [{ httpGet: { path: 'up?x=1', port: 80, scheme: 'HTTPS', httpHeaders: [{ name: 'Host', value: 'shop' }] }, timeoutSeconds: 3 }, { kind: 'http', port: 80, path: '/up?x=1', scheme: 'HTTPS', headers: [{ name: 'Host', value: 'shop' }], timeout: 3 }],
      [{ tcpSocket: { port: '9000' } }, { kind: 'tcp', port: 9000, timeout: 1 }],
      [{ grpc: { port: 50_051, service: 'shop' } }, { kind: 'grpc', port: 50_051, service: 'shop', timeout: 1 }],
      [{ grpc: { port: 50_051, service: null } }, { kind: 'grpc', port: 50_051, service: '', timeout: 1 }],
    ] as const;
    for (const [probe, asked] of cases) {
      const { containers, probes, warnings } = of({ [field]: { ...probe, periodSeconds: 7, terminationGracePeriodSeconds: 4 } });
      expect(probes).toEqual({ [path]: asked });
      expect(warnings).toEqual([]);
      expect(containers[0]).toMatchObject({ [field]: { httpGet: { path, port: 15_021, scheme: 'HTTP' }, periodSeconds: 7, terminationGracePeriodSeconds: 4 } });
      expect(Object.keys(containers[0]?.[field] as object)).not.toContain(Object.keys(probe)[0] === 'httpGet' ? 'grpc' : Object.keys(probe)[0]);
    }
  });

  it.each([
    [{ exec: { command: ['true'] } }],
    [{ httpGet: { host: 'other.example', port: 80 } }],
    [{ tcpSocket: { host: '10.0.0.9', port: 80 } }],
  ])('that do not come by the ports of the application stay as they are: %o', (livenessProbe) => {
    const { containers, probes } = of({ livenessProbe });
    expect(probes).toEqual({});
    expect(containers[0]?.livenessProbe).toEqual(livenessProbe);
  });

  it('that name a port which is not there stay, and that is said', () => {
    const { containers, warnings } = of({ livenessProbe: { httpGet: { port: 'admin' } } });
    expect(containers[0]?.livenessProbe?.httpGet?.port).toBe('admin');
    expect(warnings).toEqual(['container web: livenessProbe names port admin, which it does not have; left as it is']);
  });

  it.each([
    [{ httpGet: { port: 15_021 } }, /asks port 15021, which is the proxy's/],
    [{ httpGet: { port: 80, path: '/a b' } }, /cannot be asked by the proxy: path/],
    [{ httpGet: { port: 80, httpHeaders: [{ name: 'X', value: 'a\r\nb: c' }] } }, /headers/],
    [{ httpGet: { port: 80 }, timeoutSeconds: 90_000 }, /timeout/],
  ])('that the proxy cannot ask are refused: %o', (livenessProbe, message) => {
    expect(() => of({ livenessProbe })).toThrow(message);
  });

  it('come back as they were, with their ports as numbers', () => {
    const given = { livenessProbe: { httpGet: { path: '/up', port: 8080, scheme: 'HTTP', httpHeaders: [{ name: 'A', value: 'b' }] }, periodSeconds: 7 }, readinessProbe: { tcpSocket: { port: 1 } }, startupProbe: { grpc: { port: 2, service: '' } } };
    const { containers, probes } = of(given);
    expect(restoreProbes(containers, probes)[0]).toMatchObject(given);
    // A path of ours that was not declared is somebody else's.
    expect(restoreProbes(containers, {})).toEqual(containers);
  });
});

it('warns of lifecycle hooks that call the application', () => {
  const warnings = (lifecycle: object) => hookWarnings(podOf({ lifecycle }));
  expect(warnings({ preStop: { httpGet: { port: 80 } } })).toEqual([expect.stringContaining('container web: its lifecycle hook')]);
  expect(warnings({ preStop: { exec: { command: ['true'] } }, stopSignal: 'SIGINT' })).toEqual([]);
  expect(warnings({ preStop: { httpGet: { port: 80, host: 'other' } } })).toEqual([]);
});

import { describe, expect, it } from 'vitest';
import { addService, baseEntries } from '../../test/mesh.ts';
import { TestCa, TRUST_DOMAIN, workloadUri } from '../../test/certificates.ts';
import { compileSnapshot } from '../authz/snapshot.ts';
import { meantBy } from './destinations.ts';
import { canonicalIp } from './original-destination.ts';

const spiffeId = workloadUri('pay', 'api');
const entries = baseEntries(new TestCa().root);
addService(entries, 'pay', 'api', 'http', [{ address: '10.0.0.1', port: 8080, spiffeId, hbone: 15_008 }, { address: 'FD00:0:0::1', port: 8080, spiffeId }]);
addService(entries, 'pay', 'zz', 'tcp', [{ address: '10.0.0.1', port: 8080, spiffeId }, { address: '10.0.0.9', port: 5432, spiffeId: null }]);
const api = entries.get('service/pay/api');
if (api?.type === 'service') {
  api.value.addresses = ['10.96.0.7', 'fd00:96:0:0:0:0:0:7'];
  const [first] = api.value.ports[0]?.endpoints ?? [];
  if (first) first.otherAddresses = ['10.0.1.1', 'fd00::9'];
}
const set = new Map([...entries].map(([name, entry]) => [name, { hash: name, raw: entry, entry }]));
const snapshot = compileSnapshot(set, '1', TRUST_DOMAIN);
const meant = (host: string, port: number) => meantBy(snapshot, { host, port });

describe('whom an address means', () => {
  it.each(['10.96.0.7', 'fd00:96::7'])('any endpoint of the service whose address is %s', (host) => {
    const found = meant(host, 80);
    expect(found).toMatchObject({ called: { namespace: 'pay', name: 'api' }, destination: { service: 'api', port: 80 }, endpoint: null });
    expect(found?.port.endpoints).toHaveLength(2);
    expect(meant(host, 81)).toBeNull();
  });

  it.each(['10.0.0.1', 'fd00::1'])('the endpoint %s itself, of the first service that has it', (host) => {
    expect(meant(host, 8080)).toMatchObject({ destination: { service: 'api', port: 80 }, port: { protocol: 'http' }, endpoint: { spiffeId } });
  });

  it.each(['10.0.1.1', 'fd00::9'])('the endpoint by %s, another address of its own, at which it takes no HBONE', (address) => {
    expect(meant(address, 8080)?.endpoint).toMatchObject({ address: canonicalIp(address), port: 8080, spiffeId, hbone: null });
    expect(meant(address, 9090)).toMatchObject({ port: { protocol: 'tcp' }, endpoint: { address: canonicalIp(address), port: 9090, spiffeId, hbone: null } });
  });

  it('a workload of the mesh on a port that nobody declared: by mutual TLS on that port, and as bytes', () => {
    const found = meant('10.0.0.1', 9090);
    expect(found).toMatchObject({ destination: { namespace: 'pay', service: null, port: 9090 }, endpoint: { address: '10.0.0.1', port: 9090, spiffeId, hbone: null } });
    expect(found?.port).toEqual({ port: 9090, protocol: 'tcp', endpoints: [found?.endpoint] });
  });

  it('a workload outside the mesh on its port alone, and nobody else', () => {
    expect(meant('10.0.0.9', 5432)?.endpoint?.spiffeId).toBeNull();
    expect(meant('10.0.0.9', 5433)).toBeNull();
    expect(meant('10.0.0.2', 8080)).toBeNull();
  });
});

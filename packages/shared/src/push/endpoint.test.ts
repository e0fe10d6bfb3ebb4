import { expect, it } from 'vitest';
import { configEntry } from './index.ts';

const service = (endpoint: object) => ({ type: 'service', value: { namespace: 'pay', name: 'db', ports: [{ port: 80, protocol: 'tcp', endpoints: [endpoint] }] } });
const endpoint = { workload: 'db', address: '10.0.0.7', port: 8080, spiffeId: 'spiffe://mesh.test/ns/pay/sa/db' };

it('reads endpoints of before HBONE as ones without it', () => {
  expect(configEntry.parse(service(endpoint))).toEqual(service({ ...endpoint, hbone: null }));
});

it.each([0, 65_536, '15008', true])('refuses %j as the port of HBONE', (hbone) => {
  expect(configEntry.safeParse(service({ ...endpoint, hbone })).success).toBe(false);
  expect(configEntry.safeParse(service({ ...endpoint, hbone: 15_008 })).success).toBe(true);
});

import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { ApiRelay } from '../testing/api-relay.ts';
import { testCluster } from '../testing/cluster.ts';
import { KubeClient } from './client.ts';
import { type EventReport, EventWriter } from './events.ts';
import { kubeObject, type KubeObject, listAll } from './list-watch.ts';

const NAMESPACE = 'events';
const EVENTS = `/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events`;
const client = new KubeClient(testCluster());

interface Event {
  readonly note: string;
  readonly reason: string;
  readonly regarding: { readonly uid: string };
  readonly reportingController: string;
  readonly series?: { readonly count: number };
}

let object: KubeObject;
let made = 0;
beforeAll(() => client.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: NAMESPACE } } }));
beforeEach(async () => {
  made += 1;
  object = kubeObject.parse(await client.request({ method: 'POST', path: `/api/v1/namespaces/${NAMESPACE}/configmaps`, body: { metadata: { name: `about-${made}` } } }));
});
afterAll(() => client.request({ method: 'DELETE', path: `/api/v1/namespaces/${NAMESPACE}` }));

const writer = (by = client) => new EventWriter({ client: by, instance: 'operator-0', now: Date.now, trouble: () => undefined });
const report = (note: string): EventReport => ({ regarding: object, type: 'Warning', reason: 'Refused', action: 'Reconcile', note });
const written = async () => ((await listAll(client, EVENTS)).items as unknown as Event[]).filter(({ regarding }) => regarding.uid === object.metadata.uid);

it('tells of an object, and counts up what happens again', async () => {
  const events = writer();
  for (let i = 0; i < 5; i += 1) events.report(report('the proxy refused it'));
  events.report(report('another thing'));
  await events.flushed();
  const found = await written();
  expect(new Map(found.map(({ note, series }) => [note, series?.count]))).toEqual(new Map([['another thing', undefined], ['the proxy refused it', 5]]));
  expect(found).toHaveLength(2);
  expect(found[0]).toMatchObject({ reportingController: 'sallyport.dev/operator', reason: 'Refused' });
});

it('tells no more of one object than a person reads', async () => {
  const events = writer();
  for (let i = 0; i < 100; i += 1) events.report(report(`thing ${i}`));
  await events.flushed();
  expect(await written()).toHaveLength(25);
});

it('cuts a note that is too long for the API server, between characters', async () => {
  const events = writer();
  events.report(report('ä€'.repeat(1_000)));
  await events.flushed();
  const [event] = await written();
  expect(event?.note).toMatch(/^(ä€)+ä?…$/);
  expect(Buffer.byteLength(event?.note ?? '')).toBeLessThanOrEqual(1024);
});

it('gives up what the API server refuses, and goes on', async () => {
  const relay = await ApiRelay.to(inject('kubeconfig'));
  relay.fault = () => ({ status: 403 });
  const events = writer(new KubeClient(relay.config));
  events.report(report('lost'));
  await events.flushed();
  relay.fault = () => null;
  for (const note of ['told', 'lost']) events.report(report(note));
  await events.flushed();
  expect((await written()).map(({ note }) => note).sort()).toEqual(['lost', 'told']);
  relay.close();
});

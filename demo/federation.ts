import { setTimeout as sleep } from 'node:timers/promises';
import type { GraphView } from '@sallyport/shared/api';
import { OperatorApi } from './supervisor/operator-api.ts';
import { readRecord } from './supervisor/state.ts';

export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

const LIMIT_MS = 60_000;

type Edge = GraphView['edges'][number];
const passes = (edge: Edge) => edge.state === 'expected' && edge.requests > edge.denied && edge.mtls.mutual === edge.requests;
const isRefused = (edge: Edge) => edge.state === 'denied' && edge.requests > 0 && edge.denied === edge.requests;

/** Waits until a running federated demo shows what it promises, each side by the graph of its own operator. */
export async function checkFederation(dir: string): Promise<Finding[]> {
  const record = readRecord(dir);
  if (!record?.partner) return [];
  const { partner, username, password } = record;
  const shop = new OperatorApi(record.apiUrl, { username, password });
  const there = new OperatorApi(partner.apiUrl, { username, password });
  const edge = (api: OperatorApi, source: string, target: string, good: (found: Edge) => boolean) => async () => {
    const found = (await api.graph('15m')).edges.find((each) => each.source === source && each.target === target);
    return found && good(found) ? '' : found ? JSON.stringify(found) : `no call of ${source} to ${target}`;
  };
  const abroad = async () => {
    const node = (await shop.graph('15m')).nodes.find(({ id }) => id === 'service:delivery/carrier');
    return node?.trustDomain === partner.trustDomain ? '' : `its node is ${JSON.stringify(node)}`;
  };
  return [
    await finding('the shop calls the partner, whose policy names the shop’s identity', edge(there, 'service:orders/shipping', 'service:delivery/carrier', passes)),
    await finding('the shop’s graph has that call, with its protection', edge(shop, 'service:orders/shipping', 'service:delivery/carrier', passes)),
    await finding('and says whose the other end is', abroad),
    await finding('the partner calls the shop, whose policy names the partner’s identity', edge(shop, 'service:delivery/carrier', 'service:platform/reporting', passes)),
    await finding('the payments refuse the partner’s courier', edge(shop, 'workload:delivery/courier', 'service:payments/payment', isRefused)),
  ];
}

/** @param missing what is not as it should be; '' when all is well */
async function finding(what: string, missing: () => Promise<string>): Promise<Finding> {
  const limit = Date.now() + LIMIT_MS;
  for (;;) {
    const detail = await missing().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
    if (detail === '' || Date.now() > limit) return { what, ok: detail === '', detail };
    await sleep(500);
  }
}

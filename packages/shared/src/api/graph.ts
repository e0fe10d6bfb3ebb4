import { z } from 'zod';
import { coverageView, instant, windowView } from './common.ts';

/**
 * Node ids: `service:<ns>/<name>`; `workload:<ns>/<name>` for a caller or target that no service selects;
 * `address:<ip>` for a peer that is nobody we know.
 */
export const graphNode = z.strictObject({
  id: z.string(),
  kind: z.enum(['service', 'workload', 'address']),
  /** '' for an address. */
  namespace: z.string(),
  name: z.string(),
  spiffeId: z.string().nullable(),
  /** The federated trust domain that it belongs to; null for our own. Its own proxies report there, not here. */
  trustDomain: z.string().nullable(),
  /** False when some of its workloads are outside the mesh. */
  meshed: z.boolean(),
  /** Proxies that serve it, with whether each is live. No live proxy: nothing is known about this node now. */
  proxies: z.array(z.strictObject({ name: z.string(), live: z.boolean() })),
  workloads: z.array(z.string()),
});

export const graphEdge = z.strictObject({
  source: z.string(),
  target: z.string(),
  port: z.int(),
  protocol: z.enum(['http', 'tcp']),
  /** expected: declared and seen. undeclared: seen, not declared. denied: only refusals seen. unused: declared or allowed, never seen. */
  state: z.enum(['expected', 'undeclared', 'denied', 'unused']),
  declared: z.boolean(),
  /** Calls in the window that the receiver counted, refusals included. */
  requests: z.int(),
  denied: z.int(),
  failed: z.int(),
  /** Counts of calls by protection. A lock may be shown only when plaintext and unknown are 0 and mutual is not. */
  mtls: z.strictObject({ mutual: z.int(), plaintext: z.int(), unknown: z.int() }),
  /** Names of the proxies whose reports made this edge. Empty for an unused edge. */
  reporters: z.array(z.string()),
  lastSeen: instant.nullable(),
  /** True when a proxy that should have reported this edge did not cover the window: absence proves nothing. */
  stale: z.boolean(),
  methods: z.array(
    z.strictObject({ method: z.string(), path: z.string(), requests: z.int(), denied: z.int() }),
  ),
  policies: z.array(z.string()),
});

export const graphView = z.strictObject({
  window: windowView,
  coverage: coverageView,
  nodes: z.array(graphNode),
  edges: z.array(graphEdge),
  /** What a limit left out, said so that nobody takes the picture for the whole. */
  hidden: z.strictObject({ nodes: z.int(), edges: z.int() }),
});
export type GraphNode = z.infer<typeof graphNode>;
export type GraphEdge = z.infer<typeof graphEdge>;
export type GraphView = z.infer<typeof graphView>;

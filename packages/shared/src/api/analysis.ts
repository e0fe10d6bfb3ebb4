import { z } from 'zod';
import { type Flow, FLOW_REASONS } from '../mesh/index.ts';
import { coverageView, windowView } from './common.ts';

/** A recorded flow as the API and files carry it. */
export const recordedFlow = z.strictObject({
  reporter: z.string(),
  side: z.enum(['inbound', 'outbound']),
  source: z.strictObject({ principal: z.string().nullable(), ip: z.string() }),
  destination: z.strictObject({ namespace: z.string(), workload: z.string().nullable(), service: z.string().nullable(), port: z.int() }),
  protocol: z.enum(['http', 'tcp']),
  method: z.string().nullable(),
  path: z.string().nullable(),
  samplePath: z.string().nullable(),
  mtls: z.enum(['mutual', 'plaintext', 'unknown']),
  verdict: z.enum(['allowed', 'denied', 'failed']),
  reason: z.enum(FLOW_REASONS).nullable(),
  policy: z.string().nullable(),
  count: z.int().min(0),
  bytesReceived: z.int().min(0),
  bytesSent: z.int().min(0),
  firstSeen: z.int(),
  lastSeen: z.int(),
}) satisfies z.ZodType<Flow>;

/** `GET /api/v1/flows?window=&namespace=&limit=`: calls as their receivers counted them, the most frequent first. */
export const flowsView = z.strictObject({
  window: windowView,
  coverage: coverageView,
  /** Kinds of call in the window; more than there are items when the limit left some out. */
  total: z.int(),
  items: z.array(recordedFlow),
});
export type FlowsView = z.infer<typeof flowsView>;

import { type AppProbes, appProbes } from '@sallyport/shared/push';
import { z } from 'zod';

/** Where the kubelet finds the probes of the pod that the proxy is in. */
export interface ProbeSettings {
  readonly port: number;
  /** The pod's own address: what the kubelet would call. */
  readonly host: string;
  readonly declared: AppProbes;
}

const MAX_TEXT = 256 * 1024;

/** `SALLYPORT_PROBES`: the application's probes as JSON, as the injector wrote them. */
export const probesText = z.string().max(MAX_TEXT).transform((text, context) => {
  const parsed = appProbes.safeParse(safeJson(text));
  if (parsed.success) return parsed.data;
  context.addIssue({ code: 'custom', message: `must be the application's probes as JSON: ${parsed.error.issues[0]?.path.join('.') ?? ''} ${parsed.error.issues[0]?.message ?? ''}` });
  return z.NEVER;
});

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

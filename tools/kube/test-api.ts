import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

/** How a test asks the API server of its run: raw JSON over connections that stay open, for thousands of questions. */
export interface TestApi {
  /** Status and body of the answer. */
  ask(method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH', path: string, body?: unknown, contentType?: string): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>;
  close(): void;
}

interface KubeconfigFile {
  readonly clusters: readonly [{ readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string } }];
  readonly users: readonly [{ readonly user: { readonly token: string } }];
}

/**
 * @param kubeconfig a file as tools/kube/cluster.ts writes it
 * @param token of another account; absent: the administrator's
 */
export function testApi(kubeconfig: string, token?: string): TestApi {
  const file = JSON.parse(readFileSync(kubeconfig, 'utf8')) as KubeconfigFile;
  const { server, 'certificate-authority-data': ca } = file.clusters[0].cluster;
  const agent = new https.Agent({ keepAlive: true, maxSockets: 8, ca: Buffer.from(ca, 'base64') });
  const authorization = `Bearer ${token ?? file.users[0].user.token}`;
  const once = async (method: string, path: string, body: unknown, contentType: string) => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = https.request(new URL(path, server), { method, agent, headers: { authorization, accept: 'application/json', ...(body === undefined ? {} : { 'content-type': contentType }) } }, resolve);
      request.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
    return { status: answer.statusCode ?? 0, body: JSON.parse(await readText(answer)) as Record<string, unknown> };
  };
  return {
    async ask(method, path, body, contentType = 'application/json') {
      for (;;) {
        const answer = await once(method, path, body, contentType);
        // While the storage of a new CRD is being set up, among others.
        if (answer.status !== 429) return answer;
        await delay(100);
      }
    },
    close: () => agent.destroy(),
  };
}

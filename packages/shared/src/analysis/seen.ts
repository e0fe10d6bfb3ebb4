import { Facts, type PolicyRequest } from '../policy/index.ts';

const NONE = '(none)';

/** What a request shows where a clause looks, for people to read. Verdicts never come from here. */
export function seenValue(subject: string, request: PolicyRequest): string {
  const header = /^request\.headers\[(.+)\]$/.exec(subject)?.[1]?.toLowerCase();
  if (header === ':method') return request.http?.method ?? NONE;
  if (header === ':authority') return request.http?.host ?? NONE;
  if (header !== undefined) return request.http?.headers[header]?.join(', ') ?? NONE;
  if (subject.startsWith('request.auth') || subject === 'requestPrincipals') return request.token ? JSON.stringify(request.token.claims) : '(no token)';
  const value = plain(subject, request);
  return value === undefined || value === '' ? NONE : value;
}

function plain(subject: string, request: PolicyRequest): string | undefined {
  const facts = new Facts();
  const peer = facts.load(request) ? facts.peer : null;
  switch (subject) {
    case 'principals': case 'source.principal': return request.source.principal ?? '(plaintext)';
    case 'namespaces': case 'source.namespace': return peer?.namespace;
    case 'serviceAccounts': case 'source.serviceAccount': return peer?.serviceAccount;
    case 'trustDomains': case 'source.trustDomain': return peer?.trustDomain;
    case 'ipBlocks': case 'source.ip': return request.source.ip;
    case 'remoteIpBlocks': case 'remote.ip': return request.source.remoteIp ?? request.source.ip;
    case 'hosts': return request.http?.host;
    case 'methods': return request.http?.method;
    case 'paths': return request.http?.path;
    case 'ports': case 'destination.port': return String(request.destination.port);
    case 'destination.ip': return request.destination.ip;
    case 'connection.sni': return request.sni;
    default: return undefined;
  }
}

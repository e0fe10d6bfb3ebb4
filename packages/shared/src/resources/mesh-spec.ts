import { z } from 'zod';
import { checked } from './checks.ts';
import { trustDomainName } from './match.ts';
import { dnsLabel, duration, durationMs, port } from './meta.ts';

/** Where an external authorizer listens, by Istio's names (MeshConfig `extensionProviders`). */
const authorizer = {
  service: z.string().min(1).max(253).regex(/^[A-Za-z0-9.:-]+$/, 'must be a host name or an IP address').describe('Host name or address of the authorizer.'),
  port: port.describe('Its port.'),
  timeout: duration.default('1s').describe('How long an answer may take.'),
  // Istio's `failOpen` is not here on purpose: an authorizer that does not answer denies.
  statusOnError: z.int().min(400).max(599).default(403).describe('HTTP status when it does not answer. The request is denied in any case: there is no `failOpen`.'),
};
const headerNames = z.array(z.string().min(1).max(128)).max(64);

const extensionProvider = checked(
  z.strictObject({
    name: dnsLabel.describe('The name that CUSTOM policies use.'),
    envoyExtAuthzHttp: z
      .strictObject({
        ...authorizer,
        pathPrefix: z.string().max(256).regex(/^\//, 'must begin with a slash').optional().describe('Text before the path of the question.'),
        includeRequestHeadersInCheck: headerNames.default([]).describe('Request headers that the authorizer gets.'),
        headersToUpstreamOnAllow: headerNames.default([]).describe('Headers of its answer that the application gets.'),
        headersToDownstreamOnDeny: headerNames.default([]).describe('Headers of its answer that the client gets on denial.'),
      })
      .optional()
      .describe('An authorizer that is asked by HTTP.'),
    envoyExtAuthzGrpc: z.strictObject(authorizer).optional().describe('An authorizer that speaks Envoy’s gRPC protocol ext_authz v3.'),
  }),
  {
    test: (provider) => (provider.envoyExtAuthzHttp === undefined) !== (provider.envoyExtAuthzGrpc === undefined),
    cel: 'has(self.envoyExtAuthzHttp) != has(self.envoyExtAuthzGrpc)',
    message: 'needs exactly one of envoyExtAuthzHttp and envoyExtAuthzGrpc',
  },
);

const seconds = (field: string) => `duration(self.${field}).getSeconds()`;
/** The API server checks the default of the whole object before it fills in the fields’ own. */
const given = (fields: readonly string[], rule: string) => `${fields.map((field) => `!has(self.${field})`).join(' || ')} || (${rule})`;
/** Whole seconds, as CEL counts; null for text that its own field refuses already. */
const whole = (text: string) => (duration.safeParse(text).success ? Math.floor(durationMs(text) / 1_000) : null);
const atLeast = (text: string, times: number, unit: string) => {
  const [length, part] = [whole(text), whole(unit)];
  return length === null || part === null || length >= times * part;
};

const certificates = checked(
  z.strictObject({
    leafLifetime: duration.default('24h').describe('How long a workload’s certificate is valid: 10s to 168h.'),
    issuerLifetime: duration.default('720h').describe('How long the intermediate that signs them is valid, at least 6 times `leafLifetime`.'),
    rootLifetime: duration.default('26280h').describe('How long a self-signed root is valid, at least twice `issuerLifetime`, at most 100 years (876000h).'),
    rootActivation: z.enum(['automatic', 'manual']).default('automatic').describe('Whether a new root signs as soon as every live proxy has acknowledged it, or waits for `sallyport ca activate`.'),
    nameConstraints: z.boolean().default(true).describe('Limit issuers to identities of the trust domain (RFC 5280 §4.2.1.10). Off only for peers that cannot read the extension.'),
  }),
  {
    test: ({ leafLifetime }) => atLeast(leafLifetime, 1, '10s') && atLeast('168h', 1, leafLifetime),
    cel: given(['leafLifetime'], `${seconds('leafLifetime')} >= 10 && ${seconds('leafLifetime')} <= 604800`),
    field: 'leafLifetime',
    message: 'leafLifetime must be 10s to 168h',
  },
  {
    // With a sixth of its life left an issuer hands over: an SVID of its last moment must fit into that.
    test: ({ leafLifetime, issuerLifetime }) => atLeast(issuerLifetime, 6, leafLifetime),
    cel: given(['leafLifetime', 'issuerLifetime'], `${seconds('issuerLifetime')} >= 6 * ${seconds('leafLifetime')}`),
    field: 'issuerLifetime',
    message: 'issuerLifetime must be at least 6 times leafLifetime',
  },
  {
    test: ({ issuerLifetime, rootLifetime }) => atLeast(rootLifetime, 2, issuerLifetime),
    cel: given(['issuerLifetime', 'rootLifetime'], `${seconds('rootLifetime')} >= 2 * ${seconds('issuerLifetime')}`),
    field: 'rootLifetime',
    message: 'rootLifetime must be at least twice issuerLifetime',
  },
  {
    test: ({ rootLifetime }) => atLeast('876000h', 1, rootLifetime),
    cel: given(['rootLifetime'], `${seconds('rootLifetime')} <= 3153600000`),
    field: 'rootLifetime',
    message: 'rootLifetime must be at most 876000h, 100 years',
  },
);

const file = z.string().min(1).max(4096).regex(/^\//, 'must be an absolute path');
const CA_KINDS = ['selfSigned', 'file', 'vault', 'certManager', 'spire'] as const;

const certificateAuthority = checked(
  z.strictObject({
    selfSigned: z.strictObject({}).optional().describe('A root of our own, followed by another at half of its life.'),
    file: z
      .strictObject({
        certificateFile: file.describe('PEM: the intermediate for us, then what leads to its root.'),
        keyFile: file.describe('PEM: its private key (ECDSA P-256 or P-384, or RSA of at least 2048 bits).'),
      })
      .optional()
      .describe('An intermediate of the organisation’s CA in files of the operator’s machine, such as a mounted Secret. Read again when they change.'),
    vault: z
      .strictObject({
        address: z.string().max(2048).regex(/^https?:\/\/[^/?#@]+$/, 'must be https://host:port').describe('Address of Vault; http only on loopback.'),
        mount: z.string().min(1).max(256).regex(/^[A-Za-z0-9_./-]+$/, 'must be a mount path').default('pki').describe('Where the PKI secrets engine is mounted.'),
        namespace: z.string().max(256).regex(/^[A-Za-z0-9_./-]+$/, 'must be a namespace').optional().describe('Vault namespace.'),
        tokenFile: file.describe('File with the token; read at each request.'),
        caFile: file.optional().describe('PEM of the CAs that vouch for Vault’s own certificate; absent: those of the system.'),
        timeout: duration.default('10s').describe('How long an answer may take.'),
      })
      .optional()
      .describe('Vault signs an intermediate for us (`root/sign-intermediate` of its PKI engine).'),
    certManager: z
      .strictObject({
        namespace: dnsLabel.describe('Namespace of the CertificateRequest.'),
        issuerRef: z.strictObject({ name: dnsLabel.describe('Its name.'), kind: z.enum(['Issuer', 'ClusterIssuer']).default('ClusterIssuer').describe('Its kind.'), group: z.string().max(253).default('cert-manager.io').describe('Its API group.') }).describe('The issuer that signs an intermediate for us.'),
      })
      .optional()
      .describe('cert-manager signs an intermediate for us. Only in Kubernetes.'),
    spire: z.strictObject({ workloadApi: file.describe('Socket of the SPIFFE Workload API on each proxy’s machine; a proxy that has SPIFFE_ENDPOINT_SOCKET asks there instead.') }).optional().describe('SPIRE issues: proxies take their workloads’ certificates and roots from its Workload API, and we hold no CA for them.'),
  }),
  {
    test: (ca) => CA_KINDS.filter((kind) => ca[kind] !== undefined).length === 1,
    cel: `[${CA_KINDS.map((kind) => `has(self.${kind})`).join(', ')}].filter(x, x).size() == 1`,
    message: `needs exactly one of ${CA_KINDS.join(', ')}`,
  },
);

export const unknownDestinations = z.enum(['Pass', 'Refuse']);

export const meshSpec = z.strictObject({
  trustDomain: trustDomainName.describe('SPIFFE trust domain of the mesh’s identities.'),
  trustDomainAliases: z.array(trustDomainName).max(32).optional().describe('Other names of the trust domain; policies that name one of them mean all. For migration.'),
  rootNamespace: dnsLabel.default('sallyport-system').describe('Namespace whose policies apply to the whole mesh.'),
  compatibility: z.enum(['sallyport', 'istio']).default('sallyport').describe('`istio` gives Istio’s exact verdicts where ours are stricter (docs/policy-differences.md).'),
  pathNormalization: z
    .enum(['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'])
    .optional()
    .describe('How a path is brought to its normal form before it is matched and forwarded. Absent: DECODE_AND_MERGE_SLASHES, stricter than Istio’s BASE, or BASE with `compatibility: istio`.'),
  numTrustedProxies: z.int().min(0).max(16).default(0).describe('Proxies in front of ours whose X-Forwarded-For entry is believed; 0 takes the direct peer as the client.'),
  extensionProviders: z.array(extensionProvider).max(16).optional().describe('External authorizers that CUSTOM policies may name.'),
  jwks: z
    .strictObject({
      allowedHosts: z.array(z.string().min(1).max(260)).max(64).default([]).describe('Hosts (with or without port) that keys may be fetched from although they resolve to a private or loopback address.'),
      refresh: duration.default('20m').describe('How often keys are fetched anew.'),
    })
    .prefault({})
    .describe('How the operator fetches the keys of token issuers.'),
  certificates: certificates.prefault({}).describe('Lifetimes of certificates, from the workload’s up to the root. Shorter ones take effect at once.'),
  ca: certificateAuthority.prefault({ selfSigned: {} }).describe('Where the CA that issues workloads’ certificates is anchored: exactly one kind. Another one is reached by a root rotation, without a gap; but to and from `spire` every proxy changes its roots as it hears of it, and calls between one that has and one that has not fail.'),
  egress: z
    .strictObject({
      unknownDestinations: unknownDestinations.default('Pass')
        .describe('What becomes of connections to addresses that the mesh does not know, of workloads that are redirected. `Pass`: they go there as they are, and are counted as `unknown-destination` and plaintext. `Refuse`: they are closed.'),
    })
    .prefault({})
    .describe('Where workloads may go that is not of the mesh.'),
  denylist: z
    .strictObject({
      serials: z.array(z.string().min(1).max(40).regex(/^[0-9a-f]+$/, 'must be a serial number in lower-case hexadecimal')).max(1000).default([]).describe('Serial numbers of certificates, in lower-case hexadecimal.'),
      spiffeIds: z.array(z.string().min(1).max(2048).regex(/^spiffe:\/\/[a-z0-9._-]+\/[A-Za-z0-9._/-]+$/, 'must be the SPIFFE ID of a workload')).max(1000).default([]).describe('SPIFFE IDs, whatever certificate they come with.'),
    })
    .prefault({})
    .describe('Identities that are not to be believed any more. Proxies close their connections at once and take no new ones.'),
  strict: z
    .strictObject({
      window: duration.default('24h').describe('How long a namespace must be without plaintext.'),
      watch: duration.default('10m').describe('How long each stage of a step to STRICT is watched.'),
      minimumCoverage: z.number().min(0.5).max(1).default(0.95).describe('Share of the window that must have been observed.'),
    })
    .prefault({})
    .describe('The gate before a namespace becomes STRICT.'),
}).describe('What holds for the mesh as a whole. There is one, with the name `default`.');

export type MeshSpec = z.infer<typeof meshSpec>;
export type ExtensionProvider = z.infer<typeof extensionProvider>;

import type { Kind } from '@sallyport/shared/resources';

/** One example of each kind for the reference; a test parses them all. */
export const EXAMPLES: Readonly<Record<Kind, string>> = {
  Mesh: `apiVersion: sallyport.dev/v1alpha1
kind: Mesh
metadata: {name: default}
spec:
  trustDomain: shop.example
  trustDomainAliases: [old.example]
  extensionProviders:
  - name: gate
    envoyExtAuthzGrpc: {service: gate.auth, port: 9000, timeout: 500ms}
`,
  Workload: `apiVersion: sallyport.dev/v1alpha1
kind: Workload
metadata: {name: payments-1, namespace: shop, labels: {app: payments}}
spec:
  serviceAccount: payments
  proxy: payments-1
  address: 10.1.0.20
  inbound:
  - {port: 8080, protocol: http, app: "127.0.0.1:18080"}
  outbound:
  - {protocol: http, listen: "127.0.0.1:15001"}
  - {protocol: tcp, listen: "127.0.0.1:15432", service: ledger, namespace: shop, port: 5432}
`,
  Service: `apiVersion: sallyport.dev/v1alpha1
kind: Service
metadata: {name: payments, namespace: shop}
spec:
  selector: {app: payments}
  ports:
  - {name: http, port: 80, targetPort: 8080, protocol: http}
`,
  PeerAuthentication: `apiVersion: sallyport.dev/v1alpha1
kind: PeerAuthentication
metadata: {name: payments, namespace: shop}
spec:
  selector: {matchLabels: {app: payments}}
  mtls: {mode: STRICT}
  portLevelMtls:
    "9090": {mode: PERMISSIVE}
`,
  AuthorizationPolicy: `apiVersion: sallyport.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: payments, namespace: shop}
spec:
  selector: {matchLabels: {app: payments}}
  action: ALLOW
  rules:
  - from:
    - source: {principals: [shop.example/ns/shop/sa/checkout]}
    to:
    - operation: {methods: [POST], paths: ["/charge", "/refunds/{*}"]}
    when:
    - {key: "request.headers[x-tenant]", notValues: [test]}
  - from:
    - source: {namespaces: [monitoring]}
    to:
    - operation: {ports: ["9090"]}
`,
  RequestAuthentication: `apiVersion: sallyport.dev/v1alpha1
kind: RequestAuthentication
metadata: {name: customers, namespace: shop}
spec:
  selector: {matchLabels: {app: storefront}}
  jwtRules:
  - issuer: https://login.example
    audiences: [storefront]
    jwksUri: https://login.example/keys
    fromHeaders:
    - {name: authorization, prefix: "Bearer "}
    outputClaimToHeaders:
    - {header: x-customer, claim: sub}
`,
  TrafficPolicy: `apiVersion: sallyport.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: payments, namespace: shop}
spec:
  targetRefs:
  - {kind: Service, name: payments}
  timeouts: {request: 10s, backendRequest: 2s}
  retry: {codes: [502, 503], attempts: 2, backoff: 50ms}
  retryConstraint: {budget: {percent: 10}}
  circuitBreaker: {maxRequests: 200}
  outlierDetection: {consecutive5xxErrors: 5, baseEjectionTime: 30s}
`,
  ExpectedGraph: `apiVersion: sallyport.dev/v1alpha1
kind: ExpectedGraph
metadata: {name: shop, namespace: shop}
spec:
  edges:
  - from: {serviceAccount: checkout}
    to: {service: payments, port: 80}
    description: customers pay
`,
  FederatedTrustDomain: `apiVersion: sallyport.dev/v1alpha1
kind: FederatedTrustDomain
metadata: {name: partner}
spec:
  trustDomain: partner.example
  bundleEndpointURL: https://spiffe.partner.example/
  bundleEndpointProfile: {type: https_web}
`,
};

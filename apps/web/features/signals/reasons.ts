/** The proxies' reasons (`FLOW_REASONS` of the mesh room) in words for people. */
const REASONS = new Map(Object.entries({
  'policy-deny': 'a DENY policy matched',
  'policy-no-allow': 'no ALLOW policy matched',
  'plaintext-refused': 'plaintext refused by STRICT',
  'peer-not-verified': 'the peer’s certificate did not verify',
  'path-rejected': 'the path has no normal form',
  'token-rejected': 'a token was refused',
  'token-audience': 'a token was for another audience',
  'authorizer-denied': 'the external authorizer refused',
  'authorizer-unavailable': 'the external authorizer could not be asked',
  'no-config': 'the proxy had no configuration',
  'upstream-unreachable': 'the application was unreachable',
  'upstream-identity': 'the target’s identity was not the expected one',
  'unknown-destination': 'no such destination',
  'bad-request': 'not a well-formed request',
  'overloaded': 'a limit of the traffic policy was reached',
  'timeout': 'no answer within the traffic policy’s time',
  'fault-injected': 'the traffic policy injected a fault',
}));

/** A reason in words; one that is not known is given back as it came. */
export function reasonText(reason: string): string {
  return REASONS.get(reason) ?? reason;
}

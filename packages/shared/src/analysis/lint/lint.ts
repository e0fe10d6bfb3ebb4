import type { PolicySet, Universe } from '../model.ts';
import { type Check, contextOf, type Finding, type Severity } from './context.ts';
import { noEffect, notCompared, secondLock } from './effect.ts';
import { evadedByPlaintext, httpOnTcp, selectsNothing } from './places.ts';
import { anyIdentity, anySource, deniesAll, duplicateRule, matchesAll, negativeAllow, negativeDeny } from './shape.ts';
import { deadValue, hostWithoutPort, refused, schemeInPrincipal, unknownIdentity } from './values.ts';

/** Every check by its code. An error is a policy that does not do what it says. */
export const LINTS: readonly { readonly code: string; readonly severity: Severity; readonly check: Check }[] = [
  { code: 'refused', severity: 'error', check: refused },
  { code: 'selects-nothing', severity: 'warn', check: selectsNothing },
  { code: 'no-effect', severity: 'warn', check: noEffect },
  { code: 'second-lock', severity: 'info', check: secondLock },
  { code: 'not-compared', severity: 'info', check: notCompared },
  { code: 'duplicate-rule', severity: 'warn', check: duplicateRule },
  { code: 'dead-value', severity: 'error', check: deadValue },
  { code: 'scheme-in-principal', severity: 'error', check: schemeInPrincipal },
  { code: 'host-without-port', severity: 'warn', check: hostWithoutPort },
  { code: 'unknown-identity', severity: 'warn', check: unknownIdentity },
  { code: 'http-on-tcp', severity: 'warn', check: httpOnTcp },
  { code: 'evaded-by-plaintext', severity: 'error', check: evadedByPlaintext },
  { code: 'negative-deny', severity: 'warn', check: negativeDeny },
  { code: 'negative-allow', severity: 'error', check: negativeAllow },
  { code: 'allows-all', severity: 'warn', check: matchesAll },
  { code: 'any-identity', severity: 'warn', check: anyIdentity },
  { code: 'any-source', severity: 'info', check: anySource },
  { code: 'denies-all', severity: 'info', check: deniesAll },
];

const ORDER: Readonly<Record<Severity, number>> = { error: 0, warn: 1, info: 2 };

/** Looks through authorization policies for what their authors probably did not mean; errors first. */
export function lint(set: PolicySet, universe: Universe): Finding[] {
  const findings = set.authorizationPolicies.flatMap((policy) => {
    const context = contextOf(policy, set, universe);
    return LINTS.flatMap(({ code, severity, check }) => check(context).map((remark): Finding => ({ code, severity, policy: context.id, ...remark })));
  });
  return findings.sort((a, b) => ORDER[a.severity] - ORDER[b.severity]);
}

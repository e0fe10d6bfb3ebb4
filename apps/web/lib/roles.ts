import type { Role } from '@sallyport/shared/api';

const DUTY: Readonly<Record<Role, string>> = {
  viewer: 'read the console',
  editor: 'change resources',
  approver: 'step a namespace to strict or back and rotate the CA',
  auditor: 'read the audit log and export evidence',
};

/** Why a user with `roles` may not do what `needed` may; null when they may. The operator decides again by itself. */
export function whyNot(roles: readonly Role[], needed: Role): string | null {
  if (roles.includes(needed)) return null;
  const own = roles.length === 0 ? 'no role' : roles.join(', ');
  return `Only the role ${needed} may ${DUTY[needed]}; you have ${own}.`;
}

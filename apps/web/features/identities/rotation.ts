import type { CaCertificate, CaView, Certificate } from '@sallyport/shared/api';

type CaState = CaCertificate['state'];

export interface Stage {
  readonly state: CaState;
  readonly means: string;
  /** `skipped`: certificates of its role never stand there. */
  readonly progress: 'done' | 'now' | 'ahead' | 'skipped';
}

const MEANS: Readonly<Record<CaCertificate['role'], Readonly<Record<CaState, string>>>> = {
  root: {
    prepared: 'Made; nobody trusts it yet.',
    published: 'In the bundle: proxies learn to trust it.',
    active: 'What it vouches for is issued now.',
    old: 'Trusted until the last SVID under it has ended.',
    removed: 'No longer in the bundle.',
  },
  issuer: {
    prepared: 'Made; signs nothing yet.',
    published: 'Not needed: it comes with each SVID.',
    active: 'Signs the SVIDs.',
    old: 'Kept until the last SVID it signed has ended.',
    removed: 'No longer in use.',
  },
};
const ORDER: readonly CaState[] = ['prepared', 'published', 'active', 'old', 'removed'];

/** The five stages of a certificate's life, and how far it is. */
export function stagesOf({ role, state }: Pick<CaCertificate, 'role' | 'state'>): readonly Stage[] {
  const at = ORDER.indexOf(state);
  return ORDER.map((each, index) => {
    const passed = index < at ? 'done' : index === at ? 'now' : 'ahead';
    return { state: each, means: MEANS[role][each], progress: role === 'issuer' && each === 'published' ? 'skipped' : passed };
  });
}

const STEPS: Readonly<Record<NonNullable<CaCertificate['next']>['step'], string>> = {
  'prepare-successor': 'prepare its successor',
  publish: 'publish it in the bundle',
  activate: 'activate it',
  'hand-over': 'hand over to the issuer that waits',
  remove: 'remove it',
  'replace-files': 'put other files in their place, before it ends',
};

/** What the next step is, in words; null when there is none of its own. */
export function stepName({ next }: Pick<CaCertificate, 'next'>): string | null {
  return next && STEPS[next.step];
}

/** What the next step waits for when that is not a time. */
export function waitingFor(entry: Pick<CaCertificate, 'next'>, activation: CaView['lifetimes']['rootActivation']): string {
  const { step, waitsFor = [] } = entry.next ?? {};
  if (waitsFor.length > 0) return `waits for ${waitsFor.join(', ')}`;
  if (step === 'activate' && activation === 'manual') return 'waits for somebody to activate it';
  return 'at the operator’s next look, within seconds';
}

/** What a certificate without a next step of its own follows. */
export function followText({ role, state, root }: Pick<CaCertificate, 'role' | 'state' | 'root'>, certificates: readonly CaCertificate[]): string {
  if (state === 'removed') return 'none';
  if (role === 'root') return state === 'active' ? 'old as soon as its successor is activated' : 'none of its own';
  if (state !== 'prepared') return 'goes with its root';
  const under = certificates.find(({ id }) => id === root)?.state;
  return under === 'active' ? 'takes over from the issuer that signs now' : 'signs as soon as its root is activated';
}

/** The root that follows the active one; null when none is on its way. */
export function successorOf({ certificates }: Pick<CaView, 'certificates'>): CaCertificate | null {
  return certificates.find(({ role, state }) => role === 'root' && (state === 'prepared' || state === 'published')) ?? null;
}

/** Roots in the order given, each with its issuers; of what was removed nothing. */
export function families({ certificates }: Pick<CaView, 'certificates'>): readonly { readonly root: CaCertificate; readonly issuers: readonly CaCertificate[] }[] {
  const present = certificates.filter(({ state }) => state !== 'removed');
  return present.filter(({ role }) => role === 'root').map((root) => ({ root, issuers: present.filter((entry) => entry.role === 'issuer' && entry.root === root.id) }));
}

export interface Acknowledgement {
  readonly proxy: string;
  /** The bundle that it has acknowledged; null: none. */
  readonly bundle: number | null;
  readonly lags: boolean;
}

/** Live proxies with what they acknowledged, those that lag first. Live is who holds an SVID that has not ended. */
export function acknowledgements(ca: Pick<CaView, 'lagging' | 'bundle'>, svids: readonly Pick<Certificate, 'proxy' | 'state'>[]): readonly Acknowledgement[] {
  const behind = new Set(ca.lagging.map(({ proxy }) => proxy));
  const live = new Set(svids.filter(({ state }) => state !== 'expired').map(({ proxy }) => proxy));
  const others = [...live].filter((proxy) => !behind.has(proxy)).toSorted();
  return [
    ...ca.lagging.map(({ proxy, acknowledged }) => ({ proxy, bundle: acknowledged, lags: true })),
    ...others.map((proxy) => ({ proxy, bundle: ca.bundle.sequence, lags: false })),
  ];
}

/** The certificates above an SVID, by the name of its issuer: issuer and root; null where the operator no longer lists them. */
export function chainOf(issuer: string, certificates: readonly CaCertificate[]): { readonly issuer: CaCertificate | null; readonly root: CaCertificate | null } {
  const found = certificates.find(({ role, subject }) => role === 'issuer' && subject === issuer) ?? null;
  const root = found && certificates.find(({ id }) => id === found.root);
  return { issuer: found, root: root ?? null };
}

/** A CA's name without the trust domain that ours begin with: on a page about one trust domain it says nothing. */
export function shortName(subject: string, trustDomain: string): string {
  return subject.startsWith(`${trustDomain} `) ? subject.slice(trustDomain.length + 1) : subject;
}

/** True when a rotation of the SVID did not come although it was due. */
export function missedRotation({ state }: Pick<Certificate, 'state'>): boolean {
  return state === 'overdue' || state === 'expired';
}

/** The first rotation that is still to come; null when none is. */
export function nextRotation(svids: readonly Pick<Certificate, 'state' | 'nextRotation'>[]): string | null {
  return svids.filter((svid) => !missedRotation(svid)).map((svid) => svid.nextRotation).toSorted()[0] ?? null;
}

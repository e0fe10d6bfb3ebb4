import type { Case } from './crd-cases.ts';

/** Objects that one judge takes and the other refuses, and why that stays so. docs/kubernetes/resources.md tells each. */
interface Divergence {
  readonly why: string;
  readonly stricter: 'zod' | 'the API server';
  readonly covers: (each: Case) => boolean;
}

const ADDRESS_KEYS = /"(source|remote|destination)\.(ip|port)"/;

export const DIVERGENCES: readonly Divergence[] = [
  {
    why: 'The API server takes `null` for an absent field, in every kind of every group, before any rule sees it.',
    stricter: 'zod',
    covers: ({ put }) => put === 'null',
  },
  {
    why: 'Values of a condition on an address or a port are not looked at: a CEL rule over all values of all rules would exceed the API server’s cost limit.',
    stricter: 'zod',
    covers: ({ place, put }) => place === 'spec.rules[].when[].key' && ADDRESS_KEYS.test(put),
  },
  {
    why: '`jwks` is only text: CEL cannot read JSON.',
    stricter: 'zod',
    covers: ({ place }) => place === 'spec.jwtRules[].jwks',
  },
  {
    why: 'A namespace on a kind that belongs to none is ignored.',
    stricter: 'zod',
    covers: ({ place }) => place === 'metadata.namespace',
  },
];

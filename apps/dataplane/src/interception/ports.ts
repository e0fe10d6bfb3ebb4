import { RULES_CHECK_PORTS } from '@sallyport/shared/push';

/**
 * What the proxy calls on loopback to learn whether the rules are there: nobody listens at these ports, and only the rules,
 * and only for the proxy's own user, lead them to its listeners.
 */
export const PROBE_INBOUND = RULES_CHECK_PORTS.inbound;
export const PROBE_OUTBOUND = RULES_CHECK_PORTS.outbound;

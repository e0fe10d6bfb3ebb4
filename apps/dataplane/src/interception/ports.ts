/**
 * What the proxy calls on loopback to learn whether the rules are there: nobody listens at these ports, and only the rules,
 * and only for the proxy's own user, lead them to its listeners.
 */
export const PROBE_INBOUND = 15_016;
export const PROBE_OUTBOUND = 15_011;

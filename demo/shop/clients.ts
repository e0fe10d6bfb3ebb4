import { existsSync } from 'node:fs';
import { type Caller, type Outcome, send } from './caller.ts';
import { fillPath } from './goods.ts';
import { addressOf, outboundSocket, type Place } from './place.ts';
import { type ShopWorkload, type Topology, workloadOf } from './topology.ts';

const MAX_IN_FLIGHT = 64;

/** Calls until it is stopped, with exponentially distributed pauses, as independent customers come. */
function startLoad(perSecond: number, call: () => Promise<unknown>): () => void {
  let inFlight = 0;
  let timer: NodeJS.Timeout;
  const next = (): void => {
    timer = setTimeout(() => {
      next();
      // A shop that hangs must not pile up requests without end.
      if (inFlight >= MAX_IN_FLIGHT) return;
      inFlight += 1;
      void call().finally(() => {
        inFlight -= 1;
      });
    }, (-Math.log(1 - Math.random()) * 1000) / perSecond);
  };
  next();
  return () => clearTimeout(timer);
}

/** Load of a workload in the mesh: through its own proxy. */
export function startCustomer(workload: ShopWorkload, caller: Caller): (() => void)[] {
  return workload.load.map(({ perSecond, call }) => startLoad(perSecond, async () => await caller.make(call, {})));
}

/**
 * Load of the legacy client. Outside the mesh it speaks plaintext to the service's mesh address from its own address.
 * Once it has been enrolled, a proxy opens its outbound socket, and from then on it calls only through that: falling
 * back to plaintext while the proxy restarts would undo what the enrolment was for.
 */
export function startLegacy(topology: Topology, workload: ShopWorkload, caller: Caller, place: Place): (() => void)[] {
  return workload.load.map(({ perSecond, call }) =>
    startLoad(perSecond, async (): Promise<Outcome> => {
      if (existsSync(outboundSocket(place, workload.name))) return await caller.make(call, {});
      const target = workloadOf(topology, call.to);
      return await send(
        {
          host: addressOf(topology, target, place),
          port: target.port,
          localAddress: addressOf(topology, workload, place),
          method: call.method ?? 'GET',
          path: fillPath(call.path ?? '/', {}),
          headers: { host: `${call.to.name}.${call.to.namespace}`, connection: 'close' },
          agent: false,
        },
        null,
      );
    }),
  );
}

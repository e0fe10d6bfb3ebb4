import type { ServedWorkload, Snapshot } from '../authz/snapshot.ts';
import type { Endpoint, ServicePort } from '../http/route.ts';
import type { Meant } from '../listener/outbound-port.ts';
import { decidedAs } from '@sallyport/shared/mesh';
import type { TrafficPolicySpec } from '@sallyport/shared/resources';
import type { Random } from './balancer.ts';
import type { Backend } from './group.ts';
import { type PlanInput, ServicePlan } from './plan.ts';
import { NO_RULES, rulesOf, type TrafficRules } from './rules.ts';

/** Whose calls are carried, and what the mesh is like at present. */
export interface Caller {
  readonly workload: ServedWorkload;
  readonly snapshot: Snapshot;
}

/** A service by its names. */
export interface Called {
  readonly namespace: string;
  readonly name: string;
}

interface Held {
  readonly called: Called;
  readonly port: number;
  readonly plan: ServicePlan;
}

/** The plans of one workload, one for each port of a service that it calls. */
export class TrafficPlans {
  readonly #random: Random;
  readonly #held = new Map<string, Held>();
  /** Of endpoints that were asked for by their address. A policy for the service’s calls is not for these. */
  readonly #single = new WeakMap<Endpoint, ServicePlan>();
  /** An unchanged policy keeps its rules, and by them its budget, when something else changes. */
  readonly #rules = new WeakMap<TrafficPolicySpec, TrafficRules>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The plan of a port of a service that is there. */
  of(called: Called, port: ServicePort, caller: Caller): ServicePlan {
    const key = `${called.namespace}/${called.name}:${port.port}`;
    const known = this.#held.get(key);
    if (known) return known.plan;
    const plan = new ServicePlan(this.#input(called, port, caller), this.#random);
    this.#held.set(key, { called: { namespace: called.namespace, name: called.name }, port: port.port, plan });
    return plan;
  }

  /** True for a plan of a port that is still there. */
  has(plan: ServicePlan): boolean {
    return [...this.#held.values()].some((held) => held.plan === plan);
  }

  /** The plan for whom a connection means: that of the port, or, when one endpoint was asked for, one of that endpoint alone. */
  meant({ called, port, endpoint }: Pick<Meant, 'called' | 'port' | 'endpoint'>, caller: Caller): ServicePlan {
    if (endpoint === null) return this.of(called, port, caller);
    const known = this.#single.get(endpoint);
    if (known) return known;
    const backends = [{ service: called.name, port: { ...port, endpoints: [endpoint] }, weight: 1 }];
    const plan = new ServicePlan({ rules: NO_RULES, backends, mirror: null, locality: undefined, source: caller.workload.spec.address }, this.#random);
    this.#single.set(endpoint, plan);
    return plan;
  }

  /** Brings the plans up to the present configuration, and forgets those of ports that are gone. */
  refresh(caller: Caller): void {
    for (const [key, { called, port, plan }] of this.#held) {
      const present = portOf(caller.snapshot, called, port);
      if (present) plan.update(this.#input(called, present, caller));
      else this.#held.delete(key);
    }
  }

  #input(called: Called, port: ServicePort, { workload, snapshot }: Caller): PlanInput {
    const spec = snapshot.traffic.get(`${called.namespace}/${called.name}`);
    const backend = (name: string, number: number | undefined, weight: number): Backend => {
      const found = portOf(snapshot, { namespace: called.namespace, name }, number ?? port.port);
      // Bytes of one protocol mean nothing to the other.
      const fits = found !== null && decidedAs(found.protocol)[0] === decidedAs(port.protocol)[0];
      return { service: name, port: fits ? found : null, weight };
    };
    const mirror = spec?.requestMirror?.backendRef;
    return {
      rules: spec === undefined ? NO_RULES : this.#rulesOf(spec),
      backends: spec?.backendRefs?.map((ref) => backend(ref.name, ref.port, ref.weight)) ?? [{ service: called.name, port, weight: 1 }],
      mirror: mirror ? backend(mirror.name, mirror.port, 1) : null,
      locality: workload.spec.locality,
      source: workload.spec.address,
    };
  }

  #rulesOf(spec: TrafficPolicySpec): TrafficRules {
    const known = this.#rules.get(spec) ?? rulesOf(spec);
    this.#rules.set(spec, known);
    return known;
  }
}

function portOf(snapshot: Snapshot, { namespace, name }: Called, port: number): ServicePort | null {
  return snapshot.services.get(`${namespace}/${name}`)?.ports.find((candidate) => candidate.port === port) ?? null;
}

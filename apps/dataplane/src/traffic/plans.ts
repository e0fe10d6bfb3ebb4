import type { ServedWorkload, Snapshot } from '../authz/snapshot.ts';
import type { ServicePort } from '../http/route.ts';
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

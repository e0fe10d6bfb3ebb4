import type { MeshWorkload } from '../../mesh/index.ts';
import type { CompiledWorkloadPolicy, RawRequest } from '../../policy/index.ts';
import { type CallVerdict, compileFor, judgeCall, type PolicySet, type Universe } from '../model.ts';
import { ANY_OTHER } from '../classes/strings.ts';
import { compareSubject, type PortDifference } from './compare.ts';
import { type Field, rawRequest } from './fields.ts';
import { isBranch, type Path, pathsOf, witnessOf } from './paths.ts';
import type { Node } from './search.ts';
import { type Subject, subjects } from './subject.ts';

/** One attribute of a class of requests. */
export interface ClassPart {
  readonly field: string;
  /** Patterns; a request belongs to the class with any of them. A more specific pattern that is not listed is not meant. */
  readonly values: readonly string[];
  /** True when every value but those is meant. */
  readonly except: boolean;
  /** How many more values there are than are listed. */
  readonly more: number;
}

/** Requests whose verdict changes in the same way. */
export interface VerdictChange {
  /** `namespace/name` of the workloads that are called. */
  readonly workloads: readonly string[];
  readonly ports: readonly number[];
  readonly protocol: 'http' | 'tcp';
  /** `ALLOW`, `DENY`, or `ASK` with the authorizer's name. */
  readonly before: string;
  readonly after: string;
  /** Attributes that matter; whatever is not named may have any value. */
  readonly where: readonly ClassPart[];
  /** One request of the class, decided by the evaluator both ways. */
  readonly witness: { readonly workload: string; readonly request: RawRequest; readonly before: CallVerdict; readonly after: CallVerdict };
}

export interface PolicyDiff {
  /** True only when it is proven for every request that the modelled fields can tell apart. */
  readonly equal: boolean;
  readonly changes: readonly VerdictChange[];
  /** Classes beyond those listed. */
  readonly more: number;
  /** False when the search was cut short: differences may be missing. */
  readonly complete: boolean;
  readonly workloads: { readonly compared: number; readonly changed: number };
  /** What a request was taken to consist of. */
  readonly modelled: readonly string[];
  readonly notes: readonly string[];
}

export interface DiffOptions {
  /** Most classes to list (default 200). */
  readonly limit?: number;
}

/** The attributes that {@link diff} distinguishes requests by. */
export const MODELLED = [
  'destination workload, port, protocol and address', 'mTLS mode of the port', 'identity (any SPIFFE ID, or plaintext)', 'source.ip', 'remote.ip', 'path in normal form', 'method',
  'host with and without port', 'headers (absent, one value, or two)', 'verified token (absent, or claims with none, one or two values)', 'connection.sni',
] as const;

const LISTED = 20;

/**
 * Finds exactly which requests two policy sets answer differently. Every attribute of a request is divided into classes
 * that no clause of either set tells apart, so that one request for each combination stands for all; combinations are
 * searched with remainders shared. When nothing is found and the result is complete, no request differs.
 *
 * @throws Error when a witness is not decided differently by the evaluator: a defect here, never a fact about policies
 */
export function diff(before: PolicySet, after: PolicySet, universe: Universe, { limit = 200 }: DiffOptions = {}): PolicyDiff {
  const known = [...new Set(universe.workloads.map((workload) => workload.spiffeId))].slice(0, 500);
  const changes: VerdictChange[] = [];
  let [more, changed, complete] = [0, 0, true];
  for (const subject of subjects(before, after, universe)) {
    if (subject.same) continue;
    const { differences, complete: whole } = compareSubject(subject, before, after, known);
    complete &&= whole;
    if (differences.length > 0) changed += subject.workloads.length;
    const check = new Witnesses(subject.workload, before, after, universe);
    for (const difference of differences) {
      const paths = pathsOf(difference.node, limit - changes.length);
      more += countPaths(difference.node) - paths.length;
      changes.push(...paths.map((path) => toChange(path, difference, subject, check)));
    }
  }
  return { equal: changes.length === 0 && more === 0 && complete, changes, more, complete, workloads: { compared: universe.workloads.length, changed }, modelled: MODELLED, notes: notesOf(before, after) };
}

function countPaths(node: Node, known = new Map<Node, number>()): number {
  if (!isBranch(node)) return 1;
  const counted = known.get(node);
  if (counted !== undefined) return counted;
  const total = node.groups.reduce((sum, { next }) => sum + countPaths(next, known), 0);
  known.set(node, total);
  return total;
}

function toChange({ steps, before, after }: Path, { ports, base }: PortDifference, { workloads, workload }: Subject, check: Witnesses): VerdictChange {
  const port = ports[0]?.port ?? 0;
  const request = witnessOf(steps, { ...base, destination: { ...base.destination, port } });
  return {
    workloads: workloads.map(({ namespace, name }) => `${namespace}/${name}`),
    ports: ports.map((each) => each.port),
    protocol: base.protocol,
    before, after,
    where: steps.map(({ field, classes }) => classPart(field, classes)),
    witness: { workload: `${workload.namespace}/${workload.name}`, ...check.prove(rawRequest(request), before, after) },
  };
}

/** Holds every witness against the evaluator. */
class Witnesses {
  readonly #before: CompiledWorkloadPolicy;
  readonly #after: CompiledWorkloadPolicy;

  constructor(workload: MeshWorkload, before: PolicySet, after: PolicySet, { services }: Universe) {
    this.#before = compileFor(before, workload, services);
    this.#after = compileFor(after, workload, services);
  }

  prove(request: RawRequest, before: string, after: string): Omit<VerdictChange['witness'], 'workload'> {
    const [was, will] = [judgeCall(this.#before, request), judgeCall(this.#after, request)];
    if (verdictText(was) !== before || verdictText(will) !== after) {
      throw new Error(`policy diff is defective: expected ${before} to ${after}, the evaluator says ${verdictText(was)} to ${verdictText(will)} for ${JSON.stringify(request)}`);
    }
    return { request, before: was, after: will };
  }
}

function verdictText({ effect, provider }: CallVerdict): string {
  return effect === 'ASK' ? `ASK ${provider ?? ''}` : effect;
}

/** Lists what is meant; or, when that is everything else, what is not. */
function classPart(field: Field, classes: readonly number[]): ClassPart {
  const meant = new Set(classes);
  const labelsOf = (wanted: boolean) => field.classes.flatMap(({ labels }, index) => (meant.has(index) === wanted ? labels : []));
  const [inside, outside] = [labelsOf(true), labelsOf(false)];
  const except = inside.includes(ANY_OTHER) && outside.length <= Math.max(LISTED, inside.length);
  const labels = except ? outside : inside;
  return { field: field.name, values: labels.slice(0, LISTED), except, more: Math.max(0, labels.length - LISTED) };
}

function notesOf(before: PolicySet, after: PolicySet): string[] {
  const tokens = JSON.stringify((before.requestAuthentications ?? []).map(({ spec }) => spec)) !== JSON.stringify((after.requestAuthentications ?? []).map(({ spec }) => spec));
  const paths = before.mesh.pathNormalization !== after.mesh.pathNormalization || before.mesh.compatibility !== after.mesh.compatibility;
  return [
    ...(tokens ? ['RequestAuthentication differs: which tokens are accepted is not compared, only what an accepted token may do'] : []),
    ...(paths ? ['path normalisation differs: only paths that both normalise to themselves are compared'] : []),
  ];
}

import type { PolicyRequest } from '../../policy/index.ts';
import type { Field } from './fields.ts';
import type { Branch, Node } from './search.ts';

/** One way through the differences, down to the verdicts. */
export interface Path {
  readonly steps: readonly { readonly field: Field; readonly classes: readonly number[] }[];
  readonly before: string;
  readonly after: string;
}

/** True for a node that has others below it. */
export function isBranch(node: Node): node is Branch {
  return 'field' in node;
}

/** The first ways from a node to a difference. */
export function pathsOf(node: Node, most: number, steps: Path['steps'] = []): Path[] {
  if (most <= 0) return [];
  if (!isBranch(node)) return [{ steps, before: node.before, after: node.after }];
  const found: Path[] = [];
  for (const { classes, next } of node.groups) found.push(...pathsOf(next, most - found.length, [...steps, { field: node.field, classes }]));
  return found;
}

/** A request of a class. */
export function witnessOf(steps: Path['steps'], start: PolicyRequest): PolicyRequest {
  return steps.reduce((made, { field, classes }) => field.classes[classes[0] ?? 0]?.change(made) ?? made, start);
}

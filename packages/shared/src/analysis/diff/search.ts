import type { Field } from './fields.ts';
import { ALWAYS, type Lists, NEVER } from './lists.ts';

/** What decides on one side, as far as it is not yet known. */
export interface Side {
  readonly deny: number;
  readonly custom: number;
  /** {@link ALWAYS} when no ALLOW policy selects the workload. */
  readonly allow: number;
}

/** A side on which everything is denied is `denied`. */
export type Sides = { readonly before: Side | 'denied'; readonly after: Side | 'denied' };

/** What asking an authorizer is called on each side. */
export type Asks = { readonly before: string; readonly after: string };

/** A difference, or where to look for it: the classes of one field, each group with what follows. */
export type Node = Leaf | Branch;
interface Leaf {
  readonly id: number;
  readonly before: string;
  readonly after: string;
}
export interface Branch {
  readonly id: number;
  readonly field: Field;
  /** Groups of classes without a difference are left out. */
  readonly groups: readonly { readonly classes: readonly number[]; readonly next: Node }[];
}

/** How the identity is seen on each side; a port's mTLS mode decides that. */
type Mode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';
export interface Modes {
  readonly before: Mode;
  readonly after: Mode;
}

interface Group {
  readonly classes: number[];
  readonly holding: readonly number[];
}

/** Looks for all requests on which two sides differ, field by field; remainders that were met before are not searched again. */
export class Search {
  /** True when the search was given up: what it found is true, what it did not find proves nothing. */
  exhausted = false;
  readonly #lists: Lists;
  readonly #fields: readonly Field[];
  readonly #asks: Asks;
  readonly #known = new Map<string, Node | null>();
  readonly #nodes = new Map<string, Node>();
  #budget: number;

  /** @param fields the identity first */
  constructor(lists: Lists, fields: readonly Field[], asks: Asks, budget: number) {
    this.#lists = lists;
    this.#fields = fields;
    this.#asks = asks;
    this.#budget = budget;
  }

  /** @returns null when no request differs */
  run(sides: Sides, modes: Modes): Node | null {
    const identity = this.#fields[0];
    if (identity === undefined) throw new Error('the identity is a field of every search');
    const plaintext = identity.classes[0]?.terms ?? [];
    const side = (which: 'before' | 'after', group: Group): Side | 'denied' => {
      const mode = modes[which];
      if (mode === 'STRICT' && group.classes[0] === 0) return 'denied';
      return this.#reduce(sides[which], identity, mode === 'DISABLE' ? plaintext : group.holding);
    };
    const groups = this.#groups(identity, sides, modes.before !== 'PERMISSIVE' || modes.after !== 'PERMISSIVE');
    return this.#branch(identity, groups.map((group) => ({ classes: group.classes, next: this.#from(1, { before: side('before', group), after: side('after', group) }) })));
  }

  #from(level: number, state: Sides): Node | null {
    const before = outcome(state.before, this.#asks.before);
    const after = outcome(state.after, this.#asks.after);
    if (before !== null && after !== null) return before === after ? null : this.#leaf(before, after);
    if (sameSide(state.before, state.after) && this.#asks.before === this.#asks.after) return null;
    const key = `${level} ${before ?? text(state.before)} ${after ?? text(state.after)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#budget -= 1;
    if (this.#budget < 0) {
      this.exhausted = true;
      return null;
    }
    const found = this.#look(level, state, { before, after });
    this.#known.set(key, found);
    return found;
  }

  #look(level: number, state: Sides, known: { readonly before: string | null; readonly after: string | null }): Node | null {
    // What is decided on a side asks for nothing more.
    const open: Sides = { before: known.before === null ? state.before : 'denied', after: known.after === null ? state.after : 'denied' };
    const next = (which: 'before' | 'after', field: Field, { holding }: Group) => (known[which] === null ? this.#reduce(state[which], field, holding) : state[which]);
    for (let at = level; at < this.#fields.length; at += 1) {
      const field = this.#fields[at];
      if (field === undefined || this.#asked(field, open).length === 0) continue;
      const groups = this.#groups(field, open, false);
      return this.#branch(field, groups.map((group) => ({ classes: group.classes, next: this.#from(at + 1, { before: next('before', field, group), after: next('after', field, group) }) })));
    }
    throw new Error('every field is known and the verdict is not');
  }

  #asked(field: Field, { before, after }: Sides): number[] {
    const lists = [before, after].flatMap((side) => (side === 'denied' ? [] : [side.deny, side.custom, side.allow]));
    return [...new Set([...new Set(lists)].flatMap((list) => this.#lists.asks(list, field.name)))];
  }

  /** The field's classes, grouped by which of the terms that are still asked for hold. */
  #groups(field: Field, state: Sides, plaintextApart: boolean): Group[] {
    const holding = new Map<number, number[]>();
    for (const term of this.#asked(field, state)) {
      for (const index of field.holds.get(term) ?? []) {
        const terms = holding.get(index);
        if (terms) terms.push(term);
        else holding.set(index, [term]);
      }
    }
    const groups = new Map<string, Group>();
    field.classes.forEach((_, index) => {
      const terms = holding.get(index) ?? [];
      const key = plaintextApart && index === 0 ? 'plaintext' : terms.join(',');
      const group = groups.get(key);
      if (group) group.classes.push(index);
      else groups.set(key, { classes: [index], holding: terms });
    });
    return [...groups.values()];
  }

  #reduce(side: Side | 'denied', field: Field, holding: readonly number[]): Side | 'denied' {
    if (side === 'denied') return side;
    const reduced = (list: number) => this.#lists.reduce(list, field.name, holding);
    return { deny: reduced(side.deny), custom: reduced(side.custom), allow: reduced(side.allow) };
  }

  #leaf(before: string, after: string): Node {
    return this.#node(`${before}>${after}`, (id) => ({ id, before, after }));
  }

  /** Groups that lead to the same are one; a field that makes no difference is left out. */
  #branch(field: Field, found: readonly { readonly classes: readonly number[]; readonly next: Node | null }[]): Node | null {
    const merged = new Map<number, { classes: number[]; next: Node }>();
    for (const { classes, next } of found) {
      if (next === null) continue;
      const same = merged.get(next.id);
      if (same) same.classes.push(...classes);
      else merged.set(next.id, { classes: [...classes], next });
    }
    const groups = [...merged.values()];
    const [only] = groups;
    if (only === undefined) return null;
    if (groups.length === 1 && only.classes.length === field.classes.length) return only.next;
    for (const group of groups) group.classes.sort((a, b) => a - b);
    return this.#node(`${field.name} ${groups.map(({ classes, next }) => `${next.id}:${classes.join(',')}`).join(' ')}`, (id) => ({ id, field, groups }));
  }

  #node(key: string, make: (id: number) => Node): Node {
    const known = this.#nodes.get(key);
    if (known) return known;
    const node = make(this.#nodes.size);
    this.#nodes.set(key, node);
    return node;
  }
}

function sameSide(a: Side | 'denied', b: Side | 'denied'): boolean {
  return a !== 'denied' && b !== 'denied' && a.deny === b.deny && a.custom === b.custom && a.allow === b.allow;
}

/** The verdict of a side, or null while it depends on more of the request. */
function outcome(side: Side | 'denied', ask: string): string | null {
  if (side === 'denied' || side.deny === ALWAYS || side.allow === NEVER) return 'DENY';
  if (side.allow !== ALWAYS || side.deny !== NEVER) return null;
  return side.custom === ALWAYS ? ask : side.custom === NEVER ? 'ALLOW' : null;
}

function text(side: Side | 'denied'): string {
  return side === 'denied' ? 'denied' : `${side.deny}.${side.custom}.${side.allow}`;
}

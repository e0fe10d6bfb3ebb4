export * from './spiffe.ts';
export * from './flow.ts';
export * from './nouns.ts';
export * from './canonical.ts';

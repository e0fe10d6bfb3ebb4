export { strictBlockers, type StrictInput } from './strict.ts';

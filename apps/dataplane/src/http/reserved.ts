import { compileRemoval, type Removal } from '../wire/index.ts';

/** By trailers nobody states an identity or a verdict: some would read them as if they were headers. */
export const RESERVED: Removal = compileRemoval(['x-forwarded-client-cert'], ['x-sallyport-']);

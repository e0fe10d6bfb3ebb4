import { field } from '../../apps/dataplane/src/wire/index.ts';

/** What is asked and answered: 1 KiB each way, with the headers of a small JSON service. */
export const BODY = Buffer.alloc(1024, 'x');
export const REQUEST = [
  field(':method', 'POST'), field(':scheme', 'http'), field(':authority', 'orders:8080'), field(':path', '/orders'),
  field('content-type', 'application/json'), field('content-length', '1024'), field('user-agent', 'bench/1'), field('accept', 'application/json'),
];
export const ANSWER = [field(':status', '200'), field('content-type', 'application/json'), field('content-length', '1024')];

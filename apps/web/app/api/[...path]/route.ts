import { forward } from '#lib/upstream.ts';

export const dynamic = 'force-dynamic';

/** Where the operator's API is. Read at run time, so that one build serves any operator. */
function operator(): string {
  return process.env['SALLYPORT_API_URL'] ?? 'http://127.0.0.1:8470';
}

async function handle(request: Request): Promise<Response> {
  return forward(request, operator());
}

export { handle as GET, handle as POST, handle as DELETE };

import { NextResponse, type NextRequest } from 'next/server';
import { contentSecurityPolicy } from './lib/contentSecurityPolicy.ts';

const SESSION_COOKIE = 'sallyport_session';

/**
 * Runs before every page: gives it a content security policy with a fresh nonce, and sends whoever has no session
 * cookie to the sign-in page. The cookie's presence proves nothing: the operator checks it on every request for data.
 */
export function proxy(request: NextRequest): NextResponse {
  const { pathname, search } = request.nextUrl;
  if (pathname !== '/signin' && !request.cookies.has(SESSION_COOKIE)) {
    const target = request.nextUrl.clone();
    target.pathname = '/signin';
    target.search = pathname === '/' && search === '' ? '' : `?${new URLSearchParams({ next: pathname + search }).toString()}`;
    return NextResponse.redirect(target);
  }
  const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(18))).toString('base64');
  const policy = contentSecurityPolicy(nonce, process.env.NODE_ENV === 'development');
  const headers = new Headers(request.headers);
  headers.set('x-nonce', nonce);
  headers.set('content-security-policy', policy);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set('content-security-policy', policy);
  return response;
}

// The API sets its own answers' headers, and built assets hold nothing secret.
export const config = { matcher: ['/((?!api/|_next/static/|icon.svg).*)'] };

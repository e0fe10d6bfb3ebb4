import type { NextConfig } from 'next';

/** Headers of every answer. The content security policy needs a nonce per request and is set in proxy.ts. */
const SECURITY_HEADERS = [
  { key: 'X-Content-Type-Options', value: 'nosniff' },
  { key: 'X-Frame-Options', value: 'DENY' },
  { key: 'Referrer-Policy', value: 'no-referrer' },
  { key: 'Cross-Origin-Opener-Policy', value: 'same-origin' },
  { key: 'Cross-Origin-Resource-Policy', value: 'same-origin' },
  { key: 'Permissions-Policy', value: 'camera=(), microphone=(), geolocation=(), payment=(), usb=()' },
];

/** What an image holds (npm run build:images): the server with the files that it uses, and nothing of this build machine. */
const FOR_IMAGE: NextConfig = {
  output: 'standalone',
  distDir: '.next/image',
  // Else a new one each time: the same sources must give the same image.
  generateBuildId: () => process.env['SALLYPORT_BUILD_ID'] ?? null,
};

const config: NextConfig = {
  ...(process.env['SALLYPORT_BUILD_ID'] === undefined ? {} : FOR_IMAGE),
  transpilePackages: ['@sallyport/shared'],
  poweredByHeader: false,
  reactStrictMode: true,
  images: { unoptimized: true },
  // Every page is made for its own request, so the server has nothing to keep.
  cacheMaxMemorySize: 0,
  headers: async () => [{ source: '/:path*', headers: SECURITY_HEADERS }],
};

export default config;

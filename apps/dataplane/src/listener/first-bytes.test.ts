import { describe, expect, it } from 'vitest';
import { readSpoken, readVersion } from './first-bytes.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

describe('readVersion', () => {
  it.each([['GET / HTTP/1.1\r\n', 'http1'], ['P', null], ['PR', null], ['PO', 'http1'], [PREFACE.slice(0, 23), null], [PREFACE, 'http2'], [`${PREFACE}\0\0`, 'http2'], ['PRI * HTTP/2.0\r\n\r\nXX', 'http1']])('%j: %s', (bytes, version) => {
    expect(readVersion(Buffer.from(bytes))).toBe(version);
  });
});

describe('readSpoken', () => {
  it.each([
    ['', null],
    ['GET', null], ['GET /a', null], ['GET /a HTTP/1.1', null], ['GET /a HTTP/1.1\r\n', { protocol: 'http1' }], ['get /a HTTP/1.0\n', { protocol: 'http1' }],
    [PREFACE.slice(0, 9), null], [PREFACE, { protocol: 'http2' }],
    ['PRI * HTTP/2.0\r\n\r\nXX', { protocol: 'tcp' }],
    ['GET /a HTTP/3\r\n', { protocol: 'tcp' }], ['GET  /a HTTP/1.1\r\n', { protocol: 'tcp' }], ['HELO mail.example\r\n', { protocol: 'tcp' }],
    ['\0\0\0\x08', { protocol: 'tcp' }], ['\r\nGET / HTTP/1.1\r\n', { protocol: 'tcp' }], ['A'.repeat(33), { protocol: 'tcp' }],
    ['\x16\x03\x01', null], ['\x16\x02\x01', { protocol: 'tcp' }],
    [`GET /${'a'.repeat(9000)}`, { protocol: 'tcp' }],
  ])('%j', (bytes, spoken) => {
    expect(readSpoken(Buffer.from(bytes, 'latin1'))).toEqual(spoken);
  });
});

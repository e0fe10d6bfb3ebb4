import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readConfiguration } from './config.ts';

const good = {
  SALLYPORT_PROXY: 'node-a',
  SALLYPORT_ROLE: 'node',
  SALLYPORT_TRUST_DOMAIN: 'mesh.test',
  SALLYPORT_JOIN_URL: 'https://127.0.0.1:7001',
  SALLYPORT_STREAM_URL: 'https://127.0.0.1:7002',
  SALLYPORT_BOOTSTRAP_BUNDLE_FILE: '/b.pem',
  SALLYPORT_STATE_DIR: '/nonexistent/state',
};

it('reads the environment with its defaults, ignoring variables it does not know', () => {
  expect(readConfiguration({ ...good, SALLYPORT_OTHER: 'x' })).toMatchObject({ proxy: 'node-a', role: 'node', joinTokenFile: null, tokenFile: null, adminPort: 0, reportInterval: 2000, connectionAge: 3_600_000, logLevel: 'info' });
});

it('reads where it serves the Workload API, and where it asks another', () => {
  expect(readConfiguration(good)).toMatchObject({ workloadApi: null, workloadApiSocket: null });
  const sockets = { SALLYPORT_WORKLOAD_API_LISTEN: 'unix:///run/ours.sock', SPIFFE_ENDPOINT_SOCKET: 'unix:///run/agent.sock' };
  expect(readConfiguration({ ...good, ...sockets })).toMatchObject({ workloadApi: '/run/ours.sock', workloadApiSocket: '/run/agent.sock' });
});

it('reads where calls are told, and tells nobody by default', () => {
  expect(readConfiguration(good).telemetry).toEqual({ accessLog: 'off', accessLogSample: 1, otlp: null, traceSample: 0.01 });
  const told = { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otel.example:4318/base', SALLYPORT_OTLP_HEADERS_FILE: '/h', OTEL_EXPORTER_OTLP_CERTIFICATE: '/c', SALLYPORT_TRACE_SAMPLE: '1', SALLYPORT_ACCESS_LOG: '/var/log/a', SALLYPORT_ACCESS_LOG_SAMPLE: '0.5' };
  expect(readConfiguration({ ...good, ...told }).telemetry).toEqual({ accessLog: '/var/log/a', accessLogSample: 0.5, traceSample: 1, otlp: { endpoint: new URL('https://otel.example:4318/base'), headersFile: '/h', certificateFile: '/c' } });
});

it.each([
  ['SALLYPORT_ACCESS_LOG', 'relative/path', 'must be off, stdout or an absolute path'],
  ['SALLYPORT_ACCESS_LOG_SAMPLE', '1.5', 'must be a number from 0 to 1'],
  ['SALLYPORT_TRACE_SAMPLE', 'often', 'must be a number from 0 to 1'],
  ['SPIFFE_ENDPOINT_SOCKET', 'tcp://127.0.0.1:8000', 'must be unix:///absolute/path'],
  ['SALLYPORT_WORKLOAD_API_LISTEN', '/run/api.sock', 'must be unix:///absolute/path'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'grpc://x', 'must be an http:// or https:// URL'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://user:sesame@x', 'must have no name, password, query or fragment'],
])('refuses %s=%s and never repeats a secret', (name, value, message) => {
  expect(() => readConfiguration({ ...good, [name]: value })).toThrow(`${name}: ${message}`);
  expect(() => readConfiguration({ ...good, [name]: value })).not.toThrow(/sesame/);
});

it('takes the age of connections within bounds', () => {
  expect(readConfiguration({ ...good, SALLYPORT_MAX_CONNECTION_AGE: '90s' }).connectionAge).toBe(90_000);
  for (const wrong of ['59s', '25h']) expect(() => readConfiguration({ ...good, SALLYPORT_MAX_CONNECTION_AGE: wrong })).toThrow('SALLYPORT_MAX_CONNECTION_AGE: must be 1m to 24h');
  expect(() => readConfiguration({ ...good, SALLYPORT_MAX_CONNECTION_AGE: 'never' })).toThrow('SALLYPORT_MAX_CONNECTION_AGE: ');
});

it('takes the name of a pod, and its token or a join token, but not both', () => {
  expect(readConfiguration({ ...good, SALLYPORT_PROXY: 'web-7d4b9c.shop', SALLYPORT_TOKEN_FILE: '/t' })).toMatchObject({ proxy: 'web-7d4b9c.shop', tokenFile: '/t', joinTokenFile: null });
  expect(() => readConfiguration({ ...good, SALLYPORT_TOKEN_FILE: '/t', SALLYPORT_JOIN_TOKEN_FILE: '/j' })).toThrow('SALLYPORT_TOKEN_FILE: is for a proxy in a pod, which needs no SALLYPORT_JOIN_TOKEN_FILE');
});

it('names every variable that is wrong, on one line', () => {
  const broken = { ...good, SALLYPORT_ROLE: 'gateway', SALLYPORT_JOIN_URL: 'http://127.0.0.1', SALLYPORT_STATE_DIR: '' };
  expect(() => readConfiguration(broken)).toThrow(/^cannot start: [^\n]*SALLYPORT_ROLE: [^\n]*SALLYPORT_JOIN_URL: must be an https[^\n]*SALLYPORT_STATE_DIR is not set$/);
});

it('ends the process with 2 and one line', () => {
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const result = spawnSync(process.execPath, [main], { env: { ...good, SALLYPORT_PROXY: '' }, encoding: 'utf8' });
  expect(result).toMatchObject({ status: 2, stderr: 'cannot start: SALLYPORT_PROXY is not set\n', stdout: '' });
});

import { describe, expect, it } from 'vitest';
import { InvalidResourceError, MAX_MANIFEST_BYTES, parseManifest } from './index.ts';

const policy = (spec: string) => `apiVersion: sallyport.dev/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: pay, namespace: shop}\nspec: ${spec}\n`;

function problems(text: string): string {
  try {
    parseManifest(text);
  } catch (error) {
    if (error instanceof InvalidResourceError) return error.message;
    throw error;
  }
  return '';
}

describe('parseManifest', () => {
  it('reads several documents, skips empty ones and fills in defaults', () => {
    const [first, second] = parseManifest(`---\n${policy('{}')}---\n---\n${policy('{action: DENY, rules: [{}]}')}`);
    expect(first?.spec).toEqual({ action: 'ALLOW', enforcement: 'Enforce' });
    expect(second?.metadata).toEqual({ name: 'pay', namespace: 'shop' });
  });

  it.each([
    ['an unknown field', policy('{rulez: []}'), /AuthorizationPolicy shop\/pay: spec: unknown field "rulez"/],
    ['an unknown nested field', policy('{rules: [{from: [{source: {principal: [x]}}]}]}'), /spec\.rules\[0\]\.from\[0\]\.source: unknown field "principal"/],
    ['a bad CIDR', policy('{rules: [{from: [{source: {ipBlocks: ["10.0.0.0/33"]}}]}]}'), /ipBlocks\[0\]: must be an IP address or a CIDR/],
    ['an address with too few parts', policy('{rules: [{from: [{source: {ipBlocks: ["10.1"]}}]}]}'), /ipBlocks\[0\]/],
    ['a DENY without rules', policy('{action: DENY}'), /spec\.rules: only an ALLOW policy may be without rules/],
    ['a source without a field', policy('{rules: [{from: [{source: {}}]}]}'), /from\[0\]\.source: must name at least one field/],
    ['a template that cannot be', policy('{rules: [{to: [{operation: {paths: ["/a/{**}/{*}"]}}]}]}'), /paths\[0\]: nothing but literal segments may follow/],
    ['a condition on an address that is none', policy('{rules: [{when: [{key: remote.ip, values: [nowhere]}]}]}'), /when\[0\]\.values\[0\]: must be an IP address/],
    ['CUSTOM by identity', policy('{action: CUSTOM, provider: {name: x}, rules: [{from: [{source: {principals: [a]}}]}]}'), /principals: is not available to CUSTOM/],
    ['CUSTOM without a provider', policy('{action: CUSTOM, rules: [{}]}'), /spec\.provider: CUSTOM needs a provider/],
    ['service accounts beside namespaces', policy('{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}'), /serviceAccounts: cannot stand beside/],
    ['two kinds of attachment', policy('{selector: {}, targetRefs: [{kind: Service, name: a}]}'), /targetRefs: selector and targetRefs exclude/],
    ['a bad condition key', policy('{rules: [{when: [{key: "request.header[x]", values: [a]}]}]}'), /not a known condition key/],
    ['another apiVersion', policy('{}').replace('sallyport.dev/v1alpha1', 'security.istio.io/v1'), /apiVersion must be sallyport\.dev\/v1alpha1/],
    ['a kind that is not one', policy('{}').replace('AuthorizationPolicy', 'Policy'), /kind must be one of/],
    ['a missing namespace', policy('{}').replace(', namespace: shop', ''), /metadata\.namespace: is required/],
    ['broken YAML', 'a: [1', /document 1: not valid YAML/],
    ['a repeated key', policy('{action: ALLOW, action: DENY}'), /not valid YAML: the key "action" is given twice at line 4, column 23/],
    ['a key that is repeated in another form', policy('{8080: a, "8080": b}'), /the key "8080" is given twice/],
    ['a key that is no text', policy('{[a]: b}'), /a key must be plain text/],
    ['too many unknown fields', policy(`{${Array.from({ length: 12 }, (_, n) => `x${n}: 1`).join(', ')}}`), /"x9" and 2 more; remove/],
    ['an application that others could reach', 'apiVersion: sallyport.dev/v1alpha1\nkind: Workload\nmetadata: {name: a, namespace: b}\nspec: {serviceAccount: a, address: 10.0.0.1, inbound: [{port: 1, protocol: http, app: "0.0.0.0:80"}]}', /inbound\[0\]\.app: must be unix/],
  ])('names the place of %s', (_name, text, message) => {
    expect(problems(text)).toMatch(message);
  });

  it('lists the problems of every document at once', () => {
    expect(problems(`${policy('{x: 1}')}---\n${policy('{y: 1}')}`).split('\n')).toHaveLength(2);
  });

  // The parser's own comparison of keys takes a minute for these.
  it('reads many keys and many errors', () => {
    expect(problems(Array.from({ length: 50_000 }, (_, n) => `k${n}: 1`).join('\n'))).toMatch(/apiVersion must be/);
    expect(problems('!a '.repeat(100_000))).toMatch(/at most one tag at line 1, column 4$/);
  });

  it('refuses what is too large, and an expansion of aliases', () => {
    expect(problems(`# ${'x'.repeat(MAX_MANIFEST_BYTES)}`)).toMatch(/larger than/);
    const bomb = ['a: &a [1,1,1,1,1,1,1,1,1]', ...'bcdefgh'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[i]}`).join(',')}]`)].join('\n');
    expect(problems(bomb)).toMatch(/aliases/);
  });
});

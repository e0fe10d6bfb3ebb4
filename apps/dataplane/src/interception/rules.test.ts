import { parsePortRanges } from '@sallyport/shared/push';
import { describe, expect, it } from 'vitest';
import { iptablesJumps, iptablesText, nftRemoval, nftText, type Redirect, rulesProblem } from './rules.ts';

const redirect: Redirect = {
  proxyUid: 1337, inboundPort: 15_006, outboundPort: 15_001, hbonePort: 15_008,
  excludeInbound: [{ from: 22, to: 22 }, { from: 9000, to: 9010 }], excludeOutbound: [{ from: 53, to: 53 }],
};
/** Rules without their comments. */
const bare = (text: string) => text.replaceAll(/ comment "[^"]*"/g, '');

describe('nftables', () => {
  it('replaces its own table in one transaction', () => {
    expect(nftText(redirect)).toMatch(/^table inet sallyport\ndelete table inet sallyport\ntable inet sallyport \{\n/);
    expect(nftRemoval()).toBe('table inet sallyport\ndelete table inet sallyport\n');
  });

  it('leads everything to the proxy but HBONE, what is excluded, loopback, and the proxy itself', () => {
    expect(bare(nftText(redirect))).toContain(`
  chain inbound {
    tcp dport { 15008 } return
    tcp dport { 22, 9000-9010 } return
    meta l4proto tcp redirect to :15006
  }
  chain outbound {
    tcp dport { 53 } return
    meta l4proto tcp redirect to :15001
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    meta l4proto tcp fib daddr type local jump inbound
  }
  chain output {
    type nat hook output priority -100; policy accept;
    meta skuid 1337 oifname "lo" tcp dport 15016 jump inbound
    meta skuid 1337 oifname "lo" tcp dport 15011 jump outbound
    meta skuid 1337 return
    oifname "lo" return
    meta l4proto tcp jump outbound
  }
}
`);
  });

  it('leaves out what is empty', () => {
    const text = bare(nftText({ ...redirect, hbonePort: 0, excludeInbound: [], excludeOutbound: [] }));
    expect(text).toContain('  chain inbound {\n    meta l4proto tcp redirect to :15006\n  }\n  chain outbound {\n    meta l4proto tcp redirect to :15001\n  }\n');
  });

  it('marks every rule with what all of them are and its place, so that other rules have other marks', () => {
    const marks = (of: Redirect) => [...nftText(of).matchAll(/comment "sallyport ([0-9a-f]{16})\.(\d+)"/g)].map(([, digest, place]) => ({ digest, place }));
    const ours = marks(redirect);
    expect(ours.map(({ place }) => place)).toEqual(Array.from({ length: 11 }, (_, i) => String(i)));
    expect(new Set(ours.map(({ digest }) => digest)).size).toBe(1);
    expect(marks({ ...redirect, proxyUid: 1338 })[0]?.digest).not.toBe(ours[0]?.digest);
  });
});

describe('iptables', () => {
  it('says the same in chains of its own', () => {
    expect(iptablesText(redirect, [])).toBe(`*nat
:SALLYPORT_INBOUND - [0:0]
:SALLYPORT_OUTBOUND - [0:0]
:SALLYPORT_OUTPUT - [0:0]
-A SALLYPORT_INBOUND -p tcp -m tcp --dport 15008 -j RETURN
-A SALLYPORT_INBOUND -p tcp -m tcp --dport 22 -j RETURN
-A SALLYPORT_INBOUND -p tcp -m tcp --dport 9000:9010 -j RETURN
-A SALLYPORT_INBOUND -p tcp -j REDIRECT --to-ports 15006
-A SALLYPORT_OUTBOUND -p tcp -m tcp --dport 53 -j RETURN
-A SALLYPORT_OUTBOUND -p tcp -j REDIRECT --to-ports 15001
-A SALLYPORT_OUTPUT -o lo -p tcp -m owner --uid-owner 1337 -m tcp --dport 15016 -j SALLYPORT_INBOUND
-A SALLYPORT_OUTPUT -o lo -p tcp -m owner --uid-owner 1337 -m tcp --dport 15011 -j SALLYPORT_OUTBOUND
-A SALLYPORT_OUTPUT -m owner --uid-owner 1337 -j RETURN
-A SALLYPORT_OUTPUT -o lo -j RETURN
-A SALLYPORT_OUTPUT -p tcp -j SALLYPORT_OUTBOUND
COMMIT
`);
  });

  it('adds the jumps that are not there yet, before anything else', () => {
    const [inbound, output] = iptablesJumps();
    const text = iptablesText(redirect, [inbound!, output!]);
    expect(text).toContain('-I PREROUTING 1 -p tcp -m addrtype --dst-type LOCAL -j SALLYPORT_INBOUND\n-I OUTPUT 1 -p tcp -j SALLYPORT_OUTPUT\nCOMMIT\n');
  });
});

describe('what is excluded', () => {
  it('is read as ports and ranges, in order and merged', () => {
    expect(parsePortRanges('9000-9010, 22,9005-9020,9021')).toEqual([{ from: 22, to: 22 }, { from: 9000, to: 9021 }]);
    expect(parsePortRanges('')).toEqual([]);
  });

  it.each(['0', '65536', '10-5', 'http', '1-2-3', '22,,23', '-1', '1e3', '22;drop'])('refuses %j', (text) => {
    expect(() => parsePortRanges(text)).toThrow(JSON.stringify(text.split(',').find((part) => part !== '22') ?? ''));
  });
});

describe('what cannot work', () => {
  it.each([
    [{ proxyUid: 0 }, /root/],
    [{ proxyUid: 1.5 }, /user/],
    [{ outboundPort: 15_006 }, /15006 .* twice/],
    [{ hbonePort: 15_001 }, /15001 .* twice/],
    [{ inboundPort: 15_016 }, /15016 .* twice/],
    [{ excludeInbound: [{ from: 15_000, to: 15_020 }] }, /15016/],
    [{ excludeOutbound: [{ from: 15_011, to: 15_011 }] }, /15011/],
    [{ inboundPort: 0 }, /0 is no port/],
  ])('%j', (change, says) => {
    expect(rulesProblem({ ...redirect, ...change })).toMatch(says);
    expect(rulesProblem(redirect)).toBeNull();
  });
});

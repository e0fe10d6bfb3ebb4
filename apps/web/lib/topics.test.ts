import { describe, expect, it } from 'vitest';
import { topicOf, touches } from './topics.ts';

describe('topics', () => {
  it('touch their views and no others', () => {
    expect(touches('telemetry', '/graph?window=15m')).toBe(true);
    expect(touches('steps', '/namespaces/shop?window=15m')).toBe(true);
    expect(touches('steps', '/graph?window=15m')).toBe(false);
    expect(touches('constructor', '/graph')).toBe(false);
  });

  it('are read only from events of ours', () => {
    expect(topicOf('{"topic":"signals"}')).toBe('signals');
    for (const data of ['', 'null', '[]', '{"topic":3}', '{']) expect(topicOf(data)).toBeNull();
  });
});

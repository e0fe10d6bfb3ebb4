import { describe, expect, it } from 'vitest';
import { whyNot } from './roles.ts';

describe('whyNot', () => {
  it('is null for who has the role, and names both roles for who has not', () => {
    expect(whyNot(['viewer', 'approver'], 'approver')).toBeNull();
    expect(whyNot(['viewer', 'editor'], 'approver')).toBe('Only the role approver may step a namespace to strict or back and rotate the CA; you have viewer, editor.');
    expect(whyNot([], 'viewer')).toContain('you have no role');
  });
});

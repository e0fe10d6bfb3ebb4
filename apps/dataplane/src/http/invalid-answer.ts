/** RFC 9110 §15.6.3: somebody answered, but not by the rules, so that nothing of it may be passed on. */
export class InvalidAnswer extends Error {
  override readonly name = 'InvalidAnswer';
}

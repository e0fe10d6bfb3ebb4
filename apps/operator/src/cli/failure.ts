/** What the process ends with: 0 ok, 1 refused or a check failed, 2 usage or bad input, 3 cannot reach or sign in. */
export const EXIT = { ok: 0, refused: 1, usage: 2, unreachable: 3 } as const;

/** An end of the command that is told to a person: what, where, and what to do about it. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure';
  readonly exitCode: number;
  readonly remedy: string | null;
  constructor(exitCode: number, message: string, remedy: string | null = null) {
    super(message);
    this.exitCode = exitCode;
    this.remedy = remedy;
  }
}

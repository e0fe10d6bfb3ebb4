import 'vitest';

declare module 'vitest' {
  /** What the run's set-up hands to tests. */
  export interface ProvidedContext {
    postgresUrl: string;
  }
}

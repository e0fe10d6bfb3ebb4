/** The pnpm that installs, as npx names it. */
export const PNPM: string;

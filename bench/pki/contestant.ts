/** One way to issue. */
export interface Contestant {
  readonly name: string;
  /** Issues for a request in PEM. @returns the certificate in PEM */
  issue(csr: string): Promise<string>;
}

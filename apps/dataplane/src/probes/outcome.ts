/** What came of a probe; `why` is for the event that the kubelet writes, and holds nothing that the application said. */
export type Outcome = { readonly healthy: true } | { readonly healthy: false; readonly why: string };

import 'vitest';

declare module 'vitest' {
  /** What the run's set-up hands to tests. */
  export interface ProvidedContext {
    postgresUrl: string;
    /** A kubeconfig file of the run's API server; in tests on a real Kubernetes API only. */
    kubeconfig: string;
    /** The directory with kube-apiserver, etcd, kubectl and helm; in tests on a real Kubernetes API only. */
    kubeAssets: string;
  }
}

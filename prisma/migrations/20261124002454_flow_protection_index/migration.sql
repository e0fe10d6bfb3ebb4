-- CreateIndex
CREATE INDEX "flow_buckets_side_mtls_namespace_last_seen_idx" ON "flow_buckets"("side", "mtls", "namespace", "last_seen");

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "resources" (
    "kind" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "uid" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "revision" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "labels" JSONB NOT NULL,
    "annotations" JSONB NOT NULL,
    "spec" JSONB NOT NULL,
    "status" JSONB,
    "managed_fields" JSONB NOT NULL,

    CONSTRAINT "resources_pkey" PRIMARY KEY ("kind","namespace","name")
);

-- CreateTable
CREATE TABLE "changes" (
    "revision" BIGINT NOT NULL,
    "kind" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "object" JSONB NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "changes_pkey" PRIMARY KEY ("revision")
);

-- CreateTable
CREATE TABLE "store_revision" (
    "id" INTEGER NOT NULL,
    "revision" BIGINT NOT NULL,
    "pruned" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "store_revision_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_log" (
    "seq" BIGINT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "actor" TEXT NOT NULL,
    "via" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "resource" TEXT NOT NULL,
    "before" JSONB,
    "after" JSONB,
    "previous_hash" TEXT NOT NULL,
    "hash" TEXT NOT NULL,

    CONSTRAINT "audit_log_pkey" PRIMARY KEY ("seq")
);

-- CreateTable
CREATE TABLE "users" (
    "username" TEXT NOT NULL,
    "password_hash" TEXT NOT NULL,
    "roles" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "users_pkey" PRIMARY KEY ("username")
);

-- CreateTable
CREATE TABLE "sessions" (
    "id" TEXT NOT NULL,
    "username" TEXT NOT NULL,
    "csrf_token" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "via" TEXT NOT NULL,

    CONSTRAINT "sessions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "proxies" (
    "name" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "machine_key" TEXT NOT NULL,
    "enrolled_at" TIMESTAMPTZ(3) NOT NULL,
    "last_report" TIMESTAMPTZ(3),
    "epoch" TEXT,
    "last_seq" INTEGER NOT NULL DEFAULT 0,
    "svids" JSONB NOT NULL DEFAULT '[]',
    "config_version" TEXT,
    "config_age_seconds" DOUBLE PRECISION,

    CONSTRAINT "proxies_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "join_tokens" (
    "hash" TEXT NOT NULL,
    "proxy" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "used_at" TIMESTAMPTZ(3),

    CONSTRAINT "join_tokens_pkey" PRIMARY KEY ("hash")
);

-- CreateTable
CREATE TABLE "certificates" (
    "serial" TEXT NOT NULL,
    "spiffe_id" TEXT NOT NULL,
    "issuer" TEXT NOT NULL,
    "not_before" TIMESTAMPTZ(3) NOT NULL,
    "not_after" TIMESTAMPTZ(3) NOT NULL,
    "renew_at" TIMESTAMPTZ(3) NOT NULL,
    "spki_hash" TEXT NOT NULL,
    "proxy" TEXT NOT NULL,
    "namespace" TEXT,
    "workload" TEXT,
    "attestation" TEXT NOT NULL,
    "issued_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "certificates_pkey" PRIMARY KEY ("serial")
);

-- CreateTable
CREATE TABLE "flow_buckets" (
    "bucket" TIMESTAMPTZ(3) NOT NULL,
    "key" TEXT NOT NULL,
    "reporter" TEXT NOT NULL,
    "side" TEXT NOT NULL,
    "principal" TEXT,
    "ip" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "workload" TEXT,
    "service" TEXT,
    "port" INTEGER NOT NULL,
    "protocol" TEXT NOT NULL,
    "method" TEXT,
    "path" TEXT,
    "sample_path" TEXT,
    "mtls" TEXT NOT NULL,
    "verdict" TEXT NOT NULL,
    "reason" TEXT,
    "policy" TEXT,
    "count" BIGINT NOT NULL,
    "bytes_received" BIGINT NOT NULL,
    "bytes_sent" BIGINT NOT NULL,
    "first_seen" TIMESTAMPTZ(3) NOT NULL,
    "last_seen" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "flow_buckets_pkey" PRIMARY KEY ("bucket","key")
);

-- CreateTable
CREATE TABLE "edges_seen" (
    "key" TEXT NOT NULL,
    "first_seen" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "edges_seen_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "denies" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "reporter" TEXT NOT NULL,
    "principal" TEXT,
    "ip" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "workload" TEXT NOT NULL,
    "service" TEXT,
    "port" INTEGER NOT NULL,
    "method" TEXT,
    "path" TEXT,
    "policy" TEXT,
    "reason" TEXT NOT NULL,
    "trace_id" TEXT,

    CONSTRAINT "denies_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "coverage" (
    "id" BIGSERIAL NOT NULL,
    "proxy" TEXT NOT NULL,
    "from_at" TIMESTAMPTZ(3) NOT NULL,
    "to_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "coverage_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "signals" (
    "id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "detail" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "namespace" TEXT,
    "count" INTEGER NOT NULL,
    "techniques" TEXT[],
    "link" TEXT NOT NULL,
    "opened_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen" TIMESTAMPTZ(3) NOT NULL,
    "closed_at" TIMESTAMPTZ(3),

    CONSTRAINT "signals_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "strict_steps" (
    "id" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "canary" TEXT,
    "started_by" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "stage_started_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3),
    "refusals" INTEGER NOT NULL DEFAULT 0,
    "reason" TEXT NOT NULL DEFAULT '',
    "log" JSONB NOT NULL DEFAULT '[]',
    "before" JSONB,

    CONSTRAINT "strict_steps_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "evidence_bundles" (
    "id" TEXT NOT NULL,
    "from_at" TIMESTAMPTZ(3) NOT NULL,
    "to_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "created_by" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "bytes" INTEGER NOT NULL,

    CONSTRAINT "evidence_bundles_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "resources_uid_key" ON "resources"("uid");

-- CreateIndex
CREATE INDEX "sessions_expires_at_idx" ON "sessions"("expires_at");

-- CreateIndex
CREATE INDEX "certificates_spiffe_id_issued_at_idx" ON "certificates"("spiffe_id", "issued_at");

-- CreateIndex
CREATE INDEX "certificates_not_after_idx" ON "certificates"("not_after");

-- CreateIndex
CREATE INDEX "denies_at_idx" ON "denies"("at");

-- CreateIndex
CREATE INDEX "coverage_proxy_to_at_idx" ON "coverage"("proxy", "to_at");

-- CreateIndex
CREATE INDEX "signals_closed_at_idx" ON "signals"("closed_at");

-- CreateIndex
CREATE INDEX "strict_steps_namespace_started_at_idx" ON "strict_steps"("namespace", "started_at");

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_username_fkey" FOREIGN KEY ("username") REFERENCES "users"("username") ON DELETE CASCADE ON UPDATE CASCADE;

-- The one row that orders all writes.
INSERT INTO "store_revision" ("id", "revision", "pruned") VALUES (1, 0, 0);

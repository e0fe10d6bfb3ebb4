-- CreateTable
CREATE TABLE "jwt_issuances" (
    "seq" BIGINT NOT NULL,
    "spiffe_id" TEXT NOT NULL,
    "audience" TEXT[],
    "kid" TEXT NOT NULL,
    "proxy" TEXT NOT NULL,
    "namespace" TEXT NOT NULL,
    "workload" TEXT NOT NULL,
    "attestation" TEXT NOT NULL,
    "issued_at" TIMESTAMPTZ(3) NOT NULL,
    "not_after" TIMESTAMPTZ(3) NOT NULL,
    "previous_hash" TEXT NOT NULL,
    "hash" TEXT NOT NULL,

    CONSTRAINT "jwt_issuances_pkey" PRIMARY KEY ("seq")
);

-- CreateIndex
CREATE INDEX "jwt_issuances_spiffe_id_issued_at_idx" ON "jwt_issuances"("spiffe_id", "issued_at");

-- CreateTable
CREATE TABLE "federated_bundles" (
    "trust_domain" TEXT NOT NULL,
    "basis" TEXT NOT NULL,
    "document" TEXT,
    "fetched_at" TIMESTAMPTZ(3),
    "attempted_at" TIMESTAMPTZ(3) NOT NULL,
    "failure" TEXT,

    CONSTRAINT "federated_bundles_pkey" PRIMARY KEY ("trust_domain")
);

-- CreateTable
CREATE TABLE "shadow_buckets" (
    "bucket" TIMESTAMPTZ(3) NOT NULL,
    "reporter" TEXT NOT NULL,
    "policy" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "rule" INTEGER NOT NULL,
    "namespace" TEXT NOT NULL,
    "workload" TEXT NOT NULL,
    "port" INTEGER NOT NULL,
    "count" BIGINT NOT NULL,

    CONSTRAINT "shadow_buckets_pkey" PRIMARY KEY ("bucket","reporter","policy","rule","namespace","workload","port")
);


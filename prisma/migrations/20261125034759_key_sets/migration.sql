-- CreateTable
CREATE TABLE "key_sets" (
    "source" TEXT NOT NULL,
    "keys" JSONB,
    "fetched_at" TIMESTAMPTZ(3),
    "attempted_at" TIMESTAMPTZ(3) NOT NULL,
    "failure" TEXT,

    CONSTRAINT "key_sets_pkey" PRIMARY KEY ("source")
);

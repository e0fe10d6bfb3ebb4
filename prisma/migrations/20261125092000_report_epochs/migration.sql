-- AlterTable
ALTER TABLE "coverage" ADD COLUMN     "epoch" TEXT;

-- CreateTable
CREATE TABLE "report_epochs" (
    "proxy" TEXT NOT NULL,
    "epoch" TEXT NOT NULL,
    "last_seq" INTEGER NOT NULL,
    "last_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "report_epochs_pkey" PRIMARY KEY ("proxy","epoch")
);

-- CreateIndex
CREATE INDEX "report_epochs_last_at_idx" ON "report_epochs"("last_at");

-- What was taken before must not be taken again.
INSERT INTO "report_epochs" ("proxy", "epoch", "last_seq", "last_at")
SELECT "name", "epoch", "last_seq", COALESCE("last_report", now()) FROM "proxies" WHERE "epoch" IS NOT NULL;

-- AlterTable
ALTER TABLE "proxies" DROP COLUMN "epoch",
DROP COLUMN "last_seq";

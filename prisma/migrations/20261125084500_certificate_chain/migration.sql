-- AlterTable
ALTER TABLE "proxies" ADD COLUMN     "bundle_sequence" BIGINT;

-- AlterTable
ALTER TABLE "certificates" ADD COLUMN     "hash" TEXT,
ADD COLUMN     "previous_hash" TEXT,
ADD COLUMN     "seq" BIGINT;

-- CreateIndex
CREATE UNIQUE INDEX "certificates_seq_key" ON "certificates"("seq");

-- AlterTable
ALTER TABLE "proxies" ADD COLUMN     "node" TEXT,
ADD COLUMN     "pod_uid" TEXT,
ADD COLUMN     "service_account" TEXT,
ALTER COLUMN "machine_key" DROP NOT NULL;

-- AlterTable
ALTER TABLE "certificates" ADD COLUMN     "node" TEXT,
ADD COLUMN     "pod" TEXT,
ADD COLUMN     "pod_uid" TEXT;

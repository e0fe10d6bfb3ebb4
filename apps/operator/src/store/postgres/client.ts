import { PrismaPg } from '@prisma/adapter-pg';
import type { ITXClientDenyList } from '@prisma/client/runtime/client';
import { PrismaClient } from '../../generated/prisma/client.ts';

export type Database = PrismaClient;
/** A client bound to one transaction. */
export type Transaction = Omit<PrismaClient, ITXClientDenyList>;

/** Opens a pooled client. Connections are made on first use and again after they are lost. */
export function openDatabase(url: string): Database {
  // The pool counts the wait for a busy connection too: on a loaded machine 5 s were not enough for a start.
  const adapter = new PrismaPg({ connectionString: url, max: 10, connectionTimeoutMillis: 20_000, idleTimeoutMillis: 30_000 });
  return new PrismaClient({ adapter, transactionOptions: { maxWait: 10_000, timeout: 20_000 } });
}

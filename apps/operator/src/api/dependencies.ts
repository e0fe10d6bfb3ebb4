import type { KeyObject } from 'node:crypto';
import type { Logger } from 'pino';
import type { Authority } from '../ca/authority.ts';
import type { StrictStepper } from '../controllers/strict-step.ts';
import type { CaController } from '../ca/controller.ts';
import type { Issuance } from '../ca/issuance.ts';
import type { FederationController } from '../federation/controller.ts';
import type { StrictSources } from '../observe/views/strict.ts';
import type { PushHub } from '../push/hub.ts';
import type { ResourceStore } from '../store/ports.ts';
import type { Events } from './events.ts';

/** A hash-chained record that can be checked. */
interface Chain {
  verify(): Promise<'intact' | 'broken'>;
}

/** What the API is made of; put together in `main.ts`. */
export interface ApiDependencies extends StrictSources {
  readonly store: ResourceStore;
  readonly authority: Authority;
  readonly hub: PushHub;
  readonly stepper: StrictStepper;
  readonly ca: CaController;
  readonly issuance: Issuance;
  readonly federation: FederationController;
  readonly auditChain: Chain;
  readonly certificateChain: Chain;
  readonly evidenceKey: KeyObject;
  readonly events: Events;
  readonly log: Logger;
  /** False until everything that the API needs has started. */
  readonly ready: () => boolean;
}

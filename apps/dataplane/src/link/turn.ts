/** Somebody with something to send when the turn is over. */
export interface Sender {
  flush(): void;
}

/** So many flushes go by before it is looked whether turns have become busy, or are busy no more. */
const LOOK_EVERY = 32;

/** Who wrote since the last flush, in order. */
let senders: Sender[] = [];
/** Reads since the last look. */
let reads = 0;
/** True while turns of the event loop mostly have more than one read. */
let busy = false;
/** Flushes since turns were last found to be what they are not taken for. */
let flushes = 0;

/** Tells that a socket was read. */
export function hasRead(): void {
  reads += 1;
}

/**
 * Has `sender` flushed once, soon. With one read in a turn of the event loop nothing can be gained by waiting, so that
 * what it caused leaves right after it. With several it leaves after the last of them, in the check phase: what is for
 * one connection in one write, and what is for many close together, so that others find more to do when they wake up.
 */
export function flushSoon(sender: Sender): void {
  if (senders.push(sender) > 1) return;
  if (busy) setImmediate(flushBusy);
  else process.nextTick(flushQuiet);
}

function flushBusy(): void {
  flushAll();
  flushes = reads > 1 ? 0 : flushes + 1;
  reads = 0;
  if (flushes === LOOK_EVERY) become(false);
}

function flushQuiet(): void {
  flushAll();
  flushes += 1;
  if (flushes < LOOK_EVERY) return;
  flushes = 0;
  reads = 0;
  // What is read between here and the check phase came in the same turn.
  setImmediate(() => {
    if (reads > 0) become(true);
  });
}

function become(state: boolean): void {
  busy = state;
  flushes = 0;
  reads = 0;
}

/** Connections over a connection write to it meanwhile: it is flushed after them, in the same pass. */
function flushAll(): void {
  for (const sender of senders) sender.flush();
  senders = [];
}

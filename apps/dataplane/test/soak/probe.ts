/** Loaded into a proxy's process by tests: says what it holds when it is asked. */
process.on('message', () => {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  process.send?.({ rss, heap: heapUsed, handles: process.getActiveResourcesInfo().length });
});
// The question alone keeps no process alive.
process.channel?.unref();
// A test that is broken off leaves no proxy behind.
process.on('disconnect', () => process.exit(1));

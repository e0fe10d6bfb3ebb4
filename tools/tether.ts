import { type ChildProcess, spawn } from 'node:child_process';

type Signal = 'TERM' | 'INT';

/**
 * A shell that ends the processes entrusted to it when we die without a chance to do so (SIGKILL, out of memory).
 * It learns of our death by the end of its standard input, which no signal can prevent.
 */
export interface Tether {
  /** From now on the process must not outlive us; `signal` is what it is first asked with. */
  hold(pid: number, signal?: Signal): void;
  /** The process has ended or may live on. */
  release(pid: number): void;
  /** Lets go of everything and ends the shell. */
  end(): void;
}

// Grace before SIGKILL: 80 x 0.1 s.
const SCRIPT = `
held=""
while read -r operation pid signal; do
  rest=""
  for entry in $held; do [ "\${entry%%:*}" = "$pid" ] || rest="$rest $entry"; done
  held="$rest"
  [ "$operation" = "+" ] && held="$held $pid:$signal"
done
for entry in $held; do kill -s "\${entry##*:}" "\${entry%%:*}" 2>/dev/null; done
turn=0
while [ -n "$held" ] && [ $turn -lt 80 ]; do
  rest=""
  for entry in $held; do kill -0 "\${entry%%:*}" 2>/dev/null && rest="$rest $entry"; done
  held="$rest"; turn=$((turn + 1))
  [ -z "$held" ] || sleep 0.1
done
for entry in $held; do kill -s KILL "\${entry%%:*}" 2>/dev/null; done
`;

/** Starts the shell in a session of its own, so that a Ctrl-C at the terminal does not end it before us. */
export function startTether(): Tether {
  const shell: ChildProcess = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  shell.unref();
  // A shell that is gone cannot be told anything; what it held is then ended by the ordinary stop.
  shell.on('error', () => undefined);
  shell.stdin?.on('error', () => undefined);
  const held = new Set<number>();
  const tell = (line: string): void => void shell.stdin?.write(`${line}\n`);
  return {
    hold(pid, signal = 'TERM') {
      held.add(pid);
      tell(`+ ${pid} ${signal}`);
    },
    release(pid) {
      if (held.delete(pid)) tell(`- ${pid} x`);
    },
    end() {
      for (const pid of held) tell(`- ${pid} x`);
      held.clear();
      shell.stdin?.end();
    },
  };
}

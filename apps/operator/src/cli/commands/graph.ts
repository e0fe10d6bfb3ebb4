import { type GraphEdge, graphView } from '@sallyport/shared/api';
import type { Command } from 'commander';
import { apiCommand, clientOf, query } from '../command.ts';
import { age, type Cell, coverageNote, type Format, note, protection, show, tone } from '../output.ts';

const TONES = { expected: 'good', undeclared: 'warn', denied: 'bad', unused: 'quiet' } as const;

/** `sallyport graph`: who called whom, against what was declared. */
export function graphCommand(): Command {
  return apiCommand('graph', 'show who called whom in a window, against what was declared', 'sallyport graph --window 1h -n orders\nsallyport graph -o json')
    .option('--window <duration>', 'how far back, such as 15m or 24h', '15m')
    .option('-n, --namespace <namespace>', 'only edges with an end in this namespace')
    .action(async (options: { output: Format; server?: string; window: string; namespace?: string }) => {
      const view = await clientOf(options).get(`/graph${query({ window: options.window, namespace: options.namespace })}`, graphView);
      const now = Date.parse(view.window.to);
      show(
        options.output,
        view,
        ['SOURCE', 'TARGET', 'PORT', 'STATE', 'REQUESTS', 'DENIED', 'FAILED', 'MTLS', 'LAST SEEN'],
        view.edges.map((edge) => [edge.source, edge.target, edge.port, tone(edge.state, TONES[edge.state]), edge.requests, edge.denied, edge.failed, lock(edge), age(edge.lastSeen, now)]),
      );
      if (options.output !== 'table') return;
      note(`${view.window.from} to ${view.window.to}: ${coverageNote(view.coverage)}`);
      if (view.hidden.nodes > 0) note(`${view.hidden.nodes} nodes and ${view.hidden.edges} edges are hidden; name a namespace with -n`);
    });
}

/** A stale edge is never shown as fully protected: its receiver was silent for a part of the window. */
function lock(edge: GraphEdge): Cell {
  const shown = protection(edge.mtls);
  return edge.stale ? tone(`${shown.text} (gap)`, shown.tone === 'good' ? 'warn' : shown.tone) : shown;
}

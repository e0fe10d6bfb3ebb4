import { renderControls } from './controls.ts';
import type { EvidenceModel, Files, Renderer } from './model.ts';
import { renderObservations } from './observations.ts';
import { renderPopulations } from './populations.ts';
import { canonicalJson, encode, iso, jsonFile, lines, sha256, sorted } from './text.ts';
import { verifyGuide } from './verify-guide.ts';

/** What the bundle's files are made by, in order. A report for people (PDF) or for machines (OSCAL) joins here. */
const RENDERERS: readonly Renderer[] = [
  renderPopulations,
  renderObservations,
  renderControls,
  renderConfig,
  (model) => new Map([['coverage.json', jsonFile(coverageFile(model))]]),
  (model) => new Map([['VERIFY.md', encode(verifyGuide(model.keyId))]]),
];

/**
 * The unsigned files of a bundle. Pure: two calls with the same model give the same bytes, whatever the order of its
 * lists.
 *
 * @returns files by path, in order of path
 */
export function renderBundle(model: EvidenceModel): Files {
  const files: Files = new Map();
  for (const render of RENDERERS) for (const [name, content] of render(model)) files.set(name, content);
  files.set('queries.json', jsonFile(queriesFile(model, files)));
  files.set('manifest.json', jsonFile(manifestFile(model, files)));
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Effective objects, one a line. An allow-list: annotations and status can hold anything, so they stay out. */
function renderConfig(model: EvidenceModel): Files {
  const byKind = Map.groupBy(model.config, (resource) => resource.kind);
  return new Map(
    [...byKind].map(([kind, resources]) => {
      const objects = resources.map(({ apiVersion, metadata, spec }) => {
        const { namespace, name, labels, generation } = metadata;
        return { apiVersion, kind, metadata: { namespace, name, labels, generation }, spec };
      });
      return [`config/${kind}.jsonl`, lines(sorted(objects).map(canonicalJson))];
    }),
  );
}

function coverageFile(model: EvidenceModel) {
  const { proxiesExpected, proxiesReporting, share, proxies } = model.coverage;
  return {
    basis: 'shares are of the whole period; before a proxy was enrolled nobody looked, and that counts as a gap',
    expected: proxiesExpected,
    observed: proxiesReporting,
    share,
    proxies: proxies.map((proxy) => ({ name: proxy.name, share: proxy.share, lastReport: proxy.lastReport })),
    gaps: proxies.flatMap((proxy) => proxy.gaps.map((gap) => ({ proxy: proxy.name, ...gap, reason: 'no telemetry arrived' }))),
    /** Workloads outside the mesh: nobody observes what reaches them. */
    unobservable: sorted(model.populations.workloads.filter((row) => row.proxy === null).map((row) => `${row.namespace}/${row.name}`)),
  };
}

function queriesFile(model: EvidenceModel, files: Files) {
  return sorted(model.queries).map(({ id, text, source, file }) => {
    const result = files.get(file);
    return { id, text, source, file, resultSha256: result === undefined ? null : sha256(result) };
  });
}

function manifestFile(model: EvidenceModel, files: Files) {
  return {
    format: 'sallyport-evidence/v1',
    scope: {
      trustDomain: model.scope.trustDomain,
      namespaces: model.scope.namespaces.toSorted(),
      approvedIssuers: model.scope.approvedIssuers.toSorted(),
    },
    // Closed at the start, open at the end.
    window: { from: iso(model.window.from), to: iso(model.window.to) },
    generatedAt: iso(model.generatedAt),
    generator: { name: 'sallyport', version: model.generatorVersion },
    keyId: model.keyId,
    redaction: 'config: names, labels, generation and spec only',
    files: [...files.keys(), 'manifest.json'].sort(),
  };
}

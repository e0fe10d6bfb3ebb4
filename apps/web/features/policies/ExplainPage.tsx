'use client';
import { explainView, type ExplainView } from '@sallyport/shared/api';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { View } from '../shell/View.tsx';
import { reasonText } from '../signals/reasons.ts';
import { callFrom, callLine, type CallText, requestOf } from './call.ts';
import { CallForm } from './CallForm.tsx';
import { ClauseTable } from './ClauseTable.tsx';
import { mtlsText, verdictOf } from './explanation.ts';
import { plural, sentence } from '#lib/format.ts';
import { useLive } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { request } from '#lib/request.ts';
import { useSession } from '#lib/session.tsx';
import { useUrlState } from '#lib/urlState.ts';
import { Notice } from '#ui/Notice.tsx';
import { Facts, PageHead, Panel } from '#ui/Panel.tsx';

/** How often a shown explanation is asked again; a change of policies asks at once. */
const REFRESH_MS = 30_000;

/** What decides one call, clause by clause. The call is in the address, so that an explanation can be linked to. */
export function ExplainPage() {
  const url = useUrlState();
  const call = callFrom(url.get);
  const asked = call.from !== '' && call.to !== '';
  return (
    <>
      <PageHead title="Explain a call" lead="Describe one call and see what decides it: every policy, every rule, every clause, by the same evaluator that the proxies run." />
      <CallForm call={call} onAsk={(next) => url.set({ ...next, was: '', by: '' }, 'push')} />
      <Recorded reason={url.get('was')} policy={url.get('by')} />
      {asked ? <Explanation call={call} /> : <p className="muted">Nothing is asked yet. Name a caller and a destination; what else is left empty takes the usual value.</p>}
    </>
  );
}

/** What the proxy said when it refused the call, for a call that came from the list of denied calls. */
function Recorded({ reason, policy }: { reason: string; policy: string }) {
  if (reason === '') return null;
  return (
    <Notice tone="idle" title={`When it was recorded, the proxy refused this call: ${reasonText(reason)}${policy === '' ? '' : ` (${policy})`}`}>
      <p>Below it is asked again of the policies as they are stored now. Hosts, headers and tokens of denied calls are not recorded: add them when a rule looks at them.</p>
    </Notice>
  );
}

function Explanation({ call }: { call: CallText }) {
  const session = useSession();
  const { paused } = useLive();
  const question = requestOf(call);
  const explanation = useQuery({
    queryKey: [apiPaths.explain(), question],
    queryFn: async ({ signal }) => request(apiPaths.explain(), explainView, { method: 'POST', body: question.ok ? question.request : {}, signal, ...(session ? { csrfToken: session.csrfToken } : {}) }),
    enabled: question.ok,
    placeholderData: keepPreviousData,
    refetchInterval: paused ? false : REFRESH_MS,
  });
  if (!question.ok) return <Notice tone="warn" title="This call cannot be asked about"><ul>{Object.values(question.problems).map((problem) => <li key={problem}>{problem}</li>)}</ul></Notice>;
  return (
    <View query={explanation} subject="what decides this call" lines={8} minHeight={360}>
      {(data) => <Result data={data} />}
    </View>
  );
}

function Result({ data }: { data: ExplainView }) {
  const { tone, title } = verdictOf(data);
  return (
    <>
      <div aria-live="polite" data-verdict={data.verdict.effect}><Notice tone={tone} title={title}><p>{sentence(data.verdict.explanation)}</p></Notice></div>
      <Panel title="What was asked">
        <Facts
          items={[
            ['Call', <span key="c" className="mono wrap">{callLine(data.call)}</span>],
            ['mTLS of the port', mtlsText(data)],
            ...(data.matchedPath === null ? [] : [['Path that is matched', <code key="p">{data.matchedPath}</code>] as const]),
          ]}
        />
      </Panel>
      <Panel title="Policies, rules and clauses" note={plural(data.policies.length + data.omitted, 'policy considered', 'policies considered')} flush>
        <ClauseTable view={data} />
      </Panel>
      <p className="muted">Source: the policies that are stored now, of the workload’s namespace and the root namespace. Proxies ask DENY policies first, then ALLOW, then external authorizers; a verdict ends it.</p>
    </>
  );
}

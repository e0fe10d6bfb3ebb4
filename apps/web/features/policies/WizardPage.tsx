'use client';
import { callersView } from '@sallyport/shared/api';
import { View } from '../shell/View.tsx';
import { WindowPicker } from '../shell/WindowPicker.tsx';
import { CoverageNotice, SourceLine } from '../mesh/CoverageNote.tsx';
import { AllowStep } from './AllowStep.tsx';
import { DestinationStep } from './DestinationStep.tsx';
import { suggestedCalls, suggestedName } from './draft.ts';
import styles from './Policies.module.css';
import { ReviewStep } from './ReviewStep.tsx';
import { StatusStep } from './StatusStep.tsx';
import { useDraft } from './useDraft.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { useUrlState, useWindow, type UrlState } from '#lib/urlState.ts';
import { PageHead } from '#ui/Panel.tsx';

const STEPS = [
  { id: 'destination', name: 'Destination' },
  { id: 'allow', name: 'Callers seen, and what to allow' },
  { id: 'review', name: 'YAML and impact' },
  { id: 'status', name: 'Status' },
] as const;
type StepId = (typeof STEPS)[number]['id'];

export function WizardPage() {
  const url = useUrlState();
  const namespace = url.get('ns');
  const service = url.get('service');
  const asked = STEPS.find((step) => step.id === url.get('step'))?.id ?? 'destination';
  const step: StepId = asked === 'status' || service !== '' ? asked : 'destination';
  return (
    <>
      <PageHead
        title={service === '' ? 'New policy' : `New policy for ${namespace}/${service}`}
        lead="From the calls that really arrived, with the impact computed before anything is written."
        actions={<WindowPicker />}
      />
      <StepList current={step} url={url} />
      {step === 'destination' && <DestinationStep namespace={namespace} onChoose={(ns, chosen) => url.set({ step: 'allow', ns, service: chosen }, 'push')} onNamespace={(ns) => url.set({ ns, service: '' })} />}
      {(step === 'allow' || step === 'review') && <Choices key={`${namespace}/${service}`} namespace={namespace} service={service} step={step} url={url} />}
      {step === 'status' && <StatusStep id={url.get('policy')} to={service === '' ? '' : `${namespace}/${service}`} />}
    </>
  );
}

function StepList({ current, url }: { current: StepId; url: UrlState }) {
  const at = STEPS.findIndex((step) => step.id === current);
  return (
    <nav aria-label="Steps of the wizard">
      <ol className={styles.steps}>
        {STEPS.map((step, index) => (
          <li key={step.id}>
            {index < at && current !== 'status' ? (
              <button type="button" className={styles.step} onClick={() => url.set({ step: step.id }, 'push')}>{index + 1}. {step.name}</button>
            ) : (
              <span className={styles.step} aria-current={step.id === current ? 'step' : undefined}>{index + 1}. {step.name}</span>
            )}
          </li>
        ))}
      </ol>
    </nav>
  );
}

interface ChoicesProps {
  readonly namespace: string;
  readonly service: string;
  readonly step: 'allow' | 'review';
  readonly url: UrlState;
}

function Choices({ namespace, service, step, url }: ChoicesProps) {
  const [window] = useWindow();
  const [draft, change] = useDraft(namespace, service, suggestedName(service));
  const callers = useView(apiPaths.callers(namespace, service, window), callersView);
  return (
    <View query={callers} subject={`the callers of ${namespace}/${service}`} lines={10} minHeight={400}>
      {(data) => {
        const calls = draft.calls ?? suggestedCalls(data.callers);
        return (
          <>
            <CoverageNotice coverage={data.coverage} />
            {step === 'allow' ? (
              <AllowStep view={data} draft={draft} calls={calls} onChange={change} onNext={() => { change({ calls }); url.set({ step: 'review' }, 'push'); }} />
            ) : (
              <ReviewStep view={data} draft={draft} calls={calls} window={window} onChange={change} onApplied={(policy) => url.set({ step: 'status', policy }, 'push')} />
            )}
            <SourceLine coverage={data.coverage} window={data.window} />
          </>
        );
      }}
    </View>
  );
}

'use client';
import { graphView } from '@sallyport/shared/api';
import { View } from '../shell/View.tsx';
import { NamespaceSelect } from '../namespaces/NamespaceSelect.tsx';
import { count, plural } from '#lib/format.ts';
import { useView } from '#lib/live.tsx';
import { apiPaths } from '#lib/paths.ts';
import { useWindow } from '#lib/urlState.ts';
import { Button } from '#ui/Button.tsx';
import { Panel } from '#ui/Panel.tsx';
import { Table } from '#ui/Table.tsx';

interface DestinationProps {
  readonly namespace: string;
  readonly onNamespace: (namespace: string) => void;
  readonly onChoose: (namespace: string, service: string) => void;
}

/** First: what is to be protected. */
export function DestinationStep({ namespace, onNamespace, onChoose }: DestinationProps) {
  const [window] = useWindow();
  const graph = useView(apiPaths.graph(window, namespace || undefined), graphView);
  return (
    <>
      <div className="row"><NamespaceSelect value={namespace} onChange={onNamespace} /></div>
      <View query={graph} subject="the services" lines={8}>
        {(view) => {
          const services = view.nodes.filter((node) => node.kind === 'service' && (namespace === '' || node.namespace === namespace));
          const into = (id: string) => view.edges.filter((edge) => edge.target === id && edge.requests > 0);
          const calls = (id: string) => into(id).reduce((total, edge) => total + edge.requests, 0);
          const plain = (id: string) => into(id).reduce((total, edge) => total + edge.mtls.plaintext, 0);
          return (
            <Panel title="Which service is called?" note={plural(services.length, 'service')} flush>
              <Table
                caption="Services to write a policy for"
                rows={services}
                rowKey={(node) => node.id}
                empty="There is no service here. Choose another namespace, or apply one first."
                columns={[
                  { name: 'Service', rowHead: true, render: (node) => `${node.namespace}/${node.name}` },
                  { name: 'Callers seen', right: true, render: (node) => new Set(into(node.id).map((edge) => edge.source)).size },
                  { name: 'Calls', right: true, render: (node) => count(calls(node.id)) },
                  { name: 'In plaintext', right: true, render: (node) => count(plain(node.id)) },
                  { name: 'Decided by', render: (node) => [...new Set(into(node.id).flatMap((edge) => edge.policies))].join(', ') || <span className="muted">no policy</span> },
                  { name: 'Choose', render: (node) => <Button label={`Choose ${node.namespace}/${node.name}`} onPress={() => onChoose(node.namespace, node.name)}>Choose</Button> },
                ]}
              />
            </Panel>
          );
        }}
      </View>
    </>
  );
}

{{/* Namespaces whose pods get proxies. Nodes' and our own pods must start without us, or nothing would start again after an outage. */}}
{{- define "sallyport.injectedNamespaces" -}}
matchExpressions:
  - {key: sallyport.dev/injection, operator: In, values: [enabled]}
  - {key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kube-public, kube-node-lease, {{ .Release.Namespace }}]}
{{- end -}}

{{/* Pods that are not asked about: those left out by their label, and the mirrors that kubelets make of static pods. */}}
{{- define "sallyport.injectedPods" -}}
- name: not-left-out
  expression: object.metadata.?labels[?'sallyport.dev/inject'].orValue('') != 'false'
- name: not-static
  expression: '!("system:nodes" in request.userInfo.groups)'
{{- end -}}

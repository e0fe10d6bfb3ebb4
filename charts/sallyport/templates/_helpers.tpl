{{/* Name of everything that belongs to this release: at most 40 characters, so that suffixes fit. */}}
{{- define "sallyport.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names of the parts, which others refer to. */}}
{{- define "sallyport.operatorName" -}}{{ include "sallyport.fullname" . }}-operator{{- end -}}
{{- define "sallyport.consoleName" -}}{{ include "sallyport.fullname" . }}-console{{- end -}}
{{- define "sallyport.proxyName" -}}{{ include "sallyport.fullname" . }}-node-proxy{{- end -}}
{{- define "sallyport.databaseName" -}}{{ include "sallyport.fullname" . }}-db{{- end -}}

{{/* Labels that select the pods of a part. Call with (dict "root" $ "component" "operator"). */}}
{{- define "sallyport.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "sallyport.labels" -}}
{{ include "sallyport.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sallyport
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Reference of an image. Call with (dict "root" $ "image" .Values.operator.image). */}}
{{- define "sallyport.image" -}}
{{- $name := .image.repository -}}
{{- if .root.Values.image.registry -}}{{- $name = printf "%s/%s" (trimSuffix "/" .root.Values.image.registry) .image.repository -}}{{- end -}}
{{- if .image.digest -}}{{ printf "%s@%s" $name .image.digest }}{{- else -}}{{ printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) }}{{- end -}}
{{- end -}}

{{/* What every pod of ours has, and what the Pod Security Standard "restricted" asks for. */}}
{{- define "sallyport.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
enableServiceLinks: false
{{- end -}}

{{- define "sallyport.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where pods of a part may run. Call with (dict "root" $ "component" "operator" "part" .Values.operator). */}}
{{- define "sallyport.placement" -}}
topologySpreadConstraints:
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "sallyport.selectorLabels" $ | nindent 8 }}
{{- end }}
{{- with .part.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .part.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .part.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Secret and key with the address of PostgreSQL. */}}
{{- define "sallyport.databaseSecret" -}}
{{- if .Values.postgresql.cloudNativePG.enabled -}}
name: {{ include "sallyport.databaseName" . }}-app
key: uri
{{- else -}}
name: {{ required "postgresql.existingSecret must name a Secret with a postgres:// address, or postgresql.cloudNativePG.enabled be true" .Values.postgresql.existingSecret }}
key: {{ .Values.postgresql.existingSecretKey }}
{{- end -}}
{{- end -}}

{{/* Host name of the operator within the cluster. */}}
{{- define "sallyport.operatorHost" -}}{{ include "sallyport.operatorName" . }}.{{ .Release.Namespace }}.svc{{- end -}}

{{/* Names that the injector and the operator's rights have in common. */}}
{{- define "sallyport.webhookName" -}}{{ include "sallyport.fullname" . }}-injector{{- end -}}
{{- define "sallyport.webhookSecretName" -}}sallyport-webhook-ca{{- end -}}

{{/* What the operator puts into pods. */}}
{{- define "sallyport.injectionEnv" -}}
{{- if .Values.injection.enabled -}}
- {name: SALLYPORT_PROXY_IMAGE, value: {{ include "sallyport.image" (dict "root" $ "image" .Values.proxy.image) | quote }}}
- {name: SALLYPORT_REDIRECT_IMAGE, value: {{ include "sallyport.image" (dict "root" $ "image" .Values.injection.redirectImage) | quote }}}
- {name: SALLYPORT_REDIRECT, value: {{ .Values.injection.redirect }}}
- {name: SALLYPORT_PROXY_RESOURCES, value: {{ toJson .Values.proxy.resources | quote }}}
- {name: SALLYPORT_JOIN_URL, value: {{ printf "https://%s:%v" (include "sallyport.operatorHost" .) .Values.operator.ports.join | quote }}}
- {name: SALLYPORT_STREAM_URL, value: {{ printf "https://%s:%v" (include "sallyport.operatorHost" .) .Values.operator.ports.stream | quote }}}
- {name: SALLYPORT_WEBHOOK_NAME, value: {{ include "sallyport.webhookName" . | quote }}}
- {name: SALLYPORT_WEBHOOK_SERVICE, value: {{ include "sallyport.operatorName" . | quote }}}
- {name: SALLYPORT_WEBHOOK_SECRET, value: {{ include "sallyport.webhookSecretName" . | quote }}}
{{- end -}}
{{- end -}}

{{- /* The parts that several objects have. The name of the release is that of all objects. */ -}}
{{- define "selector" -}}
app.kubernetes.io/name: scheduler
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "labels" -}}
{{- include "selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "image" -}}
image: {{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
imagePullPolicy: IfNotPresent
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "env" -}}
- name: SCHEDULER_STORE
  value: {{ ternary "sqlite:////data/scheduler.db" "azure" (eq .Values.store "sqlite") }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: data, mountPath: /data}
{{- if .Values.settingSecrets }}
- {name: setting-secrets, mountPath: /run/secrets/settings, readOnly: true}
{{- end }}
{{- end }}

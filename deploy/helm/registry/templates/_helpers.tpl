{{- define "registry.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "registry.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "registry.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "registry.selectorLabels" -}}
app.kubernetes.io/name: {{ include "registry.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "registry.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "registry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "registry.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "registry.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "registry.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "registry.claim" -}}
{{- default (printf "%s-storage" (include "registry.fullname" .)) .Values.persistence.existingClaim -}}
{{- end -}}

{{- define "registry.scheme" -}}
{{- if .Values.tls.existingSecret -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}

{{/* "true" if the store is a directory, and so needs a volume. */}}
{{- define "registry.onFiles" -}}
{{- if hasKey .Values.config.storage "filesystem" -}}true{{- end -}}
{{- end -}}

{{/* "true" if the store is in a bucket. */}}
{{- define "registry.onBucket" -}}
{{- $storage := .Values.config.storage -}}
{{- if or (hasKey $storage "s3") (hasKey $storage "s3aws") (hasKey $storage "gcs") (hasKey $storage "azure") -}}true{{- end -}}
{{- end -}}

{{/* "true" if pods are told a secret of their own choice for upload URLs. */}}
{{- define "registry.httpSecret" -}}
{{- $given := or (get (default (dict) .Values.config.http) "secret") (hasKey (default (dict) .Values.secrets.files) "REGISTRY_HTTP_SECRET") -}}
{{- range .Values.extraEnv }}{{- if hasPrefix "REGISTRY_HTTP_SECRET" .name }}{{- $given = true -}}{{- end }}{{- end -}}
{{- if $given -}}true{{- end -}}
{{- end -}}

{{/* "true" if only one pod can have the volume. An existing claim is believed to be shared. */}}
{{- define "registry.singleWriter" -}}
{{- $modes := .Values.persistence.accessModes -}}
{{- if and (include "registry.onFiles" .) .Values.persistence.enabled (not .Values.persistence.existingClaim) (not (has "ReadWriteMany" $modes)) -}}true{{- end -}}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "registry.validate" -}}
{{- $several := gt (int .Values.replicas) 1 -}}
{{- $own := or (hasKey .Values.config.storage "inmemory") (and (include "registry.onFiles" .) (not .Values.persistence.enabled)) -}}
{{- if and $several $own -}}
{{- fail (printf "replicas: %d pods would each have a store of their own; share one (persistence.enabled, or a bucket in config.storage), or set replicas: 1" (int .Values.replicas)) -}}
{{- end -}}
{{- if and $several (include "registry.singleWriter" .) -}}
{{- fail (printf "replicas: %d pods cannot share a volume of %s; use ReadWriteMany in persistence.accessModes, or set replicas: 1" (int .Values.replicas) (join ", " .Values.persistence.accessModes)) -}}
{{- end -}}
{{- if and $several (include "registry.onBucket" .) (not (include "registry.httpSecret" .)) -}}
{{- fail (printf "replicas: %d pods over one bucket need the same http.secret; put it into a Secret and name it in secrets.files.REGISTRY_HTTP_SECRET" (int .Values.replicas)) -}}
{{- end -}}
{{- if hasKey (default (dict) .Values.config.http) "addr" -}}
{{- fail "config.http.addr: the chart sets it to :5000; what others connect to is service.port" -}}
{{- end -}}
{{- if hasKey (default (dict) (get .Values.config.storage "filesystem")) "rootdirectory" -}}
{{- fail "config.storage.filesystem.rootdirectory: the chart sets it to where the volume is" -}}
{{- end -}}
{{- if and .Values.secrets.files (not .Values.secrets.existingSecret) -}}
{{- fail "secrets.files names keys of a Secret; name the Secret in secrets.existingSecret" -}}
{{- end -}}
{{- $issuer := get (default (dict) .Values.config.auth) "issuer" -}}
{{- if and .Values.issuerKeys.existingSecret (not $issuer) -}}
{{- fail "issuerKeys.existingSecret: nothing uses keys; set config.auth.issuer" -}}
{{- end -}}
{{- if and .Values.issuerKeys.existingSecret (hasKey (default (dict) $issuer) "keys") -}}
{{- fail "config.auth.issuer.keys: the chart sets it to where issuerKeys.existingSecret is mounted" -}}
{{- end -}}
{{- if and $several $issuer (not .Values.issuerKeys.existingSecret) (not (get $issuer "keys")) -}}
{{- fail (printf "config.auth.issuer: %d pods would refuse the tokens of each other; name a Secret with their keys in issuerKeys.existingSecret" (int .Values.replicas)) -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) -}}
{{- fail "metrics.serviceMonitor needs metrics.enabled: true" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host: the name under which the registry is reached is missing" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: the Gateway that serves the route is missing" -}}
{{- end -}}
{{- if ge (int .Values.preStopSleepSeconds) (int .Values.terminationGracePeriodSeconds) -}}
{{- fail "preStopSleepSeconds: nothing is left of terminationGracePeriodSeconds to finish requests in" -}}
{{- end -}}
{{- end -}}

{{/* The configuration file, with what follows from other values. */}}
{{- define "registry.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if include "registry.onFiles" . -}}
{{- $_ := set $config.storage "filesystem" (mergeOverwrite (default (dict) $config.storage.filesystem) (dict "rootdirectory" "/var/lib/registry")) -}}
{{- end -}}
{{- if and (include "registry.onBucket" .) (gt (int .Values.replicas) 1) (not (hasKey $config.storage "replicas")) -}}
{{- $_ := set $config.storage "replicas" (int .Values.replicas) -}}
{{- end -}}
{{- $http := default (dict) $config.http -}}
{{- $_ := set $http "addr" ":5000" -}}
{{- if .Values.tls.existingSecret -}}
{{- $_ := set $http "tls" (mergeOverwrite (default (dict) $http.tls) (dict "certificate" "/run/secrets/tls/tls.crt" "key" "/run/secrets/tls/tls.key")) -}}
{{- end -}}
{{- if .Values.metrics.enabled -}}
{{- $_ := set $http "debug" (mergeOverwrite (default (dict) $http.debug) (dict "addr" (printf ":%d" (int .Values.metrics.port)) "prometheus" (dict "enabled" true "path" .Values.metrics.path))) -}}
{{- end -}}
{{- $_ := set $config "http" $http -}}
{{- if and .Values.issuerKeys.existingSecret (get (default (dict) $config.auth) "issuer") -}}
{{- $_ := set $config.auth.issuer "keys" "/run/secrets/issuer" -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

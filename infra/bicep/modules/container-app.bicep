metadata description = 'The app on Container Apps: as a container app of the kind functionapp, or the embedded host without Functions.'

param name string
param location string
param tags object
param image string
param registryServer string
param maxInstances int
param zoneRedundant bool
param cpu string
param memory string

@description('Whether the image has the Functions host. Otherwise it has the embedded host.')
param hostsFunctions bool

param environmentId string

@description('The domain of the environment.')
param domain string

param identityId string
param vaultUrl string

@description('The container with job files, for the embedded host.')
param jobsContainer string

@description('The variables of the program.')
param variables object

@description('Of the pipeline; empty: none.')
param deployerPrincipalId string

// Keys of the Functions host: secrets of the vault, which must exist before the app. docs/infrastructure.md has the commands.
var hostKeyFiles = [
  {
    secret: 'host-master'
    file: 'host.master'
  }
  {
    secret: 'host-function-default'
    file: 'host.function.default'
  }
  {
    secret: 'host-systemkey-eventgrid-extension'
    file: 'host.systemKey.eventgrid_extension'
  }
]

// With own authentication the host checks no key of a function. All functions of the scope manage have the same key.
var hasFunctionKeys = (variables.?SCHEDULER_HTTP__AUTHENTICATION ?? '') != 'own'
var functionsWithKeys = ['read', 'operate', 'metrics', 'manage', 'manage_definitions', 'manage_deletion', 'manage_duplicates', 'manage_jobs', 'manage_sets', 'manage_versions']
var functionKeyFiles = [for each in (hasFunctionKeys ? functionsWithKeys : []): {
  secret: 'functions-${split(each, '_')[0]}-default'
  file: 'functions.${each}.default'
}]
var keyFiles = concat(hostKeyFiles, functionKeyFiles) // the file in which the host expects each key
var secretsOfFiles = [for key in keyFiles: key.secret]
var keySecrets = union(secretsOfFiles, secretsOfFiles)

var appsContributor = '358470bc-b998-42bd-ab17-a7e34c199c0f' // Container Apps Contributor: releases by the pipeline
var functionsVariables = {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  AzureWebJobsSecretStorageType: 'containerapp'
  AzureWebJobsDisableHomepage: 'true'
}
var embeddedVariables = {
  SCHEDULER_HTTP__AUTHENTICATION: 'own'
  SCHEDULER_HTTP__BEHIND_PROXY: 'true' // the ingress
  SCHEDULER_HTTP__PUBLIC_URL: 'https://${name}.${domain}'
  SCHEDULER_JOBS: ' ' // not set: the folder of the image would contradict the container. Platforms drop an empty value
  SCHEDULER_JOBS_CONTAINER: jobsContainer
}
var allVariables = union(hostsFunctions ? functionsVariables : embeddedVariables, variables)

// Functions: one instance runs all jobs, and the platform starts more. Embedded: each replica takes over from another.
var fewestReplicas = hostsFunctions ? (zoneRedundant ? 2 : 1) : (zoneRedundant ? 3 : 2)
var probes = [
  {
    type: 'Startup'
    path: '/api/health/live'
    periodSeconds: 5
    failureThreshold: 48
  }
  {
    type: 'Liveness'
    path: '/api/health/live'
    periodSeconds: 30
    failureThreshold: 3
  }
  {
    type: 'Readiness'
    path: '/api/health/ready'
    periodSeconds: 10
    failureThreshold: 3
  }
]

// The platform probes the address of the replica, a name that the embedded host does not accept.
var probeHeaders = hostsFunctions ? {} : {
  httpHeaders: [
    {
      name: 'Host'
      value: 'localhost'
    }
  ]
}

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: location
  tags: tags
  kind: hostsFunctions ? 'functionapp' : null
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: hostsFunctions ? 'Multiple' : 'Single' // infra/pipeline tests a revision before it gets requests
      maxInactiveRevisions: 10
      ingress: {
        external: true
        targetPort: 8080
        transport: 'auto'
        allowInsecure: false
        traffic: [
          {
            latestRevision: true
            weight: 100
          }
        ]
      }
      registries: [
        {
          server: registryServer
          identity: identityId
        }
      ]
      secrets: [for secret in (hostsFunctions ? keySecrets : []): {
        name: secret
        keyVaultUrl: '${vaultUrl}/secrets/${secret}'
        identity: identityId
      }]
    }
    template: {
      terminationGracePeriodSeconds: 30
      containers: [
        {
          name: 'scheduler'
          image: image
          resources: {
            cpu: json(cpu)
            memory: memory
          }
          env: [for variable in items(allVariables): {
            name: variable.key
            value: variable.value
          }]
          probes: [for probe in probes: {
            type: probe.type
            httpGet: union({
              path: probe.path
              port: 8080
            }, probeHeaders)
            periodSeconds: probe.periodSeconds
            timeoutSeconds: 5
            failureThreshold: probe.failureThreshold
          }]
          volumeMounts: hostsFunctions ? [
            {
              volumeName: 'functions-keys'
              mountPath: '/run/secrets/functions-keys'
            }
          ] : []
        }
      ]
      volumes: hostsFunctions ? [
        {
          name: 'functions-keys'
          storageType: 'Secret'
          secrets: [for key in keyFiles: {
            secretRef: key.secret
            path: key.file
          }]
        }
      ] : []
      scale: {
        minReplicas: fewestReplicas // a timer does not wake an app without replicas
        maxReplicas: max(maxInstances, fewestReplicas)
      }
    }
  }
}

resource deployer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployerPrincipalId)) {
  name: guid(app.id, deployerPrincipalId, appsContributor)
  scope: app
  properties: {
    principalId: deployerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', appsContributor)
  }
}

output id string = app.id
output address string = 'https://${app.properties.configuration.ingress.fqdn}'

metadata description = 'The app on Container Apps, as a container app of the kind functionapp.'

param name string
param location string
param tags object
param environmentName string
param image string
param registryServer string
param maxInstances int
param zoneRedundant bool
param publicApi bool

@description('The subnet of the environment; empty: no virtual network.')
param subnetId string

param identityId string
param clientId string
param storageName string
param vaultUrl string
param insightsConnectionString string
param workspaceId string
param settings object

@description('Of the pipeline; empty: none.')
param deployerPrincipalId string

// Keys of the Functions host: secrets of the vault, which must exist before the app. docs/infrastructure.md has the commands.
var keySecrets = [
  'host-master'
  'host-function-default'
  'host-systemkey-eventgrid-extension'
  'functions-read-default'
  'functions-operate-default'
  'functions-metrics-default'
  'functions-manage-default'
]

// The file in which the host expects each key. All functions of the scope manage have the same one.
var keyFiles = [
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
  {
    secret: 'functions-read-default'
    file: 'functions.read.default'
  }
  {
    secret: 'functions-operate-default'
    file: 'functions.operate.default'
  }
  {
    secret: 'functions-metrics-default'
    file: 'functions.metrics.default'
  }
  {
    secret: 'functions-manage-default'
    file: 'functions.manage.default'
  }
  {
    secret: 'functions-manage-default'
    file: 'functions.manage_definitions.default'
  }
  {
    secret: 'functions-manage-default'
    file: 'functions.manage_deletion.default'
  }
  {
    secret: 'functions-manage-default'
    file: 'functions.manage_duplicates.default'
  }
  {
    secret: 'functions-manage-default'
    file: 'functions.manage_jobs.default'
  }
  {
    secret: 'functions-manage-default'
    file: 'functions.manage_sets.default'
  }
  {
    secret: 'functions-manage-default'
    file: 'functions.manage_versions.default'
  }
]

var inNetwork = !empty(subnetId)
var appsContributor = '358470bc-b998-42bd-ab17-a7e34c199c0f' // Container Apps Contributor: releases by the pipeline
var variables = union({
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  AzureWebJobsStorage__accountName: storageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: clientId
  AzureWebJobsSecretStorageType: 'containerapp'
  AzureWebJobsDisableHomepage: 'true'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${clientId}'
  OTEL_SERVICE_NAME: name
  SCHEDULER_ENVIRONMENT: environmentName
  SCHEDULER_STORE: 'azure'
  SCHEDULER_STORAGE__PREFIX: 'scheduler'
  SCHEDULER_KEY_VAULT_URL: vaultUrl
}, settings)

resource apps 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: 'cae-${name}'
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
    vnetConfiguration: inNetwork ? {
      infrastructureSubnetId: subnetId
      internal: !publicApi
    } : null
    publicNetworkAccess: publicApi ? 'Enabled' : 'Disabled'
    zoneRedundant: zoneRedundant && inNetwork
  }
}

// The platform's log. Not ContainerAppConsoleLogs: the program's own telemetry would be paid twice.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: apps
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'ContainerAppSystemLogs'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    environmentId: apps.id
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Multiple' // infra/pipeline tests a revision before it gets requests
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
      secrets: [for secret in keySecrets: {
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
            cpu: json('1.0')
            memory: '2Gi'
          }
          env: [for variable in items(variables): {
            name: variable.key
            value: variable.value
          }]
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/api/health/live'
                port: 8080
              }
              periodSeconds: 5
              timeoutSeconds: 5
              failureThreshold: 48
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/api/health/live'
                port: 8080
              }
              periodSeconds: 30
              timeoutSeconds: 5
              failureThreshold: 3
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/api/health/ready'
                port: 8080
              }
              periodSeconds: 10
              timeoutSeconds: 5
              failureThreshold: 3
            }
          ]
          volumeMounts: [
            {
              volumeName: 'functions-keys'
              mountPath: '/run/secrets/functions-keys'
            }
          ]
        }
      ]
      volumes: [
        {
          name: 'functions-keys'
          storageType: 'Secret'
          secrets: [for key in keyFiles: {
            secretRef: key.secret
            path: key.file
          }]
        }
      ]
      scale: {
        minReplicas: zoneRedundant ? 2 : 1 // a timer does not wake an app without replicas
        maxReplicas: max(maxInstances, zoneRedundant ? 2 : 1)
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

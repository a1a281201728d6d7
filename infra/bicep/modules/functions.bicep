metadata description = 'The app on Azure Functions: an Elastic Premium or Dedicated plan, with a slot that plans nothing.'

param name string
param location string
param tags object
param image string
param planSku string
param stagingSlot bool
param maxInstances int
param zoneRedundant bool
param publicApi bool

@description('The subnet of the app; empty: no virtual network.')
param subnetId string

param identityId string
param clientId string

@description('Where diagnostics go; empty: nowhere.')
param workspaceId string

@description('The variables of the program.')
param variables object

@description('Of the pipeline; empty: none.')
param deployerPrincipalId string

var isPremium = contains(['EP1', 'EP2', 'EP3'], planSku)
var inNetwork = !empty(subnetId)
var websiteContributor = 'de139f84-1756-47ae-9be6-808fbbe84772' // Website Contributor: releases by the pipeline
var fewestInstances = zoneRedundant ? 3 : 1 // one in each zone
var mostInstances = max(maxInstances, fewestInstances)

// Each place in which the platform, the Functions host and the program need the identity: docs/deploying.md.
var commonSettings = union({
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  WEBSITES_PORT: '8080'
  WEBSITES_ENABLE_APP_SERVICE_STORAGE: 'false'
  AzureWebJobsSecretStorageType: 'blob'
  AzureWebJobsDisableHomepage: 'true'
}, variables)

// These stay with production and with the slot when the two are swapped: see slotSettings.
var productionSettings = union(commonSettings, {
  SCHEDULER_STORAGE__PREFIX: 'scheduler'
  'AzureWebJobs.tick.Disabled': 'false'
  'AzureWebJobs.work.Disabled': 'false'
  'AzureWebJobs.bury.Disabled': 'false'
})
var stagingSettings = union(commonSettings, {
  SCHEDULER_STORAGE__PREFIX: 'staging'
  'AzureWebJobs.tick.Disabled': 'true'
  'AzureWebJobs.work.Disabled': 'true'
  'AzureWebJobs.bury.Disabled': 'true'
})

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  // checkov:skip=CKV_AZURE_225: The parameter zoneRedundant decides: it needs three instances.
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: isPremium ? 'elastic' : 'linux'
  sku: {
    name: planSku
    capacity: isPremium ? fewestInstances : mostInstances
  }
  properties: {
    reserved: true // Linux
    maximumElasticWorkerCount: isPremium ? mostInstances : 1
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  // checkov:skip=CKV_AZURE_222: The parameter publicApi decides; every route but health needs a key or a token.
  // checkov:skip=CKV_AZURE_17: Callers authenticate by keys or tokens of Entra ID.
  // checkov:skip=CKV_AZURE_212: One instance runs all jobs; a second one starts when the first is lost. zoneRedundant has three.
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux,container'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    reserved: true
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: publicApi ? 'Enabled' : 'Disabled'
    virtualNetworkSubnetId: inNetwork ? subnetId : null
    vnetRouteAllEnabled: inNetwork
    vnetImagePullEnabled: inNetwork
    siteConfig: {
      linuxFxVersion: 'DOCKER|${image}'
      acrUseManagedIdentityCreds: true
      acrUserManagedIdentityID: clientId
      alwaysOn: !isPremium
      functionAppScaleLimit: isPremium ? mostInstances : 0
      minimumElasticInstanceCount: isPremium ? fewestInstances : 0
      functionsRuntimeScaleMonitoringEnabled: isPremium && inNetwork
      healthCheckPath: '/api/health/live'
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      remoteDebuggingEnabled: false
      vnetRouteAllEnabled: inNetwork
      appSettings: [for setting in items(productionSettings): {
        name: setting.key
        value: setting.value
      }]
    }
  }
}

resource slotSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  // checkov:skip=CKV_AZURE_13: The resource lists names of settings, it does not configure the site.
  // checkov:skip=CKV_AZURE_63: The resource lists names of settings, it does not configure the site.
  // checkov:skip=CKV_AZURE_65: The resource lists names of settings, it does not configure the site.
  // checkov:skip=CKV_AZURE_66: The resource lists names of settings, it does not configure the site.
  // checkov:skip=CKV_AZURE_80: The resource lists names of settings, it does not configure the site.
  // checkov:skip=CKV_AZURE_88: The resource lists names of settings, it does not configure the site.
  // checkov:skip=CKV_AZURE_222: The resource lists names of settings, it does not configure the site.
  parent: app
  name: 'slotConfigNames'
  properties: {
    appSettingNames: [
      'SCHEDULER_STORAGE__PREFIX'
      'AzureWebJobs.tick.Disabled'
      'AzureWebJobs.work.Disabled'
      'AzureWebJobs.bury.Disabled'
    ]
  }
}

module slot 'slot.bicep' = if (stagingSlot) {
  name: '${name}-slot'
  params: {
    siteName: app.name
    location: location
    tags: tags
    image: image
    planId: plan.id
    isPremium: isPremium
    fewestInstances: fewestInstances
    maxInstances: mostInstances
    publicApi: publicApi
    subnetId: subnetId
    identityId: identityId
    clientId: clientId
    settings: stagingSettings
  }
}

// Deployments with a user name and a password: off.
resource ftpCredentials 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scmCredentials 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

// The host's own log. The program sends its telemetry to Application Insights itself.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  name: 'to-workspace'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'FunctionAppLogs'
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

resource deployer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployerPrincipalId)) {
  name: guid(app.id, deployerPrincipalId, websiteContributor)
  scope: app
  properties: {
    principalId: deployerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', websiteContributor)
  }
}

output id string = app.id
output address string = 'https://${app.properties.defaultHostName}'

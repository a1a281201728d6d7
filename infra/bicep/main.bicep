// Everything that a deployment of the scheduler on Azure needs, in one resource group: docs/infrastructure.md.

targetScope = 'resourceGroup'

metadata description = 'The scheduler on Azure Functions (a Premium or Dedicated plan) or on Container Apps, with storage, vault, monitoring and network.'

@description('Which settings of the program are used: config/environments.')
@allowed(['dev', 'test', 'prod'])
param environmentName string

@description('The name of the app, unique on Azure, and the beginning of other names. At most 24 letters: the slot adds 8, and the Functions host distinguishes the first 32.')
@minLength(3)
@maxLength(24)
param name string

@description('The region of all resources.')
param location string = resourceGroup().location

@description('Where the app runs; as in infra/environments.')
@allowed(['functions', 'container-apps'])
param platform string = 'functions'

@description('Deploy the app, and not only what it uses. The keys of a container app must be in the vault before it: docs/infrastructure.md.')
param deployApp bool = true

@description('The image of the app with its digest, such as contosoregistry.azurecr.io/scheduler@sha256:...')
param image string

@description('The registry of the image.')
param registryName string

@description('The resource group of the registry; several environments can share one.')
param registryResourceGroup string = resourceGroup().name

@description('Create the registry in this resource group.')
param deployRegistry bool = false

@description('The SKU of the plan, for platform functions: EP1 to EP3 (Elastic Premium) or P0v3, P1v3 and so on (Dedicated).')
param planSku string = 'EP1'

@description('A slot in which the pipeline tests a new image, for platform functions.')
param stagingSlot bool = true

@description('The most instances: twice the number that docs/deploying.md#instances gives, and at least 2.')
@minValue(1)
@maxValue(100)
param maxInstances int = 2

@description('Put storage, vault, registry and app into a virtual network, with private endpoints.')
param privateNetworking bool = false

@description('The address range of the virtual network.')
param vnetAddressPrefix string = '10.20.0.0/22'

@description('The address range of the app in it: at least /27.')
param appSubnetPrefix string = '10.20.0.0/24'

@description('The address range of the private endpoints.')
param endpointSubnetPrefix string = '10.20.1.0/26'

@description('Whether the API has a public address. Without one, callers need access to the virtual network.')
param publicApi bool = true

@description('Spread the plan, the environment and storage over zones. Not every region and SKU can.')
param zoneRedundant bool = false

@description('Further settings of the app, by variable: docs/settings.md#settings.')
param settings object = {}

@description('Days for which logs and telemetry are retained.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('The most GB of logs and telemetry a day. Beyond it, none is accepted until the next day.')
@minValue(1)
param dailyCapGb int = 5

@description('Who is notified by e-mail when nothing arrives from the scheduler. Empty: nobody.')
param alertEmails array = []

@description('Subscribe the app to the events of the vault. Set it once the app runs: Event Grid checks the endpoint.')
param subscribeToVault bool = false

@description('The object id of the identity with which the pipeline releases images. It may push images and change the app. Empty: none.')
param deployerPrincipalId string = ''

@description('Tags of all resources.')
param tags object = {}

var allTags = union(tags, { environment: environmentName, application: 'scheduler' })
var uniquePart = uniqueString(resourceGroup().id, name)
var storageName = 'st${uniquePart}'
var vaultName = 'kv-${uniquePart}'
var onFunctions = platform == 'functions'
var deployFunctions = deployApp && onFunctions
var deployContainerApp = deployApp && !onFunctions
var vaultUrl = 'https://${vaultName}${environment().suffixes.keyvaultDns}'

module identity 'modules/identity.bicep' = {
  name: '${name}-identity'
  params: {
    name: name
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: '${name}-monitoring'
  params: {
    name: name
    location: location
    tags: allTags
    retentionDays: logRetentionDays
    dailyCapGb: dailyCapGb
    alertEmails: alertEmails
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: '${name}-network'
  params: {
    name: name
    location: location
    tags: allTags
    addressPrefix: vnetAddressPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    appService: onFunctions
  }
}

module storage 'modules/storage.bicep' = {
  name: '${name}-storage'
  params: {
    name: storageName
    location: location
    tags: allTags
    private: privateNetworking
    zoneRedundant: zoneRedundant
    workspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'modules/vault.bicep' = {
  name: '${name}-vault'
  params: {
    name: vaultName
    location: location
    tags: allTags
    private: privateNetworking
    workspaceId: monitoring.outputs.workspaceId
  }
}

module registry 'modules/registry.bicep' = if (deployRegistry) {
  name: '${name}-registry'
  params: {
    name: registryName
    location: location
    tags: allTags
    private: privateNetworking
    zoneRedundant: zoneRedundant
    workspaceId: monitoring.outputs.workspaceId
  }
}

module roles 'modules/roles.bicep' = {
  name: '${name}-roles'
  params: {
    principalId: identity.outputs.principalId
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    insightsName: monitoring.outputs.insightsName
  }
}

module pull 'modules/pull.bicep' = {
  name: '${name}-pull'
  scope: resourceGroup(registryResourceGroup)
  params: {
    registryName: registryName
    principalId: identity.outputs.principalId
    deployerPrincipalId: deployerPrincipalId
  }
  dependsOn: [registry]
}

module endpoints 'modules/endpoints.bicep' = if (privateNetworking) {
  name: '${name}-endpoints'
  params: {
    name: name
    location: location
    tags: allTags
    vnetId: privateNetworking ? network.outputs.vnetId : ''
    subnetId: privateNetworking ? network.outputs.endpointSubnetId : ''
    endpoints: concat([
      {
        name: 'blob'
        target: storage.outputs.id
        group: 'blob'
        zone: 'privatelink.blob.${environment().suffixes.storage}'
      }
      {
        name: 'queue'
        target: storage.outputs.id
        group: 'queue'
        zone: 'privatelink.queue.${environment().suffixes.storage}'
      }
      {
        name: 'table'
        target: storage.outputs.id
        group: 'table'
        zone: 'privatelink.table.${environment().suffixes.storage}'
      }
      {
        name: 'vault'
        target: vault.outputs.id
        group: 'vault'
        zone: 'privatelink.vaultcore.azure.net'
      }
    ], deployRegistry ? [
      {
        name: 'registry'
        target: registry.outputs.id
        group: 'registry'
        zone: 'privatelink.azurecr.io'
      }
    ] : [])
  }
}

module functions 'modules/functions.bicep' = if (deployFunctions) {
  name: '${name}-functions'
  params: {
    name: name
    location: location
    tags: allTags
    environmentName: environmentName
    image: image
    planSku: planSku
    stagingSlot: stagingSlot
    maxInstances: maxInstances
    zoneRedundant: zoneRedundant
    publicApi: publicApi
    subnetId: privateNetworking ? network.outputs.appSubnetId : ''
    identityId: identity.outputs.id
    clientId: identity.outputs.clientId
    storageName: storage.outputs.name
    vaultUrl: vaultUrl
    insightsConnectionString: monitoring.outputs.connectionString
    workspaceId: monitoring.outputs.workspaceId
    settings: settings
    deployerPrincipalId: deployerPrincipalId
  }
  dependsOn: [roles, pull, endpoints]
}

module siteEndpoint 'modules/endpoints.bicep' = if (deployFunctions && privateNetworking && !publicApi) {
  name: '${name}-site-endpoint'
  params: {
    name: '${name}-site'
    location: location
    tags: allTags
    vnetId: privateNetworking ? network.outputs.vnetId : ''
    subnetId: privateNetworking ? network.outputs.endpointSubnetId : ''
    endpoints: [
      {
        name: 'sites'
        target: deployFunctions ? functions.outputs.id : ''
        group: 'sites'
        zone: 'privatelink.azurewebsites.net'
      }
    ]
  }
}

module containerApp 'modules/container-app.bicep' = if (deployContainerApp) {
  name: '${name}-container-app'
  params: {
    name: name
    location: location
    tags: allTags
    environmentName: environmentName
    image: image
    registryServer: '${registryName}${environment().suffixes.acrLoginServer}'
    maxInstances: maxInstances
    zoneRedundant: zoneRedundant
    publicApi: publicApi
    subnetId: privateNetworking ? network.outputs.appSubnetId : ''
    identityId: identity.outputs.id
    clientId: identity.outputs.clientId
    storageName: storage.outputs.name
    vaultUrl: vaultUrl
    insightsConnectionString: monitoring.outputs.connectionString
    workspaceId: monitoring.outputs.workspaceId
    settings: settings
    deployerPrincipalId: deployerPrincipalId
  }
  dependsOn: [roles, pull, endpoints]
}

resource keys 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

module functionEvents 'modules/events-function.bicep' = if (subscribeToVault && deployFunctions) {
  name: '${name}-function-events'
  params: {
    name: name
    location: location
    tags: allTags
    vaultId: vault.outputs.id
    functionId: deployFunctions ? '${functions.outputs.id}/functions/secrets_changed' : ''
  }
}

module webhookEvents 'modules/events-webhook.bicep' = if (subscribeToVault && deployContainerApp) {
  name: '${name}-webhook-events'
  params: {
    name: name
    location: location
    tags: allTags
    vaultId: vault.outputs.id
    address: deployContainerApp ? containerApp.outputs.address : ''
    systemKey: keys.getSecret('host-systemkey-eventgrid-extension')
  }
}

module alerts 'modules/alerts.bicep' = if (deployApp) {
  name: '${name}-alerts'
  params: {
    name: name
    location: location
    tags: allTags
    insightsId: monitoring.outputs.insightsId
    actionGroupId: monitoring.outputs.actionGroupId
  }
}

output app string = name
output address string = deployFunctions ? functions.outputs.address : deployContainerApp ? containerApp.outputs.address : ''
output storage string = storage.outputs.name
output vault string = vault.outputs.name
output clientId string = identity.outputs.clientId
output principalId string = identity.outputs.principalId
